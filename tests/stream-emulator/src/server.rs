//! The HTTP/1 server. It uses hyper without a framework: many faults need a connection that closes
//! without a response, which hyper does if the service returns an error.

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

use crate::control;
use crate::error::StreamError;
use crate::faults::Fault;
use crate::realtime::{Endpoint, upgrade};
use crate::request::ApiRequest;
use crate::response::{ApiResponse, ConnectionDropped, ResponseBody};
use crate::state::{RequestFault, State};

/// Far above Stream's own limits.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The interval at which the server runs due timeouts and delayed requests.
const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// The context of one connection. [`Emulator::stop`](crate::Emulator::stop) waits until every copy
/// of `stop` is dropped.
#[derive(Clone)]
struct ConnectionContext {
    state: Arc<State>,
    stop: watch::Receiver<bool>,
}

/// Accepts connections until the emulator stops, then closes the open ones. Every [`TICK_INTERVAL`]
/// it runs the timeouts and delayed requests that are due.
pub(crate) async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = wait_for_stop(&mut stop) => break,
            _ = ticks.tick() => state.tick(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let context = ConnectionContext { state: Arc::clone(&state), stop: stop.clone() };
                    connections.spawn(serve_connection(stream, context));
                }
                // Probably out of file descriptors: retry after a pause.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
    state.shut_down();
}

/// Resolves when the emulator stops or its last handle is dropped.
pub(crate) async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

async fn serve_connection(stream: TcpStream, context: ConnectionContext) {
    // Tests send many small requests, which Nagle's algorithm would delay.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle_request(context.clone(), request));
    // Errors are ignored: the client disconnected, or a fault rule closed the connection.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}

async fn handle_request(
    context: ConnectionContext,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, ConnectionDropped> {
    if let Some(endpoint) = Endpoint::from_request(request.method(), request.uri().path()) {
        let response = upgrade(request, endpoint, Arc::clone(&context.state), context.stop.clone());
        return Ok(response.with_date(&context.state.date_header()).into());
    }
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(_) => return Err(ConnectionDropped),
    };
    let response = if control::is_control_path(head.uri.path()) {
        let body = body.unwrap_or_default();
        control::handle(&context.state, &head.method, head.uri.path(), &body)
    } else {
        context.handle(&head, body).await?
    };
    Ok(response.with_date(&context.state.date_header()).into())
}

impl ConnectionContext {
    async fn handle(
        &self,
        head: &http::request::Parts,
        body: Option<Bytes>,
    ) -> Result<ApiResponse, ConnectionDropped> {
        let is_too_large = body.is_none();
        let request = ApiRequest::new(head, body.unwrap_or_default());
        // A function opens a connection with such a request. It is no operation of Stream.
        if head.uri.path() == "/" {
            return Ok(self.state.handle(&request));
        }
        let fault = self.state.record_request(request.route.operation());
        if is_too_large && fault.is_none() {
            let error = StreamError::new(413, 22, "the request body is too big");
            return Ok(self.state.error_response(request.route.operation(), &error));
        }
        match fault {
            None => Ok(self.state.handle(&request)),
            Some(RequestFault::RateLimited(fault)) => self.apply_fault(request, fault).await,
            Some(RequestFault::Injected(fault)) => {
                Ok(self.apply_fault(request, fault).await?.with_fault_mark())
            }
        }
    }

    async fn apply_fault(
        &self,
        request: ApiRequest,
        fault: Fault,
    ) -> Result<ApiResponse, ConnectionDropped> {
        let operation = request.route.operation();
        let error_response = |error: &StreamError| self.state.error_response(operation, error);
        match fault {
            Fault::RefuseConnection => Err(ConnectionDropped),
            Fault::AppliedThenLost => {
                self.state.handle(&request);
                Err(ConnectionDropped)
            }
            Fault::AppliedLate(delay) => {
                drop(self.handle_after(delay, request));
                Err(ConnectionDropped)
            }
            Fault::AppliedLateByClock(delay) => {
                self.state.schedule_request(request, delay);
                Err(ConnectionDropped)
            }
            Fault::Slow(delay) => {
                self.handle_after(delay, request).await.ok().flatten().ok_or(ConnectionDropped)
            }
            Fault::TooManyRequests { retry_after } => {
                Ok(error_response(&StreamError::from_status(429)).with_retry_after(retry_after))
            }
            Fault::Status(status) => Ok(error_response(&StreamError::from_status(status))),
            Fault::StatusUnrecoverable(status) => {
                Ok(error_response(&StreamError::from_status(status).unrecoverable()))
            }
            Fault::NonJson(status) => Ok(ApiResponse::proxy_page(status)),
            Fault::Body { status, body } => {
                let authorization = request.credentials.token().unwrap_or_default();
                let body = body.replace(Fault::AUTHORIZATION, authorization);
                Ok(ApiResponse::scripted(status, body))
            }
            Fault::Redirect(location) => Ok(ApiResponse::redirect(&location)),
            Fault::Truncated => Ok(self.state.handle(&request).truncated()),
            Fault::Huge(size) => Ok(self.state.handle(&request).padded_to(size)),
        }
    }

    /// Executes a request after a delay, even if its connection is closed by then.
    fn handle_after(
        &self,
        delay: Duration,
        request: ApiRequest,
    ) -> JoinHandle<Option<ApiResponse>> {
        let Self { state, mut stop } = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = wait_for_stop(&mut stop) => None,
                () = sleep(delay) => Some(state.handle(&request)),
            }
        })
    }
}
