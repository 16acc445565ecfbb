//! One run: an initial state, concurrent actors in one order with some faults, and the recovery
//! afterwards.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::noop_waker;
use shared::calls::CallState;
use shared::clock::Timestamp;
use shared::ids::CallId;

use crate::actors::{Actor, ActorFuture, Handlers, TIMEOUTS, TestIds};
use crate::explore::{Chooser, RunOutcome};
use crate::mutants::Mutant;
use crate::sim::{Sim, StepKind, StepOutcome};
use crate::state::{CallItem, DelayedEffect, ModelState};

/// The initial state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// No call exists.
    Empty,
    /// A crash interrupted the creation of call X at any step, and the lease has expired.
    CreateCrashed,
    /// Call X is active, and no member has joined it.
    Active,
    /// Call X is active, a member has joined it, and its check is due.
    Joined,
    /// Call X is active, and both members are in it.
    Answered,
    /// Call X is active for 60 seconds at most, and both members are in it.
    Limited,
    /// Call X is active, all members have left it, and its check is due.
    AllLeft,
    /// Call X is active, and no member has joined it within the ring timeout.
    NotJoined,
    /// A crash interrupted the end of call X at any step, and the retry is due.
    EndCrashed,
    /// Call X has ended, the event of Bob's leave is late, and the settlement is due.
    Unsettled,
    /// Call X has ended, a late request has recreated its channel, and the cleanup recheck is due.
    ChannelRecreated,
}

impl InitialState {
    /// All initial states.
    pub const ALL: [Self; 11] = [
        Self::Empty,
        Self::CreateCrashed,
        Self::Active,
        Self::Joined,
        Self::Answered,
        Self::Limited,
        Self::AllLeft,
        Self::NotJoined,
        Self::EndCrashed,
        Self::Unsettled,
        Self::ChannelRecreated,
    ];
}

impl InitialState {
    /// The number of faults in this state.
    pub(crate) fn fault_cost(self) -> u8 {
        u8::from(matches!(self, Self::CreateCrashed | Self::EndCrashed | Self::ChannelRecreated))
    }
}

/// A scenario to run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The initial state.
    pub initial_state: InitialState,
    /// The concurrent actors.
    pub actors: Vec<Actor>,
    /// The maximum number of faults.
    pub max_faults: u8,
}

/// A run in progress.
pub(crate) struct Run<'a> {
    pub(crate) sim: Sim,
    handlers: Handlers,
    chooser: &'a mut dyn Chooser,
    ids: Arc<TestIds>,
    /// The number of the next process that runs alone.
    next_solo_process: usize,
}

/// A possible next transition.
#[derive(Clone, Copy)]
enum Transition {
    /// A pending step gets its outcome.
    Resolve(usize, StepOutcome),
    /// Time passes although another step is pending: the other process is slow.
    AdvanceTime(usize),
    /// A process is killed.
    Kill(usize),
    /// A delayed request takes effect.
    ApplyDelayed(usize),
}

/// Concurrent processes have lower numbers. Processes that run alone have higher ones.
const MAX_ACTORS: usize = 4;
const START_TIME: Timestamp = Timestamp::from_secs(1_767_225_600);
/// The time within which the sweeper pushes a limit that a request has not pushed.
const MAX_LIMIT_PUSH: Duration = Duration::from_mins(5);
/// How long the members stay in a limited call.
const LIMITED_STAY: Duration = Duration::from_mins(3);
/// The bound for closing an abandoned call.
const MAX_ABANDONED_CLEANUP: Duration = Duration::from_mins(11);
/// The bound for cleaning up a call that was never active.
const MAX_FAILED_CREATE_CLEANUP: Duration = Duration::from_secs(130);
/// The bound for cleaning up a call after its acknowledged end.
const MAX_ACKNOWLEDGED_END_CLEANUP: Duration = Duration::from_secs(250);

impl<'a> Run<'a> {
    pub(crate) fn new(
        ids: &Arc<TestIds>,
        mutant: Option<Mutant>,
        has_trace: bool,
        chooser: &'a mut dyn Chooser,
    ) -> Self {
        let model = ModelState::new(START_TIME);
        let sim = Sim::new(model, has_trace);
        let handlers = Handlers::new(&sim, ids, mutant);
        Self { sim, handlers, chooser, ids: Arc::clone(ids), next_solo_process: MAX_ACTORS }
    }

    /// Runs a scenario. Stops early at a visited state.
    pub(crate) fn execute(&mut self, scenario: &Scenario) -> RunOutcome {
        self.reach_initial_state(scenario.initial_state);
        let Some(retries) = self.run_concurrently(scenario) else { return RunOutcome::Pruned };
        let violation = self
            .violation()
            .or_else(|| self.recover(scenario.initial_state, &retries))
            .or_else(|| self.violation());
        violation.map_or(RunOutcome::Passed, RunOutcome::Failed)
    }

