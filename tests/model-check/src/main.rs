//! `cargo run --profile tools -p model-check -- --triples 1000000`: runs the model checker at any
//! length.

use std::process::ExitCode;
use std::time::Instant;

use model_check::{
    LifeFailure, LivesReport, Mutant, Report, check_exhaustively, check_lives, check_randomly,
    detect, pair_scenarios, replay, replay_life,
};

const USAGE: &str = "\
model-check [--pairs] [--mutants] [--triples <count>] [--first <seed>]   run the selected checks (default: all)
model-check --seed <seed>                                                replay one triple with its trace
model-check --lives <count> [--seed <seed>] [--first <life>]             run lives of calls
model-check --seed <seed> --life <life>                                  replay one life with its trace
";

/// The options of the command line.
#[derive(Default)]
struct Options {
    pairs: bool,
    mutants: bool,
    triples: Option<u64>,
    first_seed: u64,
    seed: Option<u64>,
    lives: Option<u64>,
    life: Option<u64>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]
fn main() -> ExitCode {
    let Some(options) = parse_args(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if let Some(lives) = options.lives {
        let passed = run_lives(options.seed.unwrap_or(0), options.first_seed, lives);
        return if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(seed) = options.seed {
        let (violation, trace) = match options.life {
            Some(life) => replay_life(seed, life, None),
            None => replay(seed, None),
        };
        println!("{}", trace.join("\n"));
        println!("{}", violation.as_deref().unwrap_or("no violation"));
        return if violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let mut passed = true;
    if options.pairs {
        let mut total = Report::default();
        for (name, scenarios) in pair_scenarios() {
            let started = Instant::now();
            let mut report = Report::default();
            for scenario in &scenarios {
                merge(&mut report, check_exhaustively(scenario, None));
            }
            passed &= print_report(name, &report, started);
            merge(&mut total, report);
        }
        println!("all pairs: {} schedules, {} states", total.schedules, total.states);
    }
    if let Some(triples) = options.triples {
        let started = Instant::now();
        let report = check_randomly(options.first_seed..options.first_seed + triples, None);
        passed &= print_report("triples", &report, started);
    }
    if options.mutants {
        let detected = Mutant::ALL.iter().filter(|mutant| {
            let violation = detect(**mutant);
            match &violation {
                Some(violation) => println!("{mutant:<28} detected: {}", violation.message),
                None => println!("{mutant:<28} not detected"),
            }
            violation.is_some()
        });
        let detected = detected.count();
        println!("mutants detected: {detected}/{}", Mutant::ALL.len());
        passed &= detected == Mutant::ALL.len();
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "a command prints its results")]
fn run_lives(seed: u64, first: u64, count: u64) -> bool {
    let started = Instant::now();
    let report = check_lives(seed, first..first + count, None);
    let LivesReport { lives, settled, settled_from_webhooks, compared, answered, .. } = report;
    let LivesReport { late_events, repeated_events, failure, .. } = report;
    let seconds = started.elapsed().as_secs_f64();
    let violations = u8::from(failure.is_some());
    println!(
        "lives: {lives} run, {settled} settled, {settled_from_webhooks} by webhooks, {compared} \
         compared with the truth, {answered} with talk, {late_events} late webhooks, \
         {repeated_events} repeated events, {violations} violations {seconds:>7.1} s"
    );
    if let Some(LifeFailure { message, seed, life, trace }) = &failure {
        println!("{}\nseed={seed} life={life}\n{message}", trace.join("\n"));
    }
    failure.is_none()
}

fn merge(total: &mut Report, report: Report) {
    total.schedules += report.schedules;
    total.states += report.states;
    total.violation = total.violation.take().or(report.violation);
}

#[expect(clippy::print_stdout, reason = "a command prints its results")]
fn print_report(name: &str, report: &Report, started: Instant) -> bool {
    let Report { schedules, states, violation } = report;
    let seconds = started.elapsed().as_secs_f64();
    let violations = u8::from(violation.is_some());
    println!(
        "{name:<16} {schedules:>9} schedules {states:>9} states {violations} violations {seconds:>7.1} s"
    );
    if let Some(violation) = violation {
        println!("{:?}", violation.scenario);
        println!("{}", violation.trace.join("\n"));
        println!("{}", violation.message);
    }
    violation.is_none()
}

fn parse_args(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    let mut has_arguments = false;
    while let Some(argument) = arguments.next() {
        let mut parse_number = || arguments.next()?.parse().ok();
        match argument.as_str() {
            "--pairs" => options.pairs = true,
            "--mutants" => options.mutants = true,
            "--triples" => options.triples = Some(parse_number()?),
            "--first" => options.first_seed = parse_number()?,
            "--seed" => options.seed = Some(parse_number()?),
            "--lives" => options.lives = Some(parse_number()?),
            "--life" => options.life = Some(parse_number()?),
            _ => return None,
        }
        has_arguments = true;
    }
    if !has_arguments {
        (options.pairs, options.mutants, options.triples) = (true, true, Some(1_000_000));
    }
    Some(options)
}
