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
use crate::options::REGION;
use crate::output::Output;
use crate::serve::{Answer, Dropped, Server, json};
use crate::sync::lock;

/// The version of the API.
const VERSION: &str = "2018-06-01";

/// What a process is asked to do.
#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    /// When it will be stopped, in milliseconds since 1970.
    pub(super) deadline: u64,
    pub(super) event: Bytes,
}

/// What a process says.
pub(super) enum Message {
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
    switchboard: Switchboard,
}

/// Where processes are connected with whoever minds them.
#[derive(Clone)]
pub(super) struct Switchboard {
    address: SocketAddr,
    lines: Arc<Mutex<HashMap<String, Caller>>>,
}

/// A process, as the server knows it.
#[derive(Clone)]
struct Caller {
    function: String,
    messages: mpsc::UnboundedSender<Message>,
}

/// The other end: what one process says. Dropping it hangs up.
pub(super) struct Line {
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    token: String,
    switchboard: Switchboard,
}

impl RuntimeApi {
    pub(crate) fn start(listener: TcpListener, address: SocketAddr, output: Output) -> Self {
        let switchboard = Switchboard { address, lines: Arc::default() };
        let answering = switchboard.clone();
        let server = Server::start(listener, move |request, _| {
            let (switchboard, output) = (answering.clone(), output.clone());
            async move { switchboard.answer(request, &output).await }
        });
        Self { server, switchboard }
    }

    pub(super) fn switchboard(&self) -> Switchboard {
        self.switchboard.clone()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

impl Switchboard {
    /// A line for a new process.
    pub(super) fn connect(&self, function: &str) -> Line {
        let (sender, messages) = mpsc::unbounded_channel();
        let token = Uuid::new_v4().simple().to_string();
        let caller = Caller { function: function.to_owned(), messages: sender };
        lock(&self.lines).insert(token.clone(), caller);
        Line { messages, token, switchboard: self.clone() }
    }

    async fn answer(&self, request: Request<Incoming>, output: &Output) -> Result<Answer, Dropped> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let [token, version, "runtime", resource @ ..] = segments.as_slice() else {
            return Ok(not_found());
        };
        let caller = lock(&self.lines).get(*token).cloned();
        let Some(caller) = caller.filter(|_| *version == VERSION) else {
            return Ok(not_found());
        };
        match (request.method(), resource) {
            (&Method::GET, ["invocation", "next"]) => caller.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                let request_id = (*id).to_owned();
                let payload = body(request).await?;
                caller.say(Message::Response { request_id, payload })
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                let request_id = (*id).to_owned();
                let report = body(request).await?;
                caller.say(Message::Error { request_id, report })
            }
            (&Method::POST, ["init", "error"]) => {
                // The process ends after this, which is noticed by itself.
                let report = body(request).await?;
                output.line(&caller.function, &String::from_utf8_lossy(&report));
                Ok(accepted())
            }
            _ => Ok(not_found()),
        }
    }
}

impl Caller {
    /// Lets the process wait for work as long as it takes.
    async fn next(&self) -> Result<Answer, Dropped> {
        let (ready, work) = oneshot::channel();
        self.say(Message::Next(ready))?;
        let Invocation { request_id, deadline, event } = work.await.map_err(|_| Dropped)?;
        let arn = format!("arn:aws:lambda:{REGION}:{}:function:{}", ids::ACCOUNT, self.function);
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", request_id)
            .header("lambda-runtime-deadline-ms", deadline)
            .header("lambda-runtime-invoked-function-arn", arn)
            .header("lambda-runtime-trace-id", format!("{};Sampled=0", ids::trace_root()))
            .body(Full::new(event))
            .map_err(|_| Dropped)
    }

    fn say(&self, message: Message) -> Result<Answer, Dropped> {
        self.messages.send(message).map_err(|_| Dropped)?;
        Ok(accepted())
    }
}

impl Line {
    /// What the process finds in `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}/{}", self.switchboard.address, self.token)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.switchboard.lines).remove(&self.token);
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Dropped> {
    Ok(request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes())
}

fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

fn not_found() -> Answer {
    json(StatusCode::NOT_FOUND, r#"{"errorType":"NotFound","errorMessage":"no such resource"}"#)
}
