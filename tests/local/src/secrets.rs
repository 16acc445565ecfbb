//! AWS Secrets Manager, as far as a function asks it: `GetSecretValue`.
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
use crate::listen::listen;
use crate::serve::{Answer, Dropped, Server};
use crate::sync::lock;

/// Secrets that a test puts where functions fetch them.
pub struct SecretStore {
    url: String,
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    texts: BTreeMap<String, String>,
    away: bool,
    asked: u64,
}

impl SecretStore {
    pub(crate) async fn start() -> Result<Self, StartError> {
        let (listener, address) = listen("Secrets Manager", 0).await?;
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = Server::start(listener, move |request, _| answer(request, shared.clone()));
        Ok(Self { url: format!("http://{address}"), server, state })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Keeps a secret under an ARN, in the place of what was there.
    pub fn put(&self, arn: &str, content: &Value) {
        lock(&self.state).texts.insert(arn.to_owned(), content.to_string());
    }

    /// Answers nobody any more, or everybody again.
    pub fn set_away(&self, away: bool) {
        lock(&self.state).away = away;
    }

    /// How often a secret was asked for.
    #[must_use]
    pub fn asked(&self) -> u64 {
        lock(&self.state).asked
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Answer, Dropped> {
    let target = request.headers().get("x-amz-target").cloned();
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    let ask: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = lock(&state);
    state.asked += 1;
    if state.away {
        return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError"));
    }
    if target.as_ref().is_none_or(|name| name != "secretsmanager.GetSecretValue") {
        return Ok(refusal(StatusCode::BAD_REQUEST, "InvalidAction"));
    }
    let arn = ask["SecretId"].as_str().unwrap_or_default();
    Ok(match state.texts.get(arn) {
        Some(text) => {
            json_answer(StatusCode::OK, &json!({"ARN": arn, "Name": arn, "SecretString": text}))
        }
        None => refusal(StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
    })
}

fn refusal(status: StatusCode, kind: &str) -> Answer {
    json_answer(status, &json!({"__type": kind, "Message": "as was asked for"}))
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    let content = HeaderValue::from_static("application/x-amz-json-1.1");
    answer.headers_mut().insert(CONTENT_TYPE, content);
    answer
}
