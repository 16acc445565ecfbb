//! A local EventBridge Scheduler: invokes functions at the rates of the template, by the machine's
//! clock.
//!
//! The first run is one interval after the start. A run that takes longer than the interval delays
//! the next one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::error::InvokeError;
use crate::lambda::Functions;
use crate::output::report_error;
use crate::template::{Function, Schedule};

/// The schedules of a stack. Dropping it stops them; a running invocation continues.
pub(crate) struct Scheduler(JoinSet<()>);

impl Scheduler {
    pub(crate) fn start(definitions: &[Function], functions: &Arc<Functions>) -> Self {
        let mut tasks = JoinSet::new();
        for function in definitions {
            for schedule in &function.schedules {
                let (name, functions) = (function.name.clone(), Arc::clone(functions));
                tasks.spawn(run_schedule(schedule.clone(), name, functions));
            }
        }
        Self(tasks)
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn run_schedule(schedule: Schedule, function: String, functions: Arc<Functions>) {
    let event = Bytes::from(schedule.input.to_string());
    repeat_every(schedule.interval, || async {
        if let Err(error) = functions.invoke(&function, event.clone()).await
            && failed_after_start(&error)
        {
            // A scheduled invocation has no caller that could report the error.
            report_error(&error.to_string());
        }
    })
    .await;
}

/// Whether the function failed after its start. A failed start is reported by `InstancePool`.
fn failed_after_start(error: &InvokeError) -> bool {
    matches!(
        error,
        InvokeError::Crashed { .. }
            | InvokeError::FunctionError { .. }
            | InvokeError::TimedOut { .. }
    )
}

/// Repeats an action until the future is dropped.
async fn repeat_every<F: Future>(interval: Duration, run: impl Fn() -> F) {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        run().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn schedule_runs_repeatedly() {
        let runs = Cell::new(0);
        let count = || async { runs.set(runs.get() + 1) };
        let run =
            timeout(Duration::from_millis(200), repeat_every(Duration::from_millis(5), count));
        assert!(run.await.is_err());
        assert!(runs.get() > 1, "{runs:?}");
    }

    #[tokio::test]
    async fn first_run_waits_one_interval() {
        let runs = Cell::new(0);
        let count = || async { runs.set(runs.get() + 1) };
        let run = timeout(Duration::from_millis(5), repeat_every(Duration::from_mins(1), count));
        assert!(run.await.is_err());
        assert_eq!(runs.get(), 0);
    }
}
