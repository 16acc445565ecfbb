//! Functions that consume the change stream.

use std::future::Future;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::clock::Deadline;
use crate::config::Env;
use crate::context::{AppContext, StartError};
use crate::error::{ApiError, Code};
use crate::event_function::{self, EventFunction, FunctionError, PureFunction, Run};
use crate::lambda;
use crate::table_stream::StreamRecord;
use crate::telemetry::Telemetry;

/// Handles the records of a batch, and returns those that failed.
pub trait RecordHandler: Send + Sync + 'static {
    /// Handles records in the order of the stream. The result contains the sequence numbers of the
    /// records that failed. Their errors are logged.
    fn handle(
        &'static self,
        records: Vec<StreamRecord>,
        deadline: Deadline,
    ) -> impl Future<Output = Vec<String>>;
}

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
                let count = records.len();
                let failed = state.handle(records, deadline).await;
                let summary = json!({"records": count, "failed": failed.len()});
                let failures =
                    failed.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
                Run::new(&MappingResponse { batch_item_failures: failures.collect() }, &summary)
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
            PureFunction::new(&env, Telemetry::new(function_name, &env), state)
        },
        move |function: &'static PureFunction<S>, event| async move {
            let run = |state: &S, payload: &RawValue| {
                let records: Vec<StreamRecord> = event_function::parse(payload)?;
                let count = records.len();
                let output = enrich(state, records)?;
                Run::new(&output, &json!({"records": count, "events": output.len()}))
            };
            function.handle_event(run, event).await.map_err(FunctionError::from)
        },
    )
}

impl From<super::InvalidRecord> for ApiError {
    fn from(error: super::InvalidRecord) -> Self {
        Self::from_code(Code::Internal).with_source(error)
    }
}
