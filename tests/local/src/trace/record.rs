//! A recorded request.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

use super::log_line::LogLine;
use super::step_details::StepDetails;

/// The maximum size of a recorded body.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The maximum number of steps, and of log lines, of a request.
const MAX_ENTRIES: usize = 300;

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequestKind {
    /// A request of a client to the API.
    Http,
    /// A webhook of Stream.
    Webhook,
    /// A scheduled run.
    Schedule,
    /// A run of a consumer of the table's stream.
    TableStream,
    /// A request of a client to the Stream emulator.
    Client,
}

/// The service of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    Dynamodb,
    Stream,
}

/// The headers and the body of a request or a response, with the secrets in them.
#[derive(Clone, Default)]
pub(crate) struct Message {
    pub(super) headers: HeaderMap,
    body: Bytes,
    /// The size of the whole body.
    total_bytes: usize,
}

/// The headers and the body may have tokens.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("total_bytes", &self.total_bytes).finish_non_exhaustive()
    }
}

impl Message {
    /// Keeps the begin of a long body. A slice of it would keep the whole body in memory.
    pub(crate) fn new(headers: HeaderMap, body: &Bytes) -> Self {
        let kept = match body.get(..MAX_BODY_BYTES) {
            Some(begin) => Bytes::copy_from_slice(begin),
            None => body.clone(),
        };
        Self { headers, body: kept, total_bytes: body.len() }
    }

    /// A message whose body was discarded, because it was too large.
    pub(crate) fn without_body(headers: HeaderMap) -> Self {
        Self { headers, body: Bytes::new(), total_bytes: usize::MAX }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    pub(super) fn is_complete(&self) -> bool {
        self.body.len() == self.total_bytes
    }
}

/// A request that begins.
#[derive(Clone, Debug)]
pub(crate) struct RequestStart {
    pub(crate) id: String,
    pub(crate) kind: RequestKind,
    pub(crate) method: String,
    /// The path, with the query if the request is to be sent again.
    pub(crate) path_and_query: String,
    pub(crate) function: Option<String>,
    /// The user, or the type of a webhook's event.
    pub(crate) caller: Option<String>,
    pub(crate) call_id: Option<String>,
    pub(crate) request: Message,
    /// The request that this one repeats.
    pub(crate) resent_from: Option<String>,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestEnd {
    /// `None` if the connection was closed without a response.
    pub(crate) status: Option<u16>,
    pub(crate) response: Message,
    /// What failed, if the response does not say it.
    pub(crate) failure: Option<String>,
}

/// A step: a request to DynamoDB or Stream.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) service: Service,
    pub(super) operation: String,
    /// The time from the begin of the request.
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// `None` without a response.
    pub(super) status: Option<u16>,
    pub(super) details: StepDetails,
    /// Whether a fault was injected.
    pub(super) is_fault: bool,
}

impl Step {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status < 300)
    }
}

/// The identity of a record, which is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordKey(pub(super) u64);

/// A recorded request with everything that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) key: RecordKey,
    /// The number of the last change; 0 until the request has ended.
    pub(super) seq: u64,
    pub(super) start: RequestStart,
    /// By the stack's clock.
    pub(super) at: Timestamp,
    pub(super) began: Instant,
    pub(super) duration: Duration,
    pub(super) end: Option<RequestEnd>,
    pub(super) is_cold_start: bool,
    pub(super) init: Option<Duration>,
    /// In the order in which they began.
    pub(super) steps: Vec<Step>,
    pub(super) logs: Vec<LogLine>,
}

impl Record {
    pub(super) fn new(key: RecordKey, start: RequestStart, at: Timestamp, began: Instant) -> Self {
        Self {
            key,
            seq: 0,
            start,
            at,
            began,
            duration: Duration::ZERO,
            end: None,
            is_cold_start: false,
            init: None,
            steps: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// Whether the stack can send the request again.
    pub(super) fn can_resend(&self) -> bool {
        let has_sender = match self.start.kind {
            RequestKind::Http | RequestKind::Webhook | RequestKind::Client => true,
            RequestKind::Schedule | RequestKind::TableStream => false,
        };
        has_sender && self.start.request.is_complete()
    }

    pub(super) fn add_step(&mut self, step: Step) {
        if self.steps.len() < MAX_ENTRIES {
            let position = self.steps.partition_point(|earlier| earlier.start <= step.start);
            self.steps.insert(position, step);
        }
    }

    pub(super) fn add_log(&mut self, line: LogLine) {
        if self.logs.len() < MAX_ENTRIES {
            self.logs.push(line);
        }
    }

    /// The request line of the function, once it is read.
    pub(super) fn request_line(&self) -> Option<&LogLine> {
        self.logs.iter().find(|line| line.is_request_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_body_is_cut_and_a_secret_is_not_printed() {
        let body = Bytes::from(vec![b'x'; MAX_BODY_BYTES + 1]);
        let message = Message::new(HeaderMap::new(), &body);
        assert_eq!((message.body().len(), message.total_bytes()), (MAX_BODY_BYTES, body.len()));
        assert!(!message.is_complete());
        assert!(!Message::without_body(HeaderMap::new()).is_complete());
        let mut headers = HeaderMap::new();
        headers.insert("authorization", http::HeaderValue::from_static("hidden"));
        let message = Message::new(headers, &Bytes::from_static(b"hidden"));
        assert!(message.is_complete());
        assert!(!format!("{message:?}").contains("hidden"));
    }
}
