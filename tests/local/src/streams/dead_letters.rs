//! The dead-letter queues, and the messages for discarded batches in AWS's shapes.
//!
//! A message has the position of the batch in the stream, and not the records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::batch::Failure;
use super::record::StreamRecord;
use crate::lambda::ids::ACCOUNT_ID;
use crate::options::REGION;
use crate::sync::lock;

/// A dead-letter queue of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// The batches that the pipe of the events has discarded.
    EventDeadLetters,
    /// The batches that the mapping of the call history has discarded.
    HistoryDeadLetters,
}

impl Queue {
    /// The logical id in the template.
    #[must_use]
    pub fn logical_id(self) -> &'static str {
        match self {
            Self::EventDeadLetters => "EventDeadLetters",
            Self::HistoryDeadLetters => "HistoryDeadLetters",
        }
    }
}

/// The reason why a batch is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    RecordAgeExceeded,
    RetryAttemptsExhausted,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordAgeExceeded => "RecordAgeExceeded",
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
        })
    }
}

/// A discarded batch.
pub(super) struct Discarded<'a> {
    pub(super) records: &'a [StreamRecord],
    pub(super) condition: Condition,
    /// The number of deliveries of the batch.
    pub(super) deliveries: u32,
    /// The failure of the last delivery. `None` without a delivery.
    pub(super) last_failure: Option<Failure>,
    pub(super) at: SystemTime,
}

/// The messages of the queues, by the queue's logical id.
pub(super) struct DeadLetters(Mutex<BTreeMap<String, Vec<Value>>>);

impl DeadLetters {
    pub(super) fn new(queues: &[String]) -> Self {
        Self(Mutex::new(queues.iter().map(|queue| (queue.clone(), Vec::new())).collect()))
    }

    pub(super) fn send(&self, queue: &str, message: Value) {
        lock(&self.0).entry(queue.to_owned()).or_default().push(message);
    }

    pub(super) fn messages(&self, queue: &str) -> Vec<Value> {
        lock(&self.0).get(queue).cloned().unwrap_or_default()
    }

    /// The messages of all queues, including empty ones.
    pub(super) fn all(&self) -> BTreeMap<String, Vec<Value>> {
        lock(&self.0).clone()
    }
}

/// The message of an event source mapping.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
pub(super) fn mapping_message(function: &str, discarded: &Discarded<'_>) -> Value {
    let mut message = json!({
        "requestContext": {
            "requestId": Uuid::new_v4().to_string(),
            "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}"),
            "condition": discarded.condition.to_string(),
            "approximateInvokeCount": discarded.deliveries,
        },
        "version": "1.0",
        "timestamp": milliseconds(discarded.at),
        "DDBStreamBatchInfo": batch_info(discarded.records),
    });
    if let Some(failure) = discarded.last_failure {
        let mut response = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        if failure == Failure::Error {
            response["functionError"] = json!("Unhandled");
        }
        message["responseContext"] = response;
    }
    message
}

/// The message of a pipe. AWS documents the queue
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-error-troubleshooting.html>),
/// but not the message. The shape follows a message that DVLA recorded:
/// <https://github.com/dvla/dvla.github.io/pull/27>.
pub(super) fn pipe_message(pipe: &str, discarded: &Discarded<'_>) -> Value {
    json!({
        "context": {
            "partnerResourceArn": format!("arn:aws:pipes:{REGION}:{ACCOUNT_ID}:pipe/{pipe}"),
            "condition": discarded.condition.to_string(),
        },
        "version": "1.0",
        "timestamp": milliseconds(discarded.at),
        "DDBStreamBatchInfo": batch_info(discarded.records),
    })
}

