//! `local.env`, the environment file of `cargo lambda watch --env-file`.
//!
//! The file has only `NAME=value` lines, since cargo-lambda supports neither `export` nor trailing
//! comments. It may contain the secret of a real Stream app. So git ignores it, and on Unix only
//! its owner can read it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use local::{REGION, workspace_root};

/// The name of the file in the root of the workspace.
pub(crate) const FILE_NAME: &str = "local.env";

/// Variables that AWS sets on Lambda and that cargo-lambda does not set.
const AWS_VARIABLES: [(&str, &str); 3] =
    [("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// Writes the file and returns its path.
pub(crate) fn write(variables: &BTreeMap<String, String>) -> io::Result<PathBuf> {
    let path = workspace_root().join(FILE_NAME);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?.write_all(contents(variables).as_bytes())?;
    Ok(path)
}

fn contents(variables: &BTreeMap<String, String>) -> String {
    let stack_variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines: Vec<_> = stack_variables
        .chain(AWS_VARIABLES)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_file_contains_name_value_lines() {
        let variables = BTreeMap::from([("TABLE_NAME".to_owned(), "stream-local".to_owned())]);
        assert_eq!(
            contents(&variables),
            "TABLE_NAME=stream-local\nAWS_REGION=us-east-1\nAWS_ACCESS_KEY_ID=local\n\
             AWS_SECRET_ACCESS_KEY=local\n"
        );
    }
}
