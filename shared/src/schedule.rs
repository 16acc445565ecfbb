//! Functions that EventBridge Scheduler invokes. The template sets their input.
//!
//! Errors are logged and not returned, so that Lambda does not retry. The next run completes the
//! remaining work.

use std::convert::Infallible;
use std::future::Future;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::clock::Deadline;
use crate::context::{AppContext, StartError};
use crate::error::{ApiError, Code};
use crate::event_function::{self, EventFunction, Run};
use crate::lambda;
use crate::telemetry::{GaugeSource, Telemetry};

/// Runs a scheduled function until Lambda ends its process. The function also starts without
/// Stream's credentials; each run then logs `stream_not_configured`.
pub fn serve<S, I, T, Fut>(
    function_name: &'static str,
    build: fn(&AppContext) -> Result<S, StartError>,
    run: fn(&'static S, I, Deadline) -> Fut,
) -> ExitCode
where
    S: Send + Sync + 'static,
    I: DeserializeOwned,
    T: Serialize + GaugeSource,
    Fut: Future<Output = Result<T, ApiError>> + 'static,
{
    lambda::run(
        |env| {
            let telemetry = Telemetry::with_gauges(function_name, &env);
            let build =
                move |context: &AppContext| StartError::allow_missing_stream(build(context));
            EventFunction::new(env, telemetry, build)
        },
        move |function: &'static EventFunction<Option<S>>, event| async move {
            let run = async |state: &'static Option<S>, payload: Box<_>, deadline| {
                let state = state.as_ref();
                let state = state.ok_or_else(|| ApiError::from_code(Code::StreamNotConfigured))?;
                let output = run(state, event_function::parse(&payload)?, deadline).await?;
                Ok(Run { gauges: output.gauges(), ..Run::new(&output, &output)? })
            };
            let result = function.handle_event(run, event).await;
            let response = |error: ApiError| json!({"error": true, "code": error.code().as_str()});
            Ok::<_, Infallible>(result.unwrap_or_else(response))
        },
    )
}
