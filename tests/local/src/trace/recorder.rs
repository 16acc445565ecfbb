//! The handle of the trace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use super::call_id::call_id_in_records;
use super::log_line::LogLine;
use super::record::{Message, RecordKey, RequestEnd, RequestKind, RequestStart, Service, Step};
use super::step_details::StepDetails;
use super::store::Trace;
use super::view;
use crate::clock::StackClock;
use crate::error::InvokeError;
use crate::lambda::ids;
use crate::sync::lock;

/// The header that marks a request that the stack sends again. The receiver removes it.
const RESEND_HEADER: HeaderName = HeaderName::from_static("x-local-resend");

/// The status of a failed run, as that of a failed request.
const FAILED_RUN: u16 = 500;

/// The recorder of a stack. All clones share the trace.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Inner>);

struct Inner {
    trace: Mutex<Trace>,
    /// The number of the last change of a visible request.
    changed: watch::Sender<u64>,
    clock: StackClock,
    /// The announced requests, by the value of their [`RESEND_HEADER`].
    resends: Mutex<HashMap<String, Resend>>,
}

/// A request that is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resend {
    /// The id of the new request.
    pub(crate) id: String,
    /// The id of the earlier one.
    pub(crate) from: String,
}

/// A request as it was received, to be sent again. It has secrets, so it is not printed.
pub(crate) struct ResendRequest {
    pub(crate) kind: RequestKind,
    pub(crate) new_id: String,
    pub(crate) method: String,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResendError {
    #[error("no request has this id: the console keeps the last 500")]
    Unknown,
    #[error("this request cannot be sent again: it is no HTTP request, or its body is too long")]
    NotPossible,
}

impl Recorder {
    pub(crate) fn new(clock: StackClock) -> Self {
        Self(Arc::new(Inner {
            trace: Mutex::default(),
            changed: watch::Sender::new(0),
            clock,
            resends: Mutex::default(),
        }))
    }

    /// Records a request that begins now.
    pub(crate) fn begin(&self, start: RequestStart) -> Span {
        let at = Timestamp::try_from(self.0.clock.now()).unwrap_or(Timestamp::MAX);
        let key = lock(&self.0.trace).begin(start, at, Instant::now());
        Span(Some((self.clone(), key)))
    }

    /// Records a run of a function without an HTTP request.
    pub(crate) fn begin_run(&self, kind: RequestKind, function: &str, payload: &Bytes) -> Span {
        self.begin(RequestStart {
            id: ids::invocation_id(),
            kind,
            method: "RUN".to_owned(),
            path_and_query: function.to_owned(),
            function: Some(function.to_owned()),
            caller: None,
            call_id: call_id_in_records(payload),
            request: Message::new(HeaderMap::new(), payload),
            resent_from: None,
        })
    }

    /// Begins a step of the request that a process runs. `None` if the process is unknown.
    pub(crate) fn begin_step(
        &self,
        process: &str,
        service: Service,
        operation: &str,
    ) -> Option<StepSpan> {
        let (key, began) = lock(&self.0.trace).current(process)?;
        Some(StepSpan::new(self, key, began, service, operation))
    }

    /// Whether a process of this stack has this id.
    pub(crate) fn has_process(&self, process: &str) -> bool {
        lock(&self.0.trace).has_process(process)
    }

    pub(super) fn log(&self, process: &str, line: &str) {
        if let Some(line) = LogLine::parse(line) {
            self.change(|trace| trace.add_log(process, line));
        }
    }

    pub(super) fn unbind(&self, process: &str) {
        lock(&self.0.trace).unbind(process);
    }

    /// The requests that have changed after this number, with the number for the next read. Waits
    /// for a change, up to this time.
    pub(crate) async fn changes(&self, after: u64, wait: Duration) -> Value {
        let mut changed = self.0.changed.subscribe();
        // A number of an earlier stack selects all requests at once.
        let is_news = |last: &u64| *last > after || (after > *last && *last > 0);
        // An error means that the time is over. The response is empty then.
        let _ = timeout(wait, changed.wait_for(is_news)).await;
        let (next, records) = {
            let trace = lock(&self.0.trace);
            let records: Vec<_> = trace.changed_since(after).into_iter().cloned().collect();
            (trace.last_seq(), records)
        };
        let requests: Vec<_> = records.iter().map(view::request).collect();
        json!({ "next": next, "requests": requests })
    }

