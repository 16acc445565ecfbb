//! What comes back from Stream when it is not what was asked for, and what our callers hear of it.

use std::time::Duration;

use serde::Deserialize;

use crate::error::{ApiError, BoxError, Code};

/// An error answer of Stream's, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Stream answered {status}, code {}: {message}", code.unwrap_or_default())]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// Stream's own code, where the body is Stream's own: a limit at the edge answers no JSON.
    pub code: Option<i64>,
    /// Stream's words, for the log and for telling apart what has only one code.
    pub message: String,
    /// Whether Stream says that a repeat is of no use.
    pub unrecoverable: bool,
}

/// The most that is kept of what an error says, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// Stream's code for an input that it refuses.
const INPUT_ERROR: i64 = 4;

impl ErrorResponse {
    /// Reads an error's body, whatever it is.
    pub(super) fn parse(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Wire {
            code: i64,
            #[serde(default)]
            message: String,
            #[serde(default)]
            unrecoverable: bool,
        }
        let truncate = |text: &str| text.chars().take(MAX_MESSAGE_CHARS).collect();
        if let Ok(Wire { code, message, unrecoverable }) = serde_json::from_slice(body) {
            return Self { status, code: Some(code), message: truncate(&message), unrecoverable };
        }
        let message = truncate(&String::from_utf8_lossy(body));
        Self { status, code: None, message, unrecoverable: false }
    }

    // Stream has one code for many things; only its words tell these apart.

    /// Whether it is about a user who was deleted.
    #[must_use]
    pub fn is_user_deleted(&self) -> bool {
        self.message.contains("was deleted")
    }

    /// Whether it is about users who do not exist.
    #[must_use]
    pub fn is_user_unknown(&self) -> bool {
        self.code == Some(INPUT_ERROR) && self.message.contains("don't exist")
    }

    /// Whether it is about an id that is taken.
    #[must_use]
    pub fn is_id_taken(&self) -> bool {
        self.code == Some(INPUT_ERROR) && self.message.contains("already exists")
    }
}

/// Why Stream did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No answer, in all the attempts that there was time for.
    #[error("no answer from Stream")]
    Unreachable(#[source] BoxError),
    /// An answer of 429.
    #[error("Stream asks to slow down")]
    RateLimited {
        /// How long Stream asks to wait.
        retry_after: Option<Duration>,
    },
    /// Stream does not know our key, or our signature, or has suspended the app.
    #[error("Stream rejected our credentials")]
    RejectedCredentials(#[source] ErrorResponse),
    /// What the request names does not exist, or no longer.
    #[error("not found at Stream")]
    NotFound(#[source] ErrorResponse),
    /// Stream cannot do it now.
    #[error("Stream failed")]
    ServerError(#[source] ErrorResponse),
    /// Stream will not do it, however often it is asked.
    #[error("Stream refused the request")]
    Rejected(#[source] ErrorResponse),
    /// An answer that is not what the operation answers.
    #[error("unreadable answer from Stream")]
    InvalidResponse(#[source] BoxError),
}

impl StreamError {
    /// Sorts an error answer by what it means for us.
    pub(super) fn from_response(response: ErrorResponse, retry_after: Option<Duration>) -> Self {
        /// The app is suspended: no request of ours will be served.
        const APP_SUSPENDED: i64 = 99;
        /// What the request names does not exist.
        const NOT_FOUND: i64 = 16;
        match (response.status, response.code) {
            (429, _) => Self::RateLimited { retry_after },
            (401, _) | (403, Some(APP_SUSPENDED)) => Self::RejectedCredentials(response),
            (404, Some(NOT_FOUND)) => Self::NotFound(response),
            // Not Stream's word, but that of something in between, or of a wrong address.
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
                // Stream does not always say; its limits are counted by the minute.
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
