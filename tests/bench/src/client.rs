//! An HTTP client of the API.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::BenchError;

/// A client. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Client {
    hyper: Hyper<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Client {
    /// A client of the API at this base URL.
    pub(crate) fn new(api: &str) -> Self {
        let hyper = Hyper::builder(TokioExecutor::new()).build_http();
        Self { hyper, base: format!("{api}/api/stream") }
    }

    /// Sends a request and returns its response. A `Null` body is not sent. A status other than 2xx
    /// is an error.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value, BenchError> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::from(text))?;
        let response = self.hyper.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(BenchError::new(format!("{method} {path}: {status} {}", problem["code"])))
    }
}
