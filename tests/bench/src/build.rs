//! Builds the functions as in a deployment, and the baselines.

use std::path::PathBuf;

use tokio::process::Command;

use crate::BenchError;

/// The directory of the release builds, beside that of this binary's own profile.
pub(crate) fn release_dir() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let target = own.ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
    target.join("release")
}

/// The path of a release binary.
pub(crate) fn release_binary(name: &str) -> PathBuf {
    release_dir().join(name)
}

/// Builds these functions. Their features are those of a build of all functions.
pub(crate) async fn build_functions(names: &[&str]) -> Result<(), BenchError> {
    let binaries = names.iter().flat_map(|name| ["--bin", *name]);
    let arguments: Vec<_> =
        ["build", "--release", "--locked"].into_iter().chain(binaries).collect();
    run_command("cargo", &arguments).await
}

/// Builds the functions and the baseline in separate builds, so that Cargo does not unify their
/// features.
pub(crate) async fn build_rust() -> Result<(), BenchError> {
    run_command("cargo", &["build", "--release"]).await?;
    run_command("cargo", &["build", "--release", "-p", "baseline"]).await
}

pub(crate) fn node_baseline_dir() -> PathBuf {
    local::workspace_root().join("tests/bench/node-baseline")
}

/// Installs and bundles the Node.js baseline. Returns false if there is no Node.js.
pub(crate) async fn build_node_baseline() -> Result<bool, BenchError> {
    let node_version = Command::new("node").arg("--version").output().await;
    if !node_version.is_ok_and(|node| node.status.success()) {
        return Ok(false);
    }
    if !node_baseline_dir().join("node_modules").is_dir() {
        run_command(
            "npm",
            &["ci", "--no-audit", "--no-fund", "--prefix", "tests/bench/node-baseline"],
        )
        .await?;
    }
    run_command("npm", &["run", "build", "--silent", "--prefix", "tests/bench/node-baseline"])
        .await?;
    Ok(true)
}

async fn run_command(program: &str, arguments: &[&str]) -> Result<(), BenchError> {
    let mut command = Command::new(program);
    let command = command.args(arguments).current_dir(local::workspace_root());
    // Without it, node-gyp would download headers that are already installed.
    let command = command.env("npm_config_nodedir", "/usr");
    let status = command.status().await?;
    if status.success() {
        return Ok(());
    }
    Err(BenchError::new(format!("{program} {} failed: {status}", arguments.join(" "))))
}
