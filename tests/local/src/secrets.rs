//! A local AWS Secrets Manager, with the operation `GetSecretValue`.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::error::StartError;
use crate::http_server::{ConnectionDropped, HttpResponse, Server};
use crate::listener::bind_localhost;
use crate::sync::lock;

/// The secrets of a stack. A test can change them.
pub struct SecretStore {
    url: String,
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, String>,
    is_unavailable: bool,
    request_count: u64,
}

impl SecretStore {
    pub(crate) async fn start() -> Result<Self, StartError> {
        let (listener, address) = bind_localhost("Secrets Manager", 0).await?;
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server =
            Server::start(listener, move |request, _| handle_request(request, shared.clone()));
        Ok(Self { url: format!("http://{address}"), server, state })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stores or replaces the secret of an ARN.
    pub fn put(&self, arn: &str, content: &Value) {
        lock(&self.state).secrets.insert(arn.to_owned(), content.to_string());
    }

    /// Makes all requests fail, or succeed again.
    pub fn set_unavailable(&self, unavailable: bool) {
        lock(&self.state).is_unavailable = unavailable;
    }

    /// The number of requests so far.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        lock(&self.state).request_count
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

async fn handle_request(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<HttpResponse, ConnectionDropped> {
    let target = request.headers().get("x-amz-target").cloned();
    let body = request.into_body().collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
    let payload: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = lock(&state);
    state.request_count += 1;
    if state.is_unavailable {
        return Ok(error_response(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError"));
    }
    if target.as_ref().is_none_or(|name| name != "secretsmanager.GetSecretValue") {
        return Ok(error_response(StatusCode::BAD_REQUEST, "InvalidAction"));
    }
    let arn = payload["SecretId"].as_str().unwrap_or_default();
    Ok(match state.secrets.get(arn) {
        Some(text) => {
            json_response(StatusCode::OK, &json!({"ARN": arn, "Name": arn, "SecretString": text}))
        }
        None => error_response(StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
    })
}

fn error_response(status: StatusCode, kind: &str) -> HttpResponse {
    json_response(status, &json!({"__type": kind, "Message": "injected failure"}))
}

fn json_response(status: StatusCode, body: &Value) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
