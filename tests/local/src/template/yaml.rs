//! Converts YAML with CloudFormation's tags to JSON.
//!
//! A short form such as `!Ref Table` becomes its long form `{"Ref": "Table"}`, so that the callers
//! handle only one form.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html>

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::error::TemplateError;

/// Parses a YAML file with one document.
pub fn parse(text: &str) -> Result<Value, TemplateError> {
    let documents =
        Yaml::load_from_str(text).map_err(|error| TemplateError::Yaml(error.to_string()))?;
    match documents.as_slice() {
        [document] => to_json(document),
        _ => Err(TemplateError::Yaml("must be one document".to_owned())),
    }
}

fn to_json(yaml: &Yaml<'_>) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Value(scalar) => scalar_to_json(scalar),
        Yaml::Representation(text, ..) => Value::from(&**text),
        Yaml::Sequence(items) => items.iter().map(to_json).collect::<Result<_, _>>()?,
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                object.insert(mapping_key(name)?, to_json(member)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tag, tagged) => long_form(&tag.suffix, &to_json(tagged)?),
        // The loader resolves all aliases, so this is an invalid value.
        Yaml::Alias(_) | Yaml::BadValue => {
            return Err(TemplateError::Yaml("contains an invalid value".to_owned()));
        }
    })
}

fn scalar_to_json(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(yes) => Value::from(*yes),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => Value::from(number.into_inner()),
        Scalar::String(text) => Value::from(&**text),
    }
}

fn mapping_key(name: &Yaml<'_>) -> Result<String, TemplateError> {
    Ok(match to_json(name)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

fn long_form(tag: &str, argument: &Value) -> Value {
    match tag {
        "Ref" | "Condition" => json!({tag: argument}),
        function => json!({format!("Fn::{function}"): argument}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_long_forms() {
        let cases = [
            ("!Ref Table", json!({"Ref": "Table"})),
            ("!GetAtt Table.Arn", json!({"Fn::GetAtt": "Table.Arn"})),
            ("!Sub 'a ${B}'", json!({"Fn::Sub": "a ${B}"})),
            ("!Not [!Equals [!Ref A, 3]]", json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, 3]}]})),
            ("{a: !If [x, {b: 1}, ~]}", json!({"a": {"Fn::If": ["x", {"b": 1}, null]}})),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn scalars_follow_yaml_1_2() {
        let cases = [
            ("N", json!("N")),
            ("yes", json!("yes")),
            ("true", json!(true)),
            ("2012-10-17", json!("2012-10-17")),
            ("'10'", json!("10")),
            ("0.5", json!(0.5)),
            ("{200: OK}", json!({"200": "OK"})),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn invalid_yaml_is_rejected() {
        for text in ["", "a: [", "a: 1\na: 2", "--- 1\n--- 2"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
