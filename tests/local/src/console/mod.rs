//! The console: a page that shows what happens in the stack, and its endpoints. It is served by
//! `cargo run -p local` alone.
//!
//! `GET /` is the page, and its files are in `tests/local/console`. The endpoints are below
//! `/_local/console`: `state`, `requests`, `calls`, `webhooks`, `faults` and `sweep`. They accept no
//! other web page ([`crate::cors`]). A response has no token, except for the session tokens in
//! `state`, which the page needs to act as the users.

mod assets;
mod calls;
mod faults;
mod options;
mod presence;
mod requests;
mod resend;
mod state;
mod stored_call;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use stream_emulator::Emulator;

use crate::clock::StackClock;
use crate::control::message_response;
use crate::cors;
use crate::dynamo::DynamoControls;
use crate::http_server::{HttpResponse, Peer, json_response};
use crate::lambda::Functions;
use crate::streams::Streams;
use crate::template::{Function, Schedule};
use crate::trace::{Recorder, RequestKind};
pub use options::{ConsoleOptions, ConsoleUser};
pub(crate) use resend::ResendClient;
use state::SessionTokens;

/// The prefix of the endpoints.
const PREFIX: &str = "/_local/console/";

/// The function that closes calls.
const SWEEPER: &str = "sweeper";

/// What the console shows and controls.
pub(crate) struct Console {
    pub(crate) options: ConsoleOptions,
    pub(crate) recorder: Recorder,
    pub(crate) clock: StackClock,
    pub(crate) functions: Arc<Functions>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) stream: Option<Emulator>,
    pub(crate) dynamo: DynamoControls,
    /// The variables of the stack.
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) addresses: Addresses,
    pub(crate) function_names: Vec<String>,
    /// The event of a sweep.
    pub(crate) sweep_event: Option<Bytes>,
    pub(crate) started_at: SystemTime,
    pub(crate) tokens: Mutex<SessionTokens>,
    pub(crate) client: ResendClient,
}

/// The addresses of the stack's servers on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) api: SocketAddr,
    pub(crate) dynamo: SocketAddr,
    pub(crate) stream: Option<SocketAddr>,
}

/// The event of the schedule that runs most often.
pub(crate) fn sweep_event(functions: &[Function]) -> Option<Bytes> {
    let sweeper = functions.iter().find(|function| function.name == SWEEPER)?;
    let Schedule { input, .. } = sweeper.schedules.iter().min_by_key(|it| it.interval)?;
    Some(Bytes::from(input.to_string()))
}

impl Console {
    /// Handles a request. `None` for a path of the stack or the API.
    pub(crate) async fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: Peer,
    ) -> Option<HttpResponse> {
        let path = parts.uri.path();
        let response = match path.strip_prefix(PREFIX) {
            Some(path) => self.handle_endpoint(parts, path, body, peer).await,
            None if path == "/" && parts.method == Method::GET => self.page(parts, peer),
            None => return None,
        };
        Some(protected(response))
    }

    fn page(&self, parts: &Parts, peer: Peer) -> HttpResponse {
        if !cors::is_trusted_host(&parts.headers) {
            return message_response(StatusCode::FORBIDDEN, "open the console by an address");
        }
        let stream = self.stream_origin(parts, peer);
        assets::page(stream.as_deref())
    }

    async fn handle_endpoint(
        &self,
        parts: &Parts,
        path: &str,
        body: &[u8],
        peer: Peer,
    ) -> HttpResponse {
        let segments: Vec<&str> = path.split('/').collect();
        match (parts.method.as_str(), segments.as_slice()) {
            ("GET", ["assets", file]) => assets::file(file),
            ("GET", ["state"]) => json_value(&self.state(parts, peer)),
            ("GET", ["requests"]) => {
                let query = parts.uri.query().unwrap_or_default();
                json_value(&requests::read(&self.recorder, query).await)
            }
            ("POST", ["requests", id, "resend"]) => self.resend(id),
            ("GET", ["calls"]) => self.calls().await,
            ("GET", ["webhooks"]) => json_value(&self.webhooks()),
            ("POST", ["webhooks"]) => self.set_webhooks(body),
            ("POST", ["faults"]) => self.add_fault(body),
            ("DELETE", ["faults"]) => self.clear_faults(),
            ("POST", ["sweep"]) => self.sweep().await,
            _ => message_response(StatusCode::NOT_FOUND, "the console has no such endpoint"),
        }
    }

    /// Runs the sweeper now.
    async fn sweep(&self) -> HttpResponse {
        let Some(event) = self.sweep_event.clone() else {
            return message_response(StatusCode::NOT_FOUND, "the template has no sweeper");
        };
        match self.functions.run(RequestKind::Schedule, SWEEPER, event).await {
            Ok(payload) => {
                let summary: Value = serde_json::from_slice(&payload).unwrap_or_default();
                json_value(&json!({ "summary": summary }))
            }
            Err(error) => message_response(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn json_value(value: &Value) -> HttpResponse {
    json_response(StatusCode::OK, value.to_string())
}

/// The response to a control request that has succeeded.
fn done() -> HttpResponse {
    json_value(&json!({ "ok": true }))
}

/// A response that other web pages cannot embed, and that is never cached.
fn protected(mut response: HttpResponse) -> HttpResponse {
    const HEADERS: [(&str, &str); 4] = [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
