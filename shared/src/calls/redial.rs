//! Redial: decides what a create does with the open call of the same members. A pure function of
//! the call's facts.

use std::time::Duration;

use crate::calls::outcome::{self, EndedBy, Outcome, PresenceTimeouts, StreamState, StreamView};
use crate::calls::{Call, CallTimeouts, EndReason, SystemEndReason};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A call does not ring again until this long after its last ring.
const RING_INTERVAL: Duration = Duration::from_secs(15);

/// The decision about an open call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redial {
    /// Another member is in the call. The create returns the call without a ring.
    Join {
        /// Whether the next check would end the call, unless the requester joins before.
        is_overdue: bool,
    },
    /// The call waits for an answer. The create returns the call, and it may ring again.
    Wait,
    /// The call is over for the requester. The create ends the call and creates a new one, since
    /// Stream reliably rings a call only once.
    Replace {
        /// The reason of the end.
        reason: SystemEndReason,
        /// When the call was over.
        ended_at: Timestamp,
        /// The actor.
        ended_by: EndedBy,
    },
}

/// Decides about an active call. `state` is from `GetCall`, and `None` if the call does not exist at
/// Stream; it is applied to the presence. `GetCall` alone decides who is in the call.
pub(super) fn decide(
    call: &Call,
    requester: &UserId,
    state: Option<&StreamState>,
    timeouts: CallTimeouts,
    now: Timestamp,
) -> Redial {
    let facts = call.facts(timeouts, StreamView::Current(state));
    let presence_timeouts = PresenceTimeouts {
        inactivity_timeout: timeouts.inactivity_timeout,
        // A member who remains alone is joined, and a requester who remains alone gets a new call.
        alone_timeout: Duration::ZERO,
    };
    let open_call = OpenCall { call, requester, state };
    let has_other = open_call.has_other_participant(now);
    match outcome::decide(&facts, presence_timeouts, now) {
        Outcome::Over { reason, ended_at, ended_by } if !has_other || !is_timeout(reason) => {
            Redial::Replace { reason, ended_at, ended_by }
        }
        _ if has_other => {
            let next = outcome::decide(&facts, PresenceTimeouts::from(timeouts), now);
            Redial::Join { is_overdue: matches!(next, Outcome::Over { .. }) }
        }
        _ if open_call.waits_for_answer(timeouts.ring_timeout, now) => Redial::Wait,
        _ => {
            let (reason, ended_at, ended_by) = open_call.end(now);
            let ended_at = ended_at.max(call.created_at).min(now);
            Redial::Replace { reason, ended_at, ended_by }
        }
    }
}

/// Whether a member who waits in a call can still be joined after an end for this reason.
fn is_timeout(reason: SystemEndReason) -> bool {
    [EndReason::NOT_ANSWERED, EndReason::NOT_JOINED, EndReason::LEFT].contains(&reason)
}

/// The latest time of the last ring at which a call may ring again.
pub(super) fn latest_ring(now: Timestamp) -> Timestamp {
    now.minus(RING_INTERVAL)
}

/// Whether a call may ring again.
pub(super) fn may_ring(call: &Call, now: Timestamp) -> bool {
    call.last_rung_at.is_none_or(|at| at < latest_ring(now))
}

/// An active call, seen by a member who calls the same members.
struct OpenCall<'a> {
    call: &'a Call,
    requester: &'a UserId,
    state: Option<&'a StreamState>,
}

impl<'a> OpenCall<'a> {
    /// The members except the requester.
    fn others(&self) -> impl Iterator<Item = &'a UserId> {
        let requester = self.requester;
        self.call.members.iter().filter(move |member| *member != requester)
    }

    /// Whether another member is in the call, also one who joined after `GetCall` was sent.
    fn has_other_participant(&self, now: Timestamp) -> bool {
        let is_participant =
            |user: &UserId| self.state.is_some_and(|state| state.participants.contains(user));
        let joined_later =
            |user: &UserId| self.call.presence.present_since(user).is_some_and(|at| at >= now);
        self.others().any(|user| is_participant(user) || joined_later(user))
    }

    /// Whether the members' phones may still ring: no callee has joined, no other member has
    /// responded, and the ring timeout has not passed.
    fn waits_for_answer(&self, ring_timeout: Duration, now: Timestamp) -> bool {
        let active_at = self.call.active_at.unwrap_or(self.call.created_at);
        let has_responded = |user: &UserId| {
            let is_at_stream = self.state.is_some_and(|state| {
                state.accepted_by.contains_key(user)
                    || state.rejected_by.contains_key(user)
                    || state.missed_by.contains_key(user)
            });
            is_at_stream || self.call.rejects.first(user).is_some()
        };
        now < active_at.plus(ring_timeout)
            && !self.has_callee_joined()
            && !self.others().any(has_responded)
    }

    /// Whether a user other than the caller has joined.
    fn has_callee_joined(&self) -> bool {
        self.call.presence.joined_users().iter().any(|user| *user != self.call.owner)
    }

    /// The end of a call in which no other member is.
    fn end(&self, now: Timestamp) -> (SystemEndReason, Timestamp, EndedBy) {
        let presence = &self.call.presence;
        if self.has_callee_joined() {
            let absence = presence.absence().or_else(|| presence.absence_of_others(self.requester));
            let left_at = absence.map_or(now, |absence| absence.left_at);
            return (EndReason::LEFT, left_at, EndedBy::System);
        }
        let has_started = self.call.started_at.is_some()
            || presence.started_at().is_some()
            || self.state.is_some_and(|state| state.session_started_at.is_some());
        let reason = if has_started { EndReason::NOT_ANSWERED } else { EndReason::NOT_JOINED };
        (reason, now, EndedBy::System)
    }
}

#[cfg(test)]
mod tests;
