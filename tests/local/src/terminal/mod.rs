//! The terminal of a developer: a short line for each request, run and problem.
//!
//! The details of an error are in the function's own log line, which the gateway does not see. So
//! the gateway announces a request, and the reader of the function's output adds the details.

mod function_line;
mod request_line;
mod style;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::sync::lock;
use function_line::{FunctionLine, RequestOutcome};
pub(crate) use request_line::{RequestLine, ResponseError, caller};
use style::Style;

/// How long the line of a failed request waits for the function's log line, which arrives by
/// another pipe than the response.
const LOG_LINE_TIMEOUT: Duration = Duration::from_millis(500);

/// The terminal, or a file in its place. Lines go to stderr.
pub(crate) struct Terminal {
    style: Style,
    /// The requests in progress, by the request id of the gateway.
    pending: Mutex<BTreeMap<String, oneshot::Sender<RequestOutcome>>>,
}

/// A request in progress.
pub(crate) struct PendingRequest {
    id: String,
    outcome: oneshot::Receiver<RequestOutcome>,
}

impl Terminal {
    /// A terminal with colours if stderr is a terminal and `NO_COLOR` is not set.
    /// <https://no-color.org>
    pub(crate) fn new() -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = Style::new(io::stderr().is_terminal() && !is_plain);
        Self { style, pending: Mutex::default() }
    }

    /// Announces a request to a function.
    pub(crate) fn begin_request(&self, id: &str) -> PendingRequest {
        let (sender, outcome) = oneshot::channel();
        lock(&self.pending).insert(id.to_owned(), sender);
        PendingRequest { id: id.to_owned(), outcome }
    }

    /// Prints the line of a request, without a delay of its response.
    pub(crate) fn finish_request(self: &Arc<Self>, pending: PendingRequest, line: RequestLine) {
        let terminal = Arc::clone(self);
        tokio::spawn(async move {
            let PendingRequest { id, outcome } = pending;
            let outcome = if line.is_error() {
                timeout(LOG_LINE_TIMEOUT, outcome).await.ok().and_then(Result::ok)
            } else {
                None
            };
            lock(&terminal.pending).remove(&id);
            write_line(&line.format(outcome.as_ref(), terminal.style));
        });
    }

    /// Prints a line of a function's output, unless it is the log line of a request.
    pub(crate) fn show_output(&self, function: &str, text: &str) {
        match FunctionLine::parse(text) {
            FunctionLine::Request { id, outcome } => {
                let pending = lock(&self.pending).remove(&id);
                if let Some(pending) = pending {
                    // An error means that the line of the request is already printed.
                    let _ = pending.send(outcome);
                }
            }
            line => {
                if let Some(text) = line.format(function, self.style) {
                    write_line(&text);
                }
            }
        }
    }
}

/// Writes a line to stderr with one call, so that lines of several functions do not mix.
pub(crate) fn write_line(line: &str) {
    // If stderr is closed, no other channel is left.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A text of a client without control characters, which could move the cursor.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let is_control = character.is_control();
            let escaped = is_control.then(|| character.escape_default());
            let plain = (!is_control).then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("al\u{1b}[2Jice\n"), "al\\u{1b}[2Jice\\n");
        assert_eq!(printable("Zoë@1"), "Zoë@1");
    }

    #[tokio::test]
    async fn log_line_reaches_its_request_only() {
        let terminal = Terminal::new();
        let (first, second) = (terminal.begin_request("r1"), terminal.begin_request("r2"));
        let line = r#"{"message":"request completed","requestId":"r2","code":"unauthenticated",
                       "cause":"the token has expired"}"#;
        terminal.show_output("token", line);
        let outcome = second.outcome.await.unwrap();
        assert_eq!(outcome.code, "unauthenticated");
        assert_eq!(outcome.cause.as_deref(), Some("the token has expired"));
        drop(terminal);
        assert!(first.outcome.await.is_err());
    }
}
