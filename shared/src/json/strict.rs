//! Deserialization of JSON values by member name only.
//!
//! `serde_json` accepts two forms that the API does not document, and this deserializer rejects
//! both at every depth:
//!
//! - **An array for a struct.** `serde_json` fills the fields by position, and reads `["Al", null]`
//!   as `{"name": "Al", "kind": null}`.
//! - **A map for a unit variant of an enum.** `serde_json` reads `{"word": null}` as `"word"`.
//!
//! The meaning of such a request would depend on the order of the fields in the source code. A
//! reordered or added field would change it without an error. The request would also bypass checks
//! by name: the rejection of unknown fields, and validation against `docs/openapi.yaml`.
//!
//! It also accepts a form that `serde_json` rejects: a whole number with a fraction of zero or an
//! exponent, such as `60.0` or `6e1`, for an integer. JSON has one type of numbers, and JSON Schema
//! counts each of these as an integer (2020-12, section 6.1.1 of the core and 4.2.3).

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Number, Value};

/// Deserializes a value. A struct must be an object, and an enum must be a string.
pub(crate) struct StrictDeserializer(pub(crate) Value);

impl StrictDeserializer {
    fn type_error<'de, V: Visitor<'de>>(&self, visitor: &V) -> Error {
        let unexpected = match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(_) => Unexpected::Other("number"),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Error::invalid_type(unexpected, visitor)
    }
}

/// The integer that equals the number, if the number has another form.
fn as_integer(number: &Number) -> Option<Number> {
    /// The integers of up to 53 bits, each of which has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = number.as_f64().filter(|_| number.is_f64())?;
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within 53 bits")]
    (value.fract() == 0.0 && value.abs() < EXACT).then(|| (value as i64).into())
}

macro_rules! deserialize_integers {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.0 {
                    Value::Number(number) => {
                        Value::Number(as_integer(&number).unwrap_or(number)).$method(visitor)
                    }
                    other => other.$method(visitor),
                }
            }
        )*
    };
}

impl IntoDeserializer<'_, Error> for StrictDeserializer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for StrictDeserializer {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Self));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, Self(value)));
                let mut members = MapDeserializer::new(members);
                let value = visitor.visit_map(&mut members)?;
                members.end()?;
                Ok(value)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_object() {
            self.deserialize_any(visitor)
        } else {
            Err(self.type_error(&visitor))
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_string() {
            self.0.deserialize_enum(name, variants, visitor)
        } else {
            Err(self.type_error(&visitor))
        }
    }

    deserialize_integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Map, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Option<String>,
        kind: Option<Kind>,
        inner: Option<Inner>,
        many: Option<Vec<Inner>>,
        open: Option<Map<String, Value>>,
        number: Option<f64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Word,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        a: u8,
    }

    fn deserialize_body(value: Value) -> Result<Body, Error> {
        Body::deserialize(StrictDeserializer(value))
    }

    #[test]
    fn named_members_deserialize_like_serde_json() {
        for value in [
            json!({}),
            json!({"name": null, "kind": "word", "inner": {"a": 1}, "number": 1}),
            json!({"many": [{"a": 1}, {"a": 2}], "open": {"a": [1, {"b": null}]}, "number": 1.5}),
        ] {
            let expected: Body = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(deserialize_body(value).unwrap(), expected);
        }
    }

    #[test]
    fn whole_numbers_are_integers_in_any_form() {
        let inner = |json: &str| {
            let value: Value =
                serde_json::from_str(&format!(r#"{{"inner":{{"a":{json}}}}}"#)).unwrap();
            deserialize_body(value).ok().and_then(|body| body.inner).map(|inner| inner.a)
        };
        for (json, expected) in [
            ("60", Some(60)),
            ("60.0", Some(60)),
            ("6e1", Some(60)),
            ("0.6e2", Some(60)),
            ("-0.0", Some(0)),
            ("256.0", None),
            ("-1.0", None),
            ("60.5", None),
            ("1e300", None),
            ("\"60\"", None),
        ] {
            assert_eq!(inner(json), expected, "{json}");
        }
        let large =
            |json: &str| u64::deserialize(StrictDeserializer(serde_json::from_str(json).unwrap()));
        assert_eq!(large("4503599627370496.0").unwrap(), 1 << 52);
        assert!(large("9007199254740992.0").is_err());
        assert_eq!(large("18446744073709551615").unwrap(), u64::MAX);
    }

    #[test]
    fn positional_and_mistyped_values_are_rejected() {
        for value in [
            json!(["Al", null, null, null, null, null]),
            json!({"inner": [1]}),
            json!({"many": [[1]]}),
            json!({"kind": {"word": null}}),
            json!({"kind": ["word"]}),
            json!({"inner": "a"}),
            json!({"inner": {"a": 256}}),
            json!({"unknown": 1}),
        ] {
            assert!(deserialize_body(value.clone()).is_err(), "{value}");
        }
    }
}
