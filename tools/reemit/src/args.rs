//! Parses the command line without a parser crate: there are three options.

use std::ffi::OsString;

use shared::clock::Timestamp;

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Makes the events of settled calls again, with the same ids.

Usage: cargo run -p reemit -- --since TIME [--table NAME] [--dry-run]

  --since TIME   makes the events of calls that were settled at this time or later: RFC 3339, as in
                 2026-01-31T18:00:00Z
  --table NAME   the table instead of that of TABLE_NAME
  --dry-run      counts the calls, and writes nothing
  --help         prints this text

The command reads the whole table once and increments an attribute of each call, from whose change
the events are made. The environment variables AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
and AWS_SESSION_TOKEN give access; `aws configure export-credentials --format env` prints the last
three. DYNAMODB_ENDPOINT selects another server, such as that of the local stack.

Exit codes:
  0   the command succeeded
  2   the command failed: an invalid option, or the table did not respond; a repeat is safe
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Reemit(Options),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) since: Timestamp,
    pub(crate) table: Option<String>,
    pub(crate) is_dry_run: bool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("--since is required; see --help")]
    MissingSince,
    #[error("--since must be a time in RFC 3339, such as 2026-01-31T18:00:00Z")]
    InvalidSince,
    #[error("unknown argument `{0}`; see --help")]
    UnknownArgument(String),
    #[error("{0} requires a value")]
    MissingValue(&'static str),
}

/// Parses the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut rest = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let (mut since, mut table, mut is_dry_run) = (None, None, false);
    while let Some(argument) = rest.next() {
        let mut value = |option| {
            let next = rest.next().filter(|value| !value.starts_with("--"));
            next.ok_or(ArgsError::MissingValue(option))
        };
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--since" => since = Some(parse_time(&value("--since")?)?),
            "--table" => table = Some(value("--table")?),
            "--dry-run" => is_dry_run = true,
            _ => return Err(ArgsError::UnknownArgument(argument)),
        }
    }
    let since = since.ok_or(ArgsError::MissingSince)?;
    Ok(Command::Reemit(Options { since, table, is_dry_run }))
}

fn parse_time(text: &str) -> Result<Timestamp, ArgsError> {
    let instant: jiff::Timestamp = text.parse().map_err(|_| ArgsError::InvalidSince)?;
    Ok(Timestamp::from_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn valid_command_lines_are_parsed() {
        let since = Timestamp::from_secs(1_767_225_600);
        let options = Options { since, table: None, is_dry_run: false };
        assert_eq!(parse_line("--since 2026-01-01T00:00:00Z"), Ok(Command::Reemit(options)));
        let options = Options { since, table: Some("calls".to_owned()), is_dry_run: true };
        assert_eq!(
            parse_line("--dry-run --table calls --since 2026-01-01T01:00:00+01:00"),
            Ok(Command::Reemit(options))
        );
        assert_eq!(parse_line("--since 2026-01-01T00:00:00Z --help"), Ok(Command::Help));
    }

    #[test]
    fn invalid_command_lines_are_errors() {
        for (line, expected) in [
            ("", ArgsError::MissingSince),
            ("--since yesterday", ArgsError::InvalidSince),
            ("--since", ArgsError::MissingValue("--since")),
            ("--table --dry-run", ArgsError::MissingValue("--table")),
            ("--all", ArgsError::UnknownArgument("--all".to_owned())),
        ] {
            assert_eq!(parse_line(line), Err(expected), "{line}");
        }
    }
}
