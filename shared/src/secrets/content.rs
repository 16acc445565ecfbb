//! The text of a secret: `{"secret": "...", "previous": "..."}`.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::config::ConfigError;

/// A secret, and the previous one, which is also valid during a rotation.
#[derive(Debug)]
pub(super) struct SecretContent {
    pub(super) current: SecretString,
    pub(super) previous: Option<SecretString>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContent {
    secret: String,
    previous: Option<String>,
}

/// Parses the text of a secret. An error never contains the text.
pub(super) fn parse(arn: &'static str, text: &SecretString) -> Result<SecretContent, ConfigError> {
    const EXPECTED_FORMAT: &str =
        r#"must name a secret with the text {"secret": "...", "previous": "..."}"#;
    let RawContent { secret, previous } = serde_json::from_str(text.expose_secret())
        .map_err(|_| ConfigError::invalid(arn, EXPECTED_FORMAT))?;
    // Without this check, a copied space or line break would only cause invalid signatures.
    let is_empty_or_has_whitespace =
        |text: &String| text.is_empty() || text.contains(char::is_whitespace);
    if is_empty_or_has_whitespace(&secret)
        || previous.as_ref().is_some_and(is_empty_or_has_whitespace)
    {
        return Err(ConfigError::invalid(
            arn,
            "must name a secret without empty values or whitespace",
        ));
    }
    Ok(SecretContent {
        current: SecretString::from(secret),
        previous: previous.map(SecretString::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_secret_is_optional() {
        for (text, expected) in [
            (r#"{"secret":"a"}"#, ("a", None)),
            (r#"{"secret":"a","previous":null}"#, ("a", None)),
            (r#"{"secret":"a","previous":"b"}"#, ("a", Some("b"))),
        ] {
            let content = parse("ARN", &SecretString::from(text)).unwrap();
            let previous = content.previous.as_ref().map(SecretString::expose_secret);
            assert_eq!((content.current.expose_secret(), previous), expected, "{text}");
        }
    }

    #[test]
    fn error_does_not_repeat_the_secret() {
        for text in [
            "hunter2",
            r#""hunter2""#,
            r#"{"secret":"hunter2","prevoius":"hunter2"}"#,
            r#"{"hunter2":"a"}"#,
            r#"{"secret":7}"#,
            r#"{"secret":"hunter2","secret":"hunter2"}"#,
            r#"{"secret":"hunter2\n"}"#,
            r#"{"secret":""}"#,
            r#"{"secret":"a","previous":""}"#,
            r#"{"previous":"hunter2"}"#,
        ] {
            let error = parse("ARN", &SecretString::from(text)).unwrap_err().to_string();
            assert!(error.starts_with("ARN must name") && !error.contains("hunter2"), "{text}");
        }
    }
}
