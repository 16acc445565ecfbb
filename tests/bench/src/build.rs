//! What is measured has to be built first, as it is deployed.

use std::path::PathBuf;

use tokio::process::Command;

use crate::Failure;

/// Where the release builds lie: beside this one's own folder.
pub(crate) fn folder() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let target = own.ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
    target.join("release")
}

/// Where the release build of one of the workspace's binaries lies.
pub(crate) fn binary(name: &str) -> PathBuf {
    folder().join(name)
}

/// Builds the functions and the floor, by themselves: together, one's features would be the
/// other's.
pub(crate) async fn rust() -> Result<(), Failure> {
    run("cargo", &["build", "--release"]).await?;
    run("cargo", &["build", "--release", "-p", "floor"]).await
}

/// Where the Node peer is.
pub(crate) fn peer() -> PathBuf {
    local::workspace_root().join("tests/bench/peer")
}

/// Installs and bundles the Node peer; whether there is a Node to do it with.
pub(crate) async fn node() -> Result<bool, Failure> {
    let found = Command::new("node").arg("--version").output().await;
    if !found.is_ok_and(|node| node.status.success()) {
        return Ok(false);
    }
    if !peer().join("node_modules").is_dir() {
        run("npm", &["ci", "--no-audit", "--no-fund", "--prefix", "tests/bench/peer"]).await?;
    }
    run("npm", &["run", "build", "--silent", "--prefix", "tests/bench/peer"]).await?;
    Ok(true)
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new(program);
    let command = command.args(arguments).current_dir(local::workspace_root());
    // node-gyp would fetch headers that are there already.
    let command = command.env("npm_config_nodedir", "/usr");
    let status = command.status().await?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{program} {} failed: {status}", arguments.join(" "))))
}
