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
use crate::output::alarm;
use crate::template::{Function, Schedule};

/// The schedules of a stack. Dropping it ends them; a run under way goes on.
pub(crate) struct Scheduler(JoinSet<()>);

impl Scheduler {
    pub(crate) fn start(scheduled: &[Function], functions: &Arc<Functions>) -> Self {
        let mut running = JoinSet::new();
        for function in scheduled {
            for schedule in &function.schedules {
                let (name, functions) = (function.name.clone(), Arc::clone(functions));
                running.spawn(keep(schedule.clone(), name, functions));
            }
        }
        Self(running)
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn keep(schedule: Schedule, function: String, functions: Arc<Functions>) {
    let event = Bytes::from(schedule.input.to_string());
    at_rate(schedule.every, || async {
        if let Err(error) = functions.invoke(&function, event.clone()).await
            && failed_at_work(&error)
        {
            // Nobody has asked, so nobody else would say so.
            alarm(&error.to_string());
        }
    })
    .await;
}

/// That a function does not even start is said where it is started.
fn failed_at_work(error: &InvokeError) -> bool {
    matches!(
        error,
        InvokeError::Crashed { .. } | InvokeError::Reported { .. } | InvokeError::TimedOut { .. }
    )
}

/// Runs something again and again, for as long as somebody waits for this.
async fn at_rate<F: Future>(every: Duration, run: impl Fn() -> F) {
    let mut ticks = interval_at(Instant::now() + every, every);
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
    async fn a_schedule_runs_again_and_again() {
        let runs = Cell::new(0);
        let count = || async { runs.set(runs.get() + 1) };
        let never_ends =
            timeout(Duration::from_millis(200), at_rate(Duration::from_millis(5), count));
        assert!(never_ends.await.is_err());
        assert!(runs.get() > 1, "{runs:?}");
    }

    #[tokio::test]
    async fn the_first_run_is_one_period_away() {
        let runs = Cell::new(0);
        let count = || async { runs.set(runs.get() + 1) };
        let never_ends = timeout(Duration::from_millis(5), at_rate(Duration::from_mins(1), count));
        assert!(never_ends.await.is_err());
        assert_eq!(runs.get(), 0);
    }
}
