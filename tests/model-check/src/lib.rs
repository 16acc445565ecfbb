//! The proof that no call is left behind.
//!
//! The real handlers ([`shared::calls`]) run over a world of which this crate owns every instant:
//! each await of the table, of Stream and of the clock stops until the scheduler says what comes of
//! it. So two handlers can be run in every order, with every choice of up to two faults (refused
//! before it has any effect; applied, and the answer lost; applied late; the process killed), and
//! three of them in orders chosen by chance. After that clients repeat their requests, or do not,
//! and the sweeper runs; then nothing may be left. What must hold at every instant is in
//! `state.rs`, what must hold in the end in `run.rs`.
//!
//! That a check can fail is shown by [`Mutant`]s: the same handlers over a world that is wrong in
//! one way.

mod actors;
#[cfg(test)]
mod conformance;
mod explore;
mod hash;
mod mutants;
mod run;
mod sim;
mod state;
mod store;
mod stream;

pub use actors::Actor;
pub use mutants::Mutant;
pub use run::{InitialState, Scenario};

use std::sync::Arc;

use actors::TestIds;
use explore::{Chooser as _, ExhaustiveChooser, RandomChooser, RunOutcome, VisitedStates};
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
    pub message: String,
    /// In which scenario.
    pub scenario: Scenario,
    /// Everything that happened until then, a line each.
    pub trace: Vec<String>,
}

/// The scenarios of a pair: how each begins, and who takes part.
type PairRows = &'static [(InitialState, Actor, Actor)];

/// What mutants are shown: the pairs, and behind them what takes three, two attempts at one call
/// and somebody who finds its mark gone.
#[must_use]
pub fn mutant_scenarios() -> Vec<Scenario> {
    let actors = vec![Actor::CreateReverse, Actor::CreateReverse, Actor::Create];
    let triple = Scenario { initial_state: InitialState::Empty, actors, max_faults: 1 };
    let pairs = pair_scenarios().into_iter().flat_map(|(_, scenarios)| scenarios);
    pairs.chain([triple]).collect()
}

/// The scenarios of each pair of handlers.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn pair_scenarios() -> Vec<(&'static str, Vec<Scenario>)> {
    use Actor::{
        ChannelDeleted, Create, CreateConflicting, CreateParallel, CreateReverse, CreateSecond,
        End, EndByCallee, Join, SessionEnds, SessionRestarts, StreamEndsCall, Sweep,
    };
    use InitialState::{
        Active, AllLeft, ChannelRecreated, CreateCrashed, Empty, EndCrashed, Joined, NotJoined,
    };
    let table: [(&str, PairRows); 10] = [
        (
            "create/create",
            &[
                (Empty, Create, Create),
                (Empty, Create, CreateReverse),
                (Empty, Create, CreateSecond),
                (Empty, Create, CreateConflicting),
                (Empty, CreateParallel, CreateParallel),
            ],
        ),
        (
            "create/end",
            &[
                (Empty, Create, End),
                (Empty, CreateParallel, End),
                (Active, CreateReverse, End),
                (CreateCrashed, Create, End),
            ],
        ),
        ("end/end", &[(Active, End, EndByCallee), (CreateCrashed, End, EndByCallee)]),
        (
            "create/webhook",
            &[
                (Empty, Create, Join),
                (Empty, Create, StreamEndsCall),
                (Empty, Create, ChannelDeleted),
                (Active, CreateReverse, StreamEndsCall),
                (AllLeft, CreateReverse, ChannelDeleted),
            ],
        ),
        (
            "end/webhook",
            &[
                (Active, End, StreamEndsCall),
                (Active, End, ChannelDeleted),
                (Active, End, Join),
                (Joined, End, SessionEnds),
            ],
        ),
        (
            "webhook/webhook",
            &[
                (Joined, SessionEnds, StreamEndsCall),
                (Joined, SessionEnds, SessionRestarts),
                (Active, Join, StreamEndsCall),
                (Active, StreamEndsCall, ChannelDeleted),
            ],
        ),
        (
            "create/sweeper",
            &[
                (CreateCrashed, Create, Sweep),
                (CreateCrashed, CreateReverse, Sweep),
                (NotJoined, CreateReverse, Sweep),
            ],
        ),
        (
            "end/sweeper",
            &[
                (NotJoined, End, Sweep),
                (AllLeft, End, Sweep),
                (EndCrashed, End, Sweep),
                (ChannelRecreated, End, Sweep),
                (CreateCrashed, End, Sweep),
            ],
        ),
        (
            "webhook/sweeper",
            &[
                (NotJoined, Join, Sweep),
                (NotJoined, StreamEndsCall, Sweep),
                (Joined, SessionEnds, Sweep),
                (AllLeft, StreamEndsCall, Sweep),
                (EndCrashed, ChannelDeleted, Sweep),
            ],
        ),
        (
            "sweeper/sweeper",
            &[
                (CreateCrashed, Sweep, Sweep),
                (NotJoined, Sweep, Sweep),
                (AllLeft, Sweep, Sweep),
                (EndCrashed, Sweep, Sweep),
                (ChannelRecreated, Sweep, Sweep),
            ],
        ),
    ];
    // A beginning that takes a fault leaves one less for what follows.
    let scenario = |&(start, one, other): &(InitialState, Actor, Actor)| Scenario {
        initial_state: start,
        actors: vec![one, other],
        max_faults: 2 - start.fault_cost(),
    };
    table.iter().map(|(name, rows)| (*name, rows.iter().map(scenario).collect())).collect()
}

