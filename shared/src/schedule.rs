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

use crate::clock::{Clock, Deadline};
use crate::config::ConfigError;
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::stream::Tally;
use crate::telemetry::{Gauged, Line, Telemetry};
use crate::world::{Configured, World};

/// A scheduled function, ready to run.
struct Job<D> {
    clock: Arc<dyn Clock>,
    deps: Option<D>,
    telemetry: Telemetry,
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
            let world = World::open(env)?;
            let deps = world.stream.as_ref().map(|stream| build(&world, stream)).transpose()?;
            let telemetry = Telemetry::with_gauges(function, &world);
            Ok(Job { deps, clock: world.clock, telemetry })
        },
        move |job: &'static Job<D>, event| async move { job.answer(run, event).await },
    )
}

impl<D> Job<D> {
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
            let deps =
                self.deps.as_ref().ok_or_else(|| ApiError::plain(Code::StreamNotConfigured))?;
            let input = serde_json::from_str(event.payload.get())
                .map_err(|error| ApiError::plain(Code::InvalidJson).with_source(error))?;
            let done = run(deps, input, deadline).await?;
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
