//! The proxy between the functions and the emulator: counts requests, enforces policies, and
//! injects faults.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::DUMMY_AUTHORIZATION;
use super::faults::{Fault, FaultRules, Rule};
use crate::http_server::{self, ConnectionDropped, HttpResponse, copy_body, remove_hop_by_hop};
use crate::sync::lock;
use crate::template::TableAction;
use crate::trace::{Recorder, Service, StepDetails};

/// The header with the session token of the credentials. With a console it has the id of the
/// process.
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The content type of DynamoDB's responses.
const JSON_CONTENT_TYPE: &str = "application/x-amz-json-1.0";

pub(super) struct Proxy {
    upstream: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    /// The allowed actions of each function. Other callers, such as the stack itself, may use every
    /// action.
    policies: BTreeMap<String, BTreeSet<TableAction>>,
    counts: Mutex<BTreeMap<String, u64>>,
    rounds: Mutex<Rounds>,
    used_actions: Mutex<BTreeSet<(String, TableAction)>>,
    fault_rules: Mutex<FaultRules>,
    recorder: Option<Recorder>,
}

/// Counts the rounds of requests: a request that arrives while another one is in progress belongs to
/// the same round.
#[derive(Default)]
struct Rounds {
    in_progress: u64,
    count: u64,
}

/// A request in progress.
struct InProgress<'a>(&'a Mutex<Rounds>);

impl<'a> InProgress<'a> {
    fn begin(rounds: &'a Mutex<Rounds>) -> Self {
        let mut state = lock(rounds);
        state.count += u64::from(state.in_progress == 0);
        state.in_progress += 1;
        Self(rounds)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        lock(self.0).in_progress -= 1;
    }
}

/// The result of an operation.
struct Handled {
    response: Result<HttpResponse, ConnectionDropped>,
    /// Whether a fault was injected.
    is_fault: bool,
}

impl Proxy {
    pub(super) fn new(
        upstream: SocketAddr,
        policies: BTreeMap<String, BTreeSet<TableAction>>,
        recorder: Option<Recorder>,
    ) -> Self {
        Self {
            upstream,
            policies,
            used_actions: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            counts: Mutex::default(),
            rounds: Mutex::default(),
            fault_rules: Mutex::default(),
            recorder,
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    pub(super) fn used_actions(&self) -> BTreeSet<(String, TableAction)> {
        lock(&self.used_actions).clone()
    }

    pub(super) fn rounds(&self) -> u64 {
        lock(&self.rounds).count
    }

    pub(super) fn reset_counts(&self) {
        lock(&self.counts).clear();
        lock(&self.rounds).count = 0;
    }

    pub(super) fn inject_fault(&self, rule: Rule) {
        lock(&self.fault_rules).add(rule);
    }

    pub(super) fn clear_faults(&self) {
        lock(&self.fault_rules).clear();
    }

    /// The rules that still apply to a request.
    pub(super) fn faults(&self) -> Vec<Rule> {
        lock(&self.fault_rules).remaining()
    }

    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
        let Some(operation) = operation(&parts.headers).map(str::to_owned) else {
            return self.forward(parts, body).await;
        };
        let process = parts.headers.remove(SECURITY_TOKEN);
        let step = self.recorder.as_ref().and_then(|recorder| {
            recorder.begin_step(process?.to_str().ok()?, Service::Dynamodb, &operation)
        });
        let Some(step) = step else {
            return self.handle_operation(parts, body, &operation).await.response;
        };
        let handled = self.handle_operation(parts, body.clone(), &operation).await;
        let (status, response) = match &handled.response {
            Ok(response) => (Some(response.status().as_u16()), Some(copy_body(response).await)),
            Err(_) => (None, None),
        };
        let details = StepDetails::dynamodb(&operation, &body, response.as_deref());
        step.end(status, details, handled.is_fault);
        handled.response
    }

    async fn handle_operation(&self, parts: Parts, body: Bytes, operation: &str) -> Handled {
        if let Some((function, allowed)) = self.caller_policy(&parts.headers) {
            let action = TableAction::new(operation, uses_index(&body));
            if !allowed.contains(&action) {
                return Handled { response: Ok(access_denied(function, &action)), is_fault: false };
            }
            lock(&self.used_actions).insert((function.to_owned(), action));
        }
        let _in_progress = InProgress::begin(&self.rounds);
        let fault = lock(&self.fault_rules).next_fault(operation);
        *lock(&self.counts).entry(operation.to_owned()).or_default() += 1;
        let response = match fault {
            None => self.forward(parts, body).await,
            Some(Fault::ConnectionClosed) => Err(ConnectionDropped),
            Some(Fault::AppliedThenLost) => {
                self.forward(parts, body).await.and(Err(ConnectionDropped))
            }
            Some(Fault::Throttled) => Ok(throttled()),
            Some(Fault::InternalError) => Ok(internal_error()),
            Some(Fault::Slow(delay)) => {
                sleep(delay).await;
                self.forward(parts, body).await
            }
        };
        Handled { response, is_fault: fault.is_some() }
    }

    /// The function that sent the request, and its allowed actions.
    fn caller_policy<'a>(
        &'a self,
        headers: &HeaderMap,
    ) -> Option<(&'a str, &'a BTreeSet<TableAction>)> {
        let name = access_key(headers)?;
        self.policies.get_key_value(name).map(|(name, allowed)| (name.as_str(), allowed))
    }

    async fn forward(&self, parts: Parts, body: Bytes) -> Result<HttpResponse, ConnectionDropped> {
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri: Uri =
            format!("http://{}{path}", self.upstream).parse().map_err(|_| ConnectionDropped)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = end_to_end_headers(parts.headers);
        // AWS's DynamoDB Local has separate tables for each access key.
        let authorization = HeaderValue::from_static(DUMMY_AUTHORIZATION);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        let response = self.client.request(request).await.map_err(|_| ConnectionDropped)?;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
        parts.headers = end_to_end_headers(parts.headers);
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

/// Removes the content length, which hyper sets again, and hop-by-hop headers.
fn end_to_end_headers(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONTENT_LENGTH);
    remove_hop_by_hop(&mut headers);
    headers
}

/// The operation of a request, such as `GetItem`.
fn operation(headers: &HeaderMap) -> Option<&str> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.split_once('.').map(|(_, operation)| operation)
}

/// The access key of a request's signature (Signature Version 4). The stack uses the function's
/// name as its access key.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html>
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

fn uses_index(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get("IndexName").is_some())
}

/// The response of IAM to a forbidden action.
fn access_denied(function: &str, action: &TableAction) -> HttpResponse {
    error_response(
        StatusCode::BAD_REQUEST,
        "com.amazon.coral.service",
        "AccessDeniedException",
        &format!("{function} is not authorized to perform dynamodb:{action}"),
    )
}

/// The response of an on-demand table that exceeds its current capacity.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
fn throttled() -> HttpResponse {
    error_response(
        StatusCode::BAD_REQUEST,
        "com.amazon.coral.availability",
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index.",
    )
}

fn internal_error() -> HttpResponse {
    error_response(
        StatusCode::INTERNAL_SERVER_ERROR,
        "com.amazonaws.dynamodb.v20120810",
        "InternalServerError",
        "Internal server error",
    )
}

fn error_response(
    status: StatusCode,
    namespace: &str,
    kind: &'static str,
    message: &str,
) -> HttpResponse {
    let body = json!({"__type": format!("{namespace}#{kind}"), "message": message});
    let mut response = http_server::json_response(status, body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON_CONTENT_TYPE));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}