    /// Announces that a request is sent again. Returns it with the marked headers.
    pub(crate) fn announce_resend(&self, id: &str) -> Result<ResendRequest, ResendError> {
        let (start, can_resend) = {
            let trace = lock(&self.0.trace);
            let record = trace.find(id).ok_or(ResendError::Unknown)?;
            (record.start.clone(), record.can_resend())
        };
        if !can_resend {
            return Err(ResendError::NotPossible);
        }
        let resend = Resend { id: ids::gateway_request_id(), from: id.to_owned() };
        let marker = Uuid::new_v4().to_string();
        let body = start.request.body().clone();
        let mut headers = start.request.headers;
        // A UUID is a valid value.
        if let Ok(value) = marker.parse() {
            headers.insert(RESEND_HEADER, value);
        }
        let new_id = resend.id.clone();
        lock(&self.0.resends).insert(marker, resend);
        let RequestStart { kind, method, path_and_query, .. } = start;
        Ok(ResendRequest { kind, new_id, method, path_and_query, headers, body })
    }

    /// Removes the mark of a request that is sent again. `None` for any other request.
    pub(crate) fn take_resend(&self, headers: &mut HeaderMap) -> Option<Resend> {
        let marker = headers.remove(RESEND_HEADER)?;
        lock(&self.0.resends).remove(marker.to_str().ok()?)
    }

    /// Forgets an announced request that could not be sent.
    pub(crate) fn cancel_resend(&self, new_id: &str) {
        lock(&self.0.resends).retain(|_, resend| resend.id != new_id);
    }

    fn change(&self, change: impl FnOnce(&mut Trace)) {
        let last_seq = {
            let mut trace = lock(&self.0.trace);
            change(&mut trace);
            trace.last_seq()
        };
        self.0.changed.send_if_modified(|last| {
            let is_newer = last_seq > *last;
            *last = last_seq.max(*last);
            is_newer
        });
    }
}

/// A recorded request in progress. Without a console it does nothing.
#[derive(Clone, Default)]
pub(crate) struct Span(Option<(Recorder, RecordKey)>);

impl Span {
    /// Assigns a process to the request.
    pub(crate) fn bind(&self, process: Option<&str>, invocation_id: &str, is_cold_start: bool) {
        if let (Some((recorder, key)), Some(process)) = (&self.0, process) {
            lock(&recorder.0.trace).bind(*key, process, invocation_id, is_cold_start);
        }
    }

    /// Records how long a cold start took.
    pub(crate) fn set_init(&self, init: Duration) {
        if let Some((recorder, key)) = &self.0 {
            recorder.change(|trace| trace.set_init(*key, init));
        }
    }

    /// Begins a step of the request itself.
    pub(crate) fn begin_step(&self, service: Service, operation: &str) -> Option<StepSpan> {
        let (recorder, key) = self.0.as_ref()?;
        let began = lock(&recorder.0.trace).began(*key)?;
        Some(StepSpan::new(recorder, *key, began, service, operation))
    }

    /// Records the response.
    pub(crate) fn end(&self, end: RequestEnd) {
        if let Some((recorder, key)) = &self.0 {
            recorder.change(|trace| trace.end(*key, end, Instant::now()));
        }
    }

