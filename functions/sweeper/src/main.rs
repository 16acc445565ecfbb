//! Runs the scheduled tasks: every minute `sweep` closes due calls, continues user deletions and
//! pushes queued profiles, every hour `reconcile` removes owned channels and calls at Stream that
//! have no call item.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::calls::sweep::{OpenCallCounter, ReconcileSummary, SweepSummary, Sweeper};
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::erasure::{ErasureService, ErasureSummary};
use shared::error::ApiError;
use shared::schedule;
use shared::telemetry::{Gauge, GaugeSource};
use shared::users::{PushSummary, QueuedPushes};

fn main() -> ExitCode {
    schedule::serve(env!("CARGO_PKG_NAME"), State::new, run_task)
}

struct State {
    sweeper: Sweeper,
    erasures: ErasureService,
    open_calls: OpenCallCounter,
    queued_pushes: QueuedPushes,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        let (sweeper, erasures) = (context.sweeper()?, context.erasure_service()?);
        let (queued_pushes, open_calls) = (context.queued_pushes()?, context.open_call_counter());
        Ok(Self { sweeper, erasures, open_calls, queued_pushes })
    }
}

/// The payload of the schedule's event.
#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "lowercase", deny_unknown_fields)]
enum Task {
    Sweep,
    Reconcile,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TaskOutcome {
    Swept(SweepOutcome),
    Reconciled(ReconcileSummary),
}

#[derive(Serialize)]
struct SweepOutcome {
    #[serde(flatten)]
    calls: SweepSummary,
    #[serde(flatten)]
    users: ErasureSummary,
    profiles: PushSummary,
    /// Calls with outstanding work in the due index; `None` if counting fails or times out.
    open: Option<u64>,
}

impl GaugeSource for TaskOutcome {
    fn gauges(&self) -> Vec<Gauge> {
        match self {
            Self::Swept(outcome) => outcome.gauges(),
            Self::Reconciled(summary) => vec![
                // A run with a failed request does not count, so that an alarm notices its absence.
                Gauge::count("Reconciliations", u64::from(summary.failed == 0)),
                Gauge::count("OrphansRemoved", summary.deleted + summary.ended),
            ],
        }
    }
}

impl SweepOutcome {
    fn gauges(&self) -> Vec<Gauge> {
        let Self { calls, users, profiles, open } = self;
        let open = open.map(|open| Gauge::count("OpenCalls", open));
        let gauges = [
            Gauge::count("Sweeps", 1),
            Gauge::count("OverdueCalls", calls.overdue),
            Gauge::count("SettledCalls", calls.settled),
            Gauge::count("SettledFromWebhooks", calls.settled_from_webhooks),
            Gauge::count("PresenceDifferences", calls.presence_differences),
            Gauge::seconds("OldestDueSeconds", calls.oldest_due_seconds),
            Gauge::count("ErasuresPending", users.erasing),
            Gauge::count("ProfilesQueued", profiles.queued),
        ];
        gauges.into_iter().chain(open).collect()
    }
}

async fn run_task(
    state: &'static State,
    task: Task,
    deadline: Deadline,
) -> Result<TaskOutcome, ApiError> {
    Ok(match task {
        Task::Sweep => {
            let calls = state.sweeper.sweep(deadline).await?;
            let users = state.erasures.sweep(deadline).await?;
            let profiles = state.queued_pushes.sweep(deadline).await?;
            TaskOutcome::Swept(SweepOutcome {
                calls,
                users,
                profiles,
                open: state.open_calls.count(deadline).await,
            })
        }
        Task::Reconcile => TaskOutcome::Reconciled(state.sweeper.reconcile(deadline).await?),
    })
}
