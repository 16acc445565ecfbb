//! An event source mapping of Lambda: delivers batches to a function.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::batch::{Deliver, Delivery, Failure};
use super::dead_letters::{Discarded, mapping_message};
use super::faults::StreamConsumer;
use super::invoke::{BoxFuture, Invoke, invoke_function};
use super::record::StreamRecord;
use crate::error::TableStreamError;
use crate::template::StreamMapping;

pub(super) struct Mapping {
    function: String,
    reports_item_failures: bool,
    invoker: Arc<dyn Invoke>,
}

impl Mapping {
    pub(super) fn new(
        function: &str,
        definition: &StreamMapping,
        invoker: Arc<dyn Invoke>,
    ) -> Self {
        let reports_item_failures = definition.reports_item_failures;
        Self { function: function.to_owned(), reports_item_failures, invoker }
    }

    async fn invoke(&self, records: &[StreamRecord]) -> Result<Delivery, TableStreamError> {
        let events: Vec<&Value> = records.iter().map(StreamRecord::event).collect();
        let payload = Bytes::from(json!({"Records": events}).to_string());
        let response = invoke_function(&*self.invoker, &self.function, payload).await?;
        Ok(match response {
            None => Delivery::Failed(Failure::Error),
            Some(response) if self.reports_item_failures => read_report(&response, records),
            Some(_) => Delivery::Succeeded,
        })
    }
}

impl Deliver for Mapping {
    fn consumer(&self) -> StreamConsumer {
        StreamConsumer::Mapping
    }

    fn deliver<'a>(
        &'a self,
        records: &'a [StreamRecord],
    ) -> BoxFuture<'a, Result<Delivery, TableStreamError>> {
        Box::pin(self.invoke(records))
    }

    fn dead_letter(&self, discarded: &Discarded<'_>) -> Value {
        mapping_message(&self.function, discarded)
    }
}

/// The result of a batch from a response with `ReportBatchItemFailures`.
///
/// A response without failures is a success. The lowest reported sequence number is the first
/// record that failed. An empty, missing or unknown identifier fails the whole batch.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn read_report(response: &[u8], records: &[StreamRecord]) -> Delivery {
    const INVALID_REPORT: Delivery = Delivery::Failed(Failure::Reported);
    let members = match serde_json::from_slice::<Value>(response) {
        Ok(Value::Null) => return Delivery::Succeeded,
        Ok(Value::Object(members)) => members,
        _ => return INVALID_REPORT,
    };
    let failures = match members.get("batchItemFailures") {
        None | Some(Value::Null) => return Delivery::Succeeded,
        Some(Value::Array(failures)) => failures,
        Some(_) => return INVALID_REPORT,
    };
    let position = |failure: &Value| {
        let identifier = failure.get("itemIdentifier")?.as_str()?;
        records.iter().position(|record| record.sequence_number() == identifier)
    };
    let positions: Option<Vec<usize>> = failures.iter().map(position).collect();
    match positions.map(|positions| positions.into_iter().min()) {
        Some(Some(first_failed)) => Delivery::FailedFrom(first_failed),
        Some(None) => Delivery::Succeeded,
        None => INVALID_REPORT,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::invoke::fakes::{ScriptedInvoker, function_error};
    use super::super::record::samples::records;
    use super::*;
    use crate::error::InvokeError;

    const WHOLE_BATCH: Delivery = Delivery::Failed(Failure::Reported);

    async fn deliver(
        response: Result<String, InvokeError>,
        reports_item_failures: bool,
    ) -> (Delivery, Vec<Value>) {
        let invoker = ScriptedInvoker::new([response]);
        let mapping = Mapping {
            function: "call-history".to_owned(),
            reports_item_failures,
            invoker: Arc::<ScriptedInvoker>::clone(&invoker),
        };
        let records = records([9, 10, 11], SystemTime::now());
        (mapping.deliver(&records).await.unwrap(), invoker.events())
    }

    #[tokio::test]
    async fn function_gets_all_records_of_the_batch() {
        let (delivery, events) = deliver(Ok("{}".to_owned()), true).await;
        assert_eq!(delivery, Delivery::Succeeded);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let numbers: Vec<&Value> = event["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| &record["dynamodb"]["SequenceNumber"])
            .collect();
        assert_eq!(numbers, ["9", "10", "11"]);
        assert_eq!(event["Records"][0]["eventSource"], "aws:dynamodb");
    }

    #[tokio::test]
    async fn report_decides_the_result_of_the_batch() {
        let cases = [
            ("null", Delivery::Succeeded),
            ("{}", Delivery::Succeeded),
            (r#"{"batchItemFailures":null}"#, Delivery::Succeeded),
            (r#"{"batchItemFailures":[]}"#, Delivery::Succeeded),
            (r#"{"batchItemFailures":[{"itemIdentifier":"10"}]}"#, Delivery::FailedFrom(1)),
            (r#"{"batchItemFailures":[{"itemIdentifier":"9"}]}"#, Delivery::FailedFrom(0)),
            (
                // The lowest number is the first record of the stream, and not the first text.
                r#"{"batchItemFailures":[{"itemIdentifier":"11"},{"itemIdentifier":"9"}]}"#,
                Delivery::FailedFrom(0),
            ),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, WHOLE_BATCH),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, WHOLE_BATCH),
            (r#"{"batchItemFailures":[{"itemIdentifier":"12"}]}"#, WHOLE_BATCH),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"12"}]}"#,
                WHOLE_BATCH,
            ),
            (r#"{"batchItemFailures":[{"sequenceNumber":"10"}]}"#, WHOLE_BATCH),
            (r#"{"batchItemFailures":["10"]}"#, WHOLE_BATCH),
            (r#"{"batchItemFailures":"10"}"#, WHOLE_BATCH),
            ("[]", WHOLE_BATCH),
            ("not json", WHOLE_BATCH),
        ];
        for (response, expected) in cases {
            let (delivery, _) = deliver(Ok(response.to_owned()), true).await;
            assert_eq!(delivery, expected, "{response}");
        }
    }

    #[tokio::test]
    async fn report_is_ignored_unless_it_is_enabled() {
        let report = r#"{"batchItemFailures":[{"itemIdentifier":"10"}]}"#;
        let (delivery, _) = deliver(Ok(report.to_owned()), false).await;
        assert_eq!(delivery, Delivery::Succeeded);
    }

    #[tokio::test]
    async fn function_error_fails_the_batch() {
        let (delivery, _) = deliver(Err(function_error()), true).await;
        assert_eq!(delivery, Delivery::Failed(Failure::Error));
    }
}
