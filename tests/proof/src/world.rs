//! The world as the handlers find it: the table, Stream, and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use shared::calls::{Call, CallState, Mark, MemberSet};
use shared::clock::Timestamp;
use shared::ids::CallId;

use crate::sim::Effect;

/// How long after it was sent a request may still take effect.
pub(crate) const LATE: Duration = Duration::from_secs(100);

/// Everything outside the processes.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    /// The table's calls.
    pub(crate) items: BTreeMap<CallId, Item>,
    /// The table's marks.
    pub(crate) marks: BTreeMap<MemberSet, Marking>,
    /// Stream's channels, by their ids.
    pub(crate) channels: BTreeMap<String, UserName>,
    /// Stream's calls, by their ids.
    pub(crate) calls: BTreeMap<String, LiveCall>,
    /// Requests that take effect later.
    pub(crate) late: Vec<Late>,
    /// What has happened so far, as far as it has to be kept.
    pub(crate) ledger: Ledger,
    /// The first thing that went wrong.
    pub(crate) wrong: Option<String>,
}

type UserName = String;

/// A mark in the table, and the attempt that set it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Marking {
    pub(crate) mark: Mark,
    pub(crate) attempt: String,
}

/// A call in the table.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Item {
    pub(crate) call: Call,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) tries: u32,
}

/// A call at Stream.
#[derive(Clone, Debug, Hash)]
pub(crate) struct LiveCall {
    pub(crate) created_by: UserName,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) session: Option<Session>,
}

/// A session of a call at Stream.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Session {
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
}

/// A request that takes effect later.
pub(crate) struct Late {
    pub(crate) until: Timestamp,
    pub(crate) label: String,
    pub(crate) effect: Effect,
}

/// What has happened so far.
#[derive(Default, Hash)]
pub(crate) struct Ledger {
    /// The calls that were asked for.
    pub(crate) begun: BTreeSet<CallId>,
    /// The calls that have been active.
    pub(crate) active: BTreeSet<CallId>,
    /// The calls that have been over.
    pub(crate) over: BTreeSet<CallId>,
    /// The calls whose end was acknowledged, and when.
    pub(crate) acknowledged_ends: BTreeMap<CallId, Timestamp>,
    /// The calls that Stream itself has ended, or has deleted something of.
    pub(crate) at_stream: BTreeSet<CallId>,
    /// Whether a request takes effect late in this run.
    pub(crate) late: bool,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hash: &mut H) {
        let Self { now, items, marks, channels, calls, late, ledger, wrong: _ } = self;
        (now, items, marks, channels, calls, ledger).hash(hash);
        for Late { until, label, effect: _ } in late {
            (until, label).hash(hash);
        }
    }
}

impl World {
    /// An empty one.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            items: BTreeMap::new(),
            marks: BTreeMap::new(),
            channels: BTreeMap::new(),
            calls: BTreeMap::new(),
            late: Vec::new(),
            ledger: Ledger::default(),
            wrong: None,
        }
    }

    /// Says what is wrong, if nothing was before.
    pub(crate) fn accuse(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(what());
        }
    }

    /// Moves a call to another state, which must not be an earlier one.
    pub(crate) fn move_to(&mut self, id: &CallId, state: CallState) {
        let Some(item) = self.items.get_mut(id) else { return };
        let before = item.call.state;
        item.call.state = state;
        match state {
            CallState::Active => {
                self.ledger.active.insert(id.clone());
            }
            CallState::Ending | CallState::Ended => {
                self.ledger.over.insert(id.clone());
            }
            CallState::Creating => {}
        }
        if state < before {
            self.accuse(|| format!("{id} goes back from {before:?} to {state:?}"));
        }
    }

    /// What must hold at every instant.
    pub(crate) fn check(&mut self) {
        if self.wrong.is_none() {
            self.wrong = self.find_wrong();
        }
    }

    fn find_wrong(&self) -> Option<String> {
        let will_be_removed = |id: &str| {
            let item = self.items.iter().find(|(known, _)| known.as_str() == id)?.1;
            item.due_at.map(|_| ())
        };
        for channel in self.channels.keys() {
            let id = channel.strip_prefix("call-").unwrap_or_default();
            if will_be_removed(id).is_none() {
                return Some(format!("nothing will remove the channel {channel}"));
            }
        }
        for (id, live) in &self.calls {
            if live.ended_at.is_none() && will_be_removed(id).is_none() {
                return Some(format!("nothing will end the live call {id}"));
            }
        }
        let mut open = BTreeSet::new();
        for (id, item) in &self.items {
            let state = item.call.state;
            if state != CallState::Ended && item.due_at.is_none() {
                return Some(format!("{id} is {state:?} and not due"));
            }
            if state <= CallState::Active && self.ledger.acknowledged_ends.contains_key(id) {
                return Some(format!("{id} is {state:?} after its end was acknowledged"));
            }
            if state != CallState::Active {
                continue;
            }
            let there = self.channels.contains_key(&id.channel().to_string())
                && self.calls.get(id.as_str()).is_some_and(|live| live.ended_at.is_none());
            if !there && !self.ledger.at_stream.contains(id) {
                return Some(format!("{id} is active, and not there at Stream"));
            }
            if !item.call.parallel && !open.insert(MemberSet::of(&item.call.members)) {
                return Some(format!("{id} is one of two active calls of the same members"));
            }
        }
        None
    }

    /// Whether nothing of a call is left at Stream.
    pub(crate) fn is_clear(&self, id: &CallId) -> bool {
        !self.channels.contains_key(&id.channel().to_string())
            && self.calls.get(id.as_str()).is_none_or(|live| live.ended_at.is_some())
    }
}
