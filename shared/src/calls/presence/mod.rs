//! The presence in a call: the intervals between the joins and leaves of its participants.
//!
//! Stream's webhooks report joins and leaves, and may be lost, late, repeated or out of order. The
//! told facts are stored as sets, earliest and latest times, so their order does not matter. Reads
//! of Stream (looks) find what was lost.

mod overlap;
mod record;
mod stored;
#[cfg(test)]
mod tests;

pub use crate::stream::event::{Join, Leave};
pub use overlap::Absence;
pub use record::{Departure, Interval};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::SessionId;
use crate::stream::event::MAX_CLOCK_SKEW;
use record::{Key, Record, UnkeyedLeave};

/// The maximum number of stored intervals.
pub const MAX_INTERVALS: usize = 200;
/// The maximum number of stored sessions of a call.
const MAX_SESSIONS: usize = 50;

/// The duration in whole seconds. Round only once, where the value leaves the service.
#[must_use]
pub fn round_to_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_millis() >= 500)
}

/// The intervals in which participants were in a call.
///
/// The serialized form is a map with the number `version`, on which a write can be conditional. A
/// missing attribute is [`Presence::default`], whose version is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "stored::StoredPresence", try_from = "stored::StoredPresence")]
pub struct Presence {
    version: u64,
    is_truncated: bool,
    records: BTreeMap<Key, Record>,
    unkeyed_leaves: BTreeSet<UnkeyedLeave>,
    /// The sessions of the call at Stream. The value is whether the session's report is ready.
    sessions: BTreeMap<SessionId, bool>,
}

