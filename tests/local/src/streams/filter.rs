//! Event patterns, which decide which records a consumer gets and which events a rule gets.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
//!
//! A pattern has the structure of an event. A field matches if one of its matchers matches, and a
//! pattern matches if all of its fields match. The supported matchers are values, `exists`,
//! `prefix` and `anything-but` with values.

use serde_json::{Map, Value};

use crate::error::PatternError;

/// An event pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Vec<(String, FieldPattern)>);

#[derive(Clone, Debug, PartialEq)]
enum FieldPattern {
    Nested(Pattern),
    AnyOf(Vec<Matcher>),
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    Equals(Value),
    Exists(bool),
    Prefix(String),
    AnythingBut(Vec<Value>),
}

/// The patterns of a consumer. A record must match one of them. Without patterns every record
/// matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters(Vec<Pattern>);

impl Filters {
    pub(crate) fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    /// Whether the consumer gets this record, in the shape of Lambda's event.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(event))
    }

    /// The patterns.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.0
    }
}

impl Pattern {
    /// Parses a pattern. Every error names the field.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        match pattern {
            Value::Object(fields) => Self::parse_fields(fields, ""),
            _ => Err(PatternError("a pattern must be an object".to_owned())),
        }
    }

    fn parse_fields(fields: &Map<String, Value>, parent: &str) -> Result<Self, PatternError> {
        if fields.is_empty() {
            let subject =
                if parent.is_empty() { "a pattern".to_owned() } else { format!("`{parent}`") };
            return Err(PatternError(format!("{subject} must have fields")));
        }
        let parse_field = |(name, field): (&String, &Value)| {
            let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
            if name.starts_with('$') {
                return Err(PatternError(format!("`{path}` is not supported")));
            }
            let field = match field {
                Value::Object(nested) => FieldPattern::Nested(Self::parse_fields(nested, &path)?),
                Value::Array(matchers) if !matchers.is_empty() => FieldPattern::AnyOf(
                    matchers
                        .iter()
                        .map(|matcher| Matcher::parse(matcher, &path))
                        .collect::<Result<_, _>>()?,
                ),
                _ => {
                    let problem = "must be an object or an array of matchers";
                    return Err(PatternError(format!("`{path}` {problem}")));
                }
            };
            Ok((name.clone(), field))
        };
        Ok(Self(fields.iter().map(parse_field).collect::<Result<_, _>>()?))
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        self.matches_node(Some(event))
    }

    /// The names of the fields at the top level.
    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Matches a node of the event, or a missing node: `exists: false` must match below it. One
    /// object of an array must match all fields.
    ///
    /// AWS documents `exists: false` below a missing parent for neither rules nor filters. Its
    /// library flattens an event to paths, so a missing parent is equal to missing leaves.
    /// <https://github.com/aws/event-ruler>
    fn matches_node(&self, node: Option<&Value>) -> bool {
        let has_match = |object: Option<&Value>| {
            self.0.iter().all(|(name, field)| {
                let child = object.and_then(|object| object.get(name));
                match field {
                    FieldPattern::Nested(pattern) => pattern.matches_node(child),
                    FieldPattern::AnyOf(matchers) => {
                        let leaves = leaves(child);
                        matchers.iter().any(|matcher| matcher.matches(&leaves))
                    }
                }
            })
        };
        match node {
            Some(Value::Array(items)) if items.iter().any(Value::is_object) => {
                items.iter().filter(|item| item.is_object()).any(|item| has_match(Some(item)))
            }
            other => has_match(other),
        }
    }
}

