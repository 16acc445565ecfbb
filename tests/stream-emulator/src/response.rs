//! HTTP responses, complete or deliberately broken.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, IntoHeaderName, LOCATION, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::error::StreamError;
use crate::rate_limit::RateLimitStatus;

/// The header of a response that a fault rule has changed.
pub const FAULT_HEADER: &str = "x-emulator-fault";

/// A response before it is sent.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    truncated: bool,
}

impl ApiResponse {
    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body: body.into(),
            truncated: false,
        }
    }

    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::new(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
    }

    /// The response to a valid upgrade to a WebSocket.
    pub(crate) fn switching_protocols(accept_key: &str) -> Self {
        let response = Self {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            truncated: false,
        };
        response
            .with_header(CONNECTION, "upgrade")
            .with_header(UPGRADE, "websocket")
            .with_header(SEC_WEBSOCKET_ACCEPT, accept_key)
    }

    pub(crate) fn from_error(error: &StreamError) -> Self {
        Self::json(error.status(), &error.body())
    }

    /// The HTML error page of a proxy in front of Stream.
    pub(crate) fn proxy_page(status: u16) -> Self {
        let page =
            format!("<html><head><title>{status}</title></head><body>{status}</body></html>");
        Self::new(status, "text/html", page)
    }

    /// Any text with the content type of JSON.
    pub(crate) fn scripted(status: u16, body: String) -> Self {
        Self::new(status, "application/json", body)
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(302, "text/plain", Bytes::new()).with_header(LOCATION, location)
    }

    pub(crate) fn with_rate_limit(self, rate: RateLimitStatus) -> Self {
        self.with_header("x-ratelimit-limit", &rate.limit.to_string())
            .with_header("x-ratelimit-remaining", &rate.remaining.to_string())
            .with_header("x-ratelimit-reset", &rate.reset.to_string())
    }

    pub(crate) fn with_retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with_header(RETRY_AFTER, &seconds.to_string()),
            None => self,
        }
    }

    /// Marks the response of a fault rule, so that a proxy can distinguish it.
    pub(crate) fn with_fault_mark(self) -> Self {
        self.with_header(FAULT_HEADER, "injected")
    }

    pub(crate) fn with_date(self, date: &str) -> Self {
        self.with_header(DATE, date)
    }

    /// Omits the header if the value is not valid, which only a fault rule can cause.
    fn with_header(mut self, name: impl IntoHeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Declares the full `Content-Length` and sends half of the body.
    pub(crate) fn truncated(mut self) -> Self {
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self.body.truncate(self.body.len() / 2);
        self.truncated = true;
        self
    }

    /// Pads the JSON object with one long last member: the client must read the whole body
    /// to parse it.
    pub(crate) fn padded_to(mut self, size: usize) -> Self {
        const PADDING_MEMBER: &str = ",\"padding\":\"\"}";
        if let Some(object) = self.body.strip_suffix(b"}") {
            let filler = size.saturating_sub(object.len() + PADDING_MEMBER.len());
            let mut body = Vec::with_capacity(size.max(self.body.len()));
            body.extend_from_slice(object);
            body.extend_from_slice(b",\"padding\":\"");
            body.resize(body.len() + filler, b'x');
            body.extend_from_slice(b"\"}");
            self.body = body.into();
        }
        self
    }
}

impl From<ApiResponse> for Response<ResponseBody> {
    fn from(source: ApiResponse) -> Self {
        let ending =
            if source.truncated { BodyEnding::FlushThenAbort } else { BodyEnding::Complete };
        let mut response = Self::new(ResponseBody { remaining: Some(source.body), ending });
        *response.status_mut() = source.status;
        *response.headers_mut() = source.headers;
        response
    }
}

/// Makes hyper close the connection without sending another byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionDropped;

impl fmt::Display for ConnectionDropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connection dropped by a fault rule")
    }
}

impl std::error::Error for ConnectionDropped {}

/// A body that can end early.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    remaining: Option<Bytes>,
    ending: BodyEnding,
}

#[derive(Clone, Copy, Debug)]
enum BodyEnding {
    /// The body is complete.
    Complete,
    /// The body fails after one more poll, so that hyper can flush what it has.
    FlushThenAbort,
    /// The body fails at the next poll.
    Abort,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ConnectionDropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionDropped>>> {
        if let Some(data) = self.remaining.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let ending = self.ending;
        match ending {
            BodyEnding::Complete => Poll::Ready(None),
            BodyEnding::FlushThenAbort => {
                self.ending = BodyEnding::Abort;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            BodyEnding::Abort => Poll::Ready(Some(Err(ConnectionDropped))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.ending, BodyEnding::Complete)
            && self.remaining.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.ending {
            BodyEnding::Complete => SizeHint::with_exact(
                self.remaining.as_ref().map_or(0, |remaining| remaining.len() as u64),
            ),
            // Unknown, so that hyper keeps the declared `Content-Length`.
            BodyEnding::FlushThenAbort | BodyEnding::Abort => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn padded_response_has_the_exact_size_and_is_valid_json() {
        let response = ApiResponse::json(200, &json!({ "a": 1 })).padded_to(1_000);
        assert_eq!(response.body.len(), 1_000);
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(body["a"], json!(1));
        assert_eq!(ApiResponse::json(200, &json!({ "a": 1 })).padded_to(0).body.len(), 20);
    }

    #[test]
    fn truncated_response_declares_more_bytes_than_it_sends() {
        let complete = ApiResponse::json(201, &json!({ "message": "hello" }));
        let declared_length = complete.body.len();
        let response = complete.truncated();
        assert_eq!(response.headers[CONTENT_LENGTH], declared_length.to_string());
        assert!(response.body.len() < declared_length);
        assert_eq!(Response::<ResponseBody>::from(response).body().size_hint().exact(), None);
    }

    #[test]
    fn invalid_header_value_is_omitted() {
        assert!(ApiResponse::redirect("http://a/\n").headers.get(LOCATION).is_none());
        assert_eq!(ApiResponse::redirect("http://a/").headers[LOCATION], "http://a/");
    }
}
