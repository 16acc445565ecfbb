//! Errors of requests to Stream, and their mapping to error codes of the API.

use std::time::Duration;

use serde::Deserialize;

use crate::error::{ApiError, BoxError, Code};
use crate::ids::UserId;
use crate::redact::redact;
use crate::stream::lenient::or_default;

/// An error response of Stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Stream returned {status}, code {}: {message}", code.unwrap_or_default())]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// Stream's error code. `None` if the body is not Stream's JSON, such as that of a proxy.
    pub code: Option<i64>,
    /// Stream's message, for the log and to distinguish errors with the same code.
    pub message: String,
    /// Whether Stream marks the error as not retryable.
    pub unrecoverable: bool,
}

/// The maximum length of a stored message, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// Stream's code for invalid input.
const INPUT_ERROR: i64 = 4;

impl ErrorResponse {
    /// Parses the body of an error. A body that is not Stream's JSON becomes the message.
    pub(super) fn parse(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Wire {
            code: i64,
            #[serde(default, deserialize_with = "or_default")]
            message: String,
            #[serde(default, deserialize_with = "or_default")]
            unrecoverable: bool,
        }
        // A secret that is cut off would not be found in the log's text.
        let truncate = |text: &str| redact(text).chars().take(MAX_MESSAGE_CHARS).collect();
        if let Ok(Wire { code, message, unrecoverable }) = serde_json::from_slice(body) {
            return Self { status, code: Some(code), message: truncate(&message), unrecoverable };
        }
        let message = truncate(&String::from_utf8_lossy(body));
        Self { status, code: None, message, unrecoverable: false }
    }

    // Stream uses one code for several errors. Only the message distinguishes them.

    /// Whether the request names a deleted user.
    #[must_use]
    pub fn is_user_deleted(&self) -> bool {
        self.message.contains("was deleted")
    }

    /// Whether the request names users who do not exist.
    #[must_use]
    pub fn is_user_unknown(&self) -> bool {
        self.code == Some(INPUT_ERROR) && self.message.contains("don't exist")
    }

    /// Whether the message names this user.
    #[must_use]
    pub fn names_user(&self, user: &UserId) -> bool {
        let is_id_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@');
        self.message.split(|c| !is_id_char(c)).any(|word| word == user.as_str())
    }

    /// Whether the request names users who do not exist, and this user is one of them.
    #[must_use]
    pub fn names_unknown_user(&self, user: &UserId) -> bool {
        self.is_user_unknown() && self.names_user(user)
    }

    /// Whether the id in the request already exists.
    #[must_use]
    pub fn is_id_taken(&self) -> bool {
        self.code == Some(INPUT_ERROR) && self.message.contains("already exists")
    }
}

/// An error of a request to Stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Every attempt within the deadline failed without a response.
    #[error("no response from Stream")]
    Unreachable(#[source] BoxError),
    /// Status 429.
    #[error("Stream's rate limit is exhausted")]
    RateLimited {
        /// The time until the next request is allowed.
        retry_after: Option<Duration>,
    },
    /// The API key or the signature is invalid, or the app is suspended.
    #[error("Stream rejected our credentials")]
    RejectedCredentials(#[source] ErrorResponse),
    /// An object in the request does not exist, or no longer exists.
    #[error("not found at Stream")]
    NotFound(#[source] ErrorResponse),
    /// Stream failed. A retry may succeed.
    #[error("Stream failed")]
    ServerError(#[source] ErrorResponse),
    /// Stream rejected the request. A retry fails as well.
    #[error("Stream rejected the request")]
    Rejected(#[source] ErrorResponse),
    /// The response is not of the operation's form.
    #[error("invalid response from Stream")]
    InvalidResponse(#[source] BoxError),
}

impl StreamError {
    /// Maps an error response by its status and code.
    pub(super) fn from_response(response: ErrorResponse, retry_after: Option<Duration>) -> Self {
        /// Stream's code for a suspended app.
        const APP_SUSPENDED: i64 = 99;
        /// Stream's code for an object that does not exist.
        const NOT_FOUND: i64 = 16;
        match (response.status, response.code) {
            (429, _) => Self::RateLimited { retry_after },
            (401, _) | (403, Some(APP_SUSPENDED)) => Self::RejectedCredentials(response),
            (404, Some(NOT_FOUND)) => Self::NotFound(response),
            // Not from Stream's API, but from a proxy or a wrong base URL.
            (404 | 300..=399, _) => Self::InvalidResponse(response.into()),
            (408 | 500..=599, _) => Self::ServerError(response),
            _ => Self::Rejected(response),
        }
    }
}

impl From<StreamError> for ApiError {
    fn from(error: StreamError) -> Self {
        let (code, retry_after) = match &error {
            StreamError::Unreachable(_) | StreamError::ServerError(_) => {
                (Code::StreamUnavailable, None)
            }
            StreamError::RateLimited { retry_after } => {
                // The default for a response without `Retry-After`.
                (Code::StreamBusy, Some(retry_after.unwrap_or(Duration::from_secs(1))))
            }
            StreamError::RejectedCredentials(_) => (Code::StreamRejectedCredentials, None),
            StreamError::NotFound(response) if response.is_user_deleted() => {
                (Code::UserDeleted, None)
            }
            StreamError::NotFound(_) | StreamError::Rejected(_) => (Code::StreamRefused, None),
            StreamError::InvalidResponse(_) => (Code::StreamBadAnswer, None),
        };
        Self::from_code(code).with_retry_after(retry_after).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_responses_map_to_api_codes() {
        let body = |code: i64| format!(r#"{{"code":{code},"message":"upstream words"}}"#);
        let cases = [
            (429, body(9), Code::StreamBusy),
            (401, body(2), Code::StreamRejectedCredentials),
            (401, body(43), Code::StreamRejectedCredentials),
            (403, body(99), Code::StreamRejectedCredentials),
            (403, body(17), Code::StreamRefused),
            (404, body(16), Code::StreamRefused),
            (404, "<html>nothing here</html>".to_owned(), Code::StreamBadAnswer),
            (
                404,
                r#"{"code":16,"message":"the user x was deleted"}"#.to_owned(),
                Code::UserDeleted,
            ),
            (400, body(4), Code::StreamRefused),
            (408, body(23), Code::StreamUnavailable),
            (500, body(-1), Code::StreamUnavailable),
            (503, "<html>busy</html>".to_owned(), Code::StreamUnavailable),
            (302, String::new(), Code::StreamBadAnswer),
        ];
        for (status, body, code) in cases {
            let response = ErrorResponse::parse(status, body.as_bytes());
            let error = ApiError::from(StreamError::from_response(response, None));
            assert_eq!(error.code(), code, "{status} {body}");
            let problem = serde_json::to_string(&error.problem("r")).unwrap();
            assert!(!problem.contains("upstream words"), "{problem}");
        }
    }

    #[test]
    fn error_message_is_truncated() {
        let page = "<html>".repeat(1000);
        let response = ErrorResponse::parse(502, page.as_bytes());
        assert_eq!((response.code, response.message.len()), (None, MAX_MESSAGE_CHARS));
        let response =
            ErrorResponse::parse(400, format!(r#"{{"code":4,"message":"{page}"}}"#).as_bytes());
        assert_eq!((response.code, response.message.len()), (Some(4), MAX_MESSAGE_CHARS));
    }
}
