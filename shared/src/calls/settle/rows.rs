//! Joins the rows of Stream's list with the intervals that the webhooks told.

use std::time::Duration;

use crate::calls::presence::{Departure, Interval};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::stream::ops::ParticipantSession;

/// The largest difference between a row and the same interval by a webhook.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A row of Stream's list: one stay of a participant. Stream omits what it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::calls) struct ParticipantRow {
    pub(in crate::calls) user: UserId,
    pub(in crate::calls) session: SessionId,
    pub(in crate::calls) joined_at: Option<Timestamp>,
    pub(in crate::calls) left_at: Option<Timestamp>,
    pub(in crate::calls) duration: Option<Duration>,
}

impl ParticipantRow {
    /// The row of a participant. `None` if the user or the session cannot be one of a call here.
    pub(in crate::calls) fn new(row: &ParticipantSession) -> Option<Self> {
        Some(Self {
            user: UserId::try_from(row.user_id.clone()).ok()?,
            session: SessionId::try_from(row.user_session_id.clone()).ok()?,
            joined_at: row.joined_at.map(|time| time.0),
            left_at: row.left_at.map(|time| time.0),
            duration: row.duration(),
        })
    }

    /// The begin, and the end if it is known. `None` if the begin is not known.
    fn times(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        // A duration of zero is one that Stream has not computed yet.
        let duration = self.duration.filter(|duration| !duration.is_zero());
        let joined_at = self.joined_at.or_else(|| Some(self.left_at?.minus(duration?)))?;
        let left_at = self.left_at.filter(|left_at| *left_at >= joined_at);
        let left_at = left_at.or_else(|| Some(joined_at.plus(duration?)));
        Some((joined_at, left_at))
    }

    /// Whether the row has both times of an interval.
    fn has_times_of(&self, interval: &Interval) -> bool {
        let Some((joined_at, Some(left_at))) = self.times() else { return false };
        self.has_session(interval)
            && is_near(interval.joined_at, joined_at)
            && interval.left.is_some_and(|left| is_near(left.at, left_at))
    }

    /// Whether another row has the end of this stay. Pages of a list that grows can repeat a row as
    /// it was before its end.
    fn is_outdated(&self, rows: &[Self]) -> bool {
        let Some((joined_at, None)) = self.times() else { return false };
        rows.iter().any(|other| {
            let is_same_session = other.user == self.user && other.session == self.session;
            is_same_session && matches!(other.times(), Some((at, Some(_))) if at == joined_at)
        })
    }

    fn has_session(&self, interval: &Interval) -> bool {
        interval.user == self.user && interval.session.as_ref() == Some(&self.session)
    }
}

/// The intervals of a call: those of the rows that concern it, by their begin, and those of the
/// webhooks that no row covers. A row without an end gets that of the webhooks, and lasts until the
/// call's end without one.
pub(super) fn join(
    told: &[Interval],
    rows: &[ParticipantRow],
    concerns: impl Fn(Timestamp) -> bool,
) -> Vec<Interval> {
    let mut is_covered = vec![false; told.len()];
    // An interval whose row is complete does not tell the end of another row.
    let has_no_row = |interval: &&Interval| !rows.iter().any(|row| row.has_times_of(interval));
    let open: Vec<&Interval> = told.iter().filter(has_no_row).collect();
    let mut intervals = Vec::new();
    for row in rows.iter().filter(|row| !row.is_outdated(rows)) {
        let Some((joined_at, left_at)) = row.times().filter(|(at, _)| concerns(*at)) else {
            continue;
        };
        let left = left_at.map(told_departure).or_else(|| told_left(&open, row, joined_at));
        for (interval, is_covered) in told.iter().zip(&mut is_covered) {
            *is_covered |= row.has_session(interval)
                && is_same_stay(interval, joined_at, left.map(|left| left.at));
        }
        let (user, session) = (row.user.clone(), Some(row.session.clone()));
        intervals.push(Interval { user, session, joined_at, left });
    }
    let uncovered = told.iter().zip(is_covered).filter(|(_, is_covered)| !is_covered);
    intervals.extend(uncovered.map(|(interval, _)| interval.clone()));
    intervals
}

fn told_departure(at: Timestamp) -> Departure {
    Departure { at, inferred_by: None }
}

/// The leave that the webhooks tell of a row without an end: that of the interval which begins
/// nearest to it.
fn told_left(told: &[&Interval], row: &ParticipantRow, joined_at: Timestamp) -> Option<Departure> {
    let is_candidate = |interval: &&&Interval| {
        row.has_session(interval) && interval.left.is_none_or(|left| left.at >= joined_at)
    };
    let nearest = told
        .iter()
        .filter(is_candidate)
        .min_by_key(|interval| interval.joined_at.as_millis().abs_diff(joined_at.as_millis()));
    nearest?.left
}

/// Whether an interval by the webhooks is the stay of a row: both begin at the same time, or they
/// overlap.
fn is_same_stay(interval: &Interval, joined_at: Timestamp, left_at: Option<Timestamp>) -> bool {
    let begins_before = |at: Timestamp, end: Option<Timestamp>| end.is_none_or(|end| at < end);
    is_near(interval.joined_at, joined_at)
        || begins_before(interval.joined_at, left_at)
            && begins_before(joined_at, interval.left.map(|left| left.out_since()))
}

/// Whether two times of one instant can be from a row and from a webhook.
pub(super) fn is_near(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).max(b.since(a)) <= TOLERANCE
}
