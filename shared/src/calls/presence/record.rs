//! The stored facts about one interval.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::stream::event::Join;

/// The end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Departure {
    /// When the participant left. If inferred: the last instant at which the participant was known
    /// to be in.
    pub at: Timestamp,
    /// If no leave was told: the first look that did not show the participant any more.
    pub inferred_by: Option<Timestamp>,
}

impl Departure {
    /// Whether no leave was told.
    #[must_use]
    pub fn is_inferred(&self) -> bool {
        self.inferred_by.is_some()
    }

    /// Since when the participant is known to be out.
    #[must_use]
    pub fn out_since(&self) -> Timestamp {
        self.inferred_by.unwrap_or(self.at)
    }

    fn told(at: Timestamp) -> Self {
        Self { at, inferred_by: None }
    }
}

/// An interval in which a participant was in the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The user.
    pub user: UserId,
    /// The participant's session. `None` if overlapping intervals were united.
    pub session: Option<SessionId>,
    /// The begin.
    pub joined_at: Timestamp,
    /// The end, or `None` while the participant is in.
    pub left: Option<Departure>,
}

impl Interval {
    pub(super) fn key(&self) -> Key {
        Key { user: self.user.clone(), session: self.session.clone(), joined_at: self.joined_at }
    }

    /// Extends this interval by a later one, if both are closed, overlap and have the same user.
    pub(super) fn unite(&mut self, later: &Self) -> bool {
        let (Some(left), Some(later_left)) = (self.left, later.left) else { return false };
        if self.user != later.user || later.joined_at > left.at {
            return false;
        }
        self.session = None;
        let is_later = later_left.at > left.at;
        let replaces_inferred = later_left.at == left.at && !later_left.is_inferred();
        if is_later || replaces_inferred {
            self.left = Some(later_left);
        }
        true
    }

    fn told_leave(&self) -> Option<Timestamp> {
        self.left.filter(|left| !left.is_inferred()).map(|left| left.at)
    }
}

/// The key of an interval. The user is part of it, because clients choose their session ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) user: UserId,
    /// `None` for united intervals.
    pub(super) session: Option<SessionId>,
    pub(super) joined_at: Timestamp,
}

impl From<&Join> for Key {
    fn from(join: &Join) -> Self {
        let Join { user, session, joined_at } = join.clone();
        Self { user, session: Some(session), joined_at }
    }
}

/// The facts about an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    /// The earliest told leave.
    pub(super) left_at: Option<Timestamp>,
    /// The last instant at which the participant was known to be in.
    pub(super) last_seen: Timestamp,
    /// The first look after `last_seen` that did not show the participant.
    pub(super) first_missed: Option<Timestamp>,
}

impl Record {
    pub(super) fn new(joined_at: Timestamp) -> Self {
        Self { left_at: None, last_seen: joined_at, first_missed: None }
    }

    /// The record of a closed interval.
    pub(super) fn from_interval(interval: &Interval) -> Self {
        match interval.left {
            Some(Departure { at, inferred_by: None }) => {
                Self { left_at: Some(at), ..Self::new(interval.joined_at) }
            }
            Some(Departure { at, inferred_by }) => {
                Self { first_missed: inferred_by, ..Self::new(at) }
            }
            None => Self::new(interval.joined_at),
        }
    }

    pub(super) fn interval(&self, key: &Key) -> Interval {
        let inferred =
            |first_missed| Departure { at: self.last_seen, inferred_by: Some(first_missed) };
        Interval {
            user: key.user.clone(),
            session: key.session.clone(),
            joined_at: key.joined_at,
            left: self.left_at.map(Departure::told).or(self.first_missed.map(inferred)),
        }
    }

    pub(super) fn leave(&mut self, at: Timestamp) {
        self.left_at = Some(earliest(self.left_at, at));
        // A look changes nothing after a told leave.
        self.first_missed = None;
    }

    /// Applies a look that shows the participant at this time.
    pub(super) fn show(&mut self, at: Timestamp) {
        if self.left_at.is_none() {
            self.last_seen = self.last_seen.max(at);
            self.first_missed =
                self.first_missed.filter(|first_missed| *first_missed > self.last_seen);
        }
    }

    /// Applies a look that does not show the participant at this time.
    pub(super) fn miss(&mut self, at: Timestamp) {
        if self.left_at.is_none() && at > self.last_seen {
            self.first_missed = Some(earliest(self.first_missed, at));
        }
    }
}

/// A told leave without `joined_at`. It is stored apart, because the join that it belongs to may be
/// told later. The order is by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UnkeyedLeave {
    pub(super) at: Timestamp,
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) duration: Option<Duration>,
}

impl UnkeyedLeave {
    /// Closes the session's last interval before this leave. If that was left before this one
    /// began, or there is none, a closed interval is added.
    pub(super) fn apply(&self, intervals: &mut Vec<Interval>) {
        let joined_at = self.estimated_join();
        let latest = intervals
            .iter_mut()
            .filter(|interval| self.is_possible_leave_of(interval))
            .max_by_key(|interval| interval.joined_at);
        if let Some(interval) = latest {
            let left_at = interval.told_leave();
            let is_other_interval =
                self.duration.is_some() && left_at.is_some_and(|left_at| left_at <= joined_at);
            if !is_other_interval {
                interval.left = Some(Departure::told(earliest(left_at, self.at)));
                return;
            }
        }
        intervals.push(Interval {
            user: self.user.clone(),
            session: Some(self.session.clone()),
            joined_at,
            left: Some(Departure::told(self.at)),
        });
    }

    fn is_possible_leave_of(&self, interval: &Interval) -> bool {
        interval.user == self.user
            && interval.session.as_ref() == Some(&self.session)
            && interval.joined_at <= self.latest_join()
    }

    /// The latest join that the duration permits. A participant can come back at the instant of
    /// this leave.
    fn latest_join(&self) -> Timestamp {
        /// The duration is in whole seconds.
        const ROUNDING: Duration = Duration::from_secs(1);
        self.estimated_join().plus(ROUNDING).min(self.at)
    }

    /// Stream reports the duration in whole seconds.
    fn estimated_join(&self) -> Timestamp {
        self.at.minus(self.duration.unwrap_or_default())
    }
}

fn earliest(known: Option<Timestamp>, at: Timestamp) -> Timestamp {
    known.map_or(at, |known| known.min(at))
}
