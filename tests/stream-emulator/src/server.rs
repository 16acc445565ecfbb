//! HTTP/1 on a listener: hyper without a framework, because a fault is often the lack of an answer
//! and hyper closes a connection without a byte when a service returns an error.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::answer::{Answer, AnswerBody, Dropped};
use crate::control;
use crate::error::StreamFailure;
use crate::faults::Fault;
use crate::request::Ask;
use crate::state::State;

/// Far above anything that Stream allows in a body.
const BODY_LIMIT: usize = 1024 * 1024;
/// How often it is looked whether the clock was moved.
const BEAT: Duration = Duration::from_millis(250);

/// What every connection holds. Whoever stops the emulator waits until the last one is gone.
#[derive(Clone)]
struct Context {
    state: Arc<State>,
    stop: watch::Receiver<bool>,
}

/// Accepts connections until told to stop, then cuts those that are open. In between it notices
/// what happens by itself.
pub(crate) async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            _ = beat.tick() => state.tick(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let context = Context { state: Arc::clone(&state), stop: stop.clone() };
                    connections.spawn(converse(stream, context));
                }
                // Out of file handles, most likely: some will come free.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
    state.close();
}

/// Resolves when the emulator is stopped, or when the last handle to it is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

async fn converse(stream: TcpStream, context: Context) {
    // A test's requests are small and many: none should wait for another one's packet.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(context.clone(), request));
    // An error is a client that left or a fault that was asked for; neither concerns the emulator.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    context: Context,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Dropped> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(_) => return Err(Dropped),
    };
    let answer = if control::owns(head.uri.path()) {
        let body = body.unwrap_or_default();
        control::answer(&context.state, &head.method, head.uri.path(), &body)
    } else {
        context.answer(&head, body).await?
    };
    Ok(answer.dated(&context.state.date()).into())
}

impl Context {
    async fn answer(
        &self,
        head: &http::request::Parts,
        body: Option<Bytes>,
    ) -> Result<Answer, Dropped> {
        let too_big = body.is_none();
        let ask = Ask::new(head, body.unwrap_or_default());
        let fault = self.state.arrived(ask.route.operation());
        if too_big && fault.is_none() {
            let failure = StreamFailure::new(413, 22, "the request body is too big");
            return Ok(self.state.fail(ask.route.operation(), &failure));
        }
        match fault {
            None => Ok(self.state.perform(&ask)),
            Some(fault) => self.break_off(ask, fault).await,
        }
    }

    /// Lets a request go wrong.
    async fn break_off(&self, ask: Ask, fault: Fault) -> Result<Answer, Dropped> {
        let operation = ask.route.operation();
        let fail = |failure: &StreamFailure| self.state.fail(operation, failure);
        match fault {
            Fault::RefuseConnection => Err(Dropped),
            Fault::AppliedThenLost => {
                self.state.perform(&ask);
                Err(Dropped)
            }
            Fault::AppliedLate(delay) => {
                drop(self.later(delay, ask));
                Err(Dropped)
            }
            Fault::AppliedLateByClock(span) => {
                self.state.postpone(ask, span);
                Err(Dropped)
            }
            Fault::Slow(delay) => self.later(delay, ask).await.ok().flatten().ok_or(Dropped),
            Fault::TooManyRequests { retry_after } => {
                Ok(fail(&StreamFailure::scripted(429)).retry_after(retry_after))
            }
            Fault::Status(status) => Ok(fail(&StreamFailure::scripted(status))),
            Fault::StatusUnrecoverable(status) => {
                Ok(fail(&StreamFailure::scripted(status).unrecoverable()))
            }
            Fault::NonJson(status) => Ok(Answer::proxy_page(status)),
            Fault::Redirect(location) => Ok(Answer::redirect(&location)),
            Fault::Truncated => Ok(self.state.perform(&ask).truncated()),
            Fault::Huge(size) => Ok(self.state.perform(&ask).padded(size)),
        }
    }

    /// Carries a request out after a while, whether or not its connection still stands.
    fn later(&self, delay: Duration, ask: Ask) -> JoinHandle<Option<Answer>> {
        let Self { state, mut stop } = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped(&mut stop) => None,
                () = sleep(delay) => Some(state.perform(&ask)),
            }
        })
    }
}