/// Runs a scenario in every order, with every choice of faults.
#[must_use]
pub fn check_exhaustively(scenario: &Scenario, mutant: Option<Mutant>) -> Report {
    let mut report = Report::default();
    let Some(ids) = TestIds::new().map(Arc::new) else { return report };
    let mut chooser = ExhaustiveChooser::default();
    loop {
        report.schedules += 1;
        let outcome = Run::new(&ids, mutant, false, &mut chooser).execute(scenario);
        if let RunOutcome::Failed(message) = outcome {
            chooser.replay();
            let mut run = Run::new(&ids, mutant, true, &mut chooser);
            run.execute(scenario);
            let trace = run.sim.lock().trace.take().unwrap_or_default();
            report.violation = Some(Violation { message, scenario: scenario.clone(), trace });
            break;
        }
        if !chooser.backtrack() {
            break;
        }
    }
    report.states = chooser.visited.len() as u64;
    report
}

/// Runs three roles, with a beginning, an order and up to three faults, all chosen by chance:
/// one run for each seed.
#[must_use]
pub fn check_randomly(seeds: impl IntoIterator<Item = u64>, mutant: Option<Mutant>) -> Report {
    let mut report = Report::default();
    let Some(ids) = TestIds::new().map(Arc::new) else { return report };
    let mut visited = VisitedStates::default();
    for seed in seeds {
        report.schedules += 1;
        let mut chooser = RandomChooser { rng_state: seed, visited: &mut visited };
        let scenario = random_scenario(&mut chooser);
        let outcome = Run::new(&ids, mutant, false, &mut chooser).execute(&scenario);
        if let RunOutcome::Failed(message) = outcome {
            let (_, trace) = replay(seed, mutant);
            let message = format!("seed {seed}: {message}");
            report.violation = Some(Violation { message, scenario, trace });
            break;
        }
    }
    report.states = visited.len() as u64;
    report
}

/// Runs the schedule of one seed again: what did not hold, if anything, and what happened.
#[must_use]
pub fn replay(seed: u64, mutant: Option<Mutant>) -> (Option<String>, Vec<String>) {
    let Some(ids) = TestIds::new().map(Arc::new) else { return (None, Vec::new()) };
    let mut visited = VisitedStates::default();
    let mut chooser = RandomChooser { rng_state: seed, visited: &mut visited };
    let scenario = random_scenario(&mut chooser);
    let mut run = Run::new(&ids, mutant, true, &mut chooser);
    let outcome = run.execute(&scenario);
    let mut trace = run.sim.lock().trace.take().unwrap_or_default();
    trace.insert(0, format!("{scenario:?}"));
    let violation = if let RunOutcome::Failed(what) = outcome { Some(what) } else { None };
    (violation, trace)
}

fn random_scenario(chooser: &mut RandomChooser<'_>) -> Scenario {
    let start = InitialState::ALL[chooser.choose(InitialState::ALL.len())];
    let actors = (0..3).map(|_| Actor::ALL[chooser.choose(Actor::ALL.len())]).collect();
    let max_faults = u8::try_from(chooser.choose(4)).unwrap_or(0);
    Scenario { initial_state: start, actors, max_faults }
}
