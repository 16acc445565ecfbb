//! A response in a test.

use http::HeaderMap;
use serde_json::Value;

/// A response of the API.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or `null` if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl TestResponse {
    /// The error code, or an empty string.
    #[must_use]
    pub fn error_code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The status and the error code.
    #[must_use]
    pub fn outcome(&self) -> (u16, &str) {
        (self.status, self.error_code())
    }

    /// The body without `instance`, which differs for each request.
    #[must_use]
    pub fn body_without_instance(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("instance");
        }
        body
    }

    /// Returns the response if it is a success.
    ///
    /// # Panics
    ///
    /// If the response is an error.
    #[must_use]
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        assert_eq!(self.body["error"], false, "{}", self.body);
        self
    }
}
