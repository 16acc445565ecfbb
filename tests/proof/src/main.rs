//! `cargo run --release -p proof -- --triples 1000000`: the proof, at any length.

use std::process::ExitCode;
use std::time::Instant;

use proof::{Mutant, Report, by_chance, every_order, noticing, pairs, replay};

const USAGE: &str = "\
proof [--pairs] [--mutants] [--triples <count>] [--first <seed>]   runs them; all three without any
proof --seed <seed>                                                one triple again, step by step
";

/// What is asked for on the command line.
#[derive(Default)]
struct Options {
    pairs: bool,
    mutants: bool,
    triples: Option<u64>,
    first: u64,
    seed: Option<u64>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's answer")]
fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if let Some(seed) = options.seed {
        let (wrong, trace) = replay(seed, None);
        println!("{}", trace.join("\n"));
        println!("{}", wrong.as_deref().unwrap_or("everything held"));
        return if wrong.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let mut good = true;
    if options.pairs {
        let mut all = Report::default();
        for (name, scenarios) in pairs() {
            let started = Instant::now();
            let mut found = Report::default();
            for scenario in &scenarios {
                add(&mut found, every_order(scenario, None));
            }
            good &= show(name, &found, started);
            add(&mut all, found);
        }
        println!("pairs together: {} schedules, {} states", all.schedules, all.states);
    }
    if let Some(triples) = options.triples {
        let started = Instant::now();
        let report = by_chance(options.first..options.first + triples, None);
        good &= show("triples", &report, started);
    }
    if options.mutants {
        let scenarios = noticing();
        let killed = Mutant::ALL.iter().filter(|mutant| {
            let found = scenarios.iter().find_map(|it| every_order(it, Some(**mutant)).violation);
            match &found {
                Some(found) => println!("{mutant:<28} killed: {}", found.what),
                None => println!("{mutant:<28} LIVES"),
            }
            found.is_some()
        });
        let killed = killed.count();
        println!("mutants killed {killed}/{}", Mutant::ALL.len());
        good &= killed == Mutant::ALL.len();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add(all: &mut Report, one: Report) {
    all.schedules += one.schedules;
    all.states += one.states;
    all.violation = all.violation.take().or(one.violation);
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn show(name: &str, report: &Report, started: Instant) -> bool {
    let Report { schedules, states, violation } = report;
    let seconds = started.elapsed().as_secs_f64();
    let violations = u8::from(violation.is_some());
    println!(
        "{name:<16} {schedules:>9} schedules {states:>9} states {violations} violations {seconds:>7.1} s"
    );
    if let Some(violation) = violation {
        println!("{:?}", violation.scenario);
        println!("{}", violation.trace.join("\n"));
        println!("{}", violation.what);
    }
    violation.is_none()
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    let mut any = false;
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse().ok();
        match argument.as_str() {
            "--pairs" => options.pairs = true,
            "--mutants" => options.mutants = true,
            "--triples" => options.triples = Some(number()?),
            "--first" => options.first = number()?,
            "--seed" => options.seed = Some(number()?),
            _ => return None,
        }
        any = true;
    }
    if !any {
        (options.pairs, options.mutants, options.triples) = (true, true, Some(1_000_000));
    }
    Some(options)
}
