//! A request to Stream as data: what is asked, and whether it may be asked twice.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Whether a request may be sent again when it is not known whether it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Twice is the same as once.
    Idempotent,
    /// Twice would do something twice.
    NonIdempotent,
}

/// One operation of Stream's API.
pub trait Operation: Sync {
    /// What is read from a successful answer.
    type Response: DeserializeOwned;

    /// The request that asks for it.
    fn request(&self) -> Request;
}

/// A request, without the credentials that every request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The path, each id in it percent-encoded.
    pub path: String,
    /// The query's parameters, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Option<Vec<u8>>,
    /// Whether it may be sent again.
    pub idempotency: Idempotency,
}

/// RFC 3986's unreserved characters stay as they are.
const PATH_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Request {
    /// A request for the path made of these segments.
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

    /// Sets the body.
    pub(super) fn json(self, body: &Value) -> Self {
        self.raw_json(body.to_string())
    }

    /// Sets the body, which is JSON already.
    pub(super) fn raw_json(mut self, body: String) -> Self {
        self.body = Some(body.into_bytes());
        self
    }

    /// Says whether it may be sent again.
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
