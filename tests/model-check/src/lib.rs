//! A model checker for the lifecycle of calls. It checks that no call is left behind.
//!
//! The real handlers ([`shared::calls`]) run on a model of the table, Stream and the clock. Each
//! await of one of them blocks until the scheduler chooses its outcome. So the checker runs each
//! pair of handlers in every order, with every choice of up to two faults:
//!
//! - a request is rejected before it takes effect;
//! - a request takes effect, and its response is lost;
//! - a request takes effect late;
//! - a process is killed.
//!
//! It also runs random schedules of three handlers. Then clients may repeat their requests, and the
//! sweeper runs. Afterwards no call may be left behind. `state.rs` checks the invariants of every
//! state, and `run.rs` checks the final state.
//!
//! [`check_lives`] runs whole lives of calls on the same model, up to the consumers of the table's
//! change stream.
//!
//! Each [`Mutant`] introduces one bug into the model, to test that the checker detects it.

mod actors;
mod changes;
#[cfg(test)]
mod conformance;
mod explore;
mod hash;
mod listing;
mod lives;
mod mutants;
mod run;
mod services;
mod sim;
mod state;
mod store;
mod stream;
mod stream_events;

pub use actors::Actor;
pub use lives::{LifeFailure, LivesReport, check_lives, replay_life};
pub use mutants::Mutant;
pub use run::{InitialState, Scenario};

use std::sync::Arc;

use actors::TestIds;
use explore::{Chooser as _, ExhaustiveChooser, RandomChooser, RunOutcome, VisitedStates};
use run::Run;

/// The result of checking one or more scenarios.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The number of schedules that were run.
    pub schedules: u64,
    /// The number of distinct states that were visited.
    pub states: u64,
    /// The first violation, if any.
    pub violation: Option<Violation>,
}

/// A violated property.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The description.
    pub message: String,
    /// The scenario in which it occurred.
    pub scenario: Scenario,
    /// The trace up to the violation, one line for each event.
    pub trace: Vec<String>,
}

/// The scenarios of a pair: the initial state and the two actors.
type PairRows = &'static [(InitialState, Actor, Actor)];

/// The number of random triples in which a mutant is searched for. Most mutants are found in the
/// first hundred.
const MUTANT_TRIPLES: u64 = 5_000;

/// Searches for a violation by a mutant: in random triples, then in scenarios that need a certain
/// order, then in all pairs.
#[must_use]
pub fn detect(mutant: Mutant) -> Option<Violation> {
    let in_random_triples = check_randomly(0..MUTANT_TRIPLES, Some(mutant)).violation;
    in_random_triples.or_else(|| {
        let pairs = pair_scenarios().into_iter().flat_map(|(_, scenarios)| scenarios);
        certain_orders()
            .into_iter()
            .chain(pairs)
            .find_map(|scenario| check_exhaustively(&scenario, Some(mutant)).violation)
    })
}

/// Scenarios with violations in few of their orders.
fn certain_orders() -> [Scenario; 5] {
    use Actor::{CallBack, Create, CreateReverse, End, Join, LateLeave, Redial, Sweep};
    let scenario = |initial_state, actors: &[Actor], max_faults| Scenario {
        initial_state,
        actors: actors.to_vec(),
        max_faults,
    };
    [
        // The sweeper looks for what a late request of the create has left.
        scenario(InitialState::Empty, &[Create, End], 2),
        // A member joins between the decision of a sweep and its write.
        scenario(InitialState::NotJoined, &[Join, Sweep], 2),
        // Both members dial at the same time.
        scenario(InitialState::Active, &[Redial, CallBack], 2),
        // Two attempts at one call, and a create that finds the call's pointer cleared.
        scenario(InitialState::Empty, &[CreateReverse, CreateReverse, Create], 1),
        // Two sweeps read a call before and after the event of a leave, and both settle it.
        scenario(InitialState::Unsettled, &[Sweep, Sweep, LateLeave], 0),
    ]
}

/// The scenarios of each pair of handlers.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn pair_scenarios() -> Vec<(&'static str, Vec<Scenario>)> {
    use Actor::{
        CallBack, CallBusy, Cancel, ChannelDeleted, Create, CreateConflicting, CreateKeyed,
        CreateParallel, CreateReverse, CreateSecond, End, EndByCallee, Extend, Join, JoinByCaller,
        JoinBySecondDevice, LateLeave, Leave, Redial, Reject, RejectBusy, SessionEnds,
        SessionRestarts, StreamEndsCall, Sweep,
    };
    use InitialState::{
        Active, AllLeft, Answered, ChannelRecreated, CreateCrashed, Empty, EndCrashed, Joined,
        Limited, NotJoined, Unsettled,
    };
    let table: [(&str, PairRows); 14] = [
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
                (Active, CreateKeyed, End),
            ],
        ),
        (
            "extend/other",
            &[
                (Active, Extend, Extend),
                (Active, Extend, End),
                (Joined, Extend, StreamEndsCall),
                (Joined, Extend, Sweep),
                (Limited, Extend, Leave),
                (Limited, Extend, Sweep),
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
                (Active, CreateReverse, Reject),
                (AllLeft, CreateReverse, ChannelDeleted),
            ],
        ),
        (
            "end/webhook",
            &[
                (Active, End, StreamEndsCall),
                (Active, End, ChannelDeleted),
                (Active, End, Join),
                (Active, End, Reject),
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
                (Active, Join, JoinByCaller),
                (Active, Join, Reject),
                (Joined, JoinByCaller, Leave),
                (Answered, Leave, Join),
                (Answered, JoinBySecondDevice, Leave),
                (Active, RejectBusy, Cancel),
                (Active, Cancel, Join),
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
            "redial",
            &[
                (Active, Redial, CallBack),
                (Active, Redial, End),
                (AllLeft, Redial, Join),
                (NotJoined, Redial, CallBack),
                (NotJoined, Redial, Sweep),
            ],
        ),
        (
            "busy",
            &[
                (Answered, CallBusy, Leave),
                (Answered, CallBusy, End),
                (Active, CallBusy, JoinByCaller),
                (Empty, Create, CallBusy),
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
                (NotJoined, Reject, Sweep),
                (Joined, Leave, Sweep),
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
        ("settlement", &[(Unsettled, LateLeave, Sweep), (Unsettled, Sweep, Sweep)]),
    ];
    // The fault of an initial state counts toward the limit.
    let scenario = |&(initial_state, first, second): &(InitialState, Actor, Actor)| Scenario {
        initial_state,
        actors: vec![first, second],
        max_faults: 2 - initial_state.fault_cost(),
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

/// Runs three random actors from a random initial state, in a random order with up to three faults:
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

/// Repeats the schedule of a seed. Returns the violation, if any, and the trace.
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
    let violation = if let RunOutcome::Failed(message) = outcome { Some(message) } else { None };
    (violation, trace)
}

fn random_scenario(chooser: &mut RandomChooser<'_>) -> Scenario {
    let initial_state = InitialState::ALL[chooser.choose(InitialState::ALL.len())];
    let actors = (0..3).map(|_| Actor::ALL[chooser.choose(Actor::ALL.len())]).collect();
    let max_faults = u8::try_from(chooser.choose(4)).unwrap_or(0);
    Scenario { initial_state, actors, max_faults }
}