    fn violation(&self) -> Option<String> {
        self.sim.lock().model.violation.clone()
    }

    /// Runs an actor alone and without faults, to its end or for this number of steps.
    fn run_alone(&mut self, actor: Actor, steps: u32) -> bool {
        // Each run has its own process, so that generated ids are unique.
        let process = self.next_solo_process;
        self.next_solo_process += 1;
        {
            let mut core = self.sim.lock();
            core.set_auto_steps(Some(steps));
            core.set_current_process(process);
            core.record_trace(|| format!("{actor:?}, alone"));
        }
        let mut future = self.handlers.start(actor);
        let is_done = poll_actor(&mut future) == Poll::Ready(Some(()));
        self.sim.lock().set_auto_steps(None);
        is_done
    }

    fn advance_time(&mut self, duration: Duration) {
        let mut core = self.sim.lock();
        core.model.now = core.model.now.plus(duration);
    }

    fn choose(&mut self, options: usize) -> usize {
        if options < 2 { 0 } else { self.chooser.choose(options) }
    }

    /// Reaches the initial state with the same handlers.
    fn reach_initial_state(&mut self, initial_state: InitialState) {
        let unlimited = u32::MAX;
        match initial_state {
            InitialState::Empty => {}
            InitialState::CreateCrashed => {
                let steps = self.choose(6);
                self.run_alone(Actor::Create, u32::try_from(steps).unwrap_or(0));
                self.advance_time(Duration::from_secs(31));
            }
            InitialState::Active => {
                self.run_alone(Actor::Create, unlimited);
            }
            InitialState::NotJoined => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(TIMEOUTS.ring_timeout);
            }
            InitialState::Joined => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::Join, unlimited);
                self.advance_time(TIMEOUTS.ring_timeout);
            }
            InitialState::Answered | InitialState::Limited => {
                let is_limited = initial_state == InitialState::Limited;
                let create = if is_limited { Actor::CreateLimited } else { Actor::Create };
                self.run_alone(create, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::JoinByCaller, unlimited);
                self.advance_time(Duration::from_millis(5_250));
                self.run_alone(Actor::Join, unlimited);
                self.advance_time(Duration::from_millis(20_100));
            }
            InitialState::AllLeft => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::Join, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::SessionEnds, unlimited);
            }
            InitialState::EndCrashed => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(Duration::from_secs(10));
                let steps = self.choose(5) + 1;
                self.run_alone(Actor::End, u32::try_from(steps).unwrap_or(1));
                self.advance_time(Duration::from_secs(31));
            }
            InitialState::Unsettled => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::JoinByCaller, unlimited);
                self.run_alone(Actor::Join, unlimited);
                self.advance_time(Duration::from_millis(20_100));
                let left_at = self.sim.now();
                for live in self.sim.lock().model.stream_calls.values_mut() {
                    live.leave_silently(left_at);
                }
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::End, unlimited);
                self.advance_time(Duration::from_mins(11));
            }
            InitialState::ChannelRecreated => {
                self.run_alone(Actor::Create, unlimited);
                self.advance_time(Duration::from_secs(10));
                self.run_alone(Actor::End, unlimited);
                self.advance_time(Duration::from_secs(181));
                let channel = self.ids.call_x.channel().to_string();
                self.sim.lock().model.stream_channels.insert(channel, "alice".to_owned());
            }
        }
        let model = &mut self.sim.lock().model;
        model.history.has_delayed_effect = false;
        model.is_list_stale = true;
    }

    /// Runs the actors concurrently. Returns the actors whose clients may repeat the request, or
    /// `None` at a visited state.
    fn run_concurrently(&mut self, scenario: &Scenario) -> Option<Vec<Actor>> {
        let mut futures: Vec<Option<ActorFuture>> =
            scenario.actors.iter().map(|actor| Some(self.handlers.start(*actor))).collect();
        let mut responded = vec![false; futures.len()];
        let mut remaining_faults = scenario.max_faults;
        for process in 0..futures.len() {
            self.poll_process(&mut futures, &mut responded, process);
        }
        while futures.iter().any(Option::is_some) {
            if self.violation().is_some() {
                return Some(Vec::new());
            }
            let alive: Vec<bool> = futures.iter().map(Option::is_some).collect();
            if !self.is_new_state(remaining_faults, &alive, &responded) {
                return None;
            }
            let transitions = self.enabled_transitions(&alive, remaining_faults);
            let chosen = self.choose(transitions.len());
            match transitions.get(chosen).copied()? {
                Transition::Resolve(index, outcome) => {
                    let mut core = self.sim.lock();
                    let process = core.pending[index].process;
                    core.resolve(index, outcome);
                    drop(core);
                    remaining_faults -= u8::from(outcome != StepOutcome::Applied);
                    self.poll_process(&mut futures, &mut responded, process);
                }
                Transition::AdvanceTime(index) => {
                    remaining_faults -= 1;
                    let mut core = self.sim.lock();
                    let process = core.pending[index].process;
                    core.resolve(index, StepOutcome::Applied);
                    drop(core);
                    self.poll_process(&mut futures, &mut responded, process);
                }
                Transition::Kill(process) => {
                    remaining_faults -= 1;
                    futures[process] = None;
                    self.sim.lock().kill(process);
                }
                Transition::ApplyDelayed(index) => self.apply_delayed(index),
            }
        }
        if remaining_faults == scenario.max_faults {
            self.sim.lock().model.check_busy_rejections();
        }
        if self.violation().is_some() {
            return Some(Vec::new());
        }
        // No faults occur after this point.
        let alive = vec![false; futures.len()];
        if !self.is_new_state(0, &alive, &responded) {
            return None;
        }
        let failed = scenario.actors.iter().zip(&responded).filter(|(_, responded)| !**responded);
        Some(failed.map(|(actor, _)| *actor).filter(|actor| actor.is_retried()).collect())
    }

    fn is_new_state(&mut self, faults: u8, alive: &[bool], responded: &[bool]) -> bool {
        let digest = self.sim.lock().digest(faults, alive, responded);
        self.chooser.is_new_state(digest)
    }

    fn poll_process(
        &mut self,
        futures: &mut [Option<ActorFuture>],
        responded: &mut [bool],
        process: usize,
    ) {
        let Some(future) = &mut futures[process] else { return };
        self.sim.lock().set_current_process(process);
        if let Poll::Ready(result) = poll_actor(future) {
            responded[process] = result.is_some();
            futures[process] = None;
        }
    }

    fn enabled_transitions(&self, alive: &[bool], faults: u8) -> Vec<Transition> {
        let core = self.sim.lock();
        let mut transitions = Vec::new();
        // Steps take no time. Time passes if all processes wait, or if one is slow, which is a
        // fault.
        let all_waiting = core.pending.iter().all(|step| step.kind == StepKind::Wait);
        for (index, step) in core.pending.iter().enumerate() {
            match step.kind {
                StepKind::Wait if all_waiting => {
                    transitions.push(Transition::Resolve(index, StepOutcome::Applied));
                }
                StepKind::Wait if faults > 0 => transitions.push(Transition::AdvanceTime(index)),
                StepKind::Wait => {}
                _ => transitions.push(Transition::Resolve(index, StepOutcome::Applied)),
            }
            if faults > 0 {
                match step.kind {
                    StepKind::Read => {
                        transitions.push(Transition::Resolve(index, StepOutcome::Rejected));
                    }
                    StepKind::Write => transitions.extend(
                        [StepOutcome::Rejected, StepOutcome::ResponseLost, StepOutcome::Delayed]
                            .map(|outcome| Transition::Resolve(index, outcome)),
                    ),
                    StepKind::Wait | StepKind::StreamEvent => {}
                }
            }
        }
        transitions.extend((0..core.model.delayed_effects.len()).map(Transition::ApplyDelayed));
        if faults > 0 {
            let processes = alive.iter().enumerate().filter(|(_, alive)| **alive);
            transitions.extend(processes.map(|(process, _)| Transition::Kill(process)));
        }
        transitions
    }

    fn apply_delayed(&mut self, index: usize) {
        let mut core = self.sim.lock();
        let DelayedEffect { label, effect, .. } = core.model.delayed_effects.remove(index);
        effect(&mut core.model);
        core.model.record_changes();
        core.model.check_invariants();
        core.record_trace(|| format!("delayed: {label}"));
    }

    /// Runs the recovery: clients repeat failed requests or not, the sweeper runs every minute, and
    /// delayed requests take effect as late as possible. Returns a violation if a call is left
    /// behind.
    fn recover(&mut self, initial_state: InitialState, retries: &[Actor]) -> Option<String> {
        self.sim.lock().model.is_list_stale = false;
        for actor in retries {
            if self.choose(2) == 1 {
                self.advance_time(Duration::from_secs(1));
                self.run_alone(*actor, u32::MAX);
            }
        }
        // All participants leave, and no event reports it. Those of a limited call stay longer.
        if initial_state == InitialState::Limited {
            let limited_until = self.sim.now().plus(LIMITED_STAY);
            while self.sim.now() < limited_until && self.run_next_sweep(limited_until) {
                if self.violation().is_some() {
                    return None;
                }
            }
        }
        let recovery_started_at = self.sim.now();
        for live in self.sim.lock().model.stream_calls.values_mut() {
            live.leave_silently(recovery_started_at);
        }
        while self.sim.lock().model.violation.is_none() && self.run_next_sweep(recovery_started_at)
        {
            if self.sim.now().since(recovery_started_at) > Duration::from_mins(30) {
                return Some("the recovery does not finish".to_owned());
            }
        }
        let model = &mut self.sim.lock().model;
        model.check_talk_times();
        if model.violation.is_some() {
            return None;
        }
        let unsettled = model.items.values().find(|item| item.call.needs_settlement());
        if let Some(item) = unsettled {
            return Some(format!("{} is not settled", item.call.call_id));
        }
        let open = model.items.values().find(|item| item.call.state != CallState::Ended);
        if let Some(item) = open {
            return Some(format!("{} stays {:?}", item.call.call_id, item.call.state));
        }
        None
    }

    /// Advances to the next minute with work and runs a sweep. Returns whether there was work.
    fn run_next_sweep(&mut self, recovery_started_at: Timestamp) -> bool {
        let minute_millis = 60_000;
        let session_timeout_at = recovery_started_at.plus(TIMEOUTS.inactivity_timeout);
        {
            let mut core = self.sim.lock();
            let model = &mut core.model;
            let due = model.items.values().filter_map(|item| item.due_at);
            let delayed = model.delayed_effects.iter().map(|delayed| delayed.applies_at);
            let Some(next) = due.chain(delayed).min() else { return false };
            let next = next.max(model.now.plus(Duration::from_millis(1))).as_millis();
            let next =
                Timestamp::from_millis((next + minute_millis - 1) / minute_millis * minute_millis);
            model.now = next;
            if next >= session_timeout_at {
                for live in model.stream_calls.values_mut() {
                    live.end_session(session_timeout_at);
                }
            }
        }
        let now = self.sim.now();
        loop {
            let due_index = self
                .sim
                .lock()
                .model
                .delayed_effects
                .iter()
                .position(|delayed| delayed.applies_at <= now);
            let Some(index) = due_index else { break };
            self.apply_delayed(index);
        }
        self.run_alone(Actor::Sweep, u32::MAX);
        let mut core = self.sim.lock();
        let overdue = find_overdue(&core.model, recovery_started_at);
        if let Some(message) = overdue {
            core.model.record_violation(|| message);
        }
        true
    }
}

