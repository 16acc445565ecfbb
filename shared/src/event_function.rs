//! Functions that AWS invokes with other events than HTTP requests.

use std::future::Future;
use std::sync::Arc;

use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::{Clock, Deadline, SystemClock, Timestamp};
use crate::config::Env;
use crate::context::{AppContext, StartError};
use crate::error::{ApiError, Code};
use crate::lambda;
use crate::net::Connections;
use crate::reloadable::Reloadable;
use crate::stream::RequestStats;
use crate::telemetry::{Gauge, RequestLog, Telemetry};

/// The result of an invocation.
pub(crate) struct Run {
    /// The response of the function.
    pub(crate) output: Value,
    /// The summary in the log, as JSON.
    pub(crate) summary: Value,
    /// The metrics of the whole deployment.
    pub(crate) gauges: Vec<Gauge>,
}

impl Run {
    /// A run with this response and summary, and without metrics.
    pub(crate) fn new(output: &impl Serialize, summary: &impl Serialize) -> Result<Self, ApiError> {
        Ok(Self { output: to_value(output)?, summary: to_value(summary)?, gauges: Vec::new() })
    }
}

fn to_value(value: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value)
        .map_err(|error| ApiError::from_code(Code::Internal).with_source(error))
}

/// Parses the payload of an event.
pub(crate) fn parse<I: DeserializeOwned>(payload: &RawValue) -> Result<I, ApiError> {
    serde_json::from_str(payload.get())
        .map_err(|error| ApiError::from_code(Code::InvalidJson).with_source(error))
}

/// A function with a state of clients and services.
pub(crate) struct EventFunction<S: Send + Sync + 'static> {
    clock: Arc<dyn Clock>,
    reloadable: Reloadable<S>,
    log: RunLog,
}

impl<S: Send + Sync + 'static> lambda::Function for EventFunction<S> {
    async fn init(&'static self) -> Result<(), StartError> {
        self.reloadable.init().await
    }
}

impl<S: Send + Sync + 'static> EventFunction<S> {
    pub(crate) fn new(
        env: Env,
        telemetry: Telemetry,
        build: impl Fn(&AppContext) -> Result<S, StartError> + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(&env)?);
        let reloadable = Reloadable::new(env, clock.clone(), Connections::default(), build)?;
        Ok(Self { clock: clock.clone(), reloadable, log: RunLog { clock, telemetry } })
    }

    /// Handles an event, and logs its outcome.
    pub(crate) async fn handle_event<R, Fut>(
        &'static self,
        run: R,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Result<Value, ApiError>
    where
        R: FnOnce(&'static S, Box<RawValue>, Deadline) -> Fut,
        Fut: Future<Output = Result<Run, ApiError>>,
    {
        let LambdaEvent { payload, context } = event;
        let deadline = Deadline::from_lambda(context.deadline, self.clock.now());
        let work = async {
            let loaded = self.reloadable.current(deadline).await?;
            let result = run(&loaded.state, payload, deadline).await;
            if loaded.take_auth_failure() {
                // The next run uses the reloaded secrets.
                self.reloadable.reload_after_auth_failure(loaded, deadline).await;
            }
            result
        };
        self.log.complete(&context.request_id, work).await
    }
}

/// A function without clients: its response depends on the event and the environment only.
pub(crate) struct PureFunction<S> {
    state: S,
    log: RunLog,
}

impl<S: Send + Sync + 'static> lambda::Function for PureFunction<S> {
    async fn init(&'static self) -> Result<(), StartError> {
        Ok(())
    }
}

impl<S: Send + Sync + 'static> PureFunction<S> {
    pub(crate) fn new(env: &Env, telemetry: Telemetry, state: S) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::from_env(env)?);
        Ok(Self { state, log: RunLog { clock, telemetry } })
    }

    /// Handles an event, and logs its outcome.
    pub(crate) async fn handle_event(
        &'static self,
        run: impl FnOnce(&S, &RawValue, Timestamp) -> Result<Run, ApiError>,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Result<Value, ApiError> {
        let LambdaEvent { payload, context } = event;
        let now = self.log.clock.now();
        let work = async { run(&self.state, &payload, now) };
        self.log.complete(&context.request_id, work).await
    }
}

/// The log of a function's runs.
struct RunLog {
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
}

impl RunLog {
    /// Runs the work of an invocation, and logs its outcome.
    async fn complete(
        &self,
        request_id: &str,
        work: impl Future<Output = Result<Run, ApiError>>,
    ) -> Result<Value, ApiError> {
        let started_at = self.clock.now();
        let (outcome, stream_stats) = lambda::invoke(work).await;
        let log = self.line(request_id, started_at);
        match outcome {
            Ok(Run { output, summary, gauges }) => {
                let text = summary.to_string();
                self.emit(
                    RequestLog { summary: Some(&text), gauges: &gauges, ..log },
                    stream_stats,
                );
                Ok(output)
            }
            Err(error) => {
                let (code, cause) = (error.code().as_str(), error.source_chain());
                let cause = cause.as_deref();
                let log = RequestLog { message: "run failed", code, is_fault: true, cause, ..log };
                self.emit(log, stream_stats);
                Err(error)
            }
        }
    }

    fn line<'a>(&self, request_id: &'a str, started_at: Timestamp) -> RequestLog<'a> {
        let now = self.clock.now();
        RequestLog {
            at: now,
            message: "run completed",
            request_id,
            route: None,
            status: None,
            code: "ok",
            is_fault: false,
            duration: now.since(started_at),
            user: None,
            cause: None,
            summary: None,
            gauges: &[],
        }
    }

    fn emit(&self, log: RequestLog<'_>, stream_stats: RequestStats) {
        self.telemetry.emit(&log, stream_stats);
    }
}
