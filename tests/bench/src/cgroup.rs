//! A control group that limits the processor time of a function as Lambda does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::BenchError;

/// The directory of the control groups.
pub(crate) const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// The memory in MB with which a function gets one processor.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MB_PER_PROCESSOR: u64 = 1_769;

/// The period in which a function gets its share. Assumption: AWS does not document it.
const PERIOD: Duration = Duration::from_millis(20);

/// A control group. It is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct CpuGroup {
    dir: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl CpuGroup {
    /// Creates a group below this directory, which is [`CGROUP_ROOT`] except in tests.
    pub(crate) fn create(root: &Path) -> Result<Self, BenchError> {
        let (parent, version) = find_controller(root).ok_or_else(|| {
            BenchError::new(format!(
                "{} has no controller `cpu` of cgroup v1 or v2",
                root.display()
            ))
        })?;
        let dir = parent.join(format!("bench-{}", std::process::id()));
        if version == Version::V2 {
            // Children have the controllers that their parent enables.
            fs::write(parent.join("cgroup.subtree_control"), "+cpu").map_err(needs_root)?;
        }
        fs::create_dir(&dir).map_err(needs_root)?;
        Ok(Self { dir, version })
    }

    /// Moves a process into the group.
    pub(crate) fn add(&self, pid: u32) -> Result<(), BenchError> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Gives the processes of the group the share of a function with this memory.
    pub(crate) fn set_memory_mb(&self, memory_mb: u32) -> Result<(), BenchError> {
        let period = PERIOD.as_micros();
        let quota = period * u128::from(memory_mb) / u128::from(MB_PER_PROCESSOR);
        match self.version {
            Version::V1 => {
                self.write("cpu.cfs_period_us", &period.to_string())?;
                self.write("cpu.cfs_quota_us", &quota.to_string())
            }
            Version::V2 => self.write("cpu.max", &format!("{quota} {period}")),
        }
    }

    /// Removes the limit, as in the init phase of a function.
    pub(crate) fn remove_limit(&self) -> Result<(), BenchError> {
        match self.version {
            Version::V1 => self.write("cpu.cfs_quota_us", "-1"),
            Version::V2 => self.write("cpu.max", "max"),
        }
    }

    fn write(&self, file: &str, value: &str) -> Result<(), BenchError> {
        let path = self.dir.join(file);
        fs::write(&path, value)
            .map_err(|error| BenchError::from(error).context(&path.display().to_string()))
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        // Only an empty group can be removed. The kernel removes its files.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The directory in which groups of the controller `cpu` are created.
fn find_controller(root: &Path) -> Option<(PathBuf, Version)> {
    let is_v1 = |dir: &PathBuf| dir.join("cpu.cfs_quota_us").is_file();
    let v1 = ["cpu", "cpu,cpuacct"].map(|name| root.join(name)).into_iter().find(is_v1);
    if let Some(dir) = v1 {
        return Some((dir, Version::V1));
    }
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
    let has_cpu = controllers.split_whitespace().any(|controller| controller == "cpu");
    has_cpu.then(|| (root.to_owned(), Version::V2))
}

fn needs_root(error: io::Error) -> BenchError {
    BenchError::from(error).context("creating a control group failed, run this benchmark as root")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files, in place of the kernel's.
    fn root_with(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        for (file, content) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn read_back(group: &CpuGroup, file: &str) -> String {
        fs::read_to_string(group.dir.join(file)).unwrap()
    }

    #[test]
    fn share_of_a_processor_follows_the_memory_under_cgroup_v1() {
        let root = root_with("v1", &[("cpu/cpu.cfs_quota_us", "-1")]);
        let group = CpuGroup::create(&root).unwrap();
        group.add(42).unwrap();
        assert_eq!(read_back(&group, "cgroup.procs"), "42");
        for (memory_mb, quota) in [(128, "1447"), (1_769, "20000"), (3_538, "40000")] {
            group.set_memory_mb(memory_mb).unwrap();
            assert_eq!(read_back(&group, "cpu.cfs_period_us"), "20000");
            assert_eq!(read_back(&group, "cpu.cfs_quota_us"), quota);
        }
        group.remove_limit().unwrap();
        assert_eq!(read_back(&group, "cpu.cfs_quota_us"), "-1");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn share_of_a_processor_follows_the_memory_under_cgroup_v2() {
        let root = root_with("v2", &[("cgroup.controllers", "cpuset cpu memory\n")]);
        let group = CpuGroup::create(&root).unwrap();
        let enabled = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap();
        assert_eq!(enabled, "+cpu");
        group.set_memory_mb(256).unwrap();
        assert_eq!(read_back(&group, "cpu.max"), "2894 20000");
        group.remove_limit().unwrap();
        assert_eq!(read_back(&group, "cpu.max"), "max");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn missing_controller_and_missing_permission_are_errors() {
        let root = root_with("none", &[("cgroup.controllers", "cpuset memory")]);
        let error = CpuGroup::create(&root).unwrap_err().to_string();
        assert!(error.ends_with("has no controller `cpu` of cgroup v1 or v2"), "{error}");
        fs::remove_dir_all(root).unwrap();
        let denied = needs_root(io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(denied.contains("run this benchmark as root"), "{denied}");
    }
}
