//! Runs a life: a simulation of discrete events. All requests of all processes, the actions of the
//! members, and the deliveries of events and records have a place in one queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use shared::calls::sweep::{CloseReport, ClosedCallObserver};
use shared::calls::{Call, CallScore};
use shared::clock::{Deadline, Timestamp};
use shared::history::HistoryProjector;

use super::LifeIds;
use super::history::ModelHistoryStore;
use super::mapping::Mapping;
use super::pipe::Pipe;
use super::plan::{Action, Plan, START};
use super::process::{Delivery, Functions, Process, ProcessKind};
use super::rng::Rng;
use crate::mutants::Mutant;
use crate::services::{Configuration, Services};
use crate::sim::Sim;
use crate::state::ModelState;

/// The time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// The largest number of entries of a life.
const MAX_ENTRIES: u64 = 50_000;

/// An entry of the queue.
pub(super) enum Entry {
    /// A step of a process gets its outcome.
    Step(u64),
    Action(Action),
    Delivery(Delivery),
    /// A session has had no participants for the inactivity timeout, unless one has left since.
    IdleSession {
        number: usize,
        departures: u32,
    },
    /// The report of a session is ready.
    Report(usize),
    /// A delayed request takes effect.
    DelayedEffect,
    /// The mapping invokes the history's consumer.
    Mapping,
    Pipe,
}

/// A life in progress.
pub(super) struct Life<'a> {
    pub(super) sim: Sim,
    pub(super) ids: &'a LifeIds,
    pub(super) plan: Plan,
    pub(super) mapping: Mapping,
    pub(super) pipe: Pipe,
    /// The number of events that arrived after the settlement.
    pub(super) late_events: u64,
    pub(super) functions: Functions,
    pub(super) rng: Rng,
    queue: BTreeMap<(Timestamp, u64), Entry>,
    /// The number of entries so far.
    entries: u64,
    pub(super) processes: Vec<Option<Process>>,
    /// The first step that has no entry.
    pub(super) next_step: u64,
    swept_at: Timestamp,
    /// The sessions whose report is due.
    pub(super) reported_sessions: Vec<usize>,
    pub(super) is_end_reported: bool,
    /// The member who ended the call at Stream.
    pub(super) ended_by: Option<usize>,
    pub(super) is_mapping_queued: bool,
    pub(super) is_pipe_queued: bool,
    /// The number of changes of the item so far.
    pub(super) changes: usize,
}

/// Gives each closed call the same score, after this number of attempts without time.
struct ScoreObserver(Option<CallScore>, AtomicU32);

#[async_trait]
impl ClosedCallObserver for ScoreObserver {
    async fn prepare(&self, _: &Call, _: Deadline) -> Option<CloseReport> {
        let is_postponed =
            self.1.fetch_update(Relaxed, Relaxed, |attempts| attempts.checked_sub(1)).is_ok();
        let report = CloseReport { quality: self.0.clone(), ..CloseReport::default() };
        (!is_postponed).then_some(report)
    }
}

impl<'a> Life<'a> {
    pub(super) fn new(
        ids: &'a LifeIds,
        mut rng: Rng,
        mutant: Option<Mutant>,
        has_trace: bool,
    ) -> Self {
        let plan = Plan::new(&mut rng);
        let mut model = ModelState::new(START);
        model.changes.journal = Some(Vec::new());
        model.listing = plan.listing.clone();
        model.is_list_stale = plan.is_list_stale;
        model.stream_clock_ahead = plan.stream_clock_ahead;
        let sim = Sim::new(model, has_trace);
        sim.lock().skip_digests();
        let configuration = Configuration {
            shard: ids.shard,
            service_user: ids.service_user.clone(),
            timeouts: plan.timeouts,
            observer: Arc::new(ScoreObserver(plan.score.clone(), rng.pick([0, 0, 1, 2]).into())),
        };
        let functions = Functions {
            sim: sim.clone(),
            services: Services::new(&sim, configuration, mutant),
            projector: HistoryProjector { store: Arc::new(ModelHistoryStore(sim.clone())) },
            call: ids.call.clone(),
            members: ids.users[..plan.members].to_vec(),
        };
        let mut life = Self {
            sim,
            ids,
            plan,
            mapping: Mapping::default(),
            pipe: Pipe::new(ids.source.clone()),
            late_events: 0,
            functions,
            rng,
            queue: BTreeMap::new(),
            entries: 0,
            processes: Vec::new(),
            next_step: 0,
            swept_at: START,
            reported_sessions: Vec::new(),
            is_end_reported: false,
            ended_by: None,
            is_mapping_queued: false,
            is_pipe_queued: false,
            changes: 0,
        };
        for (after, action) in life.plan.actions.clone() {
            life.queue_at(START.plus(after), Entry::Action(action));
        }
        life
    }

    /// Runs the life until nothing is left to do, or a violation occurs.
    pub(super) fn run(&mut self) {
        self.sim.lock().record_trace(|| format!("{:#?}", self.plan));
        while self.sim.lock().model.violation.is_none() {
            if self.entries > MAX_ENTRIES {
                self.fail("the life does not finish".to_owned());
                return;
            }
            let sweep_at = self.next_sweep_at();
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            if let Some(sweep_at) = sweep_at.filter(|at| next.is_none_or(|next| *at <= next)) {
                self.advance_to(sweep_at);
                self.swept_at = sweep_at;
                let future = self.functions.sweep();
                self.start(ProcessKind::Sweep, future);
            } else if let Some(((at, _), entry)) = self.queue.pop_first() {
                self.advance_to(at);
                self.process_entry(entry);
            } else {
                return;
            }
            self.queue_followers();
        }
    }

    pub(super) fn fail(&self, message: String) {
        self.sim.lock().model.record_violation(|| message);
    }

    fn queue_at(&mut self, at: Timestamp, entry: Entry) {
        self.queue.insert((at, self.entries), entry);
        self.entries += 1;
    }

    pub(super) fn queue_after(&mut self, delay: Duration, entry: Entry) {
        self.queue_at(self.sim.now().plus(delay), entry);
    }

    fn advance_to(&self, at: Timestamp) {
        let model = &mut self.sim.lock().model;
        model.now = model.now.max(at);
    }

    /// The next minute at which a call is due.
    fn next_sweep_at(&self) -> Option<Timestamp> {
        let core = self.sim.lock();
        let due_at = core.model.items.values().filter_map(|item| item.due_at).min()?;
        let earliest = due_at.max(self.swept_at.plus(SWEEP_INTERVAL)).as_millis();
        let minute = 60_000;
        Some(Timestamp::from_millis((earliest + minute - 1) / minute * minute))
    }

    fn process_entry(&mut self, entry: Entry) {
        match entry {
            Entry::Step(step) => self.resolve_step(step),
            Entry::Action(action) => self.act(action),
            Entry::Delivery(delivery) => self.deliver(delivery),
            Entry::IdleSession { number, departures } => self.change_world(|world| {
                if world.idle_session() == Some((number, departures)) {
                    world.end_session();
                }
            }),
            Entry::Report(number) => {
                self.change_any_world(|world| world.report_session(number));
            }
            Entry::DelayedEffect => self.apply_delayed_effect(),
            Entry::Mapping => self.invoke_consumer(),
            Entry::Pipe => self.run_pipe(),
        }
    }

    /// Queues what follows from the last entry.
    fn queue_followers(&mut self) {
        self.queue_steps();
        self.report_end();
        self.queue_session_report();
        self.read_changes();
    }
}
