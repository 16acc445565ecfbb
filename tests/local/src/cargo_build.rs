//! Builds the functions and finds their binaries.
//!
//! Cargo itself says where they are (`--message-format=json`), so that it does not matter where the
//! target folder is. One process builds once, however many stacks its tests start.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::error::{BuildError, StartError};
use crate::options::BuildMode;

/// What Cargo sets for the program that it runs. Handed on to another Cargo it would look like a
/// changed environment to build scripts that watch it, and everything behind them would be rebuilt.
const CARGO_SET_VARIABLES: [&str; 7] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// Where the workspace lies.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.ancestors().nth(2).unwrap_or(manifest_dir)
}

/// Where to find the binaries of the functions.
pub(crate) enum Binaries {
    /// As Cargo reported them.
    Built(&'static BTreeMap<String, PathBuf>),
    /// In this folder, under their names.
    Prebuilt(PathBuf),
}

impl Binaries {
    /// Builds the functions, unless they are said to be there already.
    pub(crate) async fn prepare(build: BuildMode) -> Result<Self, BuildError> {
        static BUILT: OnceCell<Result<BTreeMap<String, PathBuf>, BuildError>> =
            OnceCell::const_new();

        let show_output = match build {
            BuildMode::Prebuilt(folder) => return Ok(Self::Prebuilt(folder)),
            BuildMode::Verbose => true,
            BuildMode::Quiet => false,
        };
        match BUILT.get_or_init(|| cargo_build(show_output)).await {
            Ok(binaries) => Ok(Self::Built(binaries)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The binary of a function.
    pub(crate) fn find(&self, function: &str) -> Result<PathBuf, StartError> {
        let (path, folder) = match self {
            Self::Built(binaries) => (binaries.get(function).cloned(), None),
            Self::Prebuilt(folder) => {
                let path = folder.join(format!("{function}{}", env::consts::EXE_SUFFIX));
                (path.is_file().then_some(path), Some(folder.clone()))
            }
        };
        path.ok_or_else(|| StartError::MissingBinary { function: function.to_owned(), folder })
    }
}

async fn cargo_build(show_output: bool) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if show_output { Stdio::inherit() } else { Stdio::piped() })
        .kill_on_drop(true);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || CARGO_SET_VARIABLES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    let cargo_unavailable = |error: std::io::Error| BuildError::CargoUnavailable(error.to_string());
    let child = command.spawn().map_err(cargo_unavailable)?;
    let output = child.wait_with_output().await.map_err(cargo_unavailable)?;
    match (output.status.success(), show_output) {
        (true, _) => Ok(executables(&String::from_utf8_lossy(&output.stdout))),
        (false, true) => Err(BuildError::Failed),
        (false, false) => {
            Err(BuildError::FailedWithOutput(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

/// A line that Cargo prints for each thing that it made.
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The executables among Cargo's messages, by name. Lines about other things are passed over.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.filter_map(|artifact| Some((artifact.target.name, artifact.executable?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_parsed_from_cargo_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"shared"},"executable":null}
            {"reason":"build-script-executed","package_id":"ring"}
            not json
            {"reason":"compiler-artifact","target":{"name":"token"},"executable":"/t/debug/token"}
            {"reason":"build-finished","success":true}
        "#;
        let found = executables(messages);
        assert!(found.into_iter().eq([("token".to_owned(), PathBuf::from("/t/debug/token"))]));
    }

    #[test]
    fn workspace_root_contains_the_template() {
        assert!(workspace_root().join("template.yaml").is_file());
    }
}
