//! The error codes of the API, and the error type of all handlers.
//!
//! An error has a stable [`Code`] for clients, a detail for people and a source for the log. The
//! source is only logged: no upstream text, type name, table name or secret reaches a caller. A
//! test compares the table of codes with `docs/ERRORS.md`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

use crate::redact::redact;

macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $title:literal,)*) => {
        /// The error codes of the API. A published code is never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status of the code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short summary for people, fixed for each code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" 400 "The request cannot be read as HTTP",
    InvalidPath "invalid_path" 400 "The path is invalid",
    InvalidId "invalid_id" 400 "An id in the path is invalid",
    InvalidQuery "invalid_query" 400 "A query parameter is invalid",
    InvalidHeader "invalid_header" 400 "A header is invalid",
    InvalidJson "invalid_json" 400 "The body is not a JSON object",
    InvalidBody "invalid_body" 400 "A field of the body is invalid",
    CallChannelMismatch "call_channel_mismatch" 400 "callId and channelId name different calls",
    Unauthenticated "unauthenticated" 401 "A valid bearer token is required",
    BadSignature "bad_signature" 401 "The body is not signed by Stream",
    UserMismatch "user_mismatch" 403 "userId must be the signed-in user",
    CreatorsRestricted "creators_restricted" 403 "Only a service may create calls",
    SessionRevoked "session_revoked" 403 "The session was revoked; sign in again",
    UserDeactivated "user_deactivated" 403 "The user is deactivated",
    UserBanned "user_banned" 403 "The user is banned",
    UserNotFound "user_not_found" 404 "The user does not exist",
    CallNotFound "call_not_found" 404 "The call does not exist or the caller is not a member",
    CallEnded "call_ended" 409 "The call has ended",
    CallIdReused "call_id_reused" 409 "The call id already names a different call",
    CallNotActive "call_not_active" 409 "The call is not active yet",
    TooManyBatches "too_many_batches" 409 "The call accepts no more batches from this user",
    UserBusy "user_busy" 409 "The called user is in another call",
    MessageIdReused "message_id_reused" 409 "The message id already names a different message",
    UserDeleted "user_deleted" 409 "The user was deleted and the id cannot be reused",
    BodyTooLarge "body_too_large" 413 "The body is too large",
    UnsupportedMediaType "unsupported_media_type" 415 "The body must be JSON",
    MessageBlocked "message_blocked" 422 "Stream blocked the message",
    TooManyRequests "too_many_requests" 429 "The user sent too many requests in this minute",
    Internal "internal" 500 "The service failed internally",
    StreamRejectedCredentials "stream_rejected_credentials" 502 "Stream rejected this service's credentials",
    StreamRefused "stream_refused" 502 "Stream rejected the request",
    StreamBadAnswer "stream_bad_answer" 502 "Stream returned an invalid response",
    StreamNotConfigured "stream_not_configured" 503 "Stream's credentials are not configured",
    SecretsUnavailable "secrets_unavailable" 503 "This service's secrets cannot be fetched",
    KeysUnavailable "keys_unavailable" 503 "The issuer's keys cannot be fetched",
    StreamBusy "stream_busy" 503 "Stream's rate limit is exceeded",
    StreamUnavailable "stream_unavailable" 503 "Stream cannot be reached",
    StoreUnavailable "store_unavailable" 503 "The database cannot be reached",
}

/// An invalid field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The JSON Pointer (RFC 6901) of the field.
    pub pointer: String,
    /// Why the field is invalid.
    pub reason: String,
}

impl FieldError {
    /// An error for the field at this path of member names.
    pub fn new<'a>(path: impl IntoIterator<Item = &'a str>, reason: impl Display) -> Self {
        let mut pointer = String::new();
        for name in path {
            pointer.push('/');
            pointer.push_str(&truncate(name).replace('~', "~0").replace('/', "~1"));
        }
        Self { pointer, reason: truncate(&reason.to_string()) }
    }
}

/// The start of a text that may contain a name or a value from the request, so that an error never
/// repeats a large one.
pub(crate) fn truncate(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}

/// The source of an error, for the log only.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The error type of handlers.
#[derive(Debug, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct ApiError {
    code: Code,
    detail: Cow<'static, str>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    #[source]
    source: Option<BoxError>,
}

