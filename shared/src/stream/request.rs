//! A request to Stream as data.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Whether a request may be retried when its effect is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Repeating the request has no further effect.
    Idempotent,
    /// Repeating the request could repeat its effect.
    NonIdempotent,
}

/// An operation of Stream's API.
pub trait Operation: Sync {
    /// The body of a successful response.
    type Response: DeserializeOwned;

    /// The request of the operation.
    fn request(&self) -> Request;

    /// Whether the response is one to this request, and shows that a write was done. A success
    /// status alone does not: a proxy may have sent it.
    fn is_answered_by(&self, _: &Self::Response) -> bool {
        true
    }
}

/// A request, without the credentials, which the transport adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path, with percent-encoded ids.
    pub path: String,
    /// The query parameters, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Option<Vec<u8>>,
    /// Whether the request may be retried.
    pub idempotency: Idempotency,
}

/// All characters except the unreserved ones of RFC 3986 are encoded.
const PATH_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Request {
    /// A request for the path with these segments.
    pub(super) fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::from("/api/v2");
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, PATH_SEGMENT));
        }
        Self { method, path, query: Vec::new(), body: None, idempotency: Idempotency::Idempotent }
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sets a JSON body.
    pub(super) fn json(self, body: &Value) -> Self {
        self.raw_json(body.to_string())
    }

    /// Sets a serialized JSON body.
    pub(super) fn raw_json(mut self, body: String) -> Self {
        self.body = Some(body.into_bytes());
        self
    }

    /// Sets the idempotency.
    pub(super) fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_percent_encoded_in_the_path() {
        let request = Request::new(Method::GET, &["users", "a@b/../c"]);
        assert_eq!(request.path, "/api/v2/users/a%40b%2F..%2Fc");
    }
}
