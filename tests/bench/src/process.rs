//! One process of a function, with a Runtime API of its own.
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

use crate::{Failure, cpu};

/// A process that says nothing for so long is stuck: under valgrind a start takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running process.
pub(crate) struct Process {
    child: Child,
    events: mpsc::UnboundedSender<Bytes>,
    heard: mpsc::UnboundedReceiver<Heard>,
    serving: JoinHandle<()>,
    started: Instant,
}

/// What a process said, when, and what CPU time it had used by then.
struct Heard {
    what: Said,
    at: Instant,
    cpu: Duration,
}

enum Said {
    /// It asks for an event.
    Next,
    /// It has an answer, or has failed.
    Answer(Bytes),
}

/// How far a process is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Since it was started.
    pub(crate) wall: Duration,
    /// That it has used.
    pub(crate) cpu: Duration,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    says: mpsc::UnboundedSender<Heard>,
    pid: AtomicU32,
}

impl Process {
    /// Starts it.
    pub(crate) async fn start(mut command: Command) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (events, waiting) = mpsc::unbounded_channel();
        let (says, heard) = mpsc::unbounded_channel();
        let pid = AtomicU32::new(0);
        let api = Arc::new(Api { events: Mutex::new(waiting), says, pid });
        command
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        api.pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
        let serving = tokio::spawn(serve(listener, api));
        Ok(Self { child, events, heard, serving, started })
    }

    /// Waits until it asks for its first event.
    pub(crate) async fn ready(&mut self) -> Result<Reached, Failure> {
        loop {
            let heard = self.hear().await?;
            if let Said::Next = heard.what {
                return Ok(self.reached(&heard));
            }
        }
    }

    /// Gives it an event; how far it is once it has answered, which must be a success.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Result<Reached, Failure> {
        let _ = self.events.send(event.to_string().into());
        loop {
            let heard = self.hear().await?;
            let Said::Answer(answer) = &heard.what else { continue };
            let answer: Value = serde_json::from_slice(answer)?;
            if answer["statusCode"] != 200 {
                return Err(Failure::new(format!("answered {answer}")));
            }
            return Ok(self.reached(&heard));
        }
    }

    /// The most memory that it has had resident, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        cpu::peak_memory(self.child.id().ok_or_else(|| Failure::new("it has ended"))?)
    }

    /// Ends it as the kernel does on request, and waits for the end.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid)?);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        }
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        self.serving.abort();
        Ok(())
    }

    async fn hear(&mut self) -> Result<Heard, Failure> {
        let heard = tokio::select! {
            heard = timeout(PATIENCE, self.heard.recv()) => heard,
            ended = self.child.wait() => {
                return Err(Failure::new(format!("it has ended: {}", ended?)));
            }
        };
        heard.ok().flatten().ok_or_else(|| Failure::new("it says nothing"))
    }

    fn reached(&self, heard: &Heard) -> Reached {
        Reached { wall: heard.at.duration_since(self.started), cpu: heard.cpu }
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let api = Arc::clone(&api);
        let service = service_fn(move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        if request.uri().path().ends_with("/next") {
            self.say(Said::Next)?;
            let event = self.events.lock().await.recv().await;
            let Some(event) = event else { return std::future::pending().await };
            let answer = Response::builder()
                .header("content-type", "application/json")
                .header("lambda-runtime-aws-request-id", "8f5c3a52-0000-4000-8000-000000000000")
                .header("lambda-runtime-deadline-ms", "4102444800000")
                .header(
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:123456789012:function:bench",
                )
                .body(Full::new(event));
            return Ok(answer?);
        }
        let body = request.into_body().collect().await?.to_bytes();
        self.say(Said::Answer(body))?;
        Ok(Response::builder().status(202).body(Full::default())?)
    }

    fn say(&self, what: Said) -> Result<(), Failure> {
        let at = Instant::now();
        let cpu = cpu::time(self.pid.load(Ordering::Relaxed))?;
        let _ = self.says.send(Heard { what, at, cpu });
        Ok(())
    }
}
