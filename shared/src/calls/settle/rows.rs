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
        let before = |at: Timestamp, span: Duration| {
            let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(at.as_millis().saturating_sub(millis))
        };
        let joined_at = self.joined_at.or_else(|| Some(before(self.left_at?, self.duration?)))?;
        let left_at = self.left_at.or_else(|| Some(joined_at.plus(self.duration?)));
        left_at.is_none_or(|left_at| left_at >= joined_at).then_some((joined_at, left_at))
    }

    fn has_session(&self, interval: &Interval) -> bool {
        interval.user == self.user && interval.session.as_ref() == Some(&self.session)
    }
}

/// The intervals of a call: those of the rows, and those of the webhooks that no row covers. A row
/// without an end gets that of the webhooks, and lasts until the call's end without one.
pub(super) fn join(told: &[Interval], rows: &[ParticipantRow]) -> Vec<Interval> {
    let mut is_covered = vec![false; told.len()];
    let mut intervals = Vec::new();
    for row in rows {
        let Some((joined_at, left_at)) = row.times() else { continue };
        let mut told_left = None;
        for (interval, is_covered) in told.iter().zip(&mut is_covered) {
            if row.has_session(interval) && overlaps(interval, joined_at, left_at) {
                *is_covered = true;
                told_left = told_left.or(interval.left);
            }
        }
        let left = left_at.map(told_departure).or(told_left);
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

/// Whether an interval by the webhooks is that of a row, as far as their times tell.
fn overlaps(interval: &Interval, joined_at: Timestamp, left_at: Option<Timestamp>) -> bool {
    let is_after =
        |at: Timestamp, end: Option<Timestamp>| end.is_some_and(|end| at > end.plus(TOLERANCE));
    !is_after(interval.joined_at, left_at)
        && !is_after(joined_at, interval.left.map(|left| left.out_since()))
}
