//! Cold starts as a phone feels them: the wall time to the first response, with the share of a
//! processor that Lambda gives a function, and a network before the backends.

use std::path::Path;
use std::time::Duration;

use crate::BenchError;
use crate::cgroup::{CGROUP_ROOT, CpuGroup};
use crate::fixture::{Fixture, Network, RoundTrips};
use crate::process::Process;
use crate::stats::{median, millis};
use crate::variant::{Kind, RUST_FUNCTIONS, Variant};

const MEMORY_MB: [u32; 5] = [128, 256, 512, 1_024, 1_769];
/// Round trips to AWS in milliseconds. Without a network the times are those of the processor.
const AWS_ROUND_TRIPS: [u64; 2] = [1, 5];
const STREAM_ROUND_TRIP: Duration = Duration::from_millis(30);
/// The number of later responses of each process.
const WARM_REQUESTS: u32 = 5;
/// The price of Lambda in dollars for a GB-second on arm64, as in docs/COST.md.
const GB_SECOND: f64 = 0.000_013_333_4;

/// The wall times of a process, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ColdRun {
    /// From the start to the first request for an event.
    init: f64,
    /// From the first event to its response.
    first: f64,
    /// From a later event to its response, at the median.
    warm: f64,
}

/// Measures the functions at each memory and network, and prints a table.
pub(crate) async fn run(rounds: u32) -> Result<(), BenchError> {
    let group = CpuGroup::create(Path::new(CGROUP_ROOT))?;
    let fixture = Fixture::start(&crate::work_dir()?, WARM_REQUESTS + 1).await?;
    let networks = AWS_ROUND_TRIPS
        .map(|aws| RoundTrips { aws: Duration::from_millis(aws), stream: STREAM_ROUND_TRIP });
    let mut cells = Vec::new();
    for function in RUST_FUNCTIONS {
        for round_trips in networks {
            let network = fixture.delay(round_trips)?;
            for memory_mb in MEMORY_MB {
                cells.push((function, round_trips, network.clone(), memory_mb, Vec::new()));
            }
        }
    }
    let mut minute_offset = 0;
    for round in 1..=rounds {
        for (function, _, network, memory_mb, runs) in &mut cells {
            minute_offset += 1;
            let variant = Variant { kind: Kind::RustFetchingSecrets, function };
            let run = measure(&fixture, &variant, network, &group, *memory_mb, minute_offset).await;
            runs.push(run.map_err(|error| error.context(function))?);
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    fixture.stop().await;
    println!("Medians of {rounds} processes. Stream: {} ms.\n", STREAM_ROUND_TRIP.as_millis());
    println!("{HEAD}");
    for (function, round_trips, _, memory_mb, runs) in &cells {
        println!("{}", table_row(function, *round_trips, *memory_mb, runs));
    }
    Ok(())
}

/// Runs a process for a first response and a few later ones. The offset moves the process to an
/// unused minute, so that each user sends only one request in it.
async fn measure(
    fixture: &Fixture,
    variant: &Variant,
    network: &Network,
    group: &CpuGroup,
    memory_mb: u32,
    minute_offset: u32,
) -> Result<ColdRun, BenchError> {
    let mut command = variant.command(fixture)?;
    network.connect(&mut command);
    command.env("CLOCK_AHEAD_SECONDS", (minute_offset * 60).to_string());
    group.remove_limit()?;
    let mut process = Process::start(command).await?;
    group.add(process.id()?)?;
    let init = process.wait_until_ready().await?.wall;
    group.set_memory_mb(memory_mb)?;
    let mut answers = Vec::new();
    for number in 0..=WARM_REQUESTS {
        let event = variant.event(fixture, number)?;
        let sent = process.age();
        answers.push(millis(process.invoke(&event).await?.wall.saturating_sub(sent)));
    }
    process.terminate().await?;
    let first = answers.remove(0);
    Ok(ColdRun { init: millis(init), first, warm: median(answers) })
}

const HEAD: &str = "\
| function | round trip to AWS, ms | memory, MB | init, ms | first response, ms | both, ms | \
later response, ms | a million cold starts, $ | a million later responses, $ |
|---|--:|--:|--:|--:|--:|--:|--:|--:|";

/// A row of the table, of medians. Lambda bills the init phase like the rest, and each invocation
/// by the millisecond.
fn table_row(function: &str, round_trips: RoundTrips, memory_mb: u32, runs: &[ColdRun]) -> String {
    let of = |time: fn(&ColdRun) -> f64| median(runs.iter().map(time));
    let (init, first, warm) = (of(|run| run.init), of(|run| run.first), of(|run| run.warm));
    let both = of(|run| run.init + run.first);
    let dollars = |ms: f64| ms.ceil() * 1e3 * f64::from(memory_mb) / 1_024.0 * GB_SECOND;
    format!(
        "| `{function}` | {} | {memory_mb} | {init:.1} | {first:.1} | {both:.1} | {warm:.1} | \
         {:.2} | {:.2} |",
        round_trips.aws.as_millis(),
        dollars(both),
        dollars(warm),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_has_medians_and_the_price_of_the_billed_time() {
        let round_trips = RoundTrips { aws: Duration::from_millis(5), stream: STREAM_ROUND_TRIP };
        let runs = [10.0, 30.0, 20.0].map(|first| ColdRun { init: 4.2, first, warm: 1.1 });
        let row = table_row("token", round_trips, 512, &runs);
        assert_eq!(row, "| `token` | 5 | 512 | 4.2 | 20.0 | 24.2 | 1.1 | 0.17 | 0.01 |");
    }
}
