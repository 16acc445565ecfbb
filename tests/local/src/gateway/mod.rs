//! A local API Gateway: finds the route, invokes the function with an event, and converts the
//! result into an HTTP response.
//!
//! - `GET /_local/events` is not a route of the API: it returns the events on the bus and the
//!   messages in the dead-letter queues. `GET /_local/ca.crt` returns the certificate authority of
//!   the stack's TLS, which a device downloads to trust it.
//! - `/_local/clock` is the clock of the stack: a `POST` advances it.
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

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::api_reference;
use crate::clock::StackClock;
use crate::console::{Console, RequestLine, ResponseError, caller};
use crate::http_server::{ConnectionDropped, HttpResponse, Peer, json_response, read_at_most};
use crate::lambda::{Functions, ids};
use crate::streams::{EVENTS_PATH, Streams};
pub(crate) use routes::Routes;

/// The maximum size of a body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// How long an HTTP API waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The path of the certificate authority.
pub(crate) const CA_PATH: &str = "/_local/ca.crt";

/// The content type with which iOS and Android offer to install a certificate.
const CA_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-x509-ca-cert");

/// The handler of the API's HTTP requests.
pub(crate) struct Gateway {
    pub(crate) routes: Routes,
    pub(crate) functions: Arc<Functions>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) clock: StackClock,
    /// The certificate of the authority, with TLS.
    pub(crate) ca_certificate: Option<Bytes>,
    /// The claim of the session tokens with the user, which the console shows.
    pub(crate) user_id_claim: String,
    pub(crate) console: Option<Arc<Console>>,
}

impl Gateway {
    /// Handles a request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let started_at = Instant::now();
        let request_id = ids::gateway_request_id();
        let (parts, body) = request.into_parts();
        // An oversized body is read to its end too: a client that is still sending would not read
        // the response.
        let body = read_body(body).await?;
        let pending = self.console.as_ref().map(|console| console.begin_request(&request_id));
        let mut response = match &body {
            Some(body) => self.dispatch(&parts, body, peer, &request_id).await,
            None => error_response(StatusCode::PAYLOAD_TOO_LARGE),
        };
        if let (Some(console), Some(pending)) = (&self.console, pending) {
            let line = RequestLine {
                status: response.status(),
                duration: started_at.elapsed(),
                caller: caller(&parts, &body.unwrap_or_default(), &self.user_id_claim),
                error: read_error(&response).await,
                path: parts.uri.path().to_owned(),
                method: parts.method,
            };
            console.finish_request(pending, line);
        }
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        Ok(response)
    }

    async fn dispatch(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: Peer,
        request_id: &str,
    ) -> HttpResponse {
        let wire_path = parts.uri.path();
        if parts.method == Method::GET && wire_path == EVENTS_PATH {
            let report = self.streams.report(parts.uri.query().unwrap_or_default());
            return json_response(StatusCode::OK, report.to_string());
        }
        if parts.method == Method::GET
            && wire_path == CA_PATH
            && let Some(certificate) = &self.ca_certificate
        {
            let mut response = json_response(StatusCode::OK, certificate.clone());
            response.headers_mut().insert(CONTENT_TYPE, CA_CONTENT_TYPE);
            return response;
        }
        // Only the stack of a developer has a console.
        if parts.method == Method::GET
            && self.console.is_some()
            && let Some(response) = api_reference::response(wire_path)
        {
            return response;
        }
        if wire_path == clock_control::CLOCK_PATH {
            let (clock, functions) = (&self.clock, &self.functions);
            return clock_control::handle(&parts.method, body, clock, functions).await;
        }
        let Some(path) = path::raw_path(wire_path) else {
            return error_response(StatusCode::BAD_REQUEST);
        };
        let Some(route) = self.routes.find(parts.method.as_str(), wire_path) else {
            return error_response(StatusCode::NOT_FOUND);
        };
        let event = event::build_event(
            &event::GatewayRequest {
                parts,
                body,
                path: &path,
                peer: peer.address.ip(),
                at: Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::MAX),
                request_id,
            },
            &route,
        );
        let invocation = self.functions.invoke(route.function, event.to_string().into());
        match timeout(INTEGRATION_TIMEOUT, invocation).await {
            Ok(Ok(payload)) => response::from_payload(&payload)
                .unwrap_or_else(|| error_response(StatusCode::INTERNAL_SERVER_ERROR)),
            Ok(Err(_)) => error_response(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => error_response(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// The error in the body of a response, which stays complete.
async fn read_error(response: &HttpResponse) -> Option<ResponseError> {
    let status = response.status();
    // A clone of a whole body shares its bytes.
    let body = response.body().clone().collect().await.ok()?.to_bytes();
    ResponseError::read(status, &body)
}

/// The body, or `None` if it is too large.
async fn read_body(body: Incoming) -> Result<Option<Bytes>, ConnectionDropped> {
    let body = read_at_most(body, MAX_BODY_BYTES + 1).await?;
    Ok((body.len() <= MAX_BODY_BYTES).then_some(body))
}

/// An error response of the gateway itself.
fn error_response(status: StatusCode) -> HttpResponse {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or_default(),
    };
    json_response(status, format!(r#"{{"message":"{message}"}}"#))
}
