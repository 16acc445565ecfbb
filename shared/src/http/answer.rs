//! What goes back: the envelope that the apps parse, or a problem.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{ApiError, Code};

/// A successful answer: the envelope's message and the fields beside it.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    status: u16,
    message: &'static str,
    body: T,
}

impl<T> Reply<T> {
    /// Done.
    pub fn ok(message: &'static str, body: T) -> Self {
        Self { status: 200, message, body }
    }

    /// Taken on, and not done yet.
    pub fn accepted(message: &'static str, body: T) -> Self {
        Self { status: 202, message, body }
    }
}

/// What a handler returns, as an answer.
pub trait Respond: Send + Sync {
    /// The answer.
    fn respond(&self) -> Result<Answer, ApiError>;
}

impl<T: Serialize + Send + Sync> Respond for Reply<T> {
    fn respond(&self) -> Result<Answer, ApiError> {
        let Self { status, message, body } = self;
        let envelope = Envelope { error: false, message, body };
        let body = serde_json::to_string(&envelope)
            .map_err(|error| ApiError::plain(Code::Internal).with_source(error))?;
        Ok(Answer::new(*status, "application/json", body))
    }
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Svg(pub String);

impl Respond for Svg {
    fn respond(&self) -> Result<Answer, ApiError> {
        let mut answer = Answer::new(200, "image/svg+xml", self.0.clone());
        // Opened by itself it is a page of this origin: one that can do nothing but look good.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
        answer.headers.insert("content-security-policy", policy.to_owned());
        Ok(answer)
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    error: bool,
    message: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// An answer as API Gateway takes it (payload format 2.0).
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
    /// Always empty; cargo-lambda does not read an answer without it.
    cookies: [&'static str; 0],
}

impl Answer {
    /// A failure.
    pub(super) fn failure(error: &ApiError, request_id: &str) -> Self {
        let problem = error.problem(request_id);
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut answer = Self::new(error.code().status(), "application/problem+json", body);
        if let Some(span) = error.retry_after() {
            // Rounded up: a client that comes back too early is turned away again.
            let seconds = span.as_millis().div_ceil(1000).max(1);
            answer.headers.insert("retry-after", seconds.to_string());
        }
        // Required with every 401 (RFC 9110, section 15.5.2).
        let scheme = match error.code() {
            Code::Unauthenticated => Some("Bearer"),
            Code::BadSignature => Some("Stream-Signature"),
            _ => None,
        };
        if let Some(scheme) = scheme {
            answer.headers.insert("www-authenticate", scheme.to_owned());
        }
        answer
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status_code
    }

    fn new(status: u16, content_type: &str, body: String) -> Self {
        let headers = BTreeMap::from([
            ("cache-control", "no-store".to_owned()),
            ("content-type", content_type.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ]);
        Self { status_code: status, headers, body, is_base64_encoded: false, cookies: [] }
    }
}
