//! EventBridge Scheduler: invokes functions at the rates that the template gives, by the machine's
//! own clock.
//!
//! A schedule's first run is one period away. A run that takes longer than that delays the next.

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

/// The schedules of a stack. Dropping it ends them; a run under way goes on.
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
            // Nobody has asked, so nobody else would say so.
            report_error(&error.to_string());
        }
    })
    .await;
}

/// That a function does not even start is said where it is started.
fn failed_after_start(error: &InvokeError) -> bool {
    matches!(
        error,
        InvokeError::Crashed { .. }
            | InvokeError::FunctionError { .. }
            | InvokeError::TimedOut { .. }
    )
}

/// Runs something again and again, for as long as somebody waits for this.
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
