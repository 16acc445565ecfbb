//! The command line.

use std::path::PathBuf;

use crate::load::LoadOptions;

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Measures the CPU time, memory and latency of the functions.

Usage: cargo run --profile tools -p bench -- [MODE] [options]

The default mode is `compare`.

compare: first and later responses, beside a function that does nothing and beside Node.js
  --rounds N       processes of each function, interleaved (21)
  --answers N      later responses of each process (200)
  --json FILE      also write the results as JSON
  --against FILE   also print the ratios to earlier results, written with --json
  --no-node        skip the Node.js baseline

budget: instructions of token and call-create, which may exceed tests/bench/budget.json by 5 %
  --update         write the counts to that file

cold: the time to the first response with the processor share of Lambda, as root
  --rounds N       processes of each function, memory and network (11)

concurrency: responses of one process with more and more requests at a time
  --requests N     responses of each process (2000)

load: concurrent users that create and end calls
  --users N        number of users (200)
  --seconds N      duration (60)

growth: the same requests with more and more calls in the table
  --calls N        maximum number of calls (1000000)

  --no-build       use the existing builds
  --help           print this text
";

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Run(Run),
}

/// A benchmark, and whether to build first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) build: bool,
    pub(crate) mode: Mode,
}

/// A benchmark.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Compare(CompareOptions),
    Budget { update: bool },
    Load(LoadOptions),
    Cold { rounds: u32 },
    Concurrency { requests: u32 },
    Growth { calls: u32 },
}

/// The options of the comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompareOptions {
    pub(crate) rounds: u32,
    pub(crate) requests: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) against: Option<PathBuf>,
    pub(crate) with_node: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { rounds: 21, requests: 200, json: None, against: None, with_node: true }
    }
}

/// An invalid command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("`{0}` is not an option; run with --help for a list")]
    UnknownOption(String),
    #[error("{0} needs a value")]
    MissingValue(String),
    #[error("{0} needs a whole number of at least 1")]
    InvalidNumber(String),
}

/// Reads a command line without the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, ArgsError> {
    let mut args = args.into_iter().peekable();
    let mode_name = args.next_if(|word| !word.starts_with("--"));
    let mut mode = match mode_name.as_deref() {
        None | Some("compare") => Mode::Compare(CompareOptions::default()),
        Some("budget") => Mode::Budget { update: false },
        Some("cold") => Mode::Cold { rounds: 11 },
        Some("concurrency") => Mode::Concurrency { requests: 2_000 },
        Some("load") => Mode::Load(LoadOptions { users: 200, seconds: 60 }),
        Some("growth") => Mode::Growth { calls: 1_000_000 },
        Some(other) => return Err(ArgsError::UnknownOption(other.to_owned())),
    };
    let mut build = true;
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| ArgsError::MissingValue(option.clone()));
        match (option.as_str(), &mut mode) {
            ("--help", _) => return Ok(Command::Help),
            ("--no-build", _) => build = false,
            ("--rounds", Mode::Compare(compare)) => {
                compare.rounds = parse_number(&option, &value()?)?;
            }
            ("--answers", Mode::Compare(compare)) => {
                compare.requests = parse_number(&option, &value()?)?;
            }
            ("--json", Mode::Compare(compare)) => compare.json = Some(value()?.into()),
            ("--against", Mode::Compare(compare)) => compare.against = Some(value()?.into()),
            ("--no-node", Mode::Compare(compare)) => compare.with_node = false,
            ("--update", Mode::Budget { update }) => *update = true,
            ("--rounds", Mode::Cold { rounds }) => *rounds = parse_number(&option, &value()?)?,
            ("--requests", Mode::Concurrency { requests }) => {
                *requests = parse_number(&option, &value()?)?;
            }
            ("--users", Mode::Load(load)) => load.users = parse_number(&option, &value()?)?,
            ("--seconds", Mode::Load(load)) => {
                load.seconds = parse_number(&option, &value()?)?.into();
            }
            ("--calls", Mode::Growth { calls }) => *calls = parse_number(&option, &value()?)?,
            _ => return Err(ArgsError::UnknownOption(option)),
        }
    }
    Ok(Command::Run(Run { build, mode }))
}

fn parse_number(option: &str, text: &str) -> Result<u32, ArgsError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| ArgsError::InvalidNumber(option.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_parsed() {
        let run = |build, mode| Ok(Command::Run(Run { build, mode }));
        assert_eq!(parse_line(""), run(true, Mode::Compare(CompareOptions::default())));
        let json = Some("out.json".into());
        let against = Some("old.json".into());
        let compare = CompareOptions { rounds: 3, requests: 5, json, against, with_node: false };
        let line = "compare --rounds 3 --answers 5 --json out.json --against old.json --no-node \
                    --no-build";
        assert_eq!(parse_line(line), run(false, Mode::Compare(compare)));
        let load = LoadOptions { users: 7, seconds: 2 };
        assert_eq!(parse_line("load --users 7 --seconds 2"), run(true, Mode::Load(load)));
        assert_eq!(parse_line("growth --calls 1000"), run(true, Mode::Growth { calls: 1_000 }));
        assert_eq!(parse_line("cold --rounds 3"), run(true, Mode::Cold { rounds: 3 }));
        let concurrency = Mode::Concurrency { requests: 9 };
        assert_eq!(parse_line("concurrency --requests 9 --no-build"), run(false, concurrency));
        assert_eq!(parse_line("budget"), run(true, Mode::Budget { update: false }));
        assert_eq!(parse_line("budget --update"), run(true, Mode::Budget { update: true }));
        assert_eq!(parse_line("load --help"), Ok(Command::Help));
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        for unknown in ["--quick", "fly", "load --rounds 3", "cold --requests 3", "--update"] {
            assert!(matches!(parse_line(unknown), Err(ArgsError::UnknownOption(_))), "{unknown}");
        }
        assert_eq!(parse_line("--rounds"), Err(ArgsError::MissingValue("--rounds".to_owned())));
        for bad in ["--rounds 0", "--answers x"] {
            assert!(matches!(parse_line(bad), Err(ArgsError::InvalidNumber(_))), "{bad}");
        }
    }
}
