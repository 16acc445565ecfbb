//! References to attributes of other resources.

use serde_json::Value;

/// The logical id of a resource in a reference to its attribute: `!GetAtt Id.Attribute`, in the
/// short or long form, or `!Sub ${Id.Attribute}`.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getatt.html>
pub(super) fn attribute_owner<'a>(reference: &'a Value, attribute: &str) -> Option<&'a str> {
    if let Some([Value::String(id), Value::String(name)]) =
        reference["Fn::GetAtt"].as_array().map(Vec::as_slice)
    {
        return (name == attribute).then_some(id);
    }
    let substituted = || reference["Fn::Sub"].as_str()?.strip_prefix("${")?.strip_suffix('}');
    let path = reference["Fn::GetAtt"].as_str().or_else(substituted)?;
    path.strip_suffix(attribute)?.strip_suffix('.')
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn reference_to_an_attribute_has_an_owner() {
        for (text, owner) in [
            ("!GetAtt Table.StreamArn", Some("Table")),
            ("{Fn::GetAtt: [Table, StreamArn]}", Some("Table")),
            ("!Sub '${Table.StreamArn}'", Some("Table")),
            ("!GetAtt Table.Arn", None),
            ("{Fn::GetAtt: [Table, Arn]}", None),
            ("!Sub '${Table.StreamArn}/x'", None),
            ("!Ref Table", None),
            ("arn:aws:dynamodb", None),
        ] {
            let reference = yaml::parse(text).unwrap();
            assert_eq!(attribute_owner(&reference, "StreamArn"), owner, "{text}");
        }
    }
}
