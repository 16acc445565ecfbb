//! Parses the command line without a parser crate: there are two commands and two options.

use std::ffi::OsString;

use shared::stream::hooks::{InvalidWebhookUrl, WebhookUrl};

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Registers the webhook at Stream and checks the app's settings.

Usage: cargo run -p stream-setup -- check --webhook-url URL
       cargo run -p stream-setup -- apply --webhook-url URL [--yes]

  check               reads the app's settings and prints one finding per line: ok, warn or fail
  apply               prints how registering the webhook changes the app's list of hooks
  --yes               writes the changes
  --webhook-url URL   the address for events: ApiUrl followed by /api/stream/webhook
  --help              prints this text

The environment variables STREAM_API_KEY and STREAM_API_SECRET select the app. STREAM_BASE_URL
selects another server, such as the emulator. check reads STREAM_ROLE_MAP,
CALL_RING_TIMEOUT_SECONDS and CALL_MAX_DURATION_SECONDS: set those that the deployment overrides.

Exit codes:
  0   no finding is fail, and apply succeeded
  1   a finding is fail, or the list of hooks differs from the plan
  2   the command failed: an invalid option, no response or wrong credentials
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Check { url: WebhookUrl },
    Apply { url: WebhookUrl, is_confirmed: bool },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("use check or apply; see --help")]
    MissingCommand,
    #[error("unknown argument `{0}`; see --help")]
    UnknownArgument(String),
    #[error("--webhook-url is missing")]
    MissingUrl,
    #[error("--webhook-url is invalid")]
    InvalidUrl(#[from] InvalidWebhookUrl),
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
    let (mut url, mut is_confirmed) = (None, false);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--yes" if is_apply => is_confirmed = true,
            "--webhook-url" => {
                url = Some(rest.next().ok_or(ArgsError::MissingUrl)?.parse::<WebhookUrl>()?);
            }
            _ => return Err(ArgsError::UnknownArgument(argument)),
        }
    }
    let url = url.ok_or(ArgsError::MissingUrl)?;
    Ok(if is_apply { Command::Apply { url, is_confirmed } } else { Command::Check { url } })
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
        let url = || URL.parse().unwrap();
        for (line, command) in [
            (format!("check --webhook-url {URL}"), Command::Check { url: url() }),
            (
                format!("apply --webhook-url {URL}"),
                Command::Apply { url: url(), is_confirmed: false },
            ),
            (
                format!("apply --yes --webhook-url {URL}"),
                Command::Apply { url: url(), is_confirmed: true },
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
            ("check", ArgsError::MissingUrl),
            ("check --webhook-url", ArgsError::MissingUrl),
            ("check --webhook-url api.example.com", ArgsError::InvalidUrl(InvalidWebhookUrl)),
            ("check --yes", unknown("--yes")),
            ("apply --force", unknown("--force")),
        ] {
            assert_eq!(parse_line(line), Err(error), "{line}");
        }
    }
}
