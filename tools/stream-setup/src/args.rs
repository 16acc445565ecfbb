//! The command line. Two commands and two options do not need a crate.

use std::ffi::OsString;

use shared::stream::hooks::{InvalidWebhookUrl, WebhookUrl};

/// What `--help` says.
pub(crate) const HELP: &str = "\
Registers the webhook at Stream, and checks the app's settings there.

Usage: cargo run -p stream-setup -- check --webhook-url URL
       cargo run -p stream-setup -- apply --webhook-url URL [--yes]

  check               reads the app's settings, and says what is wrong with them
  apply               says what registering the webhook would change in the app's list of hooks
  --yes               changes it
  --webhook-url URL   where the events go: ApiUrl and /api/stream/webhook
  --help              this text

The app is that of STREAM_API_KEY and STREAM_API_SECRET in the environment; STREAM_BASE_URL is
another Stream, such as the emulator. check goes by STREAM_ROLE_MAP, CALL_RING_TIMEOUT_SECONDS and
CALL_MAX_DURATION_SECONDS, where the deployment has other values than the defaults.

The exit code is 0 where all is well, 1 where something is wrong, and 2 where the command could not
do what it was asked for.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Check { url: WebhookUrl },
    Apply { url: WebhookUrl, is_confirmed: bool },
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("say check or apply; --help tells more")]
    MissingCommand,
    #[error("`{0}` is not an option here; --help lists them")]
    UnknownArgument(String),
    #[error("--webhook-url is missing")]
    MissingUrl,
    #[error("--webhook-url is refused")]
    InvalidUrl(#[from] InvalidWebhookUrl),
}

/// Reads a command line without the program's name.
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
