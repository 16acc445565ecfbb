//! Builds the functions and finds their binaries.
//!
//! Cargo reports the paths (`--message-format=json`), so any target directory works. A process
//! builds only once, for all stacks of its tests.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::error::{BuildError, StartError};
use crate::options::BuildMode;
use crate::terminal::write_line;

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
    /// Builds the functions, unless they are prebuilt. `total` is their number.
    pub(crate) async fn prepare(build: BuildMode, total: usize) -> Result<Self, BuildError> {
        static BUILT: OnceCell<Result<BTreeMap<String, PathBuf>, BuildError>> =
            OnceCell::const_new();

        let progress = match build {
            BuildMode::Prebuilt(folder) => return Ok(Self::Prebuilt(folder)),
            BuildMode::Verbose => Some(Progress { total, built: 0 }),
            BuildMode::Quiet => None,
        };
        match BUILT.get_or_init(|| cargo_build(progress)).await {
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

/// The progress of a build whose messages are printed.
struct Progress {
    total: usize,
    built: usize,
}

impl Progress {
    /// The line for the next function. A function that did not change has no line.
    fn next_line(&mut self, artifact: &Artifact) -> Option<String> {
        artifact.executable.as_ref()?;
        self.built += 1;
        let Self { total, built } = self;
        let name = &artifact.target.name;
        (!artifact.fresh).then(|| format!("function {built} of {total} built: {name}"))
    }
}

async fn cargo_build(
    mut progress: Option<Progress>,
) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let show_output = progress.is_some();
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .current_dir(workspace_root())
        // Cargo's progress bar would overwrite the lines of the functions.
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
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
    let cargo_unavailable = |error: io::Error| BuildError::CargoUnavailable(error.to_string());
    let mut child = command.spawn().map_err(cargo_unavailable)?;
    let messages = child.stdout.take();
    let mut on_artifact = |artifact: &Artifact| {
        if let Some(line) = progress.as_mut().and_then(|progress| progress.next_line(artifact)) {
            write_line(&line);
        }
    };
    let (binaries, output) =
        tokio::join!(read_executables(messages, &mut on_artifact), child.wait_with_output());
    let (binaries, output) =
        (binaries.map_err(cargo_unavailable)?, output.map_err(cargo_unavailable)?);
    match (output.status.success(), show_output) {
        (true, _) => Ok(binaries),
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
    /// Whether the artifact did not have to be built.
    fresh: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The executables in Cargo's messages, by name. Other messages are skipped.
async fn read_executables(
    messages: Option<impl AsyncRead + Unpin>,
    on_artifact: &mut impl FnMut(&Artifact),
) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut binaries = BTreeMap::new();
    let Some(messages) = messages else { return Ok(binaries) };
    let mut lines = BufReader::new(messages).lines();
    while let Some(line) = lines.next_line().await? {
        if let Ok(artifact) = serde_json::from_str::<Artifact>(&line) {
            on_artifact(&artifact);
            if let Some(path) = artifact.executable {
                binaries.insert(artifact.target.name, path);
            }
        }
    }
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
        {"reason":"compiler-artifact","target":{"name":"shared"},"executable":null,"fresh":false}
        {"reason":"build-script-executed","package_id":"ring"}
        not json
        {"reason":"compiler-artifact","target":{"name":"token"},"executable":"/t/token","fresh":true}
        {"reason":"compiler-artifact","target":{"name":"config"},"executable":"/t/config","fresh":false}
        {"reason":"build-finished","success":true}
    "#;

    #[tokio::test]
    async fn executables_are_parsed_from_cargo_messages() {
        let binaries = read_executables(Some(MESSAGES.as_bytes()), &mut |_| {}).await.unwrap();
        let expected = [("config", "/t/config"), ("token", "/t/token")];
        let expected = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
        assert!(binaries.into_iter().eq(expected));
    }

    #[tokio::test]
    async fn progress_names_the_functions_that_were_built() {
        let (mut progress, mut lines) = (Progress { total: 18, built: 0 }, Vec::new());
        let mut on_artifact = |artifact: &Artifact| lines.extend(progress.next_line(artifact));
        read_executables(Some(MESSAGES.as_bytes()), &mut on_artifact).await.unwrap();
        assert_eq!(lines, ["function 2 of 18 built: config"]);
    }

    #[test]
    fn workspace_root_contains_the_template() {
        assert!(workspace_root().join("template.yaml").is_file());
    }
}
