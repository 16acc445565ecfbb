//! The Lambda Runtime API, which every process talks to.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
//!
//! One server for all processes. Which one is asking is in the path: `AWS_LAMBDA_RUNTIME_API` may
//! be a whole URL, whose path the Rust runtime puts before its own. Each process has a line of its
//! own to whoever minds it, so that nothing here has to know about invocations.

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

/// What a process is asked to do.
#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    /// When it will be stopped, in milliseconds since 1970.
    pub(super) deadline_millis: u64,
    pub(super) event: Bytes,
}

/// What a process says.
pub(super) enum RuntimeMessage {
    /// It waits for work.
    Next(oneshot::Sender<Invocation>),
    /// It has an answer.
    Response { request_id: String, payload: Bytes },
    /// It has failed.
    Error { request_id: String, report: Bytes },
}

/// The server.
pub(crate) struct RuntimeApi {
    server: Server,
    connections: ConnectionRegistry,
}

/// Where processes are connected with whoever minds them.
#[derive(Clone)]
pub(super) struct ConnectionRegistry {
    address: SocketAddr,
    processes: Arc<Mutex<HashMap<String, RegisteredProcess>>>,
}

/// A process, as the server knows it.
#[derive(Clone)]
struct RegisteredProcess {
    function: String,
    messages: mpsc::UnboundedSender<RuntimeMessage>,
}

/// The other end: what one process says. Dropping it hangs up.
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
    /// A line for a new process.
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
                // The process ends after this, which is noticed by itself.
                let report = read_body(request).await?;
                output.push_line(&process.function, &String::from_utf8_lossy(&report));
                Ok(accepted_response())
            }
            _ => Ok(not_found_response()),
        }
    }
}

impl RegisteredProcess {
    /// Lets the process wait for work as long as it takes.
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
    /// What the process finds in `AWS_LAMBDA_RUNTIME_API`.
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
