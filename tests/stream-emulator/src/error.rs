//! Stream's error responses: an HTTP status and a body with Stream's own error code.

use std::fmt;

use serde_json::{Value, json};

use crate::operation::Operation;

/// An error response of Stream.
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

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(400, 4, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, 16, message)
    }

    /// Stream has the feature, but the emulator does not.
    pub(crate) fn not_emulated(feature: &str) -> Self {
        Self::new(501, -1, format!("{feature} is not emulated"))
    }

    /// The token is valid but does not permit the operation.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, 17, message)
    }

    /// The key or the token is not valid. The code gives the reason.
    pub(crate) fn unauthenticated(code: i32, message: impl Into<String>) -> Self {
        Self::new(401, code, message)
    }

    /// The error of a fault rule that gives only a status.
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

    /// The refusal of a connection that gives only a code.
    pub(crate) fn connection_refusal(code: i32) -> Self {
        let (status, message) = match code {
            2 => (401, "scripted: api_key is not valid"),
            5 => (401, "scripted: authentication error"),
            9 => (429, "Too many requests"),
            16 => (404, "scripted: does not exist"),
            17 => (403, "scripted: not allowed"),
            40 => (401, "Token is expired"),
            41 => (401, "token used before not-before time (nbf)"),
            42 => (401, "token used before issue at (iat)"),
            43 => (401, "Token signature is invalid"),
            71 => (429, "Too many connections"),
            99 => (403, "the app is suspended"),
            _ => (500, "scripted: internal error"),
        };
        Self::new(status, code, message)
    }

    /// Marks the error `unrecoverable`: a client must not retry.
    pub(crate) fn unrecoverable(mut self) -> Self {
        self.unrecoverable = true;
        self
    }

    /// Prefixes the message with the operation, as Stream does.
    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.message = format!("{operation} failed with error: \"{}\"", self.message);
        self
    }

    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
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

/// An error response, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamErrorView {
    /// The HTTP status.
    pub status: u16,
    /// Stream's error code.
    pub code: i32,
    /// The message.
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
