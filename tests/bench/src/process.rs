//! A process of a function with its own Runtime API.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{BenchError, resource_usage};

/// The time limit for a response. It is long, since a start under valgrind takes seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(2);

/// A running process.
pub(crate) struct Process {
    child: Child,
    events: mpsc::UnboundedSender<Bytes>,
    calls: mpsc::UnboundedReceiver<RuntimeCall>,
    server: JoinHandle<()>,
    started: Instant,
}

/// A request of a process to the Runtime API, with its time and the CPU time used so far.
struct RuntimeCall {
    kind: RuntimeCallKind,
    at: Instant,
    cpu: Duration,
}

enum RuntimeCallKind {
    /// The process requests an event.
    Next,
    /// The process sends a response or an error.
    Completed(Bytes),
}

/// The times since the start of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    /// Wall time.
    pub(crate) wall: Duration,
    /// CPU time.
    pub(crate) cpu: Duration,
}

struct RuntimeApi {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    calls: mpsc::UnboundedSender<RuntimeCall>,
    pid: AtomicU32,
}

impl Process {
    /// Starts a process.
    pub(crate) async fn start(mut command: Command) -> Result<Self, BenchError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (events, event_receiver) = mpsc::unbounded_channel();
        let (call_sender, calls) = mpsc::unbounded_channel();
        let pid = AtomicU32::new(0);
        let api =
            Arc::new(RuntimeApi { events: Mutex::new(event_receiver), calls: call_sender, pid });
        command
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        api.pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
        let server = tokio::spawn(serve(listener, api));
        Ok(Self { child, events, calls, server, started })
    }

    /// Waits until the process requests its first event.
    pub(crate) async fn wait_until_ready(&mut self) -> Result<Elapsed, BenchError> {
        loop {
            let call = self.next_call().await?;
            if let RuntimeCallKind::Next = call.kind {
                return Ok(self.elapsed(&call));
            }
        }
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> Result<u32, BenchError> {
        self.child.id().ok_or_else(|| BenchError::new("the process has exited"))
    }

    /// The wall time since the start of the process.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sends an event and waits for the response, which must have the status 200.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Result<Elapsed, BenchError> {
        self.send(event);
        self.receive().await
    }

    /// Sends an event.
    pub(crate) fn send(&self, event: &Value) {
        let _ = self.events.send(event.to_string().into());
    }

    /// Waits for the next response, which must have the status 200.
    pub(crate) async fn receive(&mut self) -> Result<Elapsed, BenchError> {
        loop {
            let call = self.next_call().await?;
            let RuntimeCallKind::Completed(body) = &call.kind else { continue };
            let response: Value = serde_json::from_slice(body)?;
            if response["statusCode"] != 200 {
                return Err(BenchError::new(format!("unexpected response: {response}")));
            }
            return Ok(self.elapsed(&call));
        }
    }

    /// The peak resident memory, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, BenchError> {
        resource_usage::peak_memory(self.id()?)
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) async fn terminate(mut self) -> Result<(), BenchError> {
        if let Some(pid) = self.child.id() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid)?);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        }
        if timeout(RESPONSE_TIMEOUT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        self.server.abort();
        Ok(())
    }

    async fn next_call(&mut self) -> Result<RuntimeCall, BenchError> {
        let call = tokio::select! {
            call = timeout(RESPONSE_TIMEOUT, self.calls.recv()) => call,
            status = self.child.wait() => {
                return Err(BenchError::new(format!("the process has exited: {}", status?)));
            }
        };
        call.ok().flatten().ok_or_else(|| BenchError::new("the process does not respond"))
    }

    fn elapsed(&self, call: &RuntimeCall) -> Elapsed {
        Elapsed { wall: call.at.duration_since(self.started), cpu: call.cpu }
    }
}

async fn serve(listener: TcpListener, api: Arc<RuntimeApi>) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let api = Arc::clone(&api);
        let service = service_fn(move |request| {
            let api = Arc::clone(&api);
            async move { api.handle(request).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

impl RuntimeApi {
    async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, BenchError> {
        if request.uri().path().ends_with("/next") {
            self.report(RuntimeCallKind::Next)?;
            let event = self.events.lock().await.recv().await;
            let Some(event) = event else { return std::future::pending().await };
            let response = Response::builder()
                .header("content-type", "application/json")
                .header("lambda-runtime-aws-request-id", "8f5c3a52-0000-4000-8000-000000000000")
                .header("lambda-runtime-deadline-ms", "4102444800000")
                .header(
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:123456789012:function:bench",
                )
                .body(Full::new(event));
            return Ok(response?);
        }
        let body = request.into_body().collect().await?.to_bytes();
        self.report(RuntimeCallKind::Completed(body))?;
        Ok(Response::builder().status(202).body(Full::default())?)
    }

    fn report(&self, kind: RuntimeCallKind) -> Result<(), BenchError> {
        let at = Instant::now();
        let cpu = resource_usage::cpu_time(self.pid.load(Ordering::Relaxed))?;
        let _ = self.calls.send(RuntimeCall { kind, at, cpu });
        Ok(())
    }
}
