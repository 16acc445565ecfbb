//! What a test sees of an answer.

use http::HeaderMap;
use serde_json::Value;

/// An answer of the API's.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, `null` where it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl TestResponse {
    /// The error's code; empty where there is none.
    #[must_use]
    pub fn error_code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The status and the error's code.
    #[must_use]
    pub fn outcome(&self) -> (u16, &str) {
        (self.status, self.error_code())
    }

    /// The body without what differs from request to request.
    #[must_use]
    pub fn body_without_instance(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("instance");
        }
        body
    }

    /// The answer, if it is a success.
    ///
    /// # Panics
    ///
    /// If it is not: a test cannot go on without it.
    #[must_use]
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        assert_eq!(self.body["error"], false, "{}", self.body);
        self
    }
}
