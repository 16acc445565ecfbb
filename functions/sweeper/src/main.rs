//! Every minute: closes the calls that nobody else closes. Every hour: removes what is ours at
//! Stream and no mapping knows.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::calls::sweep::{Reconciled, Summary, Sweeper};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::schedule;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    schedule::serve(Deps::new, run)
}

struct Deps {
    sweeper: Sweeper,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { sweeper: world.sweeper(stream)? })
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
    Swept(Summary),
    Reconciled(Reconciled),
}

async fn run(deps: &'static Deps, task: Task, deadline: Deadline) -> Result<Done, ApiError> {
    Ok(match task {
        Task::Sweep => Done::Swept(deps.sweeper.sweep(deadline).await?),
        Task::Reconcile => Done::Reconciled(deps.sweeper.reconcile(deadline).await?),
    })
}
