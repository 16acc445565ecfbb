//! One process with several requests at a time, as in an environment of Lambda Managed Instances.

use std::time::{Duration, Instant};

use crate::BenchError;
use crate::fixture::{Fixture, RoundTrips};
use crate::process::Process;
use crate::resource_usage;
use crate::stats::{millis, percentile};
use crate::variant::{Kind, RUST_FUNCTIONS, Variant};

/// The numbers of requests at a time. Eight is AWS's default for Rust and one processor.
const CONCURRENCIES: [u32; 4] = [1, 8, 32, 64];
/// The number of users. Profiles beyond the quota of a minute would be queued, and a user without a
/// profile at Stream cannot be called.
const USERS: u32 = 200;
const ROUND_TRIPS: RoundTrips =
    RoundTrips { aws: Duration::from_millis(5), stream: Duration::from_millis(30) };

/// Measures the functions with each number of requests at a time, and prints a table.
pub(crate) async fn run(requests: u32) -> Result<(), BenchError> {
    let fixture = Fixture::start(&crate::work_dir()?, USERS).await?;
    let network = fixture.delay(ROUND_TRIPS)?;
    println!(
        "| function | requests at a time | responses a second | p50, ms | p99, ms | CPU of a \
         response, ms | processor used | memory, MB |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    let mut minute_offset = 0;
    for function in RUST_FUNCTIONS {
        for concurrency in CONCURRENCIES {
            minute_offset += 1;
            let variant = Variant { kind: Kind::Rust, function };
            let mut command = variant.command(&fixture)?;
            network.connect(&mut command);
            command
                .env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string())
                .env("CLOCK_AHEAD_SECONDS", (minute_offset * 60).to_string());
            let mut process = Process::start(command).await?;
            process.wait_until_ready().await?;
            // One at a time takes longest, and has the same rate with fewer requests.
            let count = if concurrency == 1 { requests.div_ceil(10) } else { requests };
            let events = (0..count)
                .map(|number| variant.event(&fixture, number % USERS))
                .collect::<Result<Vec<_>, _>>()?;
            let cpu_before = resource_usage::cpu_time(process.id()?)?;
            let started = Instant::now();
            let (mut events, mut sent) = (events.iter(), std::collections::VecDeque::new());
            let mut latencies = Vec::new();
            for event in events.by_ref().take(concurrency as usize) {
                sent.push_back(process.age());
                process.send(event);
            }
            let mut cpu = Duration::ZERO;
            while let Some(sent_at) = sent.pop_front() {
                // Responses may come in another order; their times then differ by little.
                let response = process.receive().await?;
                cpu = response.cpu;
                latencies.push(millis(response.wall.saturating_sub(sent_at)));
                if let Some(event) = events.next() {
                    sent.push_back(process.age());
                    process.send(event);
                }
            }
            let elapsed = started.elapsed();
            let memory_mb = process.peak_memory()? / 1_000_000;
            process.terminate().await?;
            let cpu = cpu.saturating_sub(cpu_before);
            println!(
                "| `{function}` | {concurrency} | {:.0} | {:.1} | {:.1} | {:.2} | {:.0} % | {memory_mb} |",
                f64::from(count) / elapsed.as_secs_f64(),
                percentile(latencies.clone(), 0.5),
                percentile(latencies, 0.99),
                millis(cpu) / f64::from(count),
                100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64(),
            );
        }
    }
    fixture.stop().await;
    Ok(())
}
