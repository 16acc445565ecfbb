//! One life of a process: from its start over a first answer to many more.

use std::time::Duration;

use crate::BenchError;
use crate::fixture::Fixture;
use crate::process::Process;
use crate::variant::Variant;

/// What one life has cost.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRun {
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
    pub(crate) peak_memory: u64,
}

/// Lets a process live for a first answer and so many more, in a minute of its own: nobody asks
/// twice in it.
pub(crate) async fn measure_run(
    fixture: &Fixture,
    variant: &Variant,
    warm_requests: u32,
    minute_offset: u32,
) -> Result<ProcessRun, BenchError> {
    let mut command = variant.command(fixture)?;
    command.env("CLOCK_AHEAD_SECONDS", (minute_offset * 60).to_string());
    let mut process = Process::start(command).await?;
    let init = process.wait_until_ready().await?;
    let first = process.invoke(&variant.event(fixture, 0)?).await?;
    let mut last = first;
    let mut warm_wall = Vec::new();
    for number in 1..=warm_requests {
        let event = variant.event(fixture, number)?;
        let reached = process.invoke(&event).await?;
        warm_wall.push(reached.wall.saturating_sub(last.wall));
        last = reached;
    }
    let memory = process.peak_memory()?;
    process.terminate().await?;
    Ok(ProcessRun {
        init_cpu: init.cpu,
        cold_cpu: first.cpu,
        cold_wall: first.wall,
        warm_cpu: last.cpu.saturating_sub(first.cpu) / warm_requests.max(1),
        warm_wall,
        peak_memory: memory,
    })
}
