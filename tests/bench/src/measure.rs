//! Measures one process: its start, its first response, and many later responses.

use std::time::Duration;

use crate::BenchError;
use crate::fixture::Fixture;
use crate::process::Process;
use crate::variant::Variant;

/// The measurements of one process.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRun {
    /// CPU time until its first request for an event.
    pub(crate) init_cpu: Duration,
    /// CPU time until its first response.
    pub(crate) cold_cpu: Duration,
    /// Wall time until its first response.
    pub(crate) cold_wall: Duration,
    /// CPU time of a later response, on average.
    pub(crate) warm_cpu: Duration,
    /// Wall time of each later response.
    pub(crate) warm_wall: Vec<Duration>,
    /// Peak resident memory, in bytes.
    pub(crate) peak_memory: u64,
}

/// Runs a process for a first response and this number of later ones. The offset moves the process
/// to an unused minute, so that each user sends only one request in it.
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
        let elapsed = process.invoke(&event).await?;
        warm_wall.push(elapsed.wall.saturating_sub(last.wall));
        last = elapsed;
    }
    let peak_memory = process.peak_memory()?;
    process.terminate().await?;
    Ok(ProcessRun {
        init_cpu: init.cpu,
        cold_cpu: first.cpu,
        cold_wall: first.wall,
        warm_cpu: last.cpu.saturating_sub(first.cpu) / warm_requests.max(1),
        warm_wall,
        peak_memory,
    })
}
