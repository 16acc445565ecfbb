//! What goes back over the wire, well formed or broken on purpose.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, IntoHeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::error::StreamFailure;
use crate::rate::RateLimit;

/// An answer that is not on its way yet.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    truncated: bool,
}

impl Answer {
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

    pub(crate) fn failure(failure: &StreamFailure) -> Self {
        Self::json(failure.status(), &failure.body())
    }

    /// What a proxy in front of Stream answers when it never asked Stream.
    pub(crate) fn proxy_page(status: u16) -> Self {
        let page =
            format!("<html><head><title>{status}</title></head><body>{status}</body></html>");
        Self::new(status, "text/html", page)
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(302, "text/plain", Bytes::new()).with(LOCATION, location)
    }

    pub(crate) fn rate_limited(self, rate: RateLimit) -> Self {
        self.with("x-ratelimit-limit", &rate.limit.to_string())
            .with("x-ratelimit-remaining", &rate.remaining.to_string())
            .with("x-ratelimit-reset", &rate.reset.to_string())
    }

    pub(crate) fn retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with(RETRY_AFTER, &seconds.to_string()),
            None => self,
        }
    }

    pub(crate) fn dated(self, date: &str) -> Self {
        self.with(DATE, date)
    }

    /// A value that no header may carry is left out: it can only come from a fault script.
    fn with(mut self, name: impl IntoHeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Announces the whole body and sends half of it.
    pub(crate) fn truncated(mut self) -> Self {
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self.body.truncate(self.body.len() / 2);
        self.truncated = true;
        self
    }

    /// Pads the JSON object with one long last member, so that it is valid only when read whole.
    pub(crate) fn padded(mut self, size: usize) -> Self {
        const FRAME: &str = ",\"padding\":\"\"}";
        if let Some(object) = self.body.strip_suffix(b"}") {
            let filler = size.saturating_sub(object.len() + FRAME.len());
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

impl From<Answer> for Response<AnswerBody> {
    fn from(answer: Answer) -> Self {
        let ending = if answer.truncated { Ending::Flush } else { Ending::Whole };
        let mut response = Self::new(AnswerBody { rest: Some(answer.body), ending });
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

/// The connection is to be closed without another byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// A body that can break off.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    rest: Option<Bytes>,
    ending: Ending,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// The body is whole.
    Whole,
    /// The body breaks off, after hyper had one turn to flush what it has.
    Flush,
    /// The body breaks off now.
    Cut,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(data) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let ending = self.ending;
        match ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Flush => {
                self.ending = Ending::Cut;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Cut => Poll::Ready(Some(Err(Dropped))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.ending, Ending::Whole) && self.rest.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.ending {
            Ending::Whole => {
                SizeHint::with_exact(self.rest.as_ref().map_or(0, |rest| rest.len() as u64))
            }
            // Unknown, so that the announced length stands.
            Ending::Flush | Ending::Cut => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn padding_fills_to_the_byte_and_stays_json() {
        let answer = Answer::json(200, &json!({ "a": 1 })).padded(1_000);
        assert_eq!(answer.body.len(), 1_000);
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["a"], json!(1));
        assert_eq!(Answer::json(200, &json!({ "a": 1 })).padded(0).body.len(), 20);
    }

    #[test]
    fn a_truncated_answer_announces_more_than_it_has() {
        let whole = Answer::json(201, &json!({ "message": "hello" }));
        let announced = whole.body.len();
        let answer = whole.truncated();
        assert_eq!(answer.headers[CONTENT_LENGTH], announced.to_string());
        assert!(answer.body.len() < announced);
        assert_eq!(Response::<AnswerBody>::from(answer).body().size_hint().exact(), None);
    }

    #[test]
    fn a_header_that_cannot_be_is_left_out() {
        assert!(Answer::redirect("http://a/\n").headers.get(LOCATION).is_none());
        assert_eq!(Answer::redirect("http://a/").headers[LOCATION], "http://a/");
    }
}
