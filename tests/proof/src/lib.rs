//! The proof that no call is left behind.
//!
//! The real handlers ([`shared::calls`]) run over a world of which this crate owns every instant:
//! each await of the table, of Stream and of the clock stops until the scheduler says what comes of
//! it. So two handlers can be run in every order, with every choice of up to two faults (refused
//! before it has any effect; applied, and the answer lost; applied late; the process killed), and
//! three of them in orders chosen by chance. After that clients repeat their requests, or do not,
//! and the sweeper runs; then nothing may be left. What must hold at every instant is in
//! `world.rs`, what must hold in the end in `run.rs`.
//!
//! That a check can fail is shown by [`Mutant`]s: the same handlers over a world that is wrong in
//! one way.

#[cfg(test)]
mod agreement;
mod explore;
mod hash;
mod mutants;
mod roles;
mod run;
mod sim;
mod store;
mod stream;
mod world;

pub use mutants::Mutant;
pub use roles::Role;
pub use run::{Scenario, Start};

use std::sync::Arc;

use explore::{Chooser as _, Dice, Every, Outcome, Seen};
use roles::Names;
use run::Run;

/// What running a scenario, or many, has shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many orders were run.
    pub schedules: u64,
    /// How many different points they went through.
    pub states: u64,
    /// The first thing that did not hold, if any.
    pub violation: Option<Violation>,
}

/// Something that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What.
    pub what: String,
    /// In which scenario.
    pub scenario: Scenario,
    /// Everything that happened until then, a line each.
    pub trace: Vec<String>,
}

/// The scenarios of a pair: how each begins, and who takes part.
type Rows = &'static [(Start, Role, Role)];

/// What mutants are shown: the pairs, and behind them what takes three, two attempts at one call
/// and somebody who finds its mark gone.
#[must_use]
pub fn noticing() -> Vec<Scenario> {
    let roles = vec![Role::CreateBack, Role::CreateBack, Role::Create];
    let three = Scenario { start: Start::Nothing, roles, faults: 1 };
    let pairs = pairs().into_iter().flat_map(|(_, scenarios)| scenarios);
    pairs.chain([three]).collect()
}

/// The scenarios of each pair of handlers.
#[must_use]
pub fn pairs() -> Vec<(&'static str, Vec<Scenario>)> {
    use Role::{
        ChannelDeleted, Create, CreateAgain, CreateBack, CreateOther, CreateParallel, End,
        EndByOther, Join, SessionEnds, SessionEndsAndAnother, StreamEnds, Sweep,
    };
    use Start::{Active, CameBack, Dead, Joined, Left, NotJoined, Nothing, Stuck};
    let table: [(&str, Rows); 10] = [
        (
            "create/create",
            &[
                (Nothing, Create, Create),
                (Nothing, Create, CreateBack),
                (Nothing, Create, CreateAgain),
                (Nothing, Create, CreateOther),
                (Nothing, CreateParallel, CreateParallel),
            ],
        ),
        (
            "create/end",
            &[
                (Nothing, Create, End),
                (Nothing, CreateParallel, End),
                (Active, CreateBack, End),
                (Dead, Create, End),
            ],
        ),
        ("end/end", &[(Active, End, EndByOther), (Dead, End, EndByOther)]),
        (
            "create/webhook",
            &[
                (Nothing, Create, Join),
                (Nothing, Create, StreamEnds),
                (Nothing, Create, ChannelDeleted),
                (Active, CreateBack, StreamEnds),
                (Left, CreateBack, ChannelDeleted),
            ],
        ),
        (
            "end/webhook",
            &[
                (Active, End, StreamEnds),
                (Active, End, ChannelDeleted),
                (Active, End, Join),
                (Joined, End, SessionEnds),
            ],
        ),
        (
            "webhook/webhook",
            &[
                (Joined, SessionEnds, StreamEnds),
                (Joined, SessionEnds, SessionEndsAndAnother),
                (Active, Join, StreamEnds),
                (Active, StreamEnds, ChannelDeleted),
            ],
        ),
        (
            "create/sweeper",
            &[(Dead, Create, Sweep), (Dead, CreateBack, Sweep), (NotJoined, CreateBack, Sweep)],
        ),
        (
            "end/sweeper",
            &[
                (NotJoined, End, Sweep),
                (Left, End, Sweep),
                (Stuck, End, Sweep),
                (CameBack, End, Sweep),
                (Dead, End, Sweep),
            ],
        ),
        (
            "webhook/sweeper",
            &[
                (NotJoined, Join, Sweep),
                (NotJoined, StreamEnds, Sweep),
                (Joined, SessionEnds, Sweep),
                (Left, StreamEnds, Sweep),
                (Stuck, ChannelDeleted, Sweep),
            ],
        ),
        (
            "sweeper/sweeper",
            &[
                (Dead, Sweep, Sweep),
                (NotJoined, Sweep, Sweep),
                (Left, Sweep, Sweep),
                (Stuck, Sweep, Sweep),
                (CameBack, Sweep, Sweep),
            ],
        ),
    ];
    // A beginning that takes a fault leaves one less for what follows.
    let scenario = |&(start, one, other): &(Start, Role, Role)| Scenario {
        start,
        roles: vec![one, other],
        faults: 2 - start.faults(),
    };
    table.iter().map(|(name, rows)| (*name, rows.iter().map(scenario).collect())).collect()
}

