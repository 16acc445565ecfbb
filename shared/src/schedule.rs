//! Functions that EventBridge Scheduler invokes. The template sets their input.
//!
//! Errors are logged and not returned, so that Lambda does not retry. The next run completes the
//! remaining work.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::clock::{Clock, Deadline, SystemClock};
use crate::context::{AppContext, StartError};
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::reloadable::Reloadable;
use crate::telemetry::{GaugeSource, RequestLog, Telemetry};

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
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(&env)?);
            let telemetry = Telemetry::with_gauges(function_name, &env);
            let build =
                move |context: &AppContext| StartError::allow_missing_stream(build(context));
            let reloadable = Reloadable::new(env, clock.clone(), build)?;
            Ok(ScheduledFunction { clock, reloadable, telemetry })
        },
        move |function: &'static ScheduledFunction<S>, event| async move {
            function.handle_event(run, event).await
        },
    )
}

struct ScheduledFunction<S: Send + Sync + 'static> {
    clock: Arc<dyn Clock>,
    /// `None` if the function needs Stream and Stream is not configured.
    reloadable: Reloadable<Option<S>>,
    telemetry: Telemetry,
}

impl<S: Send + Sync + 'static> lambda::Function for ScheduledFunction<S> {
    async fn init(&'static self) -> Result<(), StartError> {
        self.reloadable.init().await
    }
}

impl<S: Send + Sync + 'static> ScheduledFunction<S> {
    async fn handle_event<I, T, Fut>(
        &'static self,
        run: fn(&'static S, I, Deadline) -> Fut,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Value
    where
        I: DeserializeOwned,
        T: Serialize + GaugeSource,
        Fut: Future<Output = Result<T, ApiError>>,
    {
        let LambdaEvent { payload, context } = event;
        let started_at = self.clock.now();
        let deadline = Deadline::from_lambda(context.deadline, started_at);
        let work = async {
            let loaded = self.reloadable.current(deadline).await?;
            let state = loaded.state.as_ref();
            let state = state.ok_or_else(|| ApiError::from_code(Code::StreamNotConfigured))?;
            let input = serde_json::from_str(payload.get())
                .map_err(|error| ApiError::from_code(Code::InvalidJson).with_source(error))?;
            let result = run(state, input, deadline).await;
            if loaded.take_auth_failure() {
                // The next run uses the reloaded secrets.
                self.reloadable.reload_after_auth_failure(loaded, deadline).await;
            }
            let output = result?;
            let summary = serde_json::to_value(&output)
                .map_err(|error| ApiError::from_code(Code::Internal).with_source(error))?;
            Ok((summary, output.gauges()))
        };
        let (outcome, stream_stats) = lambda::invoke(work).await;
        let now = self.clock.now();
        let log = RequestLog {
            at: now,
            message: "run completed",
            request_id: &context.request_id,
            route: None,
            status: None,
            code: "ok",
            is_fault: false,
            duration: now.since(started_at),
            user: None,
            cause: None,
            summary: None,
            gauges: &[],
        };
        match outcome {
            Ok((summary, gauges)) => {
                let text = summary.to_string();
                let log = RequestLog { summary: Some(&text), gauges: &gauges, ..log };
                self.telemetry.emit(&log, stream_stats);
                summary
            }
            Err(error) => {
                let (code, cause) = (error.code().as_str(), error.source_chain());
                let cause = cause.as_deref();
                let log = RequestLog { message: "run failed", code, is_fault: true, cause, ..log };
                self.telemetry.emit(&log, stream_stats);
                json!({"error": true, "code": code})
            }
        }
    }
}
