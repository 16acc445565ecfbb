//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Runs the API, the functions, DynamoDB and an emulator of Stream on this machine.

Usage: cargo run -p local -- [options]

  --port N            port of the API (9000)
  --dynamodb-port N   port of DynamoDB (8000)
  --stream-port N     port of the Stream emulator (3300)
  --data DIR          directory for DynamoDB's data (in memory)
  --backends          run DynamoDB and Stream only, for `cargo lambda watch`
  --help              print this text

With STREAM_API_KEY and STREAM_API_SECRET in the environment, the stack uses that Stream app
instead of the emulator.
";

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Run(Args),
}

/// The options of a run.
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

/// An invalid command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("`{0}` is not an option; run with --help for a list")]
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