    /// Records the result of a run.
    pub(crate) fn end_run(&self, result: &Result<Bytes, InvokeError>) {
        if self.0.is_none() {
            return;
        }
        self.end(match result {
            Ok(payload) => RequestEnd {
                status: Some(if is_error_payload(payload) { FAILED_RUN } else { 200 }),
                response: Message::new(HeaderMap::new(), payload),
                failure: None,
            },
            Err(error) => RequestEnd {
                status: Some(FAILED_RUN),
                response: Message::default(),
                failure: Some(error.to_string()),
            },
        });
    }
}

/// Whether a function that reports its errors has failed.
fn is_error_payload(payload: &[u8]) -> bool {
    serde_json::from_slice::<Value>(payload).is_ok_and(|payload| payload["error"] == true)
}

/// A step in progress. A step that is dropped without an end is not recorded.
pub(crate) struct StepSpan {
    recorder: Recorder,
    key: RecordKey,
    service: Service,
    operation: String,
    start: Duration,
    began: Instant,
}

impl StepSpan {
    fn new(
        recorder: &Recorder,
        key: RecordKey,
        request_began: Instant,
        service: Service,
        operation: &str,
    ) -> Self {
        let began = Instant::now();
        Self {
            recorder: recorder.clone(),
            key,
            service,
            operation: operation.to_owned(),
            start: began.duration_since(request_began),
            began,
        }
    }

    /// Records the step. `status` is `None` without a response.
    pub(crate) fn end(self, status: Option<u16>, details: StepDetails, is_fault: bool) {
        let step = Step {
            service: self.service,
            operation: self.operation,
            start: self.start,
            duration: self.began.elapsed(),
            status,
            details,
            is_fault,
        };
        self.recorder.change(|trace| trace.add_step(self.key, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(id: &str, body: &'static [u8]) -> RequestStart {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", http::HeaderValue::from_static("Bearer a.b.c"));
        RequestStart {
            id: id.to_owned(),
            kind: RequestKind::Http,
            method: "POST".to_owned(),
            path_and_query: "/api/stream/token?a=1".to_owned(),
            function: Some("token".to_owned()),
            caller: None,
            call_id: None,
            request: Message::new(headers, &Bytes::from_static(body)),
            resent_from: None,
        }
    }

    fn recorder() -> Recorder {
        Recorder::new(StackClock::default())
    }

    #[tokio::test]
    async fn read_waits_for_a_change() {
        let recorder = recorder();
        let none = recorder.changes(0, Duration::ZERO).await;
        assert_eq!(none, json!({"next": 0, "requests": []}));
        let span = recorder.begin(start("r1", b"{}"));
        let reader = recorder.clone();
        let read = tokio::spawn(async move { reader.changes(0, Duration::from_mins(1)).await });
        let end = RequestEnd { status: Some(200), response: Message::default(), failure: None };
        span.end(end);
        let changes = read.await.unwrap();
        assert_eq!(changes["next"], 1);
        assert_eq!(changes["requests"][0]["id"], "r1");
        // A page that has seen an earlier stack gets all requests at once.
        let changes = recorder.changes(77, Duration::from_mins(1));
        let changes = timeout(Duration::from_secs(10), changes).await.unwrap();
        assert_eq!(changes["requests"][0]["id"], "r1");
    }

    #[test]
    fn resent_request_has_its_original_headers_and_a_mark() {
        let recorder = recorder();
        recorder.begin(start("r1", b"{\"a\":1}"));
        let request = recorder.announce_resend("r1").unwrap();
        assert_eq!(request.headers["authorization"], "Bearer a.b.c");
        assert_eq!((request.method.as_str(), &request.body[..]), ("POST", &b"{\"a\":1}"[..]));
        assert_eq!(request.path_and_query, "/api/stream/token?a=1");
        let mut headers = request.headers;
        let expected = Resend { id: request.new_id, from: "r1".to_owned() };
        assert_eq!(recorder.take_resend(&mut headers), Some(expected));
        assert!(!headers.contains_key(RESEND_HEADER));
        assert_eq!(recorder.take_resend(&mut headers), None);

        headers.insert(RESEND_HEADER, http::HeaderValue::from_static("forged"));
        assert_eq!(recorder.take_resend(&mut headers), None);
        assert_eq!(recorder.announce_resend("r2").err(), Some(ResendError::Unknown));
        recorder.begin_run(RequestKind::Schedule, "sweeper", &Bytes::new());
    }
}
