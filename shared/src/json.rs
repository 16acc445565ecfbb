//! Parsing of JSON objects without duplicate names.
//!
//! If two members of an object have the same name, `serde_json` keeps the last one. Another parser
//! on the path of the request may keep the first, and the two then read different requests (RFC
//! 8259, section 4). This parser rejects duplicate names at every depth.

mod strict;
mod surrogates;

pub(crate) use strict::StrictDeserializer;
pub(crate) use surrogates::replace_lone_surrogates;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parses a text that must be one JSON object without duplicate names.
pub(crate) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = UniqueNames.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(serde_json::Error::custom("the text is not a JSON object")),
    }
}

struct UniqueNames;

impl<'de> DeserializeSeed<'de> for UniqueNames {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(UniqueNames)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom("an object has a duplicate name"));
            }
            // When serde_json converts a value to a type, it parses a member with this prefix as
            // JSON again, without these checks.
            if name.starts_with("$serde_json::private::") {
                return Err(A::Error::custom("an object has a reserved name"));
            }
            let value = access.next_value_seed(UniqueNames)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepted_object_matches_serde_json() {
        let text = br#"{"a": [1, -2, 1.5, "x", null, true, {"b": {}}], "c": "\u00e9"}"#;
        let expected: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(Value::Object(parse_object(text).unwrap()), expected);
    }

    #[test]
    fn invalid_or_duplicate_names_are_rejected() {
        let too_deep = format!("{}{}", "{\"a\":".repeat(200), "1".to_owned() + &"}".repeat(200));
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            r#"{"x":{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}}"#,
            &too_deep,
        ] {
            assert!(parse_object(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        /// An object without duplicate names parses to the same value.
        #[test]
        fn serialized_object_round_trips(map in object_strategy()) {
            let text = serde_json::to_vec(&map).unwrap();
            prop_assert_eq!(parse_object(&text).unwrap(), map);
        }

        /// Arbitrary bytes either parse to the same value as with `serde_json` or return an error.
        #[test]
        fn arbitrary_bytes_parse_like_serde_json_or_fail(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(map) = parse_object(&text) {
                let expected: Map<String, Value> = serde_json::from_slice(&text).unwrap();
                prop_assert_eq!(map, expected);
            }
        }
    }

    fn object_strategy() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\u{e9}\"\\\\]{0,8}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-z]{0,4}", value, 0..4)
            .prop_map(|map| map.into_iter().collect())
    }
}