/// Runs a scenario in every order, with every choice of faults.
#[must_use]
pub fn every_order(scenario: &Scenario, mutant: Option<Mutant>) -> Report {
    let mut report = Report::default();
    let Some(names) = Names::new().map(Arc::new) else { return report };
    let mut every = Every::default();
    loop {
        report.schedules += 1;
        let outcome = Run::new(&names, mutant, false, &mut every).go(scenario);
        if let Outcome::Wrong(what) = outcome {
            every.again();
            let mut run = Run::new(&names, mutant, true, &mut every);
            run.go(scenario);
            let trace = run.sim.lock().trace.take().unwrap_or_default();
            report.violation = Some(Violation { what, scenario: scenario.clone(), trace });
            break;
        }
        if !every.next() {
            break;
        }
    }
    report.states = every.seen.len() as u64;
    report
}

/// Runs three roles, with a beginning, an order and up to three faults, all chosen by chance:
/// one run for each seed.
#[must_use]
pub fn by_chance(seeds: impl IntoIterator<Item = u64>, mutant: Option<Mutant>) -> Report {
    let mut report = Report::default();
    let Some(names) = Names::new().map(Arc::new) else { return report };
    let mut seen = Seen::default();
    for seed in seeds {
        report.schedules += 1;
        let mut dice = Dice { state: seed, seen: &mut seen };
        let scenario = any_scenario(&mut dice);
        let outcome = Run::new(&names, mutant, false, &mut dice).go(&scenario);
        if let Outcome::Wrong(what) = outcome {
            let (_, trace) = replay(seed, mutant);
            let what = format!("seed {seed}: {what}");
            report.violation = Some(Violation { what, scenario, trace });
            break;
        }
    }
    report.states = seen.len() as u64;
    report
}

/// Runs the schedule of one seed again: what did not hold, if anything, and what happened.
#[must_use]
pub fn replay(seed: u64, mutant: Option<Mutant>) -> (Option<String>, Vec<String>) {
    let Some(names) = Names::new().map(Arc::new) else { return (None, Vec::new()) };
    let mut points = Seen::default();
    let mut dice = Dice { state: seed, seen: &mut points };
    let scenario = any_scenario(&mut dice);
    let mut run = Run::new(&names, mutant, true, &mut dice);
    let outcome = run.go(&scenario);
    let mut trace = run.sim.lock().trace.take().unwrap_or_default();
    trace.insert(0, format!("{scenario:?}"));
    let wrong = if let Outcome::Wrong(what) = outcome { Some(what) } else { None };
    (wrong, trace)
}

fn any_scenario(dice: &mut Dice<'_>) -> Scenario {
    let start = Start::ALL[dice.choose(Start::ALL.len())];
    let roles = (0..3).map(|_| Role::ALL[dice.choose(Role::ALL.len())]).collect();
    let faults = u8::try_from(dice.choose(4)).unwrap_or(0);
    Scenario { start, roles, faults }
}
