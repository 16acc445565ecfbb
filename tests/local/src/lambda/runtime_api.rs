//! The Lambda Runtime API, the server that the functions' processes connect to.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
//!
//! One server serves all processes. A token in the path identifies the process:
//! `AWS_LAMBDA_RUNTIME_API` may be a whole URL, and the Rust runtime appends its own path to it.
//! The messages of each process go to its own channel.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::ids;
use crate::http_server::{ConnectionDropped, HttpResponse, Server, json_response};
use crate::options::REGION;
use crate::output::FunctionOutput;
use crate::sync::lock;

/// The version of the API.
const API_VERSION: &str = "2018-06-01";

/// An invocation for a process.
#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    /// The deadline, in milliseconds since 1970.
    pub(super) deadline_millis: u64,
    pub(super) event: Bytes,
}

/// A message from a process.
pub(super) enum RuntimeMessage {
    /// The process requests an invocation.
    Next(oneshot::Sender<Invocation>),
    /// The response to an invocation.
    Response { request_id: String, payload: Bytes },
    /// The error of an invocation.
    Error { request_id: String, report: Bytes },
}

pub(crate) struct RuntimeApi {
    server: Server,
    connections: ConnectionRegistry,
}

/// The channels of the running processes.
#[derive(Clone)]
pub(super) struct ConnectionRegistry {
    address: SocketAddr,
    processes: Arc<Mutex<HashMap<String, RegisteredProcess>>>,
}

/// A registered process.
#[derive(Clone)]
struct RegisteredProcess {
    function: String,
    messages: mpsc::UnboundedSender<RuntimeMessage>,
}

/// The receiving end of a process's channel. Dropping it removes the registration.
pub(super) struct ProcessConnection {
    pub(super) messages: mpsc::UnboundedReceiver<RuntimeMessage>,
    token: String,
    registry: ConnectionRegistry,
}

impl RuntimeApi {
    pub(crate) fn start(
        listener: TcpListener,
        address: SocketAddr,
        output: FunctionOutput,
    ) -> Self {
        let connections = ConnectionRegistry { address, processes: Arc::default() };
        let server_connections = connections.clone();
        let server = Server::start(listener, move |request, _| {
            let (connections, output) = (server_connections.clone(), output.clone());
            async move { connections.handle(request, &output).await }
        });
        Self { server, connections }
    }

    pub(super) fn connections(&self) -> ConnectionRegistry {
        self.connections.clone()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

impl ConnectionRegistry {
    /// Registers a new process.
    pub(super) fn register(&self, function: &str) -> ProcessConnection {
        let (sender, messages) = mpsc::unbounded_channel();
        let token = Uuid::new_v4().simple().to_string();
        let process = RegisteredProcess { function: function.to_owned(), messages: sender };
        lock(&self.processes).insert(token.clone(), process);
        ProcessConnection { messages, token, registry: self.clone() }
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        output: &FunctionOutput,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let [token, version, "runtime", resource @ ..] = segments.as_slice() else {
            return Ok(not_found_response());
        };
        let process = lock(&self.processes).get(*token).cloned();
        let Some(process) = process.filter(|_| *version == API_VERSION) else {
            return Ok(not_found_response());
        };
        match (request.method(), resource) {
            (&Method::GET, ["invocation", "next"]) => process.next_invocation().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                let request_id = (*id).to_owned();
                let payload = read_body(request).await?;
                process.send(RuntimeMessage::Response { request_id, payload })
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                let request_id = (*id).to_owned();
                let report = read_body(request).await?;
                process.send(RuntimeMessage::Error { request_id, report })
            }
            (&Method::POST, ["init", "error"]) => {
                // The process exits after this request, which its `Instance` detects.
                let report = read_body(request).await?;
                output.push_line(&process.function, &String::from_utf8_lossy(&report));
                Ok(accepted_response())
            }
            _ => Ok(not_found_response()),
        }
    }
}

impl RegisteredProcess {
    /// Waits for an invocation without a time limit.
    async fn next_invocation(&self) -> Result<HttpResponse, ConnectionDropped> {
        let (ready, invocation) = oneshot::channel();
        self.send(RuntimeMessage::Next(ready))?;
        let Invocation { request_id, deadline_millis: deadline, event } =
            invocation.await.map_err(|_| ConnectionDropped)?;
        let arn = format!("arn:aws:lambda:{REGION}:{}:function:{}", ids::ACCOUNT_ID, self.function);
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", request_id)
            .header("lambda-runtime-deadline-ms", deadline)
            .header("lambda-runtime-invoked-function-arn", arn)
            .header("lambda-runtime-trace-id", format!("{};Sampled=0", ids::xray_trace_root()))
            .body(Full::new(event))
            .map_err(|_| ConnectionDropped)
    }

    fn send(&self, message: RuntimeMessage) -> Result<HttpResponse, ConnectionDropped> {
        self.messages.send(message).map_err(|_| ConnectionDropped)?;
        Ok(accepted_response())
    }
}

impl ProcessConnection {
    /// The token of the process, which identifies it.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The value of the process's `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}/{}", self.registry.address, self.token)
    }
}

impl Drop for ProcessConnection {
    fn drop(&mut self) {
        lock(&self.registry.processes).remove(&self.token);
    }
}

async fn read_body(request: Request<Incoming>) -> Result<Bytes, ConnectionDropped> {
    Ok(request.into_body().collect().await.map_err(|_| ConnectionDropped)?.to_bytes())
}

fn accepted_response() -> HttpResponse {
    json_response(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

fn not_found_response() -> HttpResponse {
    json_response(
        StatusCode::NOT_FOUND,
        r#"{"errorType":"NotFound","errorMessage":"no such resource"}"#,
    )
}
