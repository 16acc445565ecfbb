//! Counts instructions with valgrind. The counts hardly depend on the machine, and differ little
//! between runs. They do not include the kernel.

use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::BenchError;
use crate::fixture::Fixture;
use crate::process::Process;
use crate::variant::Variant;

/// The number of later responses that are counted.
pub(crate) const WARM_REQUESTS: u32 = 100;

/// The instructions that a process executes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Instructions {
    /// From the start to the first response.
    pub(crate) cold: u64,
    /// For a later response, on average.
    pub(crate) warm: u64,
}

pub(crate) async fn is_valgrind_available() -> bool {
    let status = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

/// Counts the instructions of a variant.
pub(crate) async fn count(
    fixture: &Fixture,
    variant: &Variant,
    work_dir: &Path,
    minute_offsets: &mut impl Iterator<Item = u32>,
) -> Result<Instructions, BenchError> {
    let mut next_offset = || minute_offsets.next().unwrap_or_default();
    let cold = run_under_valgrind(fixture, variant, work_dir, 0, next_offset()).await?;
    let all = run_under_valgrind(fixture, variant, work_dir, WARM_REQUESTS, next_offset()).await?;
    Ok(Instructions { cold, warm: all.saturating_sub(cold) / u64::from(WARM_REQUESTS) })
}

async fn run_under_valgrind(
    fixture: &Fixture,
    variant: &Variant,
    work_dir: &Path,
    warm_requests: u32,
    minute_offset: u32,
) -> Result<u64, BenchError> {
    let log = work_dir.join("valgrind.log");
    let mut command = Command::new("valgrind");
    let inner = variant.command(fixture)?;
    let environment = inner.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(environment)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(inner.as_std().get_program())
        .args(inner.as_std().get_args());
    command.env("CLOCK_AHEAD_SECONDS", (minute_offset * 60).to_string());
    let mut process = Process::start(command).await?;
    for number in 0..=warm_requests {
        process.invoke(&variant.event(fixture, number)?).await?;
    }
    process.terminate().await?;
    parse_instruction_count(&std::fs::read_to_string(log)?)
        .ok_or_else(|| BenchError::new("valgrind reported no instruction count"))
}

/// Parses the line with the instruction count, such as `==1== I   refs:      1,234,567`.
fn parse_instruction_count(log: &str) -> Option<u64> {
    let line = log.lines().find(|line| line.contains("I   refs:"))?;
    line.rsplit(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_count_is_parsed() {
        let log = "==9== Command: true\n==9== \n==9== I   refs:      1,234,567\n";
        assert_eq!(parse_instruction_count(log), Some(1_234_567));
        assert_eq!(parse_instruction_count("==9== nothing"), None);
    }
}
