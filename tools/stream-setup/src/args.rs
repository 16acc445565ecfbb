//! Parses the command line without a parser crate: there are two commands and three options.

use std::ffi::OsString;

use shared::ids::{CallTypeName, IdError};
use shared::stream::hooks::{InvalidWebhookUrl, WebhookUrl};

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Prepares a Stream app for this service, and checks the app.

Usage: cargo run -p stream-setup -- check [--webhook-url URL] [--call-type NAME]
       cargo run -p stream-setup -- apply [--webhook-url URL] [--call-type NAME] [--yes]

  check               reads the app's settings and prints one finding per line: ok, warn or fail
  apply               prints the changes that create the service user and the call type, in whose
                      calls only members have access, and register the webhook
  --yes               writes the changes
  --webhook-url URL   the address for events: ApiUrl followed by /api/stream/webhook; without it
                      the command leaves the webhook out
  --call-type NAME    the call type instead of that of STREAM_CALL_TYPE; apply changes a built-in
                      type, such as default, only if this option names it
  --help              prints this text

The environment variables STREAM_API_KEY and STREAM_API_SECRET select the app. STREAM_BASE_URL
selects another server, such as the emulator. Set those of the following variables that the
deployment overrides: STREAM_CALL_TYPE, STREAM_SERVICE_USER, STREAM_ROLE_MAP,
CALL_RING_TIMEOUT_SECONDS and CALL_MAX_DURATION_SECONDS.

Exit codes:
  0   no finding is fail, and apply succeeded
  1   a finding is fail, or the app differs from the plan
  2   the command failed: an invalid option, no response or wrong credentials
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Check(Options),
    Apply { options: Options, is_confirmed: bool },
}

/// The options of both commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) url: Option<WebhookUrl>,
    pub(crate) call_type: Option<CallTypeName>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("use check or apply; see --help")]
    MissingCommand,
    #[error("unknown argument `{0}`; see --help")]
    UnknownArgument(String),
    #[error("{0} requires a value")]
    MissingValue(&'static str),
    #[error("--webhook-url is invalid")]
    InvalidUrl(#[from] InvalidWebhookUrl),
    #[error("--call-type is invalid")]
    InvalidCallType(#[from] IdError),
}

/// Parses the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut rest = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let first = rest.next().ok_or(ArgsError::MissingCommand)?;
    let is_apply = match first.as_str() {
        "--help" | "-h" => return Ok(Command::Help),
        "check" => false,
        "apply" => true,
        _ => return Err(ArgsError::UnknownArgument(first)),
    };
    let (mut options, mut is_confirmed) = (Options::default(), false);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--yes" if is_apply => is_confirmed = true,
            "--webhook-url" => {
                options.url = Some(parse_value("--webhook-url", rest.next())?.parse()?);
            }
            "--call-type" => {
                options.call_type = Some(parse_value("--call-type", rest.next())?.try_into()?);
            }
            _ => return Err(ArgsError::UnknownArgument(argument)),
        }
    }
    Ok(if is_apply { Command::Apply { options, is_confirmed } } else { Command::Check(options) })
}

/// The value of an option. Another option is no value.
fn parse_value(option: &'static str, next: Option<String>) -> Result<String, ArgsError> {
    next.filter(|value| !value.starts_with("--")).ok_or(ArgsError::MissingValue(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn parse_line(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn valid_command_lines_are_parsed() {
        let with_url = || Options { url: Some(URL.parse().unwrap()), call_type: None };
        let with_both = || {
            let call_type = CallTypeName::try_from("private".to_owned()).unwrap();
            Options { call_type: Some(call_type), ..with_url() }
        };
        let apply = |options, is_confirmed| Command::Apply { options, is_confirmed };
        for (line, command) in [
            ("check".to_owned(), Command::Check(Options::default())),
            (format!("check --webhook-url {URL}"), Command::Check(with_url())),
            (format!("check --call-type private --webhook-url {URL}"), Command::Check(with_both())),
            ("apply".to_owned(), apply(Options::default(), false)),
            ("apply --yes".to_owned(), apply(Options::default(), true)),
            (format!("apply --webhook-url {URL}"), apply(with_url(), false)),
            (
                format!("apply --yes --webhook-url {URL} --call-type private"),
                apply(with_both(), true),
            ),
            ("--help".to_owned(), Command::Help),
            ("check -h".to_owned(), Command::Help),
        ] {
            assert_eq!(parse_line(&line), Ok(command), "{line}");
        }
    }

    #[test]
    fn invalid_command_lines_are_rejected() {
        let unknown = |text: &str| ArgsError::UnknownArgument(text.to_owned());
        for (line, error) in [
            ("", ArgsError::MissingCommand),
            ("chekc", unknown("chekc")),
            ("check --webhook-url", ArgsError::MissingValue("--webhook-url")),
            ("apply --webhook-url --yes", ArgsError::MissingValue("--webhook-url")),
            ("apply --call-type --yes", ArgsError::MissingValue("--call-type")),
            ("check --webhook-url api.example.com", ArgsError::InvalidUrl(InvalidWebhookUrl)),
            ("check --call-type a:b", ArgsError::InvalidCallType(IdError::Character)),
            ("check --yes", unknown("--yes")),
            ("apply --force", unknown("--force")),
        ] {
            assert_eq!(parse_line(line), Err(error), "{line}");
        }
    }
}