/// A call that exceeds its bound.
fn find_overdue(model: &ModelState, recovery_started_at: Timestamp) -> Option<String> {
    let now = model.now;
    let is_exceeded = |since: &Timestamp, bound: Duration| now.since(*since) > bound;
    let outlives_limit = |item: &&CallItem| {
        item.call.state == CallState::Active
            && item.call.ends_at(TIMEOUTS.max_duration).is_some_and(|ends_at| ends_at <= now)
    };
    if let Some(item) = model.items.values().find(outlives_limit) {
        return Some(format!("{} is active after a sweep at its limit", item.call.call_id));
    }
    for (id, since) in &model.history.acknowledged_ends {
        if is_exceeded(since, MAX_ACKNOWLEDGED_END_CLEANUP) && !model.is_cleaned_up(id) {
            return Some(format!("{id} is not cleaned up 250 s after its acknowledged end"));
        }
    }
    // A delayed request may take effect later. Then the cleanup recheck removes its resource.
    if is_exceeded(&recovery_started_at, MAX_FAILED_CREATE_CLEANUP)
        && !model.history.has_delayed_effect
    {
        let was_never_active = |id: &&CallId| !model.history.activated.contains(*id);
        let leftover = model
            .history
            .requested
            .iter()
            .filter(was_never_active)
            .find(|id| !model.is_cleaned_up(id));
        if let Some(id) = leftover {
            return Some(format!("{id} is not cleaned up 130 s after its creation failed"));
        }
    }
    if is_exceeded(&recovery_started_at, MAX_LIMIT_PUSH) {
        let unsynced = model
            .items
            .values()
            .find(|item| item.call.state == CallState::Active && !item.call.is_limit_synced());
        if let Some(item) = unsynced {
            let id = &item.call.call_id;
            return Some(format!("the limit of {id} is not at Stream after 5 minutes"));
        }
    }
    if is_exceeded(&recovery_started_at, MAX_ABANDONED_CLEANUP) {
        for (id, item) in &model.items {
            if item.call.state != CallState::Ended || !model.is_cleaned_up(id) {
                return Some(format!("{id} is not closed after 11 minutes"));
            }
        }
    }
    None
}

fn poll_actor(future: &mut ActorFuture) -> Poll<Option<()>> {
    future.as_mut().poll(&mut Context::from_waker(&noop_waker()))
}
