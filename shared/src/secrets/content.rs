//! What a secret's text says: `{"secret": "...", "previous": "..."}`.

use serde::Deserialize;

use crate::config::ConfigError;
use crate::secret::Secret;

/// A secret, and the other one that is good while it is changed.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) current: Secret,
    pub(super) previous: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    secret: String,
    previous: Option<String>,
}

/// Reads it. What is wrong is said without a word of the text.
pub(super) fn read(arn: &'static str, text: &Secret) -> Result<Content, ConfigError> {
    const FORM: &str = r#"must name a secret of the form {"secret": "...", "previous": "..."}"#;
    let Raw { secret, previous } =
        serde_json::from_str(text.expose()).map_err(|_| ConfigError::invalid(arn, FORM))?;
    // A blank or line break that was copied along would only show as a signature that is wrong.
    let blank = |text: &String| text.is_empty() || text.contains(char::is_whitespace);
    if blank(&secret) || previous.as_ref().is_some_and(blank) {
        return Err(ConfigError::invalid(arn, "must name secrets that have no blanks"));
    }
    Ok(Content { current: Secret::new(secret), previous: previous.map(Secret::new) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_or_two() {
        for (text, expected) in [
            (r#"{"secret":"a"}"#, ("a", None)),
            (r#"{"secret":"a","previous":null}"#, ("a", None)),
            (r#"{"secret":"a","previous":"b"}"#, ("a", Some("b"))),
        ] {
            let content = read("ARN", &Secret::new(text)).unwrap();
            let previous = content.previous.as_ref().map(Secret::expose);
            assert_eq!((content.current.expose(), previous), expected, "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
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
            let refused = read("ARN", &Secret::new(text)).unwrap_err().to_string();
            assert!(refused.starts_with("ARN must name") && !refused.contains("hunter2"), "{text}");
        }
    }
}
