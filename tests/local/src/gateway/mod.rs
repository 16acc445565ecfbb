//! What API Gateway does in front of the functions: finds the route, turns the request into an
//! event, and the function's answer into a response.
//!
//! - A request that no route matches is 404. A body over 10 MB is 413.
//! - A function that fails, crashes or exceeds its own timeout is 500 for the client; one that is
//!   still running after 30 s, the longest that an HTTP API waits, is 503, and goes on running.
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
//!   <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>

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
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::clock::StackClock;
use crate::lambda::{Functions, ids};
use crate::serve::{Answer, Dropped, json};
pub(crate) use routes::Routes;

/// The largest body.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The longest that an HTTP API waits for a function.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The API's front.
pub(crate) struct Gateway {
    pub(crate) routes: Routes,
    pub(crate) functions: Arc<Functions>,
    pub(crate) clock: StackClock,
}

impl Gateway {
    /// Answers a request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Answer, Dropped> {
        let request_id = ids::gateway_request();
        let mut answer = self.respond(request, peer, &request_id).await?;
        if let Ok(id) = HeaderValue::try_from(request_id) {
            answer.headers_mut().insert("apigw-requestid", id);
        }
        Ok(answer)
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        request_id: &str,
    ) -> Result<Answer, Dropped> {
        let (parts, body) = request.into_parts();
        // Read to its end even when it is too large: a client that is still sending would not see
        // the answer.
        let body = read(body).await?;
        let Some(body) = body else { return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE)) };
        let wire_path = parts.uri.path();
        let Some(path) = path::as_delivered(wire_path) else {
            return Ok(refusal(StatusCode::BAD_REQUEST));
        };
        let Some(route) = self.routes.find(parts.method.as_str(), wire_path) else {
            return Ok(refusal(StatusCode::NOT_FOUND));
        };
        let event = event::build(
            &event::Received {
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
        Ok(match timeout(MAX_WAIT, invocation).await {
            Ok(Ok(payload)) => response::from_payload(&payload)
                .unwrap_or_else(|| refusal(StatusCode::INTERNAL_SERVER_ERROR)),
            Ok(Err(_)) => refusal(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE),
        })
    }
}

/// The body, unless it is too large.
async fn read(mut body: Incoming) -> Result<Option<Bytes>, Dropped> {
    let mut kept = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Dropped)?.into_data() {
            length += data.len();
            if length <= MAX_BODY {
                kept.extend_from_slice(&data);
            }
        }
    }
    Ok((length <= MAX_BODY).then(|| Bytes::from(kept)))
}

/// The gateway's own answers.
fn refusal(status: StatusCode) -> Answer {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or_default(),
    };
    json(status, format!(r#"{{"message":"{message}"}}"#))
}