impl Matcher {
    fn parse(matcher: &Value, path: &str) -> Result<Self, PatternError> {
        let Value::Object(operators) = matcher else {
            return if matcher.is_array() {
                Err(PatternError(format!("`{path}` must not have nested arrays")))
            } else {
                Ok(Self::Equals(matcher.clone()))
            };
        };
        let mut operators = operators.iter();
        let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
            return Err(PatternError(format!("`{path}` must have one operator for each matcher")));
        };
        let parsed = match (operator.as_str(), operand) {
            ("exists", Value::Bool(exists)) => Some(Self::Exists(*exists)),
            ("prefix", Value::String(prefix)) => Some(Self::Prefix(prefix.clone())),
            ("anything-but", Value::Array(values)) => (!values.is_empty()
                && values.iter().all(is_text_or_number))
            .then(|| Self::AnythingBut(values.clone())),
            ("anything-but", value) => {
                is_text_or_number(value).then(|| Self::AnythingBut(vec![value.clone()]))
            }
            _ => None,
        };
        parsed.ok_or_else(|| {
            PatternError(format!("`{path}`: {{\"{operator}\": {operand}}} is not supported"))
        })
    }

    /// Whether one of the field's values matches. A field that is missing has no values.
    fn matches(&self, leaves: &[&Value]) -> bool {
        match self {
            Self::Equals(expected) => leaves.contains(&expected),
            Self::Exists(exists) => *exists != leaves.is_empty(),
            Self::Prefix(prefix) => leaves
                .iter()
                .any(|leaf| leaf.as_str().is_some_and(|text| text.starts_with(prefix.as_str()))),
            Self::AnythingBut(excluded) => leaves.iter().any(|leaf| !excluded.contains(leaf)),
        }
    }
}

