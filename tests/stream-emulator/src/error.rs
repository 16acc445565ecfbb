//! Stream's error body: one shape, a code of Stream's own beside the status.

use std::fmt;

use serde_json::{Value, json};

use crate::operation::Operation;

/// A request that Stream refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamError {
    status: u16,
    code: i32,
    message: String,
    unrecoverable: bool,
}

impl StreamError {
    pub(crate) fn new(status: u16, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), unrecoverable: false }
    }

    /// The request itself is wrong.
    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(400, 4, message)
    }

    /// What the request names does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, 16, message)
    }

    /// The caller is known, and may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, 17, message)
    }

    /// The caller is not known; the code says why.
    pub(crate) fn unauthenticated(code: i32, message: impl Into<String>) -> Self {
        Self::new(401, code, message)
    }

    /// The failure that a fault script asks for by its status alone.
    pub(crate) fn from_status(status: u16) -> Self {
        let (code, message) = match status {
            400 => (4, "scripted: input error"),
            401 => (5, "scripted: authentication error"),
            403 => (17, "scripted: not allowed"),
            404 => (16, "scripted: does not exist"),
            408 => (23, "scripted: request timeout"),
            413 => (22, "scripted: payload too big"),
            429 => (9, "Too many requests"),
            431 => (24, "scripted: headers too big"),
            _ => (-1, "scripted: internal error"),
        };
        Self::new(status, code, message)
    }

    /// Marked as not worth repeating, which forbids a client's every retry.
    pub(crate) fn unrecoverable(mut self) -> Self {
        self.unrecoverable = true;
        self
    }

    /// Stream names the operation that failed in front of its reason.
    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.message = format!("{operation} failed with error: \"{}\"", self.message);
        self
    }

    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "code": self.code,
            "message": self.message,
            "StatusCode": self.status,
            "duration": "0.00ms",
            "more_info": "https://getstream.io/chat/docs/api_errors_response",
            "details": [],
        });
        if self.unrecoverable {
            body["unrecoverable"] = json!(true);
        }
        body
    }
}

/// Why Stream refused something, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamErrorView {
    /// The HTTP status.
    pub status: u16,
    /// Stream's own code.
    pub code: i32,
    /// Stream's text.
    pub message: String,
}

impl From<StreamError> for StreamErrorView {
    fn from(error: StreamError) -> Self {
        Self { status: error.status, code: error.code, message: error.message }
    }
}

impl fmt::Display for StreamErrorView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (code {}): {}", self.status, self.code, self.message)
    }
}

impl std::error::Error for StreamErrorView {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_body_has_the_format_of_stream() {
        let error = StreamError::invalid_input("a message with ID X already exists");
        assert_eq!(
            error.with_operation(Operation::SendMessage).body(),
            json!({
                "code": 4,
                "message": "SendMessage failed with error: \"a message with ID X already exists\"",
                "StatusCode": 400,
                "duration": "0.00ms",
                "more_info": "https://getstream.io/chat/docs/api_errors_response",
                "details": [],
            })
        );
    }

    #[test]
    fn unrecoverable_is_omitted_unless_set() {
        let error = StreamError::from_status(503);
        assert_eq!(error.body().get("unrecoverable"), None);
        assert_eq!(error.unrecoverable().body()["unrecoverable"], json!(true));
    }
}
