//! Decides whether an active call is over: a pure function of its facts, for the webhook's handler
//! and the sweeper.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::presence::Presence;
use crate::calls::rejects::{RejectReason, Rejects};
use crate::calls::timeouts::POLL_INTERVAL;
use crate::calls::{CallTimeouts, EndReason, SystemEndReason};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A call that Stream ends this long before the end of its timer or later has reached its limit.
const TIMER_TOLERANCE: Duration = Duration::from_secs(2);

/// The actor who ended a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum EndedBy {
    /// A user, by an end request, a reject, or with Stream's client.
    User {
        /// The user.
        user_id: UserId,
    },
    /// A backend, by an end request.
    Service,
    /// This service: a timeout or the limit.
    System,
    /// Stream, for a reason that it does not report.
    Stream,
}

impl EndedBy {
    /// The actor of Stream's `call.ended`, which names the user who ended the call, if any.
    #[must_use]
    pub fn from_event(user: Option<UserId>) -> Self {
        user.map_or(Self::Stream, |user_id| Self::User { user_id })
    }
}

/// The facts about an active call.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts<'a> {
    /// The user who calls.
    pub owner: &'a UserId,
    /// The members, including the owner.
    pub members: &'a [UserId],
    /// When the call was first requested.
    pub created_at: Timestamp,
    /// When the call became active, which starts the ring timeout.
    pub active_at: Timestamp,
    /// When the first participant joined, if it was stored apart from the presence.
    pub started_at: Option<Timestamp>,
    /// The time in which a called member must join.
    pub ring_timeout: Duration,
    /// The call's own limit, from its first join.
    pub max_duration: Duration,
    /// The presence. If `stream` is the response of `GetCall`, that look is applied.
    pub presence: &'a Presence,
    /// The stored rejects.
    pub rejects: &'a Rejects,
    /// The state at Stream.
    pub stream: StreamView<'a>,
}

/// The knowledge of the state at Stream.
#[derive(Clone, Copy, Debug)]
pub enum StreamView<'a> {
    /// Stream was not queried.
    Unknown,
    /// From `QueryCalls`, which may be stale. `None` if the call is not in the list.
    Listed(Option<&'a StreamState>),
    /// From `GetCall`. `None` if the call does not exist at Stream.
    Current(Option<&'a StreamState>),
}

/// The state of a call at Stream. Those of a session are of the latest one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// When the call ended.
    pub ended_at: Option<Timestamp>,
    /// When the first participant joined the session.
    pub session_started_at: Option<Timestamp>,
    /// When the session ended.
    pub session_ended_at: Option<Timestamp>,
    /// When Stream ends the session because of the limit.
    pub timer_ends_at: Option<Timestamp>,
    /// The users of the participants.
    pub participants: BTreeSet<UserId>,
    /// The users who accepted the call, and when.
    pub accepted_by: BTreeMap<UserId, Timestamp>,
    /// The users who rejected the call, and when.
    pub rejected_by: BTreeMap<UserId, Timestamp>,
    /// The users who missed the call, and when.
    pub missed_by: BTreeMap<UserId, Timestamp>,
}

/// The timeouts of a call in which participants have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceTimeouts {
    /// How long a call without participants continues, as at Stream.
    pub inactivity_timeout: Duration,
    /// How long a call of two continues with one user. Zero is without an end.
    pub alone_timeout: Duration,
}

impl From<CallTimeouts> for PresenceTimeouts {
    fn from(timeouts: CallTimeouts) -> Self {
        let CallTimeouts { inactivity_timeout, alone_timeout, .. } = timeouts;
        Self { inactivity_timeout, alone_timeout }
    }
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call continues.
    Continues {
        /// When to decide again, unless an event comes first.
        next_check: Timestamp,
    },
    /// The call seems to be over. `GetCall` must confirm it.
    NeedsGetCall,
    /// The call is over. Only a view of [`StreamView::Current`] has this outcome.
    Over {
        /// The reason.
        reason: SystemEndReason,
        /// When the call was over for people.
        ended_at: Timestamp,
        /// The actor.
        ended_by: EndedBy,
    },
}

