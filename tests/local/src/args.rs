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
    pub(crate) data: Option<PathBuf>,
    pub(crate) backends: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self { port: 9000, dynamodb_port: 8000, stream_port: 3300, data: None, backends: false }
    }
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("`{0}` is not an option; --help lists them")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("{0} needs a number between 1 and 65535")]
    NotAPort(&'static str),
}

/// Reads a command line without the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut args = Args::default();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match &*argument.to_string_lossy() {
            "--help" | "-h" => return Ok(Command::Help),
            "--backends" => args.backends = true,
            "--port" => args.port = port("--port", rest.next())?,
            "--dynamodb-port" => args.dynamodb_port = port("--dynamodb-port", rest.next())?,
            "--stream-port" => args.stream_port = port("--stream-port", rest.next())?,
            "--data" => {
                args.data = Some(rest.next().ok_or(ArgsError::NoValue("--data"))?.into());
            }
            other => return Err(ArgsError::Unknown(other.to_owned())),
        }
    }
    Ok(Command::Run(args))
}

fn port(option: &'static str, value: Option<OsString>) -> Result<u16, ArgsError> {
    let value = value.ok_or(ArgsError::NoValue(option))?;
    let port = value.to_str().and_then(|text| text.parse().ok()).filter(|&port| port != 0);
    port.ok_or(ArgsError::NotAPort(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_options_the_ports_are_the_documented_ones() {
        assert_eq!(parsed(""), Ok(Command::Run(Args::default())));
    }

    #[test]
    fn every_option_is_taken() {
        let line = "--backends --port 1 --dynamodb-port 2 --stream-port 65535 --data some/dir";
        let expected = Args {
            port: 1,
            dynamodb_port: 2,
            stream_port: 65535,
            data: Some(PathBuf::from("some/dir")),
            backends: true,
        };
        assert_eq!(parsed(line), Ok(Command::Run(expected)));
        assert_eq!(parsed("--port 1 --help"), Ok(Command::Help));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parsed("--prot 1"), Err(ArgsError::Unknown("--prot".to_owned())));
        assert_eq!(parsed("--port"), Err(ArgsError::NoValue("--port")));
        assert_eq!(parsed("--data"), Err(ArgsError::NoValue("--data")));
        for value in ["0", "-1", "65536", "http"] {
            let line = format!("--stream-port {value}");
            assert_eq!(parsed(&line), Err(ArgsError::NotAPort("--stream-port")));
        }
    }
}
