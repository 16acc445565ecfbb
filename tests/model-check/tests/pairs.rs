//! Runs every pair of handlers in every order with up to two faults, some random triples, and all
//! mutants.

use std::fmt::Write as _;

use model_check::{Mutant, Report, check_exhaustively, check_randomly, detect, pair_scenarios};

/// Fails with the trace of the violation.
#[expect(clippy::panic, reason = "a violation must fail the test")]
fn assert_no_violation(report: &Report) {
    if let Some(violation) = &report.violation {
        let trace = violation.trace.join("\n");
        panic!("{:?}\n{trace}\n{}", violation.scenario, violation.message);
    }
}

#[test]
fn every_pair_in_every_order_leaves_no_call_behind() {
    let mut summary = String::new();
    let (mut schedules, mut states) = (0, 0);
    for (name, scenarios) in pair_scenarios() {
        let mut pair_schedules = 0;
        for scenario in &scenarios {
            let report = check_exhaustively(scenario, None);
            assert_no_violation(&report);
            pair_schedules += report.schedules;
            states += report.states;
        }
        schedules += pair_schedules;
        let _ = writeln!(summary, "{name}: {pair_schedules} schedules");
    }
    println!("{summary}pairs: {schedules} schedules run, {states} states seen, 0 violations");
    assert!(schedules >= 300_000, "only {schedules} schedules were run");
}

#[test]
fn random_triples_leave_no_call_behind() {
    let report = check_randomly(0..20_000, None);
    assert_no_violation(&report);
    let Report { schedules, states, .. } = report;
    println!("triples: {schedules} schedules run, {states} states seen, 0 violations");
}

#[test]
fn every_mutant_is_detected() {
    for mutant in Mutant::ALL {
        let Some(violation) = detect(mutant) else { panic!("{mutant} is not detected") };
        println!("{mutant}: {}", violation.message);
    }
    println!("mutants detected: {0}/{0}", Mutant::ALL.len());
}

#[test]
fn seed_replay_reproduces_the_violation() {
    let violation =
        check_randomly(0..100_000, Some(Mutant::UnconditionalSetPointer)).violation.unwrap();
    let seed = violation.message.strip_prefix("seed ").unwrap().split(':').next().unwrap();
    let seed: u64 = seed.parse().unwrap();
    let (message, trace) = model_check::replay(seed, Some(Mutant::UnconditionalSetPointer));
    assert!(violation.message.ends_with(&message.unwrap()));
    assert_eq!(trace, violation.trace);
    assert_eq!(model_check::replay(seed, None).0, None);
}