/// Decides whether an active call is over. If several rules apply, the one that applied first wins,
/// so the result does not depend on how late the decision is made.
#[must_use]
pub fn decide(facts: &CallFacts<'_>, timeouts: PresenceTimeouts, now: Timestamp) -> Outcome {
    let rules = Rules::new(facts, timeouts, now);
    let ends = [
        rules.ended_at_stream(),
        rules.rejected(),
        rules.all_left(),
        rules.alone(),
        rules.limit_reached(),
        rules.not_answered(),
        rules.missing_at_stream(),
    ];
    let first = ends.into_iter().flatten().min_by_key(|end| end.over_at);
    // A participant may join at once, whose webhook may be lost.
    let poll_at = now.plus(POLL_INTERVAL.min(facts.max_duration));
    match first {
        None => Outcome::Continues { next_check: poll_at },
        Some(end) if end.over_at > now => {
            Outcome::Continues { next_check: end.over_at.min(poll_at) }
        }
        Some(PossibleEnd { ended_at, reason, ended_by, .. }) => match facts.stream {
            StreamView::Current(_) => Outcome::Over {
                reason,
                // Stream's clock may differ.
                ended_at: ended_at.max(facts.created_at).min(now),
                ended_by,
            },
            StreamView::Unknown | StreamView::Listed(_) => Outcome::NeedsGetCall,
        },
    }
}

/// The end of the call by one rule, if nothing else happens until `over_at`.
struct PossibleEnd {
    over_at: Timestamp,
    ended_at: Timestamp,
    reason: SystemEndReason,
    ended_by: EndedBy,
}

impl PossibleEnd {
    fn by_system(over_at: Timestamp, ended_at: Timestamp, reason: SystemEndReason) -> Self {
        Self { over_at, ended_at, reason, ended_by: EndedBy::System }
    }
}

/// A called member's response without an acceptance.
#[derive(Clone, Copy)]
enum Refusal {
    Explicit(Timestamp),
    /// A reject as busy or because of a timeout.
    Implicit(Timestamp),
    Missed(Timestamp),
}

impl Refusal {
    fn at(self) -> Timestamp {
        match self {
            Self::Explicit(at) | Self::Implicit(at) | Self::Missed(at) => at,
        }
    }

    /// Whether the refusal came before the caller's reject. Stream's client rejects for the caller
    /// after the last callee, and Stream reports a call as missed when the caller cancels it.
    fn precedes(self, caller_reject: Timestamp) -> bool {
        match self {
            Self::Explicit(at) | Self::Implicit(at) => at <= caller_reject,
            Self::Missed(at) => at < caller_reject,
        }
    }
}

struct Rules<'a> {
    facts: &'a CallFacts<'a>,
    timeouts: PresenceTimeouts,
    now: Timestamp,
    state: Option<&'a StreamState>,
    /// The participants, if they are current.
    participants: Option<&'a BTreeSet<UserId>>,
    /// Whether a user other than the caller has joined.
    has_callee_joined: bool,
    started_at: Option<Timestamp>,
}

