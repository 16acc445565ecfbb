//! Builds the functions and finds their binaries.
//!
//! Cargo reports the paths (`--message-format=json`), so any target directory works. A process
//! builds only once, for all stacks of its tests.

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

/// Variables that Cargo sets for the program that it runs. A nested Cargo must not inherit them:
/// build scripts that depend on them would run again, with everything that depends on their output.
const CARGO_SET_VARIABLES: [&str; 7] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// The root directory of the workspace.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.ancestors().nth(2).unwrap_or(manifest_dir)
}

/// The paths of the functions' binaries.
pub(crate) enum Binaries {
    /// As reported by Cargo.
    Built(&'static BTreeMap<String, PathBuf>),
    /// In this directory, under the functions' names.
    Prebuilt(PathBuf),
}

impl Binaries {
    /// Builds the functions, unless they are prebuilt.
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

/// A message of Cargo about a build artifact.
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

/// The executables in Cargo's messages, by name. Other messages are skipped.
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
        let parsed = executables(messages);
        assert!(parsed.into_iter().eq([("token".to_owned(), PathBuf::from("/t/debug/token"))]));
    }

    #[test]
    fn workspace_root_contains_the_template() {
        assert!(workspace_root().join("template.yaml").is_file());
    }
}
