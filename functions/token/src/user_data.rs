//! The profile in a token request. A field that cannot be used is left out and reported: an app that
//! sends the picture of a login provider must not be without a token because of it.

use serde::Deserialize;
use serde_json::Value;
use shared::error::FieldError;
use shared::fields::{DisplayName, ImageUrl};
use shared::users::FieldPatch;

/// The largest number of reported fields.
const MAX_IGNORED: usize = 20;

/// The usable fields of `userData`, and the errors of the others.
#[derive(Debug, Default)]
pub(crate) struct UserData {
    pub(crate) name: FieldPatch<DisplayName>,
    pub(crate) image: FieldPatch<ImageUrl>,
    pub(crate) ignored: Vec<FieldError>,
}

impl UserData {
    pub(crate) fn read(value: Option<Value>) -> Self {
        let mut data = Self::default();
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    match name.as_str() {
                        "name" => data.name = data.read_field(&name, value),
                        "image" => data.image = data.read_field(&name, value),
                        _ => data.ignore(&["userData", &name], "is not a field of a token request"),
                    }
                }
            }
            Some(_) => data.ignore(&["userData"], "must be a JSON object"),
        }
        data
    }

    fn read_field<T>(&mut self, name: &str, value: Value) -> FieldPatch<T>
    where
        T: for<'de> Deserialize<'de>,
    {
        FieldPatch::deserialize(value).unwrap_or_else(|error| {
            self.ignore(&["userData", name], error);
            FieldPatch::Keep
        })
    }

    fn ignore(&mut self, path: &[&str], reason: impl std::fmt::Display) {
        if self.ignored.len() < MAX_IGNORED {
            self.ignored.push(FieldError::new(path.iter().copied(), reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unusable_fields_are_left_out_and_reported() {
        let long_url = format!("https://lh3.example.com/{}", "a".repeat(2_048));
        for (value, name, image, ignored) in [
            (json!({}), FieldPatch::Keep, FieldPatch::Keep, vec![]),
            (json!(null), FieldPatch::Keep, FieldPatch::Keep, vec![]),
            (json!({"name": null}), FieldPatch::Remove, FieldPatch::Keep, vec![]),
            (
                json!({"name": "Al", "image": "https://e.com/a"}),
                FieldPatch::Set("Al"),
                FieldPatch::Set("https://e.com/a"),
                vec![],
            ),
            (
                json!({"name": "Al", "image": ""}),
                FieldPatch::Set("Al"),
                FieldPatch::Keep,
                vec!["/userData/image"],
            ),
            (
                json!({"name": "", "image": long_url}),
                FieldPatch::Keep,
                FieldPatch::Keep,
                vec!["/userData/image", "/userData/name"],
            ),
            (
                json!({"name": 7, "email": "a@e.com"}),
                FieldPatch::Keep,
                FieldPatch::Keep,
                vec!["/userData/email", "/userData/name"],
            ),
            (json!("Al"), FieldPatch::Keep, FieldPatch::Keep, vec!["/userData"]),
            (json!(["Al"]), FieldPatch::Keep, FieldPatch::Keep, vec!["/userData"]),
        ] {
            let data = UserData::read(Some(value.clone()));
            assert_eq!(data.name.as_ref().map(DisplayName::as_str), name, "{value}");
            assert_eq!(data.image.as_ref().map(ImageUrl::as_str), image, "{value}");
            let pointers: Vec<_> =
                data.ignored.iter().map(|error| error.pointer.as_str()).collect();
            assert_eq!(pointers, ignored, "{value}");
        }
    }

    #[test]
    fn at_most_20_fields_are_reported() {
        let members = (0..1_000).map(|n| (format!("f{n}"), json!(n))).collect();
        assert_eq!(UserData::read(Some(Value::Object(members))).ignored.len(), MAX_IGNORED);
    }
}
