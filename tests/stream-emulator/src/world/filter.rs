//! A subset of Stream's filter language: fields compared with a value or with
//! `$eq $ne $in $nin $exists $gt $gte $lt $lte`, joined by `$and` and `$or`.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// Whether an object matches a filter. A null filter matches every object.
pub(super) fn matches(filter: &Value, object: &Value) -> Result<bool, StreamError> {
    let conditions = match filter {
        Value::Null => return Ok(true),
        Value::Object(conditions) => conditions,
        _ => return Err(StreamError::invalid_input("filter_conditions must be an object")),
    };
    for (key, condition) in conditions {
        let passes = match key.as_str() {
            "$and" => evaluate_all(key, condition, object)?.iter().all(|passes| *passes),
            "$or" => evaluate_all(key, condition, object)?.iter().any(|passes| *passes),
            key if key.starts_with('$') => return Err(unsupported_operator(key)),
            field => field_matches(condition, field_value(object, field))?,
        };
        if !passes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value of Stream's own field or, if there is none, of the custom field with that name. The
/// prefix `custom.` selects the custom field.
pub(super) fn field_value<'a>(object: &'a Value, field: &str) -> &'a Value {
    let custom = &object["custom"];
    match field.strip_prefix("custom.") {
        Some(field) => &custom[field],
        None => object.get(field).unwrap_or(&custom[field]),
    }
}

/// The order of two values, or `None` if they are not comparable.
pub(super) fn compare(actual: &Value, operand: &Value) -> Option<Ordering> {
    match (actual, operand) {
        (Value::String(actual), Value::String(operand)) => Some(actual.cmp(operand)),
        // Instants are RFC 3339 in requests and nanoseconds in the world.
        (Value::Number(_), Value::String(instant)) => {
            Some(actual.as_i64()?.cmp(&Timestamp::parse(instant)?.as_nanos()))
        }
        (Value::Number(_), Value::Number(_)) => match (actual.as_i64(), operand.as_i64()) {
            (Some(actual), Some(operand)) => Some(actual.cmp(&operand)),
            _ => actual.as_f64()?.partial_cmp(&operand.as_f64()?),
        },
        (Value::Bool(actual), Value::Bool(operand)) => Some(actual.cmp(operand)),
        _ => None,
    }
}

fn field_matches(condition: &Value, actual: &Value) -> Result<bool, StreamError> {
    let operators =
        condition.as_object().filter(|condition| condition.keys().any(|key| key.starts_with('$')));
    let Some(operators) = operators else { return Ok(equals_or_contains(actual, condition)) };
    for (operator, operand) in operators {
        if !evaluate_operator(operator, actual, operand)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn evaluate_operator(operator: &str, actual: &Value, operand: &Value) -> Result<bool, StreamError> {
    let ordered = |test: fn(Ordering) -> bool| compare(actual, operand).is_some_and(test);
    Ok(match operator {
        "$eq" => equals_or_contains(actual, operand),
        "$ne" => !equals_or_contains(actual, operand),
        "$in" => list_operand(operator, operand)?
            .iter()
            .any(|operand| equals_or_contains(actual, operand)),
        "$nin" => !list_operand(operator, operand)?
            .iter()
            .any(|operand| equals_or_contains(actual, operand)),
        "$exists" => operand.as_bool() == Some(!actual.is_null()),
        "$gt" => ordered(Ordering::is_gt),
        "$gte" => ordered(Ordering::is_ge),
        "$lt" => ordered(Ordering::is_lt),
        "$lte" => ordered(Ordering::is_le),
        _ => return Err(unsupported_operator(operator)),
    })
}

/// The results of a list of filters for one object.
fn evaluate_all(operator: &str, value: &Value, object: &Value) -> Result<Vec<bool>, StreamError> {
    list_operand(operator, value)?.iter().map(|part| matches(part, object)).collect()
}

/// A list also equals each of its elements, as in filters on `members`.
fn equals_or_contains(actual: &Value, operand: &Value) -> bool {
    match actual {
        Value::Array(elements) => actual == operand || elements.contains(operand),
        _ => actual == operand || compare(actual, operand) == Some(Ordering::Equal),
    }
}

fn list_operand<'a>(operator: &str, value: &'a Value) -> Result<&'a Vec<Value>, StreamError> {
    value.as_array().ok_or_else(|| {
        StreamError::invalid_input(format!("the value of {operator} must be a list"))
    })
}

fn unsupported_operator(operator: &str) -> StreamError {
    StreamError::invalid_input(format!("operator {operator} is not supported"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(filter: &Value) -> Option<bool> {
        let object = json!({
            "id": "alice",
            "members": ["alice", "bob"],
            "created_at": 1_767_225_600_000_000_000_i64,
            "custom": { "plan": "pro" },
        });
        matches(filter, &object).ok()
    }

    #[test]
    fn filter_operators_match_as_documented() {
        for (filter, expected) in [
            (json!(null), Some(true)),
            (json!({}), Some(true)),
            (json!({ "id": "alice" }), Some(true)),
            (json!({ "id": "bob" }), Some(false)),
            (json!({ "id": { "$in": ["bob", "alice"] } }), Some(true)),
            (json!({ "id": { "$in": [] } }), Some(false)),
            (json!({ "id": { "$nin": ["bob"] } }), Some(true)),
            (json!({ "id": { "$ne": "alice" } }), Some(false)),
            (json!({ "members": { "$in": ["bob"] } }), Some(true)),
            (json!({ "members": { "$in": ["carol"] } }), Some(false)),
            (json!({ "plan": { "$eq": "pro" } }), Some(true)),
            (json!({ "plan": { "$exists": true } }), Some(true)),
            (json!({ "custom.plan": "pro" }), Some(true)),
            (json!({ "custom.plan": { "$in": ["free"] } }), Some(false)),
            (json!({ "custom.id": "alice" }), Some(false)),
            (json!({ "ended_at": { "$exists": false } }), Some(true)),
            (json!({ "id": { "$exists": false } }), Some(false)),
            (json!({ "ended_at": null }), Some(true)),
            (json!({ "created_at": { "$gte": "2026-01-01T00:00:00Z" } }), Some(true)),
            (json!({ "created_at": { "$gt": "2026-01-01T00:00:00Z" } }), Some(false)),
            (json!({ "created_at": { "$lt": "2026-01-01T00:00:00.000000001Z" } }), Some(true)),
            (json!({ "$or": [{ "id": "bob" }, { "plan": "pro" }] }), Some(true)),
            (json!({ "$and": [{ "id": "alice" }, { "plan": "free" }] }), Some(false)),
            (json!({ "id": { "$like": "a" } }), None),
            (json!({ "$not": [] }), None),
            (json!([]), None),
        ] {
            assert_eq!(evaluate(&filter), expected, "{filter}");
        }
    }
}
