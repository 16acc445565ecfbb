//! Seeded lives of calls, from their creation to the last event of a consumer.
//!
//! In each life, members join, leave, come back and crash on several devices. Stream's events get
//! lost, late, repeated and reordered, and its lists of participants are late and have several
//! forms. The functions and the consumers of the change stream fail and are killed. In one of four
//! lives the lists are wrong or missing.
//!
//! Afterwards the settled figures must be the truth, each event must have one change and one
//! content, and the history rows must equal the item. `check.rs` has these properties, and
//! `changes.rs` those of every change.

mod actions;
mod check;
mod consumers;
mod deliveries;
mod execution;
mod filters;
mod history;
mod life;
mod mapping;
mod pipe;
mod plan;
mod process;
mod record;
mod rng;
mod world;

use std::ops::Range;

use shared::calls::SettledFrom;
use shared::calls::sweep::Shard;
use shared::config::Env;
use shared::events::EventSource;
use shared::ids::{CallId, UserId};

use crate::mutants::Mutant;
use life::Life;
use plan::MAX_MEMBERS;
use rng::Rng;

/// The result of running lives.
#[derive(Clone, Debug, Default)]
pub struct LivesReport {
    /// The number of lives that were run.
    pub lives: u64,
    /// The lives in which the call was active, and so was settled.
    pub settled: u64,
    /// The lives in which the call was settled without Stream's lists.
    pub settled_from_webhooks: u64,
    /// The lives whose settled figures must be the truth.
    pub compared: u64,
    /// The lives with talk time.
    pub answered: u64,
    /// The number of webhooks that arrived after the settlement.
    pub late_events: u64,
    /// The number of repeated events on the bus.
    pub repeated_events: u64,
    /// The first failure, if any.
    pub failure: Option<LifeFailure>,
}

/// A life in which a property does not hold.
#[derive(Clone, Debug)]
pub struct LifeFailure {
    /// The violated property.
    pub message: String,
    /// The seed of the lives.
    pub seed: u64,
    /// The number of the life.
    pub life: u64,
    /// The steps of the life.
    pub trace: Vec<String>,
}

/// The ids of all lives.
struct LifeIds {
    call: CallId,
    users: [UserId; MAX_MEMBERS],
    service_user: UserId,
    shard: Shard,
    source: EventSource,
}

impl LifeIds {
    fn new() -> Option<Self> {
        let call = CallId::try_from("x".to_owned()).ok()?;
        let user = |name: &str| UserId::try_from(name.to_owned()).ok();
        let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(user);
        Some(Self {
            shard: Shard::from_call_id(&call),
            call,
            users: [alice?, bob?, carol?, dave?],
            service_user: user("service")?,
            source: EventSource::from_env(&Env::default()).ok()?,
        })
    }
}

/// Runs these lives of a seed until one fails.
#[must_use]
pub fn check_lives(seed: u64, lives: Range<u64>, mutant: Option<Mutant>) -> LivesReport {
    let mut report = LivesReport::default();
    let Some(ids) = LifeIds::new() else { return report };
    for number in lives {
        let mut life = Life::new(&ids, Rng::new(seed, number), mutant, false);
        life.run();
        report.lives += 1;
        report.count(&life);
        if let Some(message) = life.find_violation() {
            let trace = replay_life(seed, number, mutant).1;
            report.failure = Some(LifeFailure { message, seed, life: number, trace });
            break;
        }
    }
    report
}

/// Repeats a life. Returns the violated property, if any, and the steps.
#[must_use]
pub fn replay_life(seed: u64, life: u64, mutant: Option<Mutant>) -> (Option<String>, Vec<String>) {
    let Some(ids) = LifeIds::new() else { return (None, Vec::new()) };
    let mut life = Life::new(&ids, Rng::new(seed, life), mutant, true);
    life.run();
    let violation = life.find_violation();
    let trace = life.sim.lock().trace.take().unwrap_or_default();
    (violation, trace)
}

impl LivesReport {
    fn count(&mut self, life: &Life<'_>) {
        let core = life.sim.lock();
        let (model, id) = (&core.model, &life.ids.call);
        if let Some(call) = model.items.get(id).map(|item| &item.call)
            && let Some(settlement) = &call.settlement
            && let Some(live) = model.stream_calls.get(id.as_str())
        {
            self.settled += 1;
            self.compared += u64::from(life.has_exact_figures(live, call, settlement));
            self.settled_from_webhooks +=
                u64::from(settlement.settled_from == SettledFrom::Webhooks);
            self.answered += u64::from(!settlement.talk_time.is_zero());
        }
        self.late_events += life.late_events;
        self.repeated_events += life.pipe.repeats;
    }
}
