//! Faults of DynamoDB and Stream: the page adds, lists and removes them.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use stream_emulator::{Emulator, Fault as StreamFault, FaultRule, Operation};

use super::{Console, done};
use crate::control::{message_response, parse_body};
use crate::dynamo::{Fault as DynamoFault, Rule};
use crate::http_server::HttpResponse;

/// The operation of a rule for every operation.
const ANY_OPERATION: &str = "*";

/// The most requests that a rule affects.
const MAX_TIMES: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    service: FaultService,
    #[serde(default)]
    operation: String,
    kind: String,
    times: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FaultService {
    Dynamodb,
    Stream,
}

/// A fault of the page, such as `status 503` or `slow 2000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultKind {
    /// A response with this status, and no effect.
    Status(u16),
    /// The response after this delay.
    Slow(Duration),
    /// No effect and no response.
    RefuseConnection,
    /// The effect, but no response.
    AppliedThenLost,
}

impl FaultKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once(' ') {
            Some(("status", status)) => {
                let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
                Self::Status(status)
            }
            Some(("slow", millis)) => {
                let millis = millis.parse().ok().filter(|millis| *millis <= 60_000)?;
                Self::Slow(Duration::from_millis(millis))
            }
            _ if text == "refuse connection" => Self::RefuseConnection,
            _ if text == "applied then lost" => Self::AppliedThenLost,
            _ => return None,
        })
    }

    fn for_stream(self) -> StreamFault {
        match self {
            Self::Status(429) => StreamFault::TooManyRequests { retry_after: None },
            Self::Status(status) => StreamFault::Status(status),
            Self::Slow(delay) => StreamFault::Slow(delay),
            Self::RefuseConnection => StreamFault::RefuseConnection,
            Self::AppliedThenLost => StreamFault::AppliedThenLost,
        }
    }

    /// `None` for a status that DynamoDB does not return.
    fn for_dynamodb(self) -> Option<DynamoFault> {
        Some(match self {
            Self::Status(429) => DynamoFault::Throttled,
            Self::Status(500) => DynamoFault::InternalError,
            Self::Status(_) => return None,
            Self::Slow(delay) => DynamoFault::Slow(delay),
            Self::RefuseConnection => DynamoFault::ConnectionClosed,
            Self::AppliedThenLost => DynamoFault::AppliedThenLost,
        })
    }
}

impl Console {
    pub(super) fn add_fault(&self, body: &[u8]) -> HttpResponse {
        let FaultRequest { service, operation, kind, times } = match parse_body(body) {
            Ok(request) => request,
            Err(message) => return message_response(StatusCode::BAD_REQUEST, &message),
        };
        let bad_request = |message: &str| message_response(StatusCode::BAD_REQUEST, message);
        let Some(fault) = FaultKind::parse(&kind) else {
            return bad_request(
                "kind must be \"status\" with 400 to 599, \"slow\" with up to 60000 ms, \"refuse \
                 connection\" or \"applied then lost\"",
            );
        };
        if !(1..=MAX_TIMES).contains(&times) {
            return bad_request("times must be 1 to 1000");
        }
        let operation = Some(operation).filter(|name| !matches!(name.as_str(), "" | ANY_OPERATION));
        match (service, &self.stream) {
            (FaultService::Dynamodb, _) => {
                let Some(fault) = fault.for_dynamodb() else {
                    return bad_request(
                        "DynamoDB returns the statuses 429 (throttled) and 500 only",
                    );
                };
                self.dynamo.inject_fault(Rule { operation, skip: 0, times, fault });
            }
            (FaultService::Stream, None) => {
                return bad_request(
                    "faults need the emulator, and this stack uses a real Stream app",
                );
            }
            (FaultService::Stream, Some(stream)) => {
                let rule = match operation.as_deref().map(stream_operation) {
                    None => FaultRule::for_any_operation(fault.for_stream()),
                    Some(Some(operation)) => {
                        FaultRule::for_operation(operation, fault.for_stream())
                    }
                    Some(None) => return bad_request("the emulator has no operation of this name"),
                };
                stream.add_fault(rule.times(times));
            }
        }
        done()
    }

    pub(super) fn clear_faults(&self) -> HttpResponse {
        self.dynamo.clear_faults();
        if let Some(stream) = &self.stream {
            stream.clear_faults();
        }
        done()
    }

    /// The faults that are still to come.
    pub(super) fn faults(&self) -> Vec<Value> {
        let entry = |service: &str, operation: Option<&str>, kind: String, times: Option<u32>| {
            let operation = operation.unwrap_or(ANY_OPERATION);
            json!({ "service": service, "operation": operation, "kind": kind, "times": times })
        };
        let stream = self.stream.iter().flat_map(Emulator::faults).map(|rule| {
            let operation = rule.operation.map(Operation::as_str);
            entry("stream", operation, stream_kind(&rule.fault), rule.times)
        });
        let dynamodb = self.dynamo.faults().into_iter().map(|rule| {
            entry(
                "dynamodb",
                rule.operation.as_deref(),
                dynamodb_kind(rule.fault),
                Some(rule.times),
            )
        });
        dynamodb.chain(stream).collect()
    }
}

fn stream_operation(name: &str) -> Option<Operation> {
    Operation::ALL.iter().copied().find(|operation| operation.as_str() == name)
}

/// The kind of a fault, also of one that the control API of the emulator has added.
fn stream_kind(fault: &StreamFault) -> String {
    match fault {
        StreamFault::RefuseConnection => "refuse connection".to_owned(),
        StreamFault::AppliedThenLost => "applied then lost".to_owned(),
        StreamFault::AppliedLate(_) | StreamFault::AppliedLateByClock(_) => {
            "applied late".to_owned()
        }
        StreamFault::TooManyRequests { .. } => "status 429".to_owned(),
        StreamFault::Status(status)
        | StreamFault::StatusUnrecoverable(status)
        | StreamFault::NonJson(status)
        | StreamFault::Body { status, .. } => format!("status {status}"),
        StreamFault::Truncated => "truncated".to_owned(),
        StreamFault::Slow(delay) => format!("slow {}", delay.as_millis()),
        StreamFault::Redirect(_) => "redirect".to_owned(),
        StreamFault::Huge(_) => "huge".to_owned(),
    }
}

fn dynamodb_kind(fault: DynamoFault) -> String {
    match fault {
        DynamoFault::ConnectionClosed => "refuse connection".to_owned(),
        DynamoFault::AppliedThenLost => "applied then lost".to_owned(),
        DynamoFault::Throttled => "status 429".to_owned(),
        DynamoFault::InternalError => "status 500".to_owned(),
        DynamoFault::Slow(delay) => format!("slow {}", delay.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_of_a_fault_is_parsed_and_printed() {
        for text in
            ["status 503", "status 429", "slow 2000", "refuse connection", "applied then lost"]
        {
            let kind = FaultKind::parse(text).unwrap();
            assert_eq!(stream_kind(&kind.for_stream()), text);
        }
        for text in
            ["status 500", "status 429", "slow 2000", "refuse connection", "applied then lost"]
        {
            let kind = FaultKind::parse(text).unwrap();
            assert_eq!(dynamodb_kind(kind.for_dynamodb().unwrap()), text);
        }
        assert_eq!(FaultKind::Status(503).for_dynamodb(), None);
        for text in ["", "status", "status 200", "status x", "slow", "slow 60001", "lost"] {
            assert_eq!(FaultKind::parse(text), None, "{text}");
        }
    }
}
