//! Every minute: closes the calls that nobody else closes. Every hour: removes what is ours at
//! Stream and no mapping knows.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::calls::sweep::{OpenCalls, Reconciled, Summary, Sweeper};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::erasure::{Erased, Erasures};
use shared::error::ApiError;
use shared::schedule;
use shared::telemetry::{Gauge, Gauged};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    schedule::serve(env!("CARGO_PKG_NAME"), Deps::new, run)
}

struct Deps {
    sweeper: Sweeper,
    erasures: Erasures,
    open: OpenCalls,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        let (sweeper, erasures) = (world.sweeper(stream)?, world.erasures(stream));
        Ok(Self { sweeper, erasures, open: world.open_calls() })
    }
}

/// What the schedule asks for.
#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "lowercase", deny_unknown_fields)]
enum Task {
    Sweep,
    Reconcile,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Done {
    Swept(Swept),
    Reconciled(Reconciled),
}

#[derive(Serialize)]
struct Swept {
    #[serde(flatten)]
    calls: Summary,
    #[serde(flatten)]
    users: Erased,
    /// Calls of which something is still to be closed; `None` where they could not be counted.
    open: Option<u64>,
}

impl Gauged for Done {
    fn gauges(&self) -> Vec<Gauge> {
        let Self::Swept(Swept { calls, users, open }) = self else { return Vec::new() };
        let open = open.map(|open| Gauge::count("OpenCalls", open));
        let gauges = [
            Gauge::count("Sweeps", 1),
            Gauge::count("OverdueCalls", calls.overdue),
            Gauge::seconds("OldestDueSeconds", calls.oldest_due_seconds),
            Gauge::count("ErasuresPending", users.erasing),
        ];
        gauges.into_iter().chain(open).collect()
    }
}

async fn run(deps: &'static Deps, task: Task, deadline: Deadline) -> Result<Done, ApiError> {
    Ok(match task {
        Task::Sweep => {
            let calls = deps.sweeper.sweep(deadline).await?;
            let users = deps.erasures.sweep(deadline).await?;
            Done::Swept(Swept { calls, users, open: deps.open.count(deadline).await })
        }
        Task::Reconcile => Done::Reconciled(deps.sweeper.reconcile(deadline).await?),
    })
}
