//! A local API Gateway: finds the route, invokes the function with an event, and converts the
//! result into an HTTP response.
//!
//! - `GET /_local/events` is not a route of the API: it returns the events on the bus and the
//!   messages in the dead-letter queues. `/_local/clock` is the clock of the stack.
//! - A request without a matching route returns 404. A body over 10 MB returns 413.
//! - If a function fails, crashes or exceeds its timeout, the client gets 500. If it runs longer
//!   than 30 s, the limit of an HTTP API, the client gets 503 and the invocation continues.
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>

mod clock_control;
mod event;
mod path;
mod response;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::clock::StackClock;
use crate::http_server::{ConnectionDropped, HttpResponse, json_response};
use crate::lambda::{Functions, ids};
use crate::streams::{EVENTS_PATH, Streams};
pub(crate) use routes::Routes;

/// The maximum size of a body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// How long an HTTP API waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The handler of the API's HTTP requests.
pub(crate) struct Gateway {
    pub(crate) routes: Routes,
    pub(crate) functions: Arc<Functions>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) clock: StackClock,
}

impl Gateway {
    /// Handles a request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let request_id = ids::gateway_request_id();
        let mut response = self.dispatch(request, peer, &request_id).await?;
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        Ok(response)
    }

    async fn dispatch(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        request_id: &str,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let (parts, body) = request.into_parts();
        // An oversized body is read to its end too: a client that is still sending would not read
        // the response.
        let body = read_body(body).await?;
        let Some(body) = body else { return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE)) };
        let wire_path = parts.uri.path();
        if parts.method == Method::GET && wire_path == EVENTS_PATH {
            let report = self.streams.report(parts.uri.query().unwrap_or_default());
            return Ok(json_response(StatusCode::OK, report.to_string()));
        }
        if wire_path == clock_control::CLOCK_PATH {
            let (clock, functions) = (&self.clock, &self.functions);
            return Ok(clock_control::handle(&parts.method, &body, clock, functions).await);
        }
        let Some(path) = path::raw_path(wire_path) else {
            return Ok(error_response(StatusCode::BAD_REQUEST));
        };
        let Some(route) = self.routes.find(parts.method.as_str(), wire_path) else {
            return Ok(error_response(StatusCode::NOT_FOUND));
        };
        let event = event::build_event(
            &event::GatewayRequest {
                parts: &parts,
                body: &body,
                path: &path,
                peer: peer.ip(),
                at: Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::MAX),
                request_id,
            },
            &route,
        );
        let invocation = self.functions.invoke(route.function, event.to_string().into());
        Ok(match timeout(INTEGRATION_TIMEOUT, invocation).await {
            Ok(Ok(payload)) => response::from_payload(&payload)
                .unwrap_or_else(|| error_response(StatusCode::INTERNAL_SERVER_ERROR)),
            Ok(Err(_)) => error_response(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => error_response(StatusCode::SERVICE_UNAVAILABLE),
        })
    }
}

/// The body, or `None` if it is too large.
async fn read_body(mut body: Incoming) -> Result<Option<Bytes>, ConnectionDropped> {
    let mut buffer = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| ConnectionDropped)?.into_data() {
            length += data.len();
            if length <= MAX_BODY_BYTES {
                buffer.extend_from_slice(&data);
            }
        }
    }
    Ok((length <= MAX_BODY_BYTES).then(|| Bytes::from(buffer)))
}

/// An error response of the gateway itself.
fn error_response(status: StatusCode) -> HttpResponse {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or_default(),
    };
    json_response(status, format!(r#"{{"message":"{message}"}}"#))
}
