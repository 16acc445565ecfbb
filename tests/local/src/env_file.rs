//! `local.env`, which `cargo lambda watch --env-file` gives to the functions.
//!
//! Lines of `NAME=value` without `export` and without comments behind them, which is all that
//! cargo-lambda reads. The file may hold the secret of a real Stream app; git ignores it, and on
//! Unix only its owner may read it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use local::{REGION, workspace_root};

/// The file's name, in the root of the workspace.
pub(crate) const FILE_NAME: &str = "local.env";

/// What AWS would set, and cargo-lambda does not.
const AWS_VARIABLES: [(&str, &str); 3] =
    [("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// Writes the file.
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
