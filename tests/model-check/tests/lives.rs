//! Runs seeded lives of calls.

use model_check::{LivesReport, Mutant, check_lives, replay_life};

/// Fails with the trace of the failure.
#[expect(clippy::panic, reason = "a failure must fail the test")]
fn assert_no_failure(report: &LivesReport) {
    if let Some(failure) = &report.failure {
        let trace = failure.trace.join("\n");
        panic!("{trace}\nseed={} life={}\n{}", failure.seed, failure.life, failure.message);
    }
}

#[test]
fn figures_events_and_rows_are_right_in_every_life() {
    let report = check_lives(0, 0..2_000, None);
    assert_no_failure(&report);
    let LivesReport { lives, settled, settled_from_webhooks, compared, answered, .. } = report;
    println!("lives: {lives} run, {settled} settled, {compared} compared with the truth");
    // The lives have what they are meant to have.
    assert!(settled > lives * 9 / 10 && settled < lives, "{settled}");
    assert!(compared > lives / 2, "{compared}");
    assert!(answered > lives / 2, "{answered}");
    assert!(settled_from_webhooks > lives / 50, "{settled_from_webhooks}");
    assert!(report.late_events > lives, "{}", report.late_events);
    assert!(report.repeated_events > lives, "{}", report.repeated_events);
}

#[test]
fn lives_detect_mutants_of_the_settlement() {
    for mutant in [
        Mutant::NoCleanupRecheck,
        Mutant::ParticipantsNotListed,
        Mutant::SettlementLost,
        Mutant::UnconditionalSettlement,
        Mutant::FirstAnswerRecomputed,
        Mutant::ScoreStoredEarly,
    ] {
        let failure = check_lives(0, 0..2_000, Some(mutant)).failure;
        let Some(failure) = failure else { panic!("{mutant} is not detected") };
        println!("{mutant}: life {}: {}", failure.life, failure.message);
    }
}

#[test]
fn replay_reproduces_the_failure() {
    let mutant = Some(Mutant::ParticipantsNotListed);
    let failure = check_lives(0, 0..2_000, mutant).failure.unwrap();
    let (message, trace) = replay_life(failure.seed, failure.life, mutant);
    assert_eq!((message, &trace), (Some(failure.message), &failure.trace));
    assert_eq!(replay_life(failure.seed, failure.life, None).0, None);
}
