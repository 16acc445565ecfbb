//! Glare: two members call each other at the same time, or one of them taps twice. A set of members
//! has one open call, unless a request allows parallel calls.
//!
//! An item of the member set points to its open call. The pointer is not a lock: a create that
//! finds a pointer inspects the call itself, and decides by [`redial::decide`]. It replaces the
//! pointer of an ended call or a dead attempt.

use std::time::Duration;

use crate::calls::look::Look;
use crate::calls::outcome::EndedBy;
use crate::calls::redial::{self, Redial};
use crate::calls::timeouts::LEASE_DURATION;
use crate::calls::{
    Call, CallService, CallState, CallTimeouts, EndReason, EndResult, MemberSet, NewCall,
    OpenCallPointer, SetOpenCallResult, not_active_yet,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::stream::StreamError;
use crate::stream::ops::{EndCall, RingCall};

/// The longest wait for a call that is being created: three waits, each twice as long as the last.
const MAX_WAIT: Duration = Duration::from_secs(2);
const INITIAL_WAIT: Duration = Duration::from_millis(250);
/// How long a member has to join the returned call before its overdue check.
const JOIN_TIME: Duration = Duration::from_secs(30);
/// The timeout of `EndCall`. The create waits for it.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Another call of the same members.
pub(super) enum ConflictingCall {
    /// The call is active, at Stream too.
    Active {
        /// The call.
        call: Call,
        /// Whether it may ring again.
        may_ring: bool,
    },
    /// The call is still `creating` after [`MAX_WAIT`]; `None` if its item does not exist yet.
    Pending(Option<Call>),
}

impl ConflictingCall {
    /// The id of the call that the create returns: an active one, or that of the same request.
    pub(super) fn answer_id(&self, new_call: &NewCall) -> Option<&CallId> {
        let is_same_request =
            |call: &&Call| call.owner == new_call.owner && call.fingerprint == new_call.fingerprint;
        match self {
            Self::Active { call, .. } => Some(&call.call_id),
            Self::Pending(call) => call.as_ref().filter(is_same_request).map(|call| &call.call_id),
        }
    }
}

/// The call that a create leads to.
pub(super) enum Resolution {
    /// The new call. It may replace an open call, which has ended in the table.
    New {
        /// The replaced call.
        replaced: Option<Call>,
    },
    /// Another call.
    Existing(ConflictingCall),
}

/// The call that a pointer points to.
enum OpenCall {
    Active {
        call: Call,
        may_ring: bool,
    },
    Pending(Option<Call>),
    /// The call has ended, or was never created.
    Gone,
    /// The call was open, and this create has ended it in the table.
    Replaced(Call),
}

impl CallService {
    /// Decides between the new call, which the pointer then points to, and the call that it points
    /// to.
    pub(super) async fn resolve_conflict(
        &self,
        member_set: &MemberSet,
        new_call: &NewCall,
        mut pointer: OpenCallPointer,
        timeouts: CallTimeouts,
        deadline: Deadline,
    ) -> Result<Resolution, ApiError> {
        let mut replaced = None;
        let mut backoff = Backoff::new(new_call.at, deadline);
        loop {
            let now = self.clock.now();
            match self.inspect(member_set, &pointer, new_call, timeouts, now, deadline).await? {
                OpenCall::Active { call, may_ring } => {
                    return Ok(Resolution::Existing(ConflictingCall::Active { call, may_ring }));
                }
                OpenCall::Pending(call) => {
                    match backoff.next_wait(now) {
                        Some(wait) => self.clock.sleep(wait).await,
                        None => {
                            return Ok(Resolution::Existing(ConflictingCall::Pending(call)));
                        }
                    }
                    continue;
                }
                OpenCall::Replaced(call) => replaced = Some(call),
                OpenCall::Gone => {}
            }
            let previous = Some(&pointer);
            match self.store.set_open_call(member_set, new_call, now, previous).await? {
                SetOpenCallResult::Set { .. } => return Ok(Resolution::New { replaced }),
                SetOpenCallResult::Occupied(other) => pointer = other,
            }
        }
    }

    /// Waits for a call that another member is creating under the same id.
    pub(super) async fn wait_until_active(
        &self,
        mut call: Call,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        let mut backoff = Backoff::new(since, deadline);
        loop {
            match call.state {
                CallState::Active => return Ok(call),
                CallState::Ending | CallState::Ended => {
                    return Err(ApiError::from_code(Code::CallEnded));
                }
                CallState::Creating => {}
            }
            let wait = backoff.next_wait(self.clock.now()).ok_or_else(not_active_yet)?;
            self.clock.sleep(wait).await;
            call = self.store.get(&call.call_id).await?.ok_or_else(not_active_yet)?;
        }
    }

    /// Rings the other members of an open call again, unless a concurrent create does. Returns
    /// whether this request rang. Stream's errors are only logged: the call is open, and the caller
    /// can create it again.
    ///
    /// # Errors
    ///
    /// `store_unavailable`.
    pub(super) async fn ring_again(
        &self,
        call: &Call,
        requester: &UserId,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        let now = self.clock.now();
        if !self.store.record_ring(&call.call_id, now, redial::latest_ring(now)).await? {
            return Ok(false);
        }
        let is_other = |member: &&UserId| *member != requester;
        let members: Vec<UserId> = call.members.iter().filter(is_other).cloned().collect();
        let video = call.call_type.settings().video;
        let request = RingCall { cid: &call.cid(), members: &members, video };
        match self.stream.send(&request, deadline).await {
            Ok(_) => Ok(true),
            Err(error) => {
                ApiError::from(error).log("ringing an open call failed", &call.call_id);
                Ok(false)
            }
        }
    }

    /// Inspects the call that a pointer points to, and ends it if it is over for the requester.
    async fn inspect(
        &self,
        member_set: &MemberSet,
        pointer: &OpenCallPointer,
        new_call: &NewCall,
        timeouts: CallTimeouts,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<OpenCall, ApiError> {
        let Some(mut call) = self.store.get(&pointer.call_id).await? else {
            // The item is written concurrently with the pointer, so it may not exist yet.
            let is_recent = now.since(pointer.at) < LEASE_DURATION;
            return Ok(if is_recent { OpenCall::Pending(None) } else { OpenCall::Gone });
        };
        if MemberSet::new(&call.members) != *member_set {
            return Ok(OpenCall::Gone);
        }
        let mut is_live = false;
        let (reason, ended_at, ended_by) = match call.state {
            CallState::Creating if call.lease_until.is_some_and(|until| until > now) => {
                return Ok(OpenCall::Pending(Some(call)));
            }
            // The lease has expired. The conditional end fails if an attempt takes it over now.
            CallState::Creating => (EndReason::NOT_CREATED, now, EndedBy::System),
            CallState::Active if call.parallel => return Ok(OpenCall::Gone),
            CallState::Active => {
                let look = Look::fetch(&self.stream, &*self.clock, &call.cid(), deadline).await?;
                let current = look.record(&*self.store, call).await?;
                let is_active = |call: &Call| call.state == CallState::Active;
                let Some(current) = current.filter(is_active) else { return Ok(OpenCall::Gone) };
                call = current;
                let (state, at) = (look.state(), look.requested_at());
                is_live = state.is_some_and(|state| state.ended_at.is_none());
                match redial::decide(&call, &new_call.owner, state, timeouts, at) {
                    Redial::Join { is_overdue } => {
                        if is_overdue {
                            let ends_at = call.ends_at(timeouts.max_duration);
                            let join_by = now.plus(JOIN_TIME);
                            let due_at = ends_at.map_or(join_by, |ends_at| ends_at.min(join_by));
                            self.store.set_next_check(&call.cid(), due_at).await?;
                        }
                        return Ok(OpenCall::Active { call, may_ring: false });
                    }
                    Redial::Wait => {
                        let may_ring = redial::may_ring(&call, now);
                        return Ok(OpenCall::Active { call, may_ring });
                    }
                    Redial::Replace { reason, ended_at, ended_by } => (reason, ended_at, ended_by),
                }
            }
            CallState::Ending | CallState::Ended => return Ok(OpenCall::Gone),
        };
        let reason = reason.into();
        let result = self.end_if_unchanged(&call, &reason, &ended_by, ended_at, now).await?;
        Ok(match result {
            EndResult::Unchanged(call) if call.state <= CallState::Active => {
                OpenCall::Pending(Some(call))
            }
            EndResult::Ending(ending) if is_live => OpenCall::Replaced(ending),
            EndResult::Ending(_) | EndResult::Unchanged(_) | EndResult::Missing => OpenCall::Gone,
        })
    }

    /// Ends a replaced call at Stream, so that its phones stop ringing. Errors are only logged: the
    /// sweeper cleans the call up.
    pub(super) async fn end_replaced(&self, replaced: Option<&Call>, deadline: Deadline) {
        let Some(call) = replaced else { return };
        let now = self.clock.now();
        let deadline = Deadline::after(now, deadline.remaining(now).min(END_TIMEOUT));
        match self.stream.send_once(&EndCall { cid: &call.cid() }, deadline).await {
            Ok(_) | Err(StreamError::NotFound(_)) => {}
            Err(error) => {
                ApiError::from(error).log(
                    "ending a replaced call failed, leaving it to the next sweep",
                    &call.call_id,
                );
            }
        }
    }
}

/// The waits for a call that is `creating`.
struct Backoff {
    give_up_at: Timestamp,
    wait: Duration,
}

impl Backoff {
    fn new(since: Timestamp, deadline: Deadline) -> Self {
        Self { give_up_at: since.plus(MAX_WAIT.min(deadline.remaining(since))), wait: INITIAL_WAIT }
    }

    /// The next wait, or `None` if it would end too late.
    fn next_wait(&mut self, now: Timestamp) -> Option<Duration> {
        let wait = self.wait;
        self.wait = wait * 2;
        (now.plus(wait) < self.give_up_at).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_before_two_seconds_and_before_the_deadline() {
        let start = Timestamp::from_secs(1_767_225_600);
        let waits_within = |budget| {
            let mut backoff = Backoff::new(start, Deadline::after(start, budget));
            let mut now = start;
            let mut waits = Vec::new();
            while let Some(wait) = backoff.next_wait(now) {
                now = now.plus(wait);
                waits.push(wait.as_millis());
            }
            waits
        };
        assert_eq!(waits_within(Duration::from_secs(10)), [250, 500, 1_000]);
        assert_eq!(waits_within(Duration::from_secs(1)), [250, 500]);
        assert_eq!(waits_within(Duration::ZERO), []);
    }
}
