//! One life of a process: from its start over a first answer to many more.

use std::time::Duration;

use crate::Failure;
use crate::process::Process;
use crate::scene::Scene;
use crate::variant::Variant;

/// What one life has cost.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// CPU until it asked for its first event.
    pub(crate) init_cpu: Duration,
    /// CPU until its first answer.
    pub(crate) cold_cpu: Duration,
    /// From its start to its first answer.
    pub(crate) cold_wall: Duration,
    /// CPU of a later answer, on average.
    pub(crate) warm_cpu: Duration,
    /// How long each later answer took.
    pub(crate) warm_wall: Vec<Duration>,
    /// The most memory that it has had resident, in bytes.
    pub(crate) memory: u64,
}

/// Lets a process live for a first answer and so many more, in a minute of its own: nobody asks
/// twice in it.
pub(crate) async fn life(
    scene: &Scene,
    variant: &Variant,
    more: u32,
    minute: u32,
) -> Result<Life, Failure> {
    let mut command = variant.command(scene)?;
    command.env("CLOCK_AHEAD_SECONDS", (minute * 60).to_string());
    let mut process = Process::start(command).await?;
    let init = process.ready().await?;
    let first = process.invoke(&variant.event(scene, 0)?).await?;
    let mut last = first;
    let mut warm_wall = Vec::new();
    for number in 1..=more {
        let event = variant.event(scene, number)?;
        let reached = process.invoke(&event).await?;
        warm_wall.push(reached.wall.saturating_sub(last.wall));
        last = reached;
    }
    let memory = process.peak_memory()?;
    process.end().await?;
    Ok(Life {
        init_cpu: init.cpu,
        cold_cpu: first.cpu,
        cold_wall: first.wall,
        warm_cpu: last.cpu.saturating_sub(first.cpu) / more.max(1),
        warm_wall,
        memory,
    })
}
