//! Between the functions and the emulator: counts requests, and has some of them fail.

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

use super::faults::{Fault, Rule, Script};
use crate::serve::{self, Answer, Dropped, remove_hop_by_hop};
use crate::sync::lock;
use crate::template::Action;

/// What DynamoDB's answers are.
const CONTENT: &str = "application/x-amz-json-1.0";

/// The proxy.
pub(super) struct Proxy {
    upstream: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    /// What who may do. Whoever is not named may do everything: the stack itself does.
    policies: BTreeMap<String, BTreeSet<Action>>,
    counts: Mutex<BTreeMap<String, u64>>,
    used: Mutex<BTreeSet<(String, Action)>>,
    script: Mutex<Script>,
}

impl Proxy {
    pub(super) fn new(upstream: SocketAddr, policies: BTreeMap<String, BTreeSet<Action>>) -> Self {
        Self {
            upstream,
            policies,
            used: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            counts: Mutex::default(),
            script: Mutex::default(),
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// Which function has asked for what.
    pub(super) fn used(&self) -> BTreeSet<(String, Action)> {
        lock(&self.used).clone()
    }

    pub(super) fn reset_counts(&self) {
        lock(&self.counts).clear();
    }

    pub(super) fn script(&self, rule: Rule) {
        lock(&self.script).add(rule);
    }

    pub(super) fn clear_faults(&self) {
        lock(&self.script).clear();
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Dropped> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        let Some(operation) = operation(&parts.headers).map(str::to_owned) else {
            return self.forward(parts, body).await;
        };
        if let Some((function, allowed)) = self.asking(&parts.headers) {
            let action = Action::new(&operation, names_index(&body));
            if !allowed.contains(&action) {
                return Ok(denied(function, &action));
            }
            lock(&self.used).insert((function.to_owned(), action));
        }
        let fault = lock(&self.script).befall(&operation);
        *lock(&self.counts).entry(operation).or_default() += 1;
        match fault {
            None => self.forward(parts, body).await,
            Some(Fault::Refused) => Err(Dropped),
            Some(Fault::AppliedThenLost) => {
                self.forward(parts, body).await?;
                Err(Dropped)
            }
            Some(Fault::Throttled) => Ok(throttled()),
            Some(Fault::InternalError) => Ok(internal_error()),
            Some(Fault::Slow(delay)) => {
                sleep(delay).await;
                self.forward(parts, body).await
            }
        }
    }

    /// The function that asks, and what it may do.
    fn asking<'a>(&'a self, headers: &HeaderMap) -> Option<(&'a str, &'a BTreeSet<Action>)> {
        let name = access_key(headers)?;
        self.policies.get_key_value(name).map(|(name, allowed)| (name.as_str(), allowed))
    }

    async fn forward(&self, parts: Parts, body: Bytes) -> Result<Answer, Dropped> {
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri: Uri = format!("http://{}{path}", self.upstream).parse().map_err(|_| Dropped)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = for_another_connection(parts.headers);
        let response = self.client.request(request).await.map_err(|_| Dropped)?;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        parts.headers = for_another_connection(parts.headers);
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

/// The length is left to be set anew: the body has been read whole.
fn for_another_connection(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONTENT_LENGTH);
    remove_hop_by_hop(&mut headers);
    headers
}

/// The operation that a request names, such as `GetItem`.
fn operation(headers: &HeaderMap) -> Option<&str> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.split_once('.').map(|(_, operation)| operation)
}

/// Whose signature it is (Signature Version 4).
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html>
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

fn names_index(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get("IndexName").is_some())
}

/// What IAM says to whoever may not do it.
fn denied(function: &str, action: &Action) -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "com.amazon.coral.service",
        "AccessDeniedException",
        &format!("{function} is not authorized to perform dynamodb:{action}"),
    )
}

/// What a table on demand says when it is asked for more than it has grown to.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
fn throttled() -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "com.amazon.coral.availability",
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index.",
    )
}

fn internal_error() -> Answer {
    error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "com.amazonaws.dynamodb.v20120810",
        "InternalServerError",
        "Internal server error",
    )
}

fn error(status: StatusCode, namespace: &str, kind: &'static str, message: &str) -> Answer {
    let body = json!({"__type": format!("{namespace}#{kind}"), "message": message});
    let mut answer = serve::json(status, body.to_string());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    answer
}
