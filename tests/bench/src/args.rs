//! The command line.

use std::path::PathBuf;

/// What `--help` says.
pub(crate) const HELP: &str = "\
What the functions cost: cold and warm, beside a function that does nothing and beside Node.

Usage: cargo run --profile tools -p bench -- [options]

  --rounds N       lives of each process, interleaved (21)
  --answers N      answers after the first one, in each life (200)
  --json FILE      the results as JSON
  --no-node        leave the Node peer out
  --no-build       measure what was built before
  --help           this text
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Compare(Compare),
}

/// How to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) rounds: u32,
    pub(crate) answers: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) node: bool,
    pub(crate) build: bool,
}

impl Default for Compare {
    fn default() -> Self {
        Self { rounds: 21, answers: 200, json: None, node: true, build: true }
    }
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("`{0}` is not an option; --help lists them")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} needs a whole number from 1 on")]
    NotANumber(String),
}

/// Reads a command line without the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, ArgsError> {
    let mut compare = Compare::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| ArgsError::NoValue(word.clone()));
        match word.as_str() {
            "--rounds" => compare.rounds = number(&word, &value()?)?,
            "--answers" => compare.answers = number(&word, &value()?)?,
            "--json" => compare.json = Some(value()?.into()),
            "--no-node" => compare.node = false,
            "--no-build" => compare.build = false,
            "--help" => return Ok(Command::Help),
            _ => return Err(ArgsError::Unknown(word)),
        }
    }
    Ok(Command::Compare(compare))
}

fn number(word: &str, text: &str) -> Result<u32, ArgsError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| ArgsError::NotANumber(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(read(""), Ok(Command::Compare(Compare::default())));
        let all = "--rounds 3 --answers 5 --json out.json --no-node --no-build";
        let json = Some("out.json".into());
        let expected = Compare { rounds: 3, answers: 5, json, node: false, build: false };
        assert_eq!(read(all), Ok(Command::Compare(expected)));
        assert_eq!(read("--help"), Ok(Command::Help));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(read("--quick"), Err(ArgsError::Unknown("--quick".to_owned())));
        assert_eq!(read("--rounds"), Err(ArgsError::NoValue("--rounds".to_owned())));
        for bad in ["--rounds 0", "--answers x"] {
            assert!(matches!(read(bad), Err(ArgsError::NotANumber(_))), "{bad}");
        }
    }
}
