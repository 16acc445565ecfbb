//! Functions that consume the change stream.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::config::Env;
use crate::context::{AppContext, StartError};
use crate::error::ApiError;
use crate::event_function::{self, EventFunction, PureFunction, Run};
use crate::lambda::{self, FunctionError};
use crate::table_stream::{FailedRecord, RecordHandler, StreamRecord};
use crate::telemetry::{Gauge, Telemetry};

/// The event of an event source mapping.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MappingEvent {
    records: Vec<StreamRecord>,
}

/// The response to an event source mapping. Lambda repeats the batch from the first failed record.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MappingResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

impl MappingResponse {
    /// Reports the failed ones of these records.
    ///
    /// # Errors
    ///
    /// If the first of several records failed. Lambda would repeat the batch as it is, and then drop
    /// it with all its records. After an error, it halves the batch, until the record is alone.
    fn new(numbers: &[String], failed: Vec<FailedRecord>) -> Result<Self, ApiError> {
        if let Some(first) = failed.first()
            && numbers.len() > 1
            && numbers.first() == Some(&first.sequence_number)
        {
            let cause = "the first record of the batch failed";
            return Err(ApiError::from_code(first.code).with_source(cause));
        }
        let failures = failed.into_iter();
        let failures =
            failures.map(|record| BatchItemFailure { item_identifier: record.sequence_number });
        Ok(Self { batch_item_failures: failures.collect() })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Runs the function of an event source mapping until Lambda ends its process.
pub fn serve_mapping<S: RecordHandler>(
    function_name: &'static str,
    build: fn(&AppContext) -> Result<S, StartError>,
) -> ExitCode {
    lambda::run(
        |env| {
            let telemetry = Telemetry::new(function_name, &env);
            EventFunction::new(env, telemetry, build)
        },
        move |function: &'static EventFunction<S>, event| async move {
            let run = async |state: &'static S, payload: Box<RawValue>, deadline| {
                let MappingEvent { records } = event_function::parse(&payload)?;
                let numbers: Vec<String> =
                    records.iter().map(|record| record.sequence_number().to_owned()).collect();
                let failed = state.handle(records, deadline).await;
                let summary = json!({"records": numbers.len(), "failed": failed.len()});
                Run::new(&MappingResponse::new(&numbers, failed)?, &summary)
            };
            function.handle_event(run, event).await.map_err(FunctionError::from)
        },
    )
}

/// Runs the enrichment of a pipe until Lambda ends its process. `enrich` is a pure function. After
/// an error, the pipe repeats the batch.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/pipes-enrichment.html>
pub fn serve_enrichment<S, T>(
    function_name: &'static str,
    build: fn(&Env) -> Result<S, StartError>,
    enrich: fn(&S, Vec<StreamRecord>) -> Result<Vec<T>, ApiError>,
) -> ExitCode
where
    S: Send + Sync + 'static,
    T: Serialize,
{
    lambda::run(
        |env| {
            let state = build(&env)?;
            PureFunction::new(&env, Telemetry::with_gauges(function_name, &env), state)
        },
        move |function: &'static PureFunction<S>, event| async move {
            let run = |state: &S, payload: &RawValue, now: Timestamp| {
                let records: Vec<StreamRecord> = event_function::parse(payload)?;
                let (count, oldest) = (records.len(), oldest(&records));
                let output = enrich(state, records)?;
                let run = Run::new(&output, &json!({"records": count, "events": output.len()}))?;
                let delay = oldest.map(|oldest| now.since(oldest).as_secs());
                let gauges = delay.map(|delay| Gauge::seconds("EventDelaySeconds", delay));
                Ok(Run { gauges: gauges.into_iter().collect(), ..run })
            };
            function.handle_event(run, event).await.map_err(FunctionError::from)
        },
    )
}

/// When the oldest record was created.
fn oldest(records: &[StreamRecord]) -> Option<Timestamp> {
    records.iter().filter_map(StreamRecord::created_at).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn response(records: &[&str], failed: &[&str]) -> Result<serde_json::Value, Code> {
        let numbers: Vec<String> = records.iter().map(|&number| number.to_owned()).collect();
        let failed_record = |&number: &&str| FailedRecord {
            sequence_number: number.to_owned(),
            code: Code::Internal,
        };
        MappingResponse::new(&numbers, failed.iter().map(failed_record).collect())
            .map(|response| serde_json::to_value(response).unwrap())
            .map_err(|error| error.code())
    }

    #[test]
    fn failed_records_are_reported_unless_the_first_one_of_several_failed() {
        let failures = |numbers: &[&str]| {
            let items: Vec<_> =
                numbers.iter().map(|number| json!({"itemIdentifier": number})).collect();
            Ok(json!({"batchItemFailures": items}))
        };
        assert_eq!(response(&["1", "2"], &[]), failures(&[]));
        assert_eq!(response(&["1", "2", "3"], &["2", "3"]), failures(&["2", "3"]));
        assert_eq!(response(&["1"], &["1"]), failures(&["1"]));
        assert_eq!(response(&["1", "2"], &["1"]), Err(Code::Internal));
    }
}
