//! The facts of a recorded request.

use serde_json::Value;

use super::super::record::{Record, Service, Step};
use super::super::step_details::CallItem;

/// What decided a response.
pub(super) struct Facts<'a> {
    record: &'a Record,
    /// `null` unless the body is JSON.
    pub(super) request: Value,
    pub(super) response: Value,
}

impl<'a> Facts<'a> {
    /// The facts of an ended request.
    pub(super) fn new(record: &'a Record) -> Option<Self> {
        let end = record.end.as_ref()?;
        let parse = |body: &[u8]| serde_json::from_slice(body).unwrap_or_default();
        Some(Self {
            record,
            request: parse(record.start.request.body()),
            response: parse(end.response.body()),
        })
    }

    /// The status. `None` without a response.
    pub(super) fn status(&self) -> Option<u16> {
        self.record.end.as_ref()?.status
    }

    pub(super) fn is_error(&self) -> bool {
        self.status().is_none_or(|status| status >= 400)
    }

    pub(super) fn function(&self) -> Option<&'a str> {
        self.record.start.function.as_deref()
    }

    /// The user, or the type of a webhook's event.
    pub(super) fn caller(&self) -> &'a str {
        self.record.start.caller.as_deref().unwrap_or("the caller")
    }

    /// The code of the response, or of the request line.
    pub(super) fn code(&self) -> Option<&str> {
        // A function that ends after the gateway's timeout has no part in the response.
        let line = || self.record.request_line()?.code.as_deref().filter(|code| *code != "ok");
        self.response["code"].as_str().or_else(line)
    }

    /// The cause of an error in the log.
    pub(super) fn cause(&self) -> Option<&'a str> {
        self.record.request_line()?.cause.as_deref()
    }

    /// The failure of a run without a response.
    pub(super) fn failure(&self) -> Option<&'a str> {
        self.record.end.as_ref()?.failure.as_deref()
    }

    /// The result of a run of the sweeper.
    pub(super) fn summary(&self) -> Option<Value> {
        serde_json::from_str(self.record.request_line()?.summary.as_deref()?).ok()
    }

    /// A text of the response.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.response[name].as_str()
    }

    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &'a Step> {
        self.record.steps.iter()
    }

    /// The steps at DynamoDB with this purpose.
    pub(super) fn writes(&self, purpose: &'static str) -> impl Iterator<Item = &'a Step> {
        self.steps().filter(move |step| step.details.purpose == Some(purpose))
    }

    /// Whether a step with this purpose has succeeded.
    pub(super) fn has_done(&self, purpose: &'static str) -> bool {
        self.writes(purpose).any(Step::is_success)
    }

    /// Whether a step with this purpose was rejected by its condition.
    pub(super) fn was_refused(&self, purpose: &'static str) -> bool {
        self.writes(purpose)
            .any(|step| step.details.error.as_deref() == Some("ConditionalCheckFailedException"))
    }

    /// Whether an operation at Stream has succeeded.
    pub(super) fn has_done_at_stream(&self, operation: &str) -> bool {
        self.steps().any(|step| {
            step.service == Service::Stream && step.operation == operation && step.is_success()
        })
    }

    /// The last step of a service that failed.
    pub(super) fn last_failure(&self, service: Service) -> Option<&'a Step> {
        let is_failure = |step: &&Step| {
            let has_failed = step.status.is_none_or(|status| status == 429 || status >= 500);
            step.service == service && (has_failed || step.is_fault)
        };
        self.steps().rev().find(is_failure)
    }

    /// The call items that steps have returned, in order.
    pub(super) fn calls(&self) -> impl DoubleEndedIterator<Item = &'a CallItem> {
        self.steps().filter_map(|step| step.details.call.as_ref())
    }
}

/// Builders for the tests of the sentences.
#[cfg(test)]
pub(in crate::trace) mod samples {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use http::HeaderMap;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use crate::trace::log_line::LogLine;
    use crate::trace::record::{
        Message, Record, RecordKey, RequestEnd, RequestKind, RequestStart, Service, Step,
    };
    use crate::trace::step_details::{CallItem, StepDetails};

    /// A request of alice that has ended.
    pub(in crate::trace) fn record(
        kind: RequestKind,
        function: &str,
        request: &Value,
        status: u16,
        response: &Value,
    ) -> Record {
        let message = |body: &Value| Message::new(HeaderMap::new(), &Bytes::from(body.to_string()));
        let start = RequestStart {
            id: "r1".to_owned(),
            kind,
            method: "POST".to_owned(),
            path_and_query: format!("/api/stream/{function}"),
            function: Some(function.to_owned()),
            caller: Some("alice".to_owned()),
            call_id: None,
            request: message(request),
            resent_from: None,
        };
        let mut record = Record::new(RecordKey(1), start, Timestamp::UNIX_EPOCH, Instant::now());
        let response = message(response);
        record.end = Some(RequestEnd { status: Some(status), response, failure: None });
        record
    }

    /// A step at DynamoDB.
    pub(in crate::trace) fn write(purpose: &'static str, is_applied: bool) -> Step {
        let error = "ConditionalCheckFailedException".to_owned();
        Step {
            service: Service::Dynamodb,
            operation: "UpdateItem".to_owned(),
            start: Duration::ZERO,
            duration: Duration::ZERO,
            status: Some(if is_applied { 200 } else { 400 }),
            details: StepDetails {
                purpose: Some(purpose),
                error: (!is_applied).then_some(error),
                call: None,
            },
            is_fault: false,
        }
    }

    /// A step at DynamoDB that returned a call.
    pub(in crate::trace) fn write_with(purpose: &'static str, call: CallItem) -> Step {
        let mut step = write(purpose, true);
        step.details.call = Some(call);
        step
    }

    /// A step at Stream.
    pub(in crate::trace) fn stream(operation: &str, status: Option<u16>, is_fault: bool) -> Step {
        Step {
            service: Service::Stream,
            operation: operation.to_owned(),
            status,
            is_fault,
            details: StepDetails::default(),
            ..write("", true)
        }
    }

    /// A call of alice and bob.
    pub(in crate::trace) fn call(id: &str, state: &str, end: Option<(&str, &str)>) -> CallItem {
        CallItem {
            id: id.to_owned(),
            state: state.to_owned(),
            end_reason: end.map(|(reason, _)| reason.to_owned()),
            ended_by: end.map(|(_, actor)| actor.to_owned()),
            members: vec!["alice".to_owned(), "bob".to_owned()],
        }
    }

    /// The request line of a function.
    pub(in crate::trace) fn request_line(
        code: &str,
        cause: Option<&str>,
        summary: &Value,
    ) -> LogLine {
        let summary = (!summary.is_null()).then(|| summary.to_string());
        let line = json!({
            "level": "INFO", "message": "request completed", "requestId": "r1", "code": code,
            "cause": cause, "summary": summary,
        });
        LogLine::parse(&line.to_string()).unwrap()
    }
}
