//! The log lines of a request. `docs/LOGGING.md` describes their fields.

use serde::{Deserialize, Serialize};

/// The maximum length of a text of a line, in bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// The level of output that is not a log line, such as the message of a panic.
const OUTPUT: &str = "OUTPUT";

/// A line of a function.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogLine {
    pub(super) level: String,
    pub(super) message: String,
    /// The request that the line ends.
    pub(super) request_id: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) code: Option<String>,
    pub(super) cause: Option<String>,
    /// The result of a run of the sweeper, as JSON.
    pub(super) summary: Option<String>,
}

/// A line as the page gets it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogLineView<'a> {
    level: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

impl LogLine {
    /// Parses a line. `None` if it has no message: a line with the metrics of a call, or an empty
    /// one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let line = serde_json::from_str::<Self>(text).unwrap_or_else(|_| Self {
            level: OUTPUT.to_owned(),
            message: cut(text.trim_end()),
            ..Self::default()
        });
        let short = |text: Option<String>| text.map(|text| cut(&text));
        (!line.message.trim().is_empty()).then(|| Self {
            message: cut(&line.message),
            subject: short(line.subject),
            cause: short(line.cause),
            summary: short(line.summary),
            ..line
        })
    }

    /// Whether this is the request line, which a request has exactly once.
    pub(super) fn is_request_line(&self) -> bool {
        self.request_id.is_some()
            && matches!(self.message.as_str(), "request completed" | "run completed" | "run failed")
    }

    pub(super) fn view(&self) -> LogLineView<'_> {
        LogLineView {
            level: &self.level,
            message: &self.message,
            subject: self.subject.as_deref(),
            code: self.code.as_deref(),
            cause: self.cause.as_deref(),
            summary: self.summary.as_deref(),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .scan(0, |bytes, character| {
            *bytes += character.len_utf8();
            (*bytes <= MAX_TEXT_BYTES).then_some(character)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_a_line_are_read() {
        let text = json!({
            "level": "INFO", "message": "request completed", "requestId": "r1", "code": "ok",
            "durationMs": 4.5, "_aws": {},
        });
        let line = LogLine::parse(&text.to_string()).unwrap();
        assert!(line.is_request_line());
        assert_eq!((line.level.as_str(), line.code.as_deref()), ("INFO", Some("ok")));
        let diagnostic = json!({"level": "WARN", "message": "GetCall failed", "subject": "c1"});
        let diagnostic = LogLine::parse(&diagnostic.to_string()).unwrap();
        assert!(!diagnostic.is_request_line());
        assert_eq!(json!(diagnostic.view())["subject"], "c1");
    }

    #[test]
    fn other_output_is_kept_and_metrics_are_not() {
        let panic = LogLine::parse("thread 'main' panicked\r").unwrap();
        let expected = ("OUTPUT", "thread 'main' panicked");
        assert_eq!((panic.level.as_str(), panic.message.as_str()), expected);
        assert_eq!(LogLine::parse(r#"{"CallId": "c", "CallDuration": 9}"#), None);
        assert_eq!(LogLine::parse("  "), None);
        let long = "x".repeat(9_000);
        assert_eq!(LogLine::parse(&long).unwrap().message.len(), MAX_TEXT_BYTES);
        let line = json!({"message": "m", "cause": long}).to_string();
        assert_eq!(LogLine::parse(&line).unwrap().cause.unwrap().len(), MAX_TEXT_BYTES);
    }
}
