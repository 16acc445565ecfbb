//! Functions that run by the clock: EventBridge Scheduler invokes them with the input that the
//! template gives.
//!
//! Whatever fails is in the log and in the summary, and the invocation succeeds: the next one does
//! again what this one could not, and a repeat by Lambda would only come in between.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::clock::{Clock, Deadline, SystemClock};
use crate::config::ConfigError;
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::parts::Parts;
use crate::stream::Tally;
use crate::telemetry::{Gauged, Line, Telemetry};
use crate::world::{Configured, StartError, World};

/// A scheduled function, ready to run.
struct Job<D: 'static> {
    clock: Arc<dyn Clock>,
    /// The function's own; none where Stream is not configured.
    parts: Parts<Option<D>>,
    telemetry: Telemetry,
}

impl<D: Send + Sync + 'static> lambda::Function for Job<D> {
    async fn start(&'static self) -> Result<(), StartError> {
        self.parts.start().await
    }
}

/// Runs a function by the clock, by its name. Without Stream's credentials it starts all the same, and says so
/// every time.
pub fn serve<D, I, T, Fut>(
    function: &'static str,
    build: fn(&World, &Configured) -> Result<D, ConfigError>,
    run: fn(&'static D, I, Deadline) -> Fut,
) -> ExitCode
where
    D: Send + Sync + 'static,
    I: DeserializeOwned,
    T: Serialize + Gauged,
    Fut: Future<Output = Result<T, ApiError>> + 'static,
{
    lambda::run(
        |env| {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(&env)?);
            let telemetry = Telemetry::with_gauges(function, &env);
            let build = move |world: &World| {
                Ok(world.stream.as_ref().map(|stream| build(world, stream)).transpose()?)
            };
            let parts = Parts::open(env, clock.clone(), build)?;
            Ok(Job { clock, parts, telemetry })
        },
        move |job: &'static Job<D>, event| async move { job.answer(run, event).await },
    )
}

impl<D: Send + Sync + 'static> Job<D> {
    async fn answer<I, T, Fut>(
        &'static self,
        run: fn(&'static D, I, Deadline) -> Fut,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Value
    where
        I: DeserializeOwned,
        T: Serialize + Gauged,
        Fut: Future<Output = Result<T, ApiError>>,
    {
        let started = self.clock.now();
        let deadline = Deadline::from_lambda(event.context.deadline, started);
        let work = async {
            let parts = self.parts.current(deadline).await?;
            let deps = parts.as_ref().ok_or_else(|| ApiError::plain(Code::StreamNotConfigured))?;
            let input = serde_json::from_str(event.payload.get())
                .map_err(|error| ApiError::plain(Code::InvalidJson).with_source(error))?;
            let done = run(deps, input, deadline).await;
            if Tally::so_far(|heard| heard.unauthorized > 0) {
                // The next run has others, if there are any.
                self.parts.after_refusal(parts, deadline).await;
            }
            let done = done?;
            let summary = serde_json::to_value(&done)
                .map_err(|error| ApiError::plain(Code::Internal).with_source(error))?;
            Ok((summary, done.gauges()))
        };
        let (outcome, heard) = Tally::of(AssertUnwindSafe(work).catch_unwind()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(ApiError::plain(Code::Internal).with_source("a panic was caught"))
        });
        let now = self.clock.now();
        let line = Line {
            at: now,
            message: "done",
            request_id: &event.context.request_id,
            route: None,
            status: None,
            code: "ok",
            failed: false,
            took: now.since(started),
            user: None,
            cause: None,
            summary: None,
            gauges: &[],
        };
        match outcome {
            Ok((summary, gauges)) => {
                let text = summary.to_string();
                let line = Line { summary: Some(&text), gauges: &gauges, ..line };
                self.telemetry.leave(&line, heard);
                summary
            }
            Err(error) => {
                let (code, cause) = (error.code().as_str(), error.causes());
                let cause = cause.as_deref();
                let line = Line { message: "not done", code, failed: true, cause, ..line };
                self.telemetry.leave(&line, heard);
                json!({"error": true, "code": code})
            }
        }
    }
}
