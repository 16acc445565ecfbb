//! Every minute: closes the calls that nobody else closes. Every hour: removes what is ours at
//! Stream and no mapping knows.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::calls::sweep::{Reconciled, Summary, Sweeper};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::erasure::Erasures;
use shared::error::ApiError;
use shared::schedule;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    schedule::serve(Deps::new, run)
}

struct Deps {
    sweeper: Sweeper,
    erasures: Erasures,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { sweeper: world.sweeper(stream)?, erasures: world.erasures(stream) })
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
    /// Users who are erased now.
    erased: u64,
}

async fn run(deps: &'static Deps, task: Task, deadline: Deadline) -> Result<Done, ApiError> {
    Ok(match task {
        Task::Sweep => {
            let calls = deps.sweeper.sweep(deadline).await?;
            Done::Swept(Swept { calls, erased: deps.erasures.sweep(deadline).await? })
        }
        Task::Reconcile => Done::Reconciled(deps.sweeper.reconcile(deadline).await?),
    })
}
