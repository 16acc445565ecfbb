//! Instructions, as valgrind counts them: the same on every machine, and in every run but for a
//! few. Those of the kernel are not among them.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::Failure;
use crate::process::Process;
use crate::scene::Scene;
use crate::variant::Variant;

/// How many later answers are counted.
pub(crate) const MORE: u32 = 100;

/// What a process executes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    /// From its start to its first answer.
    pub(crate) cold: u64,
    /// For a later answer, on average.
    pub(crate) warm: u64,
}

/// Whether there is a valgrind.
pub(crate) async fn can_be_counted() -> bool {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().await;
    found.is_ok_and(|status| status.success())
}

/// Counts them.
pub(crate) async fn count(
    scene: &Scene,
    variant: &Variant,
    folder: &Path,
    minutes: &mut impl Iterator<Item = u32>,
) -> Result<Instructions, Failure> {
    let mut minute = || minutes.next().unwrap_or_default();
    let cold = executed(scene, variant, folder, 0, minute()).await?;
    let all = executed(scene, variant, folder, MORE, minute()).await?;
    Ok(Instructions { cold, warm: all.saturating_sub(cold) / u64::from(MORE) })
}

async fn executed(
    scene: &Scene,
    variant: &Variant,
    folder: &Path,
    more: u32,
    minute: u32,
) -> Result<u64, Failure> {
    let log = folder.join("valgrind.log");
    let mut command = Command::new("valgrind");
    let inner = variant.command(scene)?;
    let environment = inner.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(environment)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(inner.as_std().get_program())
        .args(inner.as_std().get_args());
    command.env("CLOCK_AHEAD_SECONDS", (minute * 60).to_string());
    let mut process = Process::start(command).await?;
    for number in 0..=more {
        process.invoke(&variant.event(scene, number)?).await?;
    }
    process.end().await?;
    read(&std::fs::read_to_string(log)?).ok_or_else(|| Failure::new("valgrind counted nothing"))
}

/// The line of instructions read, such as `==1== I   refs:      1,234,567`.
fn read(log: &str) -> Option<u64> {
    let line = log.lines().find(|line| line.contains("I   refs:"))?;
    line.rsplit(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read() {
        let log = "==9== Command: true\n==9== \n==9== I   refs:      1,234,567\n";
        assert_eq!(read(log), Some(1_234_567));
        assert_eq!(read("==9== nothing"), None);
    }
}
