//! A local EventBridge Scheduler: invokes functions at the rates of the template, by the stack's
//! clock.
//!
//! The first run is one interval after the start. A run that takes longer than the interval delays
//! the next one. If the clock is advanced past several runs, one of them takes place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::StackClock;
use crate::error::InvokeError;
use crate::lambda::Functions;
use crate::output::report_error;
use crate::template::{Function, Schedule};
use crate::trace::RequestKind;

/// The schedules of a stack. Dropping it stops them; a running invocation continues.
pub(crate) struct Scheduler(JoinSet<()>);

impl Scheduler {
    pub(crate) fn start(
        definitions: &[Function],
        functions: &Arc<Functions>,
        clock: &StackClock,
    ) -> Self {
        let mut tasks = JoinSet::new();
        for function in definitions {
            for schedule in &function.schedules {
                let (name, functions) = (function.name.clone(), Arc::clone(functions));
                tasks.spawn(run_schedule(schedule.clone(), name, functions, clock.clone()));
            }
        }
        Self(tasks)
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn run_schedule(
    schedule: Schedule,
    function: String,
    functions: Arc<Functions>,
    clock: StackClock,
) {
    let event = Bytes::from(schedule.input.to_string());
    repeat_every(schedule.interval, &clock, || async {
        if let Err(error) = functions.run(RequestKind::Schedule, &function, event.clone()).await
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
async fn repeat_every<F: Future>(interval: Duration, clock: &StackClock, run: impl Fn() -> F) {
    let mut advanced = clock.subscribe();
    let mut due_at = clock.now() + interval;
    loop {
        while let Ok(remaining) = due_at.duration_since(clock.now()) {
            tokio::select! {
                // The error cannot occur: this function has the clock.
                _ = advanced.changed() => {}
                () = sleep(remaining) => break,
            }
        }
        due_at = clock.now() + interval;
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
        let clock = StackClock::default();
        let repeated = repeat_every(Duration::from_millis(5), &clock, count);
        assert!(timeout(Duration::from_millis(200), repeated).await.is_err());
        assert!(runs.get() > 1, "{runs:?}");
    }

    #[tokio::test]
    async fn advanced_clock_runs_a_due_schedule_once() {
        let clock = StackClock::default();
        let (sender, mut runs) = tokio::sync::mpsc::unbounded_channel();
        let repeated = repeat_every(Duration::from_mins(1), &clock, || {
            let _ = sender.send(());
            std::future::ready(())
        });
        let advance = async {
            clock.advance(Duration::from_secs(59));
            assert!(timeout(Duration::from_millis(20), runs.recv()).await.is_err());
            clock.advance(Duration::from_mins(10));
            assert!(timeout(Duration::from_secs(10), runs.recv()).await.is_ok());
            assert!(timeout(Duration::from_millis(20), runs.recv()).await.is_err());
        };
        tokio::select! {
            () = repeated => {}
            () = advance => {}
        }
    }

    #[tokio::test]
    async fn first_run_waits_one_interval() {
        let runs = Cell::new(0);
        let count = || async { runs.set(runs.get() + 1) };
        let clock = StackClock::default();
        let repeated = repeat_every(Duration::from_mins(1), &clock, count);
        assert!(timeout(Duration::from_millis(5), repeated).await.is_err());
        assert_eq!(runs.get(), 0);
    }
}