impl Presence {
    /// The version. It increases with each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether no change was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.version == 0
    }

    /// Whether an event was not stored because of [`MAX_INTERVALS`].
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Counts a change of data that is stored under the same version, such as the rejects.
    pub fn increment_version(&mut self) {
        self.version += 1;
    }

    /// Records a join that a webhook reports. Returns whether the presence has changed.
    pub fn record_join(&mut self, join: &Join) -> bool {
        self.change(|presence| {
            presence.get_or_insert(join);
        })
    }

    /// Records a leave that a webhook reports. The earlier of two leaves of one interval stands.
    /// Returns whether the presence has changed.
    pub fn record_leave(&mut self, leave: &Leave) -> bool {
        self.change(|presence| presence.apply_leave(leave))
    }

    /// Records a session of the call at Stream, in which participants are or were. Returns whether
    /// the presence has changed. Further sessions than 50 are not recorded.
    pub fn record_session(&mut self, session: &SessionId) -> bool {
        self.change(|presence| {
            if presence.sessions.len() < MAX_SESSIONS {
                presence.sessions.entry(session.clone()).or_default();
            }
        })
    }

    /// Records that the report of a session is ready, after which Stream's list of its participants
    /// is final. Returns whether the presence has changed.
    pub fn record_report(&mut self, session: &SessionId) -> bool {
        self.change(|presence| {
            if presence.sessions.len() < MAX_SESSIONS || presence.sessions.contains_key(session) {
                presence.sessions.insert(session.clone(), true);
            }
        })
    }

    /// The sessions of the call at Stream, as far as they are known.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.sessions.keys()
    }

    /// Whether the report of this session is ready.
    #[must_use]
    pub fn has_report(&self, session: &SessionId) -> bool {
        self.sessions.get(session).is_some_and(|is_ready| *is_ready)
    }

    /// Whether the reports of all known sessions are ready.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        let is_complete = (1..MAX_SESSIONS).contains(&self.sessions.len());
        is_complete && self.sessions.values().all(|is_ready| *is_ready)
    }

    /// Adds the participants that `QueryCalls` lists. The list may be stale, so it closes and
    /// reopens no interval. Returns whether it differs from the presence, in which case `GetCall`
    /// must decide. If it does not differ, the presence has not changed.
    pub fn observe_list(&mut self, participants: &[Join]) -> bool {
        let mut unknown: BTreeSet<Key> = participants.iter().map(Key::from).collect();
        let mut differs = false;
        for interval in self.intervals() {
            let key = interval.key();
            let is_listed = unknown.remove(&key);
            // A look never changes a told leave.
            differs |= match interval.left {
                None => !is_listed,
                Some(left) => is_listed && left.is_inferred(),
            };
        }
        self.change(|presence| {
            for join in participants {
                presence.get_or_insert(join);
            }
        });
        differs || !unknown.is_empty()
    }

    /// Applies the participants that `GetCall` returns. The list must be complete, except that it
    /// may lack participants who joined after the request was sent. Returns whether the presence
    /// has changed.
    pub fn observe_call(&mut self, requested_at: Timestamp, participants: &[Join]) -> bool {
        self.change(|presence| {
            for join in participants {
                if let Some(record) = presence.get_or_insert(join) {
                    record.show(join.joined_at.max(requested_at));
                }
            }
            let shown: BTreeSet<Key> = participants.iter().map(Key::from).collect();
            for (key, record) in &mut presence.records {
                // The two times are from different clocks.
                let joined_before = key.joined_at.plus(MAX_CLOCK_SKEW) < requested_at;
                if joined_before && !shown.contains(key) {
                    record.miss(requested_at);
                }
            }
        })
    }

    /// The intervals by time of the join.
    #[must_use]
    pub fn intervals(&self) -> Vec<Interval> {
        let mut intervals: Vec<Interval> =
            self.records.iter().map(|(key, record)| record.interval(key)).collect();
        // The leaves are sorted by time.
        for leave in &self.unkeyed_leaves {
            leave.apply(&mut intervals);
        }
        intervals.sort_by(|a, b| a.joined_at.cmp(&b.joined_at).then_with(|| a.user.cmp(&b.user)));
        intervals
    }

    /// This presence with other intervals, in any number.
    pub(super) fn with_intervals(&self, intervals: &[Interval]) -> Self {
        let mut records: BTreeMap<Key, Record> = BTreeMap::new();
        for interval in intervals {
            let record = Record::from_interval(interval);
            let known = records.entry(interval.key()).or_insert(record);
            // One of two rows for the same stay may lack its end, or have an earlier one.
            if known.left_at < record.left_at {
                *known = record;
            }
        }
        Self { version: self.version + 1, records, unkeyed_leaves: BTreeSet::new(), ..self.clone() }
    }

    /// Whether the presence has at most [`MAX_INTERVALS`].
    pub(super) fn is_within_bound(&self) -> bool {
        self.len() <= MAX_INTERVALS
    }

    /// Records that intervals are missing, because they exceed [`MAX_INTERVALS`].
    pub(super) fn mark_truncated(&mut self) {
        self.is_truncated = true;
        self.increment_version();
    }

    fn change(&mut self, apply: impl FnOnce(&mut Self)) -> bool {
        let before = self.clone();
        apply(self);
        let has_changed = *self != before;
        if has_changed {
            self.increment_version();
        }
        has_changed
    }

    fn apply_leave(&mut self, leave: &Leave) {
        let Leave { user, session, joined_at, at, duration } = leave.clone();
        if let Some(joined_at) = joined_at {
            if let Some(record) = self.get_or_insert(&Join { user, session, joined_at }) {
                record.leave(at.max(joined_at));
            }
            return;
        }
        let leave = UnkeyedLeave { at, user, session, duration };
        if self.unkeyed_leaves.contains(&leave) || self.has_room() {
            self.unkeyed_leaves.insert(leave);
        }
    }

    /// The record of a join. `None` if there is no room for a new one.
    fn get_or_insert(&mut self, join: &Join) -> Option<&mut Record> {
        let key = Key::from(join);
        if !self.records.contains_key(&key) && !self.has_room() {
            return None;
        }
        Some(self.records.entry(key).or_insert_with(|| Record::new(join.joined_at)))
    }

    fn has_room(&mut self) -> bool {
        if self.len() >= MAX_INTERVALS {
            self.unite();
        }
        let has_room = self.len() < MAX_INTERVALS;
        self.is_truncated |= !has_room;
        has_room
    }

    fn len(&self) -> usize {
        self.records.len() + self.unkeyed_leaves.len()
    }

    /// Unites the closed intervals of each user that overlap, if that frees room. The united
    /// intervals have no session, so a late event of a part adds that part again, which overlaps.
    fn unite(&mut self) {
        let (open, mut closed): (Vec<Interval>, Vec<Interval>) =
            self.intervals().into_iter().partition(|interval| interval.left.is_none());
        closed.sort_by(|a, b| a.user.cmp(&b.user).then_with(|| a.joined_at.cmp(&b.joined_at)));
        let mut united: Vec<Interval> = Vec::new();
        for interval in closed {
            let is_united = united.last_mut().is_some_and(|last| last.unite(&interval));
            if !is_united {
                united.push(interval);
            }
        }
        if open.len() + united.len() >= self.len() {
            return;
        }
        let mut records: BTreeMap<Key, Record> =
            open.iter().filter_map(|interval| self.records.remove_entry(&interval.key())).collect();
        records.extend(
            united.into_iter().map(|interval| (interval.key(), Record::from_interval(&interval))),
        );
        self.records = records;
        self.unkeyed_leaves.clear();
    }
}
