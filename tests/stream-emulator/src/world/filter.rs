//! The part of Stream's filter language that a backend uses: fields compared with a value or with
//! `$eq $ne $in $nin $exists $gt $gte $lt $lte`, joined by `$and` and `$or`.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// Whether an object passes a filter. No filter passes everything.
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

/// Fields are Stream's own or, where it has none of that name, custom ones; `custom.` in front says
/// which are meant.
pub(super) fn field_value<'a>(object: &'a Value, field: &str) -> &'a Value {
    let custom = &object["custom"];
    match field.strip_prefix("custom.") {
        Some(field) => &custom[field],
        None => object.get(field).unwrap_or(&custom[field]),
    }
}

/// How two values stand to each other, if they can be compared at all.
pub(super) fn compare(found: &Value, wanted: &Value) -> Option<Ordering> {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
        // Requests write instants as RFC 3339, the world holds nanoseconds.
        (Value::Number(_), Value::String(instant)) => {
            Some(found.as_i64()?.cmp(&Timestamp::parse(instant)?.as_nanos()))
        }
        (Value::Number(_), Value::Number(_)) => match (found.as_i64(), wanted.as_i64()) {
            (Some(found), Some(wanted)) => Some(found.cmp(&wanted)),
            _ => found.as_f64()?.partial_cmp(&wanted.as_f64()?),
        },
        (Value::Bool(found), Value::Bool(wanted)) => Some(found.cmp(wanted)),
        _ => None,
    }
}

fn field_matches(condition: &Value, found: &Value) -> Result<bool, StreamError> {
    let operators = condition.as_object().filter(|it| it.keys().any(|key| key.starts_with('$')));
    let Some(operators) = operators else { return Ok(equals_or_contains(found, condition)) };
    for (operator, wanted) in operators {
        if !evaluate_operator(operator, found, wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn evaluate_operator(operator: &str, found: &Value, wanted: &Value) -> Result<bool, StreamError> {
    let ordered = |test: fn(Ordering) -> bool| compare(found, wanted).is_some_and(test);
    Ok(match operator {
        "$eq" => equals_or_contains(found, wanted),
        "$ne" => !equals_or_contains(found, wanted),
        "$in" => {
            list_operand(operator, wanted)?.iter().any(|wanted| equals_or_contains(found, wanted))
        }
        "$nin" => {
            !list_operand(operator, wanted)?.iter().any(|wanted| equals_or_contains(found, wanted))
        }
        "$exists" => wanted.as_bool() == Some(!found.is_null()),
        "$gt" => ordered(Ordering::is_gt),
        "$gte" => ordered(Ordering::is_ge),
        "$lt" => ordered(Ordering::is_lt),
        "$lte" => ordered(Ordering::is_le),
        _ => return Err(unsupported_operator(operator)),
    })
}

/// How an object does with each of a list of filters.
fn evaluate_all(operator: &str, value: &Value, object: &Value) -> Result<Vec<bool>, StreamError> {
    list_operand(operator, value)?.iter().map(|part| matches(part, object)).collect()
}

/// A list equals each of its elements: `members` is asked about that way.
fn equals_or_contains(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(elements) => found == wanted || elements.contains(wanted),
        _ => found == wanted || compare(found, wanted) == Some(Ordering::Equal),
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
