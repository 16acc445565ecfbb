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
use crate::options::Build;

/// What Cargo sets for the program that it runs. Handed on to another Cargo it would look like a
/// changed environment to build scripts that watch it, and everything behind them would be rebuilt.
const SET_BY_CARGO: [&str; 7] = [
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
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where to find the binaries of the functions.
pub(crate) enum Binaries {
    /// As Cargo reported them.
    Built(&'static BTreeMap<String, PathBuf>),
    /// In this folder, under their names.
    In(PathBuf),
}

impl Binaries {
    /// Builds the functions, unless they are said to be there already.
    pub(crate) async fn prepare(build: Build) -> Result<Self, BuildError> {
        static BUILT: OnceCell<Result<BTreeMap<String, PathBuf>, BuildError>> =
            OnceCell::const_new();

        let shown = match build {
            Build::Done(folder) => return Ok(Self::In(folder)),
            Build::Shown => true,
            Build::Quiet => false,
        };
        match BUILT.get_or_init(|| cargo_build(shown)).await {
            Ok(binaries) => Ok(Self::Built(binaries)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The binary of a function.
    pub(crate) fn of(&self, function: &str) -> Result<PathBuf, StartError> {
        let (found, folder) = match self {
            Self::Built(binaries) => (binaries.get(function).cloned(), None),
            Self::In(folder) => {
                let path = folder.join(format!("{function}{}", env::consts::EXE_SUFFIX));
                (path.is_file().then_some(path), Some(folder.clone()))
            }
        };
        found.ok_or_else(|| StartError::NoBinary { function: function.to_owned(), folder })
    }
}

async fn cargo_build(shown: bool) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if shown { Stdio::inherit() } else { Stdio::piped() })
        .kill_on_drop(true);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || SET_BY_CARGO.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    let no_cargo = |error: std::io::Error| BuildError::NoCargo(error.to_string());
    let child = command.spawn().map_err(no_cargo)?;
    let output = child.wait_with_output().await.map_err(no_cargo)?;
    match (output.status.success(), shown) {
        (true, _) => Ok(executables(&String::from_utf8_lossy(&output.stdout))),
        (false, true) => Err(BuildError::Shown),
        (false, false) => {
            Err(BuildError::Quiet(String::from_utf8_lossy(&output.stderr).into_owned()))
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
    artifacts.filter_map(|made| Some((made.target.name, made.executable?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_cargos_messages() {
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
    fn the_root_is_where_the_template_lies() {
        assert!(workspace_root().join("template.yaml").is_file());
    }
}
