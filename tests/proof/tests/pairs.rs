//! Every pair of handlers in every order with up to two faults, some triples, and the mutants that
//! the checks have to notice.

use std::fmt::Write as _;

use proof::{Mutant, Report, by_chance, every_order, noticing, pairs};

/// Fails with everything that happened.
#[expect(clippy::panic, reason = "a test fails by it")]
fn refuse(report: &Report) {
    if let Some(violation) = &report.violation {
        let trace = violation.trace.join("\n");
        panic!("{:?}\n{trace}\n{}", violation.scenario, violation.what);
    }
}

#[test]
fn every_pair_in_every_order_leaves_no_call_behind() {
    let mut said = String::new();
    let (mut schedules, mut states) = (0, 0);
    for (name, scenarios) in pairs() {
        let mut of_pair = 0;
        for scenario in &scenarios {
            let report = every_order(scenario, None);
            refuse(&report);
            of_pair += report.schedules;
            states += report.states;
        }
        schedules += of_pair;
        let _ = writeln!(said, "{name}: {of_pair} schedules");
    }
    println!("{said}pairs: {schedules} schedules run, {states} states seen, 0 violations");
    assert!(schedules >= 300_000, "only {schedules} schedules were run");
}

#[test]
fn triples_by_chance_leave_no_call_behind() {
    let report = by_chance(0..20_000, None);
    refuse(&report);
    let Report { schedules, states, .. } = report;
    println!("triples: {schedules} schedules run, {states} states seen, 0 violations");
}

#[test]
fn every_mutant_is_noticed() {
    let all = noticing();
    for mutant in Mutant::ALL {
        let found = all.iter().find_map(|scenario| every_order(scenario, Some(mutant)).violation);
        let Some(found) = found else { panic!("{mutant} is not noticed") };
        println!("{mutant}: {}", found.what);
    }
    println!("mutants killed {0}/{0}", Mutant::ALL.len());
}

/// What is found by chance can be looked at again.
#[test]
fn a_seed_is_replayed_as_it_was() {
    let found = by_chance(0..100_000, Some(Mutant::MarkTakenFromAnybody)).violation.unwrap();
    let seed = found.what.strip_prefix("seed ").unwrap().split(':').next().unwrap();
    let seed: u64 = seed.parse().unwrap();
    let (wrong, trace) = proof::replay(seed, Some(Mutant::MarkTakenFromAnybody));
    assert!(found.what.ends_with(&wrong.unwrap()));
    assert_eq!(trace, found.trace);
    assert_eq!(proof::replay(seed, None).0, None);
}