fn is_text_or_number(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// The values of a field: the field itself, or the items of an array. An object is an intermediate
/// node and has no value, so `exists: false` matches it.
fn leaves(node: Option<&Value>) -> Vec<&Value> {
    match node {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(items)) => items.iter().flat_map(|item| leaves(Some(item))).collect(),
        Some(leaf) => vec![leaf],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_match_by_their_operators() {
        let event = json!({
            "type": "call.created",
            "count": 3,
            "flag": true,
            "nothing": null,
            "tags": ["a", "b"],
            "parent": {"child": "x", "inner": {"leaf": "y"}},
            "rows": [{"id": "1", "kind": "p"}, {"id": "2", "kind": "q"}],
            "empty": [],
        });
        let cases = [
            // Equality
            (json!({"type": ["call.created"]}), true),
            (json!({"type": ["other", "call.created"]}), true),
            (json!({"type": ["other"]}), false),
            (json!({"count": [3]}), true),
            (json!({"count": ["3"]}), false),
            (json!({"flag": [true]}), true),
            (json!({"nothing": [null]}), true),
            (json!({"missing": [null]}), false),
            (json!({"tags": ["b", "c"]}), true),
            (json!({"tags": ["c"]}), false),
            (json!({"type": ["call.created"], "count": [4]}), false),
            // Nested fields
            (json!({"parent": {"child": ["x"]}}), true),
            (json!({"parent": {"inner": {"leaf": ["y"]}}}), true),
            (json!({"parent": {"inner": {"leaf": ["z"]}}}), false),
            (json!({"type": {"child": ["x"]}}), false),
            (json!({"rows": {"id": ["2"], "kind": ["q"]}}), true),
            (json!({"rows": {"id": ["2"], "kind": ["p"]}}), false),
            // Exists, on leaves only
            (json!({"type": [{"exists": true}]}), true),
            (json!({"type": [{"exists": false}]}), false),
            (json!({"nothing": [{"exists": true}]}), true),
            (json!({"missing": [{"exists": true}]}), false),
            (json!({"missing": [{"exists": false}]}), true),
            (json!({"parent": [{"exists": true}]}), false),
            (json!({"parent": [{"exists": false}]}), true),
            (json!({"empty": [{"exists": false}]}), true),
            (json!({"parent": {"other": [{"exists": false}]}}), true),
            (json!({"missing": {"child": [{"exists": false}]}}), true),
            (json!({"missing": {"child": {"leaf": [{"exists": false}]}}}), true),
            (json!({"missing": {"child": [{"exists": true}]}}), false),
            (json!({"missing": {"child": ["x", {"exists": false}]}}), true),
            // Prefix, on text only
            (json!({"type": [{"prefix": "call."}]}), true),
            (json!({"type": [{"prefix": "user."}]}), false),
            (json!({"count": [{"prefix": "3"}]}), false),
            (json!({"missing": [{"prefix": ""}]}), false),
            // Anything but
            (json!({"type": [{"anything-but": "other"}]}), true),
            (json!({"type": [{"anything-but": ["other", "call.created"]}]}), false),
            (json!({"count": [{"anything-but": 4}]}), true),
            (json!({"tags": [{"anything-but": "a"}]}), true),
            (json!({"missing": [{"anything-but": "x"}]}), false),
        ];
        for (pattern, expected) in cases {
            let parsed = Pattern::parse(&pattern).unwrap();
            assert_eq!(parsed.matches(&event), expected, "{pattern}");
        }
    }

    #[test]
    fn transition_matches_images_of_a_record() {
        let pattern = Pattern::parse(&json!({"dynamodb": {
            "Keys": {"sk": {"S": ["CALL"]}},
            "OldImage": {"firstAnsweredAt": {"N": [{"exists": false}]}},
            "NewImage": {"firstAnsweredAt": {"N": [{"exists": true}]}},
        }}))
        .unwrap();
        let answered = json!({"firstAnsweredAt": {"N": "1"}});
        let unanswered = json!({"state": {"S": "active"}});
        let record = |old: Option<&Value>, new: Option<&Value>| {
            let mut change = json!({"Keys": {"sk": {"S": "CALL"}}});
            for (name, image) in [("OldImage", old), ("NewImage", new)] {
                if let Some(image) = image {
                    change[name] = image.clone();
                }
            }
            json!({"dynamodb": change})
        };
        for (old, new, expected) in [
            (Some(&unanswered), Some(&answered), true),
            (Some(&answered), Some(&answered), false),
            (Some(&unanswered), Some(&unanswered), false),
            // An INSERT matches too: without an old image, its fields are missing.
            (None, Some(&answered), true),
            (Some(&unanswered), None, false),
        ] {
            assert_eq!(pattern.matches(&record(old, new)), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn unsupported_pattern_is_rejected() {
        let cases = [
            (json!([]), "a pattern must be an object"),
            (json!({}), "a pattern must have fields"),
            (json!({"a": {}}), "`a` must have fields"),
            (json!({"a": []}), "`a` must be an object or an array"),
            (json!({"a": "x"}), "`a` must be an object or an array"),
            (json!({"a": {"b": 1}}), "`a.b` must be an object or an array"),
            (json!({"a": [["x"]]}), "`a` must not have nested arrays"),
            (json!({"a": [{}]}), "`a` must have one operator"),
            (json!({"a": [{"prefix": "x", "exists": true}]}), "`a` must have one operator"),
            (json!({"a": [{"numeric": [">", 0]}]}), "`a`: {\"numeric\": [\">\",0]} is not"),
            (json!({"a": [{"suffix": "x"}]}), "`a`: {\"suffix\": \"x\"} is not"),
            (json!({"a": [{"exists": "yes"}]}), "`a`: {\"exists\": \"yes\"} is not"),
            (json!({"a": [{"prefix": 1}]}), "`a`: {\"prefix\": 1} is not"),
            (json!({"a": [{"anything-but": {"prefix": "x"}}]}), "`a`: {\"anything-but\": "),
            (json!({"a": [{"anything-but": []}]}), "`a`: {\"anything-but\": []} is not"),
            (json!({"$or": [{"a": ["x"]}, {"b": ["y"]}]}), "`$or` is not supported"),
        ];
        for (pattern, problem) in cases {
            let error = Pattern::parse(&pattern).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{pattern}: {error}");
        }
    }

    #[test]
    fn record_must_match_one_filter() {
        let filters = |patterns: &[Value]| {
            Filters::new(patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect())
        };
        let event = json!({"a": "1"});
        assert!(filters(&[]).matches(&event));
        assert!(filters(&[json!({"a": ["2"]}), json!({"a": ["1"]})]).matches(&event));
        assert!(!filters(&[json!({"a": ["2"]}), json!({"b": ["1"]})]).matches(&event));
    }
}
