//! The values that are derived from the intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Interval, Presence};
use crate::clock::Timestamp;
use crate::ids::UserId;

const MAX_TIME: Timestamp = Timestamp::from_millis(i64::MAX);

/// The absence of one or more users who were in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The last leave. If it was not told: the last instant at which one of the users was known to
    /// be in.
    pub left_at: Timestamp,
    /// Since when all of the users are known to be out. It is later than `left_at` if a leave is
    /// inferred.
    pub since: Timestamp,
}

impl Absence {
    /// Whether the time of the last leave is not known.
    #[must_use]
    pub fn is_inferred(&self) -> bool {
        self.since > self.left_at
    }
}

/// A period, including its begin and excluding its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

impl Presence {
    /// The first join.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.intervals().first().map(|interval| interval.joined_at)
    }

    /// The first moment at which two users are in.
    #[must_use]
    pub fn answered_at(&self) -> Option<Timestamp> {
        let intervals = self.intervals();
        // That moment is a join.
        intervals
            .iter()
            .map(|interval| interval.joined_at)
            .find(|at| has_two_users(&intervals, *at))
    }

    /// The users who have joined, whether or not they are in.
    #[must_use]
    pub fn joined_users(&self) -> BTreeSet<UserId> {
        self.intervals().into_iter().map(|interval| interval.user).collect()
    }

    /// The users who are in.
    #[must_use]
    pub fn present_users(&self) -> BTreeSet<UserId> {
        let intervals = self.intervals().into_iter();
        intervals.filter(|interval| interval.left.is_none()).map(|interval| interval.user).collect()
    }

    /// Since when the user is in without a gap, on any device. `None` if the user is not in.
    #[must_use]
    pub fn present_since(&self, user: &UserId) -> Option<Timestamp> {
        if !self.present_users().contains(user) {
            return None;
        }
        let spans = self.spans_by_user(MAX_TIME);
        spans.get(user)?.last().map(|span| span.from)
    }

    /// The absence of all users. `None` if a user is in, or no user has joined.
    #[must_use]
    pub fn absence(&self) -> Option<Absence> {
        absence_of(self.intervals().iter())
    }

    /// The absence of all users but this one. `None` if another user is in, or none has joined.
    #[must_use]
    pub fn absence_of_others(&self, user: &UserId) -> Option<Absence> {
        absence_of(self.intervals().iter().filter(|interval| interval.user != *user))
    }

    /// The time from the answer to the last moment with two users in, before `until`.
    #[must_use]
    pub fn duration(&self, until: Timestamp) -> Duration {
        let last = self.overlaps(until).last().map(|span| span.until);
        let from_answer = |answered_at: Timestamp| Some(last?.since(answered_at));
        self.answered_at().and_then(from_answer).unwrap_or_default()
    }

    /// The sum of the times with at least two users in, before `until`.
    #[must_use]
    pub fn talk_time(&self, until: Timestamp) -> Duration {
        self.overlaps(until).iter().map(|span| span.until.since(span.from)).sum()
    }

    /// The periods with at least two users in, by time.
    fn overlaps(&self, until: Timestamp) -> Vec<Span> {
        let spans = self.spans_by_user(until);
        let mut changes: Vec<(Timestamp, i32)> =
            spans.values().flatten().flat_map(|span| [(span.from, 1), (span.until, -1)]).collect();
        // A leave at the same time as a join comes first.
        changes.sort_unstable();
        let mut overlaps = Vec::new();
        let (mut present, mut from) = (0, None);
        for (at, change) in changes {
            present += change;
            match (from, present >= 2) {
                (None, true) => from = Some(at),
                (Some(begin), false) => {
                    overlaps.push(Span { from: begin, until: at });
                    from = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        overlaps
    }

    /// The united intervals of each user before `until`, by time. Empty ones are left out.
    fn spans_by_user(&self, until: Timestamp) -> BTreeMap<UserId, Vec<Span>> {
        let mut by_user: BTreeMap<UserId, Vec<Span>> = BTreeMap::new();
        // The intervals are sorted by their begin.
        for interval in self.intervals() {
            let end = interval.left.map_or(until, |left| left.at.min(until));
            let span = Span { from: interval.joined_at, until: end };
            if span.from >= span.until {
                continue;
            }
            let spans = by_user.entry(interval.user).or_default();
            match spans.last_mut() {
                Some(last) if span.from <= last.until => last.until = last.until.max(span.until),
                _ => spans.push(span),
            }
        }
        by_user
    }
}

fn has_two_users(intervals: &[Interval], at: Timestamp) -> bool {
    let mut present = intervals.iter().filter(|interval| is_in(interval, at));
    present.next().is_some_and(|first| present.any(|other| other.user != first.user))
}

/// Whether the participant is in at this time. The end of an interval is excluded, unless it is
/// inferred: then it is the last instant at which the participant was known to be in.
fn is_in(interval: &Interval, at: Timestamp) -> bool {
    let has_left = interval
        .left
        .is_some_and(|left| if left.is_inferred() { left.at < at } else { left.at <= at });
    interval.joined_at <= at && !has_left
}

fn absence_of<'a>(intervals: impl Iterator<Item = &'a Interval>) -> Option<Absence> {
    let mut absence: Option<Absence> = None;
    for interval in intervals {
        let left = interval.left?;
        let (left_at, since) = (left.at, left.out_since());
        absence = Some(absence.map_or(Absence { left_at, since }, |absence| Absence {
            left_at: absence.left_at.max(left_at),
            since: absence.since.max(since),
        }));
    }
    absence
}
