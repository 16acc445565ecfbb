//! The CPU time and memory of a process, as counted by the kernel for all its threads,
//! including those that have ended.

use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::BenchError;

/// The CPU time of a process, user and system.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, BenchError> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    let clock: ClockId = clock_getcpuclockid(pid)?;
    Ok(Duration::from(clock_gettime(clock)?))
}

/// The peak resident memory of a process, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64, BenchError> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes
        .ok_or_else(|| BenchError::new("/proc/<pid>/status has no VmHWM"))?
        .trim()
        .parse()?;
    Ok(kilobytes * 1024)
}
