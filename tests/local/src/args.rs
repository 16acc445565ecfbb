//! The command line. Five options do not need a crate.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` says.
pub(crate) const HELP: &str = "\
The whole project on this machine: API, functions, DynamoDB and Stream.

Usage: cargo run -p local -- [options]

  --port N            port of the API (9000)
  --dynamodb-port N   port of DynamoDB (8000)
  --stream-port N     port of the Stream emulator (3300)
  --data DIR          keep DynamoDB's data in this folder instead of in memory
  --backends          only DynamoDB and Stream, for `cargo lambda watch`
  --help              this text

With STREAM_API_KEY and STREAM_API_SECRET in the environment Stream itself is used instead of the
emulator.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Run(Args),
}

/// How to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) port: u16,
    pub(crate) dynamodb_port: u16,
    pub(crate) stream_port: u16,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) backends_only: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            port: 9000,
            dynamodb_port: 8000,
            stream_port: 3300,
            data_dir: None,
            backends_only: false,
        }
    }
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("`{0}` is not an option; --help lists them")]
    UnknownOption(String),
    #[error("{0} needs a value")]
    MissingValue(&'static str),
    #[error("{0} needs a number between 1 and 65535")]
    InvalidPort(&'static str),
}

/// Reads a command line without the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut args = Args::default();
    let mut remaining = arguments.into_iter();
    while let Some(argument) = remaining.next() {
        match &*argument.to_string_lossy() {
            "--help" | "-h" => return Ok(Command::Help),
            "--backends" => args.backends_only = true,
            "--port" => args.port = parse_port("--port", remaining.next())?,
            "--dynamodb-port" => {
                args.dynamodb_port = parse_port("--dynamodb-port", remaining.next())?;
            }
            "--stream-port" => args.stream_port = parse_port("--stream-port", remaining.next())?,
            "--data" => {
                args.data_dir =
                    Some(remaining.next().ok_or(ArgsError::MissingValue("--data"))?.into());
            }
            other => return Err(ArgsError::UnknownOption(other.to_owned())),
        }
    }
    Ok(Command::Run(args))
}

fn parse_port(option: &'static str, value: Option<OsString>) -> Result<u16, ArgsError> {
    let value = value.ok_or(ArgsError::MissingValue(option))?;
    let port = value.to_str().and_then(|text| text.parse().ok()).filter(|&port| port != 0);
    port.ok_or(ArgsError::InvalidPort(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn ports_default_to_documented_values() {
        assert_eq!(parse_line(""), Ok(Command::Run(Args::default())));
    }

    #[test]
    fn every_option_is_parsed() {
        let line = "--backends --port 1 --dynamodb-port 2 --stream-port 65535 --data some/dir";
        let expected = Args {
            port: 1,
            dynamodb_port: 2,
            stream_port: 65535,
            data_dir: Some(PathBuf::from("some/dir")),
            backends_only: true,
        };
        assert_eq!(parse_line(line), Ok(Command::Run(expected)));
        assert_eq!(parse_line("--port 1 --help"), Ok(Command::Help));
    }

    #[test]
    fn invalid_option_is_named_in_the_error() {
        assert_eq!(parse_line("--prot 1"), Err(ArgsError::UnknownOption("--prot".to_owned())));
        assert_eq!(parse_line("--port"), Err(ArgsError::MissingValue("--port")));
        assert_eq!(parse_line("--data"), Err(ArgsError::MissingValue("--data")));
        for value in ["0", "-1", "65536", "http"] {
            let line = format!("--stream-port {value}");
            assert_eq!(parse_line(&line), Err(ArgsError::InvalidPort("--stream-port")));
        }
    }
}
