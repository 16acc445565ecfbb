//! The command line.

use std::path::PathBuf;

use crate::load::Load;

/// What `--help` says.
pub(crate) const HELP: &str = "\
What the functions cost.

Usage: cargo run --profile tools -p bench -- [compare | load | growth] [options]

compare: cold and warm, beside a function that does nothing and beside Node
  --rounds N       lives of each process, interleaved (21)
  --answers N      answers after the first one, in each life (200)
  --json FILE      the results as JSON
  --no-node        leave the Node peer out

load: many users at once, through whole lives of calls
  --users N        how many (200)
  --seconds N      for how long (60)

growth: the same requests while the table grows
  --calls N        to how many calls (1000000)

  --no-build       use what was built before
  --help           this text
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Run(Run),
}

/// What to do, and whether to build first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) build: bool,
    pub(crate) what: What,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Compare(Compare),
    Load(Load),
    Growth { calls: u32 },
}

/// How to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) rounds: u32,
    pub(crate) answers: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) node: bool,
}

impl Default for Compare {
    fn default() -> Self {
        Self { rounds: 21, answers: 200, json: None, node: true }
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
    let mut words = words.into_iter().peekable();
    let named = words.next_if(|word| !word.starts_with("--"));
    let mut what = match named.as_deref() {
        None | Some("compare") => What::Compare(Compare::default()),
        Some("load") => What::Load(Load { users: 200, seconds: 60 }),
        Some("growth") => What::Growth { calls: 1_000_000 },
        Some(other) => return Err(ArgsError::Unknown(other.to_owned())),
    };
    let mut build = true;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| ArgsError::NoValue(word.clone()));
        match (word.as_str(), &mut what) {
            ("--help", _) => return Ok(Command::Help),
            ("--no-build", _) => build = false,
            ("--rounds", What::Compare(it)) => it.rounds = number(&word, &value()?)?,
            ("--answers", What::Compare(it)) => it.answers = number(&word, &value()?)?,
            ("--json", What::Compare(it)) => it.json = Some(value()?.into()),
            ("--no-node", What::Compare(it)) => it.node = false,
            ("--users", What::Load(it)) => it.users = number(&word, &value()?)?,
            ("--seconds", What::Load(it)) => it.seconds = number(&word, &value()?)?.into(),
            ("--calls", What::Growth { calls }) => *calls = number(&word, &value()?)?,
            _ => return Err(ArgsError::Unknown(word)),
        }
    }
    Ok(Command::Run(Run { build, what }))
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
        let run = |build, what| Ok(Command::Run(Run { build, what }));
        assert_eq!(read(""), run(true, What::Compare(Compare::default())));
        let json = Some("out.json".into());
        let compare = Compare { rounds: 3, answers: 5, json, node: false };
        let line = "compare --rounds 3 --answers 5 --json out.json --no-node --no-build";
        assert_eq!(read(line), run(false, What::Compare(compare)));
        let load = Load { users: 7, seconds: 2 };
        assert_eq!(read("load --users 7 --seconds 2"), run(true, What::Load(load)));
        assert_eq!(read("growth --calls 1000"), run(true, What::Growth { calls: 1_000 }));
        assert_eq!(read("load --help"), Ok(Command::Help));
    }

    #[test]
    fn mistakes_are_named() {
        for unknown in ["--quick", "fly", "load --rounds 3"] {
            assert!(matches!(read(unknown), Err(ArgsError::Unknown(_))), "{unknown}");
        }
        assert_eq!(read("--rounds"), Err(ArgsError::NoValue("--rounds".to_owned())));
        for bad in ["--rounds 0", "--answers x"] {
            assert!(matches!(read(bad), Err(ArgsError::NotANumber(_))), "{bad}");
        }
    }
}