impl<'a> Rules<'a> {
    fn new(facts: &'a CallFacts<'a>, timeouts: PresenceTimeouts, now: Timestamp) -> Self {
        let (state, participants) = match facts.stream {
            StreamView::Unknown => (None, None),
            StreamView::Listed(state) => (state, None),
            StreamView::Current(state) => (state, state.map(|state| &state.participants)),
        };
        let is_callee = |user: &UserId| user != facts.owner;
        let has_callee_joined = facts.presence.joined_users().iter().any(is_callee)
            || participants.is_some_and(|users| users.iter().any(is_callee));
        let session_started_at = state.and_then(|state| state.session_started_at);
        let started_at = [facts.started_at, facts.presence.started_at(), session_started_at]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(facts.created_at));
        Self { facts, timeouts, now, state, participants, has_callee_joined, started_at }
    }

    fn callees(&self) -> impl Iterator<Item = &'a UserId> {
        let owner = self.facts.owner;
        self.facts.members.iter().filter(move |member| *member != owner)
    }

    /// Whether a callee accepted the call or joined it.
    fn is_accepted(&self) -> bool {
        let accepted =
            |user: &UserId| self.state.is_some_and(|state| state.accepted_by.contains_key(user));
        self.has_callee_joined || self.callees().any(accepted)
    }

    /// The call does not exist at Stream.
    fn missing_at_stream(&self) -> Option<PossibleEnd> {
        let is_missing =
            matches!(self.facts.stream, StreamView::Listed(None) | StreamView::Current(None));
        is_missing.then_some(PossibleEnd {
            over_at: self.now,
            ended_at: self.now,
            reason: EndReason::ENDED_AT_STREAM,
            ended_by: EndedBy::Stream,
        })
    }

    /// The call ended at Stream.
    fn ended_at_stream(&self) -> Option<PossibleEnd> {
        let state = self.state?;
        let ended_at = state.ended_at?;
        let is_limit = is_end_by_limit(
            ended_at,
            state.timer_ends_at,
            state.session_started_at.or(self.started_at),
            self.facts.max_duration,
        );
        let (reason, ended_by) = if is_limit {
            (EndReason::TOO_LONG, EndedBy::System)
        } else {
            (EndReason::ENDED_AT_STREAM, EndedBy::Stream)
        };
        Some(PossibleEnd { over_at: ended_at.min(self.now), ended_at, reason, ended_by })
    }

    /// The caller rejected the call, or every callee did.
    fn rejected(&self) -> Option<PossibleEnd> {
        if self.is_accepted() {
            return None;
        }
        let refusals: Option<Vec<(&UserId, Refusal)>> =
            self.callees().map(|user| Some((user, self.refusal(user)?))).collect();
        let refusals = refusals.filter(|refusals| !refusals.is_empty());
        let end = |at: Timestamp, reason, ended_by| {
            Some(PossibleEnd { over_at: at.min(self.now), ended_at: at, reason, ended_by })
        };
        let caller_reject = self.caller_reject();
        if let Some((reason, at)) = caller_reject {
            let is_last = refusals
                .as_ref()
                .is_some_and(|refusals| refusals.iter().all(|(_, refusal)| refusal.precedes(at)));
            if !is_last {
                return match reason {
                    RejectReason::Timeout => end(at, EndReason::NOT_ANSWERED, EndedBy::System),
                    RejectReason::Explicit | RejectReason::Busy => {
                        let ended_by = EndedBy::User { user_id: self.facts.owner.clone() };
                        end(at, EndReason::CANCELLED, ended_by)
                    }
                };
            }
        }
        let refusals = refusals?;
        if refusals.iter().all(|(_, refusal)| matches!(refusal, Refusal::Explicit(_))) {
            let (user, last) = refusals.iter().max_by_key(|(_, refusal)| refusal.at())?;
            let ended_by = EndedBy::User { user_id: (*user).clone() };
            return end(last.at(), EndReason::DECLINED, ended_by);
        }
        let (_, at) = caller_reject?;
        end(at, EndReason::NOT_ANSWERED, EndedBy::System)
    }

    /// The caller's reject. If its webhook was lost, it counts as explicit.
    fn caller_reject(&self) -> Option<(RejectReason, Timestamp)> {
        let owner = self.facts.owner;
        let mapped = self.state.and_then(|state| state.rejected_by.get(owner)).copied();
        match (self.facts.rejects.first(owner), mapped) {
            (Some((reason, at)), mapped) => {
                Some((reason, mapped.map_or(at, |mapped| mapped.min(at))))
            }
            (None, mapped) => mapped.map(|at| (RejectReason::Explicit, at)),
        }
    }

    /// A callee's refusal. A reject whose webhook was lost counts as explicit.
    fn refusal(&self, user: &UserId) -> Option<Refusal> {
        let mapped = self.state.and_then(|state| state.rejected_by.get(user)).copied();
        if let Some((reason, at)) = self.facts.rejects.decisive(user) {
            // Stream has the time of the first reject, which may have another reason.
            let is_first = self.facts.rejects.first(user) == Some((reason, at));
            let at = mapped.filter(|_| is_first).map_or(at, |mapped| mapped.min(at));
            return Some(match reason {
                RejectReason::Explicit => Refusal::Explicit(at),
                RejectReason::Busy | RejectReason::Timeout => Refusal::Implicit(at),
            });
        }
        let missed = || self.state?.missed_by.get(user).copied().map(Refusal::Missed);
        mapped.map(Refusal::Explicit).or_else(missed)
    }

    /// No callee joins within the ring timeout.
    fn not_answered(&self) -> Option<PossibleEnd> {
        let has_started = self.started_at.is_some();
        let has_callees = self.callees().next().is_some();
        if self.has_callee_joined || (has_started && !has_callees) {
            return None;
        }
        let at = self.facts.active_at.plus(self.facts.ring_timeout);
        let reason = if has_started { EndReason::NOT_ANSWERED } else { EndReason::NOT_JOINED };
        Some(PossibleEnd::by_system(at, at, reason))
    }

    /// All participants left. A call that only the caller has joined still rings.
    fn all_left(&self) -> Option<PossibleEnd> {
        let still_rings = !self.has_callee_joined && self.callees().next().is_some();
        let is_empty = self.participants.is_none_or(BTreeSet::is_empty);
        if still_rings || !is_empty {
            return None;
        }
        let absence = self.facts.presence.absence()?;
        let inactivity = self.timeouts.inactivity_timeout;
        let session_ended_at = self.state.and_then(|state| state.session_ended_at);
        // The last leave was lost. Stream has waited for the inactivity timeout already.
        if let Some(ended_at) = session_ended_at.filter(|at| *at >= absence.left_at)
            && absence.is_inferred()
        {
            let left_at = ended_at.minus(inactivity).max(absence.left_at);
            return Some(PossibleEnd::by_system(ended_at.min(self.now), left_at, EndReason::LEFT));
        }
        let over_at = absence.since.plus(inactivity);
        Some(PossibleEnd::by_system(over_at, absence.left_at, EndReason::LEFT))
    }

    /// One of two users left, and the other one remains.
    fn alone(&self) -> Option<PossibleEnd> {
        let timeout = self.timeouts.alone_timeout;
        let presence = self.facts.presence;
        if timeout.is_zero() || self.facts.members.len() != 2 || presence.answered_at().is_none() {
            return None;
        }
        let present = presence.present_users();
        let user = present.first().filter(|_| present.len() == 1)?;
        if self.participants.is_some_and(|participants| *participants != present) {
            return None;
        }
        let absence = presence.absence_of_others(user)?;
        let alone_since = absence.since.max(presence.present_since(user)?);
        let over_at = alone_since.plus(timeout);
        Some(PossibleEnd::by_system(over_at, absence.left_at, EndReason::LEFT))
    }

    /// The call reaches its limit.
    fn limit_reached(&self) -> Option<PossibleEnd> {
        let at = self.started_at?.plus(self.facts.max_duration);
        Some(PossibleEnd::by_system(at, at, EndReason::TOO_LONG))
    }
}

/// Whether Stream ended a call because of its limit: by the session's timer or, if it is unknown, by
/// the start of the session.
#[must_use]
pub fn is_end_by_limit(
    ended_at: Timestamp,
    timer_ends_at: Option<Timestamp>,
    session_started_at: Option<Timestamp>,
    max_duration: Duration,
) -> bool {
    let limit_at = session_started_at.map(|at| at.plus(max_duration));
    timer_ends_at.or(limit_at).is_some_and(|at| ended_at.plus(TIMER_TOLERANCE) >= at)
}

#[cfg(test)]
mod tests;
