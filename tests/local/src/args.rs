//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use local::UserLimits;

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Runs the API, the functions, DynamoDB and an emulator of Stream on this machine.

Usage: cargo run -p local -- [options]

  --port N            port of the API (9000)
  --dynamodb-port N   port of DynamoDB (8000)
  --stream-port N     port of the Stream emulator (3300)
  --host ADDR         address on which the API and Stream listen beside loopback; 0.0.0.0 is all
  --tls               also serve https and wss, with the certificate authority in local-tls/
  --user ID           register a further user and print a token for it; can be repeated
  --data DIR          directory for DynamoDB's data (in memory)
  --no-limits         no rate limits per user, for tests that send many requests
  --backends          run DynamoDB and Stream only, for `cargo lambda watch`
  --help              print this text

With STREAM_API_KEY and STREAM_API_SECRET in the environment, the stack uses that Stream app
instead of the emulator. The JWT_* variables of the environment set the login of the functions.
docs/LOCAL.md describes how phones and simulators connect.
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
    pub(crate) host: IpAddr,
    pub(crate) has_tls: bool,
    /// The further users, each once.
    pub(crate) users: Vec<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) user_limits: UserLimits,
    pub(crate) backends_only: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            port: 9000,
            dynamodb_port: 8000,
            stream_port: 3300,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            has_tls: false,
            users: Vec::new(),
            data_dir: None,
            user_limits: UserLimits::Default,
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
    #[error("--host needs an IP address, such as 0.0.0.0 or 192.168.1.5")]
    InvalidHost,
    #[error("--user needs 1 to 64 of the characters A-Z a-z 0-9 _ - @")]
    InvalidUser,
    #[error("--tls needs the API of the stack: remove --backends")]
    TlsWithoutApi,
}

/// Reads a command line without the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut args = Args::default();
    let mut remaining = arguments.into_iter();
    while let Some(argument) = remaining.next() {
        match &*argument.to_string_lossy() {
            "--help" | "-h" => return Ok(Command::Help),
            "--backends" => args.backends_only = true,
            "--no-limits" => args.user_limits = UserLimits::Disabled,
            "--tls" => args.has_tls = true,
            "--host" => args.host = parse_host(remaining.next())?,
            "--user" => {
                let user = parse_user(remaining.next())?;
                if !args.users.contains(&user) {
                    args.users.push(user);
                }
            }
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
    if args.has_tls && args.backends_only {
        return Err(ArgsError::TlsWithoutApi);
    }
    Ok(Command::Run(args))
}

fn parse_host(value: Option<OsString>) -> Result<IpAddr, ArgsError> {
    let value = value.ok_or(ArgsError::MissingValue("--host"))?;
    value.to_str().and_then(|text| text.parse().ok()).ok_or(ArgsError::InvalidHost)
}

/// Parses a user id, by the rule of the API.
fn parse_user(value: Option<OsString>) -> Result<String, ArgsError> {
    let value = value.ok_or(ArgsError::MissingValue("--user"))?;
    let user = value.into_string().map_err(|_| ArgsError::InvalidUser)?;
    let has_valid_chars =
        user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte));
    if (1..=64).contains(&user.len()) && has_valid_chars {
        Ok(user)
    } else {
        Err(ArgsError::InvalidUser)
    }
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
        let line = "--backends --port 1 --dynamodb-port 2 --stream-port 65535 --data some/dir \
                    --host 0.0.0.0 --user carol --user dave --user carol --no-limits";
        let expected = Args {
            port: 1,
            dynamodb_port: 2,
            stream_port: 65535,
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            has_tls: false,
            users: vec!["carol".to_owned(), "dave".to_owned()],
            data_dir: Some(PathBuf::from("some/dir")),
            user_limits: UserLimits::Disabled,
            backends_only: true,
        };
        assert_eq!(parse_line(line), Ok(Command::Run(expected)));
        let expected = Args { has_tls: true, ..Args::default() };
        assert_eq!(parse_line("--tls"), Ok(Command::Run(expected)));
        assert_eq!(parse_line("--port 1 --help"), Ok(Command::Help));
    }

    #[test]
    fn invalid_option_is_named_in_the_error() {
        assert_eq!(parse_line("--prot 1"), Err(ArgsError::UnknownOption("--prot".to_owned())));
        assert_eq!(parse_line("--port"), Err(ArgsError::MissingValue("--port")));
        assert_eq!(parse_line("--data"), Err(ArgsError::MissingValue("--data")));
        assert_eq!(parse_line("--host"), Err(ArgsError::MissingValue("--host")));
        assert_eq!(parse_line("--host localhost"), Err(ArgsError::InvalidHost));
        assert_eq!(parse_line("--tls --backends"), Err(ArgsError::TlsWithoutApi));
        let too_long = "a".repeat(65);
        for user in ["a.b", "a'b", &too_long] {
            let line = format!("--user {user}");
            assert_eq!(parse_line(&line), Err(ArgsError::InvalidUser), "{user}");
        }
        for value in ["0", "-1", "65536", "http"] {
            let line = format!("--stream-port {value}");
            assert_eq!(parse_line(&line), Err(ArgsError::InvalidPort("--stream-port")));
        }
    }
}