/// The position of the batch in the stream.
fn batch_info(records: &[StreamRecord]) -> Value {
    let (first, last) = (records.first(), records.last());
    let arrival = |record: Option<&StreamRecord>| record.map(|record| seconds(record.created_at()));
    json!({
        "shardId": first.map(StreamRecord::shard_id),
        "startSequenceNumber": first.map(StreamRecord::sequence_number),
        "endSequenceNumber": last.map(StreamRecord::sequence_number),
        "approximateArrivalOfFirstRecord": arrival(first),
        "approximateArrivalOfLastRecord": arrival(last),
        "batchSize": records.len(),
        "streamArn": first.map(StreamRecord::stream_arn),
    })
}

/// A time such as `2026-01-01T00:00:00Z`.
fn seconds(at: SystemTime) -> String {
    format!("{:.0}", timestamp(at))
}

/// A time such as `2026-01-01T00:00:00.000Z`.
fn milliseconds(at: SystemTime) -> String {
    format!("{:.3}", timestamp(at))
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::record::samples::{STREAM_ARN, records};
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const CREATED_AT: Duration = Duration::from_hours(490_896);

    fn expected_batch_info() -> Value {
        json!({
            "shardId": "shard-1",
            "startSequenceNumber": "1",
            "endSequenceNumber": "3",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:00Z",
            "batchSize": 3,
            "streamArn": STREAM_ARN,
        })
    }

    fn discarded(records: &[StreamRecord], last_failure: Option<Failure>) -> Discarded<'_> {
        Discarded {
            records,
            condition: Condition::RetryAttemptsExhausted,
            deliveries: 11,
            last_failure,
            at: UNIX_EPOCH + CREATED_AT + Duration::from_millis(1_500),
        }
    }

    #[test]
    fn mapping_message_has_the_shape_of_lambda() {
        let records = records(1..=3, UNIX_EPOCH + CREATED_AT);
        let mut message =
            mapping_message("call-history", &discarded(&records, Some(Failure::Error)));
        let request_id = message["requestContext"]["requestId"].take();
        assert_eq!(request_id.as_str().unwrap().len(), 36);
        assert_eq!(
            message,
            json!({
                "requestContext": {
                    "requestId": null,
                    "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:call-history",
                    "condition": "RetryAttemptsExhausted",
                    "approximateInvokeCount": 11,
                },
                "responseContext": {
                    "statusCode": 200,
                    "executedVersion": "$LATEST",
                    "functionError": "Unhandled",
                },
                "version": "1.0",
                "timestamp": "2026-01-01T00:00:01.500Z",
                "DDBStreamBatchInfo": expected_batch_info(),
            })
        );
    }

    #[test]
    fn response_context_depends_on_the_last_delivery() {
        let records = records([1], UNIX_EPOCH);
        let response = |last_failure| {
            let message = mapping_message("f", &discarded(&records, last_failure));
            message.get("responseContext").cloned()
        };
        let reported = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        assert_eq!(response(Some(Failure::Reported)), Some(reported));
        assert_eq!(response(None), None);
    }

    #[test]
    fn pipe_message_has_the_shape_of_pipes() {
        let records = records(1..=3, UNIX_EPOCH + CREATED_AT);
        assert_eq!(
            pipe_message("EventPipe", &discarded(&records, None)),
            json!({
                "context": {
                    "partnerResourceArn": "arn:aws:pipes:us-east-1:123456789012:pipe/EventPipe",
                    "condition": "RetryAttemptsExhausted",
                },
                "version": "1.0",
                "timestamp": "2026-01-01T00:00:01.500Z",
                "DDBStreamBatchInfo": expected_batch_info(),
            })
        );
    }

    #[test]
    fn queues_exist_before_their_first_message() {
        let queues = [Queue::EventDeadLetters, Queue::HistoryDeadLetters];
        let dead_letters = DeadLetters::new(&queues.map(|queue| queue.logical_id().to_owned()));
        assert_eq!(dead_letters.all().len(), 2);
        dead_letters.send("EventDeadLetters", json!(1));
        dead_letters.send("EventDeadLetters", json!(2));
        assert_eq!(dead_letters.messages("EventDeadLetters"), [json!(1), json!(2)]);
        assert!(dead_letters.messages("HistoryDeadLetters").is_empty());
    }
}
