//! Changes to a profile in the semantics of JSON Merge Patch (RFC 7396): an omitted member keeps
//! its value, `null` removes it, and any other value replaces it.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The change of one field. Fields of this type need `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FieldPatch<T> {
    /// The field keeps its value.
    #[default]
    Keep,
    /// The field is removed.
    Remove,
    /// The field is set to this value.
    Set(T),
}

impl<T> FieldPatch<T> {
    /// Converts the value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> FieldPatch<U> {
        match self {
            Self::Keep => FieldPatch::Keep,
            Self::Remove => FieldPatch::Remove,
            Self::Set(value) => FieldPatch::Set(convert(value)),
        }
    }

    /// Borrows the value.
    pub fn as_ref(&self) -> FieldPatch<&T> {
        match self {
            Self::Keep => FieldPatch::Keep,
            Self::Remove => FieldPatch::Remove,
            Self::Set(value) => FieldPatch::Set(value),
        }
    }

    /// The field after the change.
    #[must_use]
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Remove => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for FieldPatch<T> {
    /// `None` keeps the field.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FieldPatch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::deserialize(deserializer)?;
        Ok(value.map_or(Self::Remove, Self::Set))
    }
}

/// Applies a merge patch to an object, at every depth (RFC 7396, section 2).
pub(super) fn merge_objects(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(change) => {
                let mut merged = match target.remove(&name) {
                    Some(Value::Object(current)) => current,
                    _ => Map::new(),
                };
                merge_objects(&mut merged, change);
                target.insert(name, Value::Object(merged));
            }
            value => {
                target.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn rfc_7396_examples_are_merged() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.as_object().unwrap().clone();
            merge_objects(&mut merged, patch.as_object().unwrap().clone());
            assert_eq!(Value::Object(merged), expected, "{target} {patch}");
        }
    }

    #[test]
    fn null_removes_and_an_omitted_field_keeps_its_value() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Body {
            #[serde(default)]
            name: FieldPatch<String>,
        }
        for (body, patch, result) in [
            (json!({}), FieldPatch::Keep, Some("old")),
            (json!({"name": null}), FieldPatch::Remove, None),
            (json!({"name": "new"}), FieldPatch::Set("new".to_owned()), Some("new")),
        ] {
            let parsed: Body = serde_json::from_value(body).unwrap();
            assert_eq!(parsed.name, patch);
            assert_eq!(patch.apply(Some("old".to_owned())).as_deref(), result);
        }
    }
}
