//! A line of a function's output. `docs/LOGGING.md` describes its fields.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::printable;
use super::style::{Color, Style};

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FunctionLine {
    /// The request line of an HTTP request.
    Request { id: String, outcome: RequestOutcome },
    /// The request line of a scheduled run.
    Run { is_failed: bool, duration_ms: u64, text: String },
    /// A diagnostic line with the level `WARN` or `ERROR`.
    Problem { level: String, text: String },
    /// A diagnostic line of another level, or the metrics of a call.
    Other,
    /// Output that is not a log line, such as the message of a panic.
    Text(String),
}

/// The result of a request in the function's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestOutcome {
    pub(super) code: String,
    pub(super) cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogLine {
    level: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    code: Option<String>,
    cause: Option<String>,
    duration_ms: Option<f64>,
    subject: Option<String>,
    summary: Option<String>,
}

impl FunctionLine {
    pub(crate) fn parse(text: &str) -> Self {
        let Ok(line) = serde_json::from_str::<LogLine>(text) else {
            return Self::Text(text.to_owned());
        };
        let code = line.code.unwrap_or_default();
        match (line.message.as_deref().unwrap_or_default(), line.request_id) {
            ("request completed", Some(id)) => {
                Self::Request { id, outcome: RequestOutcome { code, cause: line.cause } }
            }
            (message @ ("run completed" | "run failed"), _) => {
                let is_failed = message == "run failed";
                let text = if is_failed {
                    join(": ", [Some(code), line.cause])
                } else {
                    summary_text(line.summary.as_deref().unwrap_or_default())
                };
                let duration_ms = whole_millis(line.duration_ms.unwrap_or_default());
                Self::Run { is_failed, duration_ms, text }
            }
            (message, _) => match line.level {
                Some(level) if level == "WARN" || level == "ERROR" => {
                    let message = join(" ", [Some(message.to_owned()), line.subject]);
                    let code = Some(code).filter(|code| !code.is_empty());
                    let text = join(": ", [Some(message), code, line.cause]);
                    Self::Problem { level, text }
                }
                _ => Self::Other,
            },
        }
    }

    /// The short line, or `None` if the terminal does not show it.
    pub(super) fn format(&self, function: &str, style: Style) -> Option<String> {
        let (color, label, text) = match self {
            Self::Request { .. } | Self::Other => return None,
            Self::Run { is_failed: false, duration_ms, text } => {
                let line = format!("{function} {duration_ms} ms {text}");
                return Some(style.paint(Color::Detail, &printable(line.trim_end())));
            }
            Self::Run { is_failed: true, duration_ms, text } => {
                (Color::Failure, format!("failed {duration_ms} ms"), text)
            }
            Self::Problem { level, text } if level == "WARN" => {
                (Color::Warning, level.clone(), text)
            }
            Self::Problem { level, text } => (Color::Failure, level.clone(), text),
            Self::Text(text) if text.trim().is_empty() => return None,
            Self::Text(text) => return Some(format!("{function}: {}", printable(text))),
        };
        Some(format!("{function} {} {}", style.paint(color, &label), printable(text)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a saturating cast")]
fn whole_millis(duration_ms: f64) -> u64 {
    duration_ms as u64
}

fn join<const N: usize>(separator: &str, parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(separator)
}

/// The counts of a summary that are not zero, such as `active 2, ended 1`.
fn summary_text(summary: &str) -> String {
    let counts: Map<String, Value> = serde_json::from_str(summary).unwrap_or_default();
    let is_relevant = |value: &Value| match value {
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(flag) => *flag,
        _ => false,
    };
    let entries = counts.iter().filter(|(_, value)| is_relevant(value)).map(|(name, value)| {
        if value.is_boolean() { name.clone() } else { format!("{name} {value}") }
    });
    entries.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn formatted(line: &Value) -> Option<String> {
        FunctionLine::parse(&line.to_string()).format("sweeper", Style::new(false))
    }

    #[test]
    fn run_shows_the_counts_that_are_not_zero() {
        let summary = json!({"active": 2, "ended": 0, "truncated": false, "next": null});
        let run = json!({
            "level": "INFO", "message": "run completed", "requestId": "r", "code": "ok",
            "durationMs": 35.7, "summary": summary.to_string(),
        });
        assert_eq!(formatted(&run).unwrap(), "sweeper 35 ms active 2");
        let idle = json!({"message": "run completed", "durationMs": 4, "summary": "{}"});
        assert_eq!(formatted(&idle).unwrap(), "sweeper 4 ms");
    }

    #[test]
    fn failures_show_their_cause() {
        let run = json!({
            "level": "ERROR", "message": "run failed", "requestId": "r", "code": "internal",
            "durationMs": 9, "cause": "no table",
        });
        assert_eq!(formatted(&run).unwrap(), "sweeper failed 9 ms internal: no table");
        let problem = json!({
            "level": "WARN", "message": "GetCall failed", "subject": "call-1",
            "code": "stream_unavailable", "cause": "503",
        });
        let expected = "sweeper WARN GetCall failed call-1: stream_unavailable: 503";
        assert_eq!(formatted(&problem).unwrap(), expected);
        let panic = FunctionLine::parse("thread 'main' panicked");
        assert_eq!(panic.format("f", Style::new(false)).unwrap(), "f: thread 'main' panicked");
    }

    #[test]
    fn routine_lines_are_not_shown() {
        for line in [
            json!({"level": "INFO", "message": "JWKS fetch succeeded", "keys": 2}),
            json!({"CallId": "c", "CallDuration": 9}),
            json!({"message": "request completed", "requestId": "r", "code": "ok"}),
        ] {
            assert_eq!(formatted(&line), None, "{line}");
        }
    }
}
