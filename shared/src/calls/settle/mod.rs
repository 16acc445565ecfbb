//! Settles a call: its final figures, from Stream's list of participants. A pure function.
//!
//! Webhooks get lost, and a lost leave leaves an interval without an end. Stream's list is delayed
//! while a session is live, and final afterwards. So the two are joined once, after the end.

mod rows;
#[cfg(test)]
mod tests;

pub(super) use rows::ParticipantRow;

use crate::calls::outcome::EndedBy;
use crate::calls::presence::{Interval, Presence};
use crate::calls::timeouts::{SETTLE_DELAY, SETTLE_GIVE_UP};
use crate::calls::{Call, EndReason, SettledFrom, Settlement};
use crate::clock::Timestamp;

/// A call with its final figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettledCall {
    /// The call. Its presence is the stored one if the settled one exceeds its bound.
    pub(super) call: Call,
    /// The number of intervals that the webhooks and Stream told differently.
    pub(super) differences: u64,
}

/// Whether a call that has ended can be settled now: the reports of all sessions are ready, or
/// enough time has passed.
pub(super) fn is_due(call: &Call, now: Timestamp) -> bool {
    call.presence.is_reported() || now >= settle_by(call)
}

/// When a call that has ended is settled at the latest, while Stream answers.
pub(crate) fn settle_by(call: &Call) -> Timestamp {
    ended_at(call).plus(SETTLE_DELAY)
}

/// Whether a call is settled by the webhooks now, since Stream could not be read.
pub(super) fn gives_up(call: &Call, now: Timestamp) -> bool {
    now >= ended_at(call).plus(SETTLE_GIVE_UP)
}

/// When a call was over for people.
fn ended_at(call: &Call) -> Timestamp {
    call.ending_at.or(call.ended_at).unwrap_or(call.created_at)
}

/// Settles a call that has ended. `rows` are Stream's lists of all its sessions.
pub(super) fn settle(
    call: &Call,
    rows: &[ParticipantRow],
    settled_from: SettledFrom,
    now: Timestamp,
) -> SettledCall {
    let mut settled = call.clone();
    let mut ended_at = ended_at(call);
    let told = call.presence.intervals();
    // An earlier call may have had the same id.
    let intervals = rows::join(&told, rows, |joined_at| call.existed_at(joined_at));
    let presence = call.presence.with_intervals(&intervals);
    let answered_at = presence.answered_at().filter(|at| *at < ended_at);
    if answered_at.is_some() && call.end_reason.as_ref().is_some_and(is_unanswered) {
        // Every webhook was lost, and the ring timeout ended a call in which two users were.
        settled.end_reason = Some(EndReason::LEFT.into());
        settled.ended_by = Some(EndedBy::System);
        ended_at = last_leave(&presence).unwrap_or(ended_at).min(ended_at);
        settled.ending_at = Some(ended_at);
    }
    let answered_at = answered_at.map(|at| at.max(call.created_at));
    settled.first_answered_at = call.first_answered_at.or(answered_at);
    settled.started_at = [call.started_at, presence.started_at()].into_iter().flatten().min();
    settled.settlement = Some(Settlement {
        settled_at: now,
        settled_from,
        answered_at,
        duration: presence.duration(ended_at),
        talk_time: presence.talk_time(ended_at),
    });
    let differences = count_differences(&told, &intervals);
    if presence.is_within_bound() {
        settled.presence = presence;
    } else {
        settled.presence.mark_truncated();
    }
    SettledCall { call: settled, differences }
}

fn is_unanswered(reason: &EndReason) -> bool {
    [EndReason::NOT_ANSWERED, EndReason::NOT_JOINED]
        .iter()
        .any(|unanswered| unanswered.as_str() == reason.as_str())
}

/// The last leave. `None` if a participant is in.
fn last_leave(presence: &Presence) -> Option<Timestamp> {
    presence.absence().map(|absence| absence.left_at)
}

/// The number of intervals that only one of the lists contains.
fn count_differences(told: &[Interval], settled: &[Interval]) -> u64 {
    let is_same = |a: &Interval, b: &Interval| {
        let has_same_end = match (a.left, b.left) {
            (Some(a), Some(b)) => rows::is_near(a.at, b.at) && a.is_inferred() == b.is_inferred(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let has_same_session = a.user == b.user && a.session == b.session;
        has_same_session && rows::is_near(a.joined_at, b.joined_at) && has_same_end
    };
    let missing = |from: &[Interval], others: &[Interval]| {
        let is_missing = |a: &&Interval| !others.iter().any(|b| is_same(a, b));
        from.iter().filter(is_missing).count()
    };
    missing(told, settled).max(missing(settled, told)) as u64
}