impl ApiError {
    /// An error with this code and a detail for the caller: what to change in the request.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), fields: Vec::new(), retry_after: None, source: None }
    }

    /// An error whose detail is the title of its code.
    #[must_use]
    pub fn from_code(code: Code) -> Self {
        Self::new(code, code.title())
    }

    /// An `invalid_body` error for one field.
    pub fn invalid_field(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::from_code(Code::InvalidBody).with_field(pointer, reason)
    }

    /// Adds an invalid field.
    #[must_use]
    pub fn with_field(self, pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        self.with_field_error(FieldError { pointer: pointer.into(), reason: reason.into() })
    }

    /// Adds an invalid field.
    #[must_use]
    pub fn with_field_error(mut self, error: FieldError) -> Self {
        self.fields.push(error);
        self
    }

    /// Sets the delay of `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = delay;
        self
    }

    /// Sets the source, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The delay of `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The chain of sources as one line of text, for the log.
    #[must_use]
    pub fn source_chain(&self) -> Option<String> {
        format_chain(StdError::source(self))
    }

    /// Logs an error that is not returned to the caller. `subject` is the id of the affected
    /// resource.
    pub fn log(&self, message: &'static str, subject: &dyn Display) {
        let (code, cause) = (self.code.as_str(), self.source_chain());
        if self.code.status() >= 500 {
            tracing::error!(%subject, code, cause, "{message}");
        } else {
            tracing::warn!(%subject, code, cause, "{message}");
        }
    }

    /// The body of the error response.
    #[must_use]
    pub fn problem<'a>(&'a self, request_id: &'a str) -> Problem<'a> {
        Problem {
            error: true,
            message: &self.detail,
            kind: format!("urn:stream-functions:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.as_str(),
            instance: request_id,
            errors: &self.fields,
        }
    }
}

/// A chain of errors as one line of text without credentials, for the log. `None` without an error.
#[must_use]
pub fn format_chain(mut next: Option<&(dyn StdError + 'static)>) -> Option<String> {
    let mut text = String::new();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&redact(&cause.to_string()));
        next = cause.source();
    }
    (!text.is_empty()).then_some(text)
}

/// The problem details of RFC 9457, with the additional members `error` and `message` for the apps.
#[derive(Debug, Serialize)]
pub struct Problem<'a> {
    error: bool,
    message: &'a str,
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_has_rfc_9457_members_and_error_and_message() {
        let error = ApiError::invalid_field("/ttlSeconds", "must be at least 60")
            .with_source(std::io::Error::other("secret upstream text"));
        let body = serde_json::to_value(error.problem("req-1")).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "error": true,
                "message": "A field of the body is invalid",
                "type": "urn:stream-functions:invalid_body",
                "title": "A field of the body is invalid",
                "status": 400,
                "detail": "A field of the body is invalid",
                "code": "invalid_body",
                "instance": "req-1",
                "errors": [{"pointer": "/ttlSeconds", "reason": "must be at least 60"}],
            })
        );
        assert_eq!(error.source_chain().as_deref(), Some("secret upstream text"));
    }

    #[test]
    fn field_error_escapes_and_truncates_names() {
        let error = FieldError::new(["userData", "a/b~c"], "is unknown");
        assert_eq!(
            (error.pointer.as_str(), error.reason.as_str()),
            ("/userData/a~1b~0c", "is unknown")
        );
        let long = "\u{1f600}".repeat(20_000);
        let error = FieldError::new([long.as_str()], &long);
        assert_eq!((error.pointer.chars().count(), error.reason.chars().count()), (202, 201));
    }

    #[test]
    fn codes_are_unique_and_have_error_statuses() {
        let mut unique = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(unique.insert(code.as_str()), "{} is a duplicate", code.as_str());
            assert!((400..=599).contains(&code.status()));
        }
    }

    #[test]
    fn documented_codes_match_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ERRORS.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented: Vec<(String, String, String)> = text
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
                let code = cells.next()?.trim_end_matches('`').to_owned();
                Some((code, cells.next()?.to_owned(), cells.next()?.to_owned()))
            })
            .collect();
        let table: Vec<_> = Code::ALL
            .iter()
            .map(|c| (c.as_str().to_owned(), c.status().to_string(), c.title().to_owned()))
            .collect();
        assert_eq!(documented, table);
    }
}
