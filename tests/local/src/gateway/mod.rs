//! A local API Gateway: finds the route, invokes the function with an event, and converts the
//! result into an HTTP response.
//!
//! - The paths that control the stack are not routes of the API: [`crate::control`] handles them.
//! - A request without a matching route returns 404. A body over 10 MB returns 413.
//! - If a function fails, crashes or exceeds its timeout, the client gets 500. If it runs longer
//!   than 30 s, the limit of an HTTP API, the client gets 503 and the invocation continues.
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>

mod event;
mod path;
mod response;
mod routes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::clock::StackClock;
use crate::control::Control;
use crate::http_server::{
    ConnectionDropped, HttpResponse, Peer, copy_body, json_response, read_at_most,
};
use crate::lambda::{Functions, ids};
use crate::terminal::{RequestLine, ResponseError, Terminal, caller};
use crate::trace::{
    Message, Recorder, RequestEnd, RequestKind, RequestStart, Span, call_id_of_channel,
};
pub(crate) use routes::Routes;

/// The maximum size of a body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// How long an HTTP API waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The function that handles Stream's webhooks.
const WEBHOOK: &str = "webhook";

/// The handler of the API's HTTP requests.
pub(crate) struct Gateway {
    pub(crate) routes: Routes,
    pub(crate) functions: Arc<Functions>,
    pub(crate) control: Control,
    pub(crate) clock: StackClock,
    /// The claim of the session tokens with the user, which the terminal shows.
    pub(crate) user_id_claim: String,
    pub(crate) terminal: Option<Arc<Terminal>>,
    /// Records the requests, with a console.
    pub(crate) recorder: Option<Recorder>,
}

impl Gateway {
    /// Handles a request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let started_at = Instant::now();
        let (mut parts, body) = request.into_parts();
        // An oversized body is read to its end too: a client that is still sending would not read
        // the response.
        let body = read_body(body).await?;
        if let Some(response) =
            self.control.handle(&parts, body.as_deref().unwrap_or_default(), peer).await
        {
            return Ok(response);
        }
        let resend = self.recorder.as_ref().and_then(|it| it.take_resend(&mut parts.headers));
        let (request_id, resent_from) = match resend {
            Some(resend) => (resend.id, Some(resend.from)),
            None => (ids::gateway_request_id(), None),
        };
        let pending = self.terminal.as_ref().map(|terminal| terminal.begin_request(&request_id));
        let span = self.begin_span(&parts, body.as_ref(), &request_id, resent_from);
        let Dispatched { mut response, failure } = match &body {
            Some(body) => self.dispatch(&parts, body, peer, &request_id, &span).await,
            None => error_response(StatusCode::PAYLOAD_TOO_LARGE).into(),
        };
        if self.recorder.is_some() {
            span.end(RequestEnd { failure, ..end_of(&response).await });
        }
        if let (Some(terminal), Some(pending)) = (&self.terminal, pending) {
            let line = RequestLine {
                status: response.status(),
                duration: started_at.elapsed(),
                caller: caller(&parts, &body.unwrap_or_default(), &self.user_id_claim),
                error: read_error(&response).await,
                path: parts.uri.path().to_owned(),
                method: parts.method,
            };
            terminal.finish_request(pending, line);
        }
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        Ok(response)
    }

    /// Records a request, with a console.
    fn begin_span(
        &self,
        parts: &Parts,
        body: Option<&Bytes>,
        request_id: &str,
        resent_from: Option<String>,
    ) -> Span {
        let Some(recorder) = &self.recorder else { return Span::default() };
        let route = self.routes.find(parts.method.as_str(), parts.uri.path());
        let function = route.as_ref().map(|route| route.function.to_owned());
        let is_webhook = function.as_deref() == Some(WEBHOOK);
        let call_id = route.as_ref().and_then(|route| {
            let channel = route.parameters.get("channelId").map(String::as_str);
            let call = route.parameters.get("callId").map(String::as_str);
            call.or_else(|| channel.and_then(call_id_of_channel)).map(str::to_owned)
        });
        let empty = Bytes::new();
        let is_too_large = body.is_none();
        let body = body.unwrap_or(&empty);
        recorder.begin(RequestStart {
            id: request_id.to_owned(),
            kind: if is_webhook { RequestKind::Webhook } else { RequestKind::Http },
            method: parts.method.to_string(),
            path_and_query: parts
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            function,
            caller: caller(parts, body, &self.user_id_claim),
            call_id,
            request: if is_too_large {
                Message::without_body(parts.headers.clone())
            } else {
                Message::new(parts.headers.clone(), body)
            },
            resent_from,
        })
    }

    async fn dispatch(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: Peer,
        request_id: &str,
        span: &Span,
    ) -> Dispatched {
        let wire_path = parts.uri.path();
        let Some(path) = path::raw_path(wire_path) else {
            return error_response(StatusCode::BAD_REQUEST).into();
        };
        let Some(route) = self.routes.find(parts.method.as_str(), wire_path) else {
            return error_response(StatusCode::NOT_FOUND).into();
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
        let invocation =
            self.functions.invoke_in(span.clone(), route.function, event.to_string().into());
        match timeout(INTEGRATION_TIMEOUT, invocation).await {
            Ok(Ok(payload)) => match response::from_payload(&payload) {
                Some(response) => response.into(),
                None => Dispatched {
                    response: error_response(StatusCode::INTERNAL_SERVER_ERROR),
                    failure: Some("the function returned no valid response".to_owned()),
                },
            },
            Ok(Err(error)) => Dispatched {
                response: error_response(StatusCode::INTERNAL_SERVER_ERROR),
                failure: Some(error.to_string()),
            },
            Err(_) => Dispatched {
                response: error_response(StatusCode::SERVICE_UNAVAILABLE),
                failure: Some("the function did not respond within 30 seconds".to_owned()),
            },
        }
    }
}

/// The response to a request of the API.
struct Dispatched {
    response: HttpResponse,
    /// What failed, if the response does not say it.
    failure: Option<String>,
}

impl From<HttpResponse> for Dispatched {
    fn from(response: HttpResponse) -> Self {
        Self { response, failure: None }
    }
}

/// The end of a recorded request.
async fn end_of(response: &HttpResponse) -> RequestEnd {
    RequestEnd {
        status: Some(response.status().as_u16()),
        response: Message::new(response.headers().clone(), &copy_body(response).await),
        failure: None,
    }
}

/// The error in the body of a response, which stays complete.
async fn read_error(response: &HttpResponse) -> Option<ResponseError> {
    ResponseError::read(response.status(), &copy_body(response).await)
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
