//! Undoes a creation that does not lead to an active call.
//!
//! Errors are logged, and the sweeper completes the work: a reservation expires with its lease, and
//! every resource left at Stream still has an item.

use crate::calls::outcome::EndedBy;
use crate::calls::timeouts::ALIAS_TTL;
use crate::calls::{
    Call, CallService, CallState, EndReason, EndRequest, EndResult, NewCall, Precondition,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;

/// The items that a reservation may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The call item.
    pub(super) item: bool,
    /// The open-call pointer.
    pub(super) pointer: bool,
}

impl CallService {
    /// Releases a reservation for which no resource exists at Stream.
    pub(super) async fn release(&self, new_call: &NewCall, written: Written) {
        let NewCall { id, members, attempt, .. } = new_call;
        if written.item
            && let Err(error) = self.store.withdraw(id, attempt).await
        {
            ApiError::from(error).log("withdrawing a call failed, its lease will expire", id);
        }
        if written.pointer {
            self.ender().clear_open_call(members, id, Some(attempt)).await;
        }
    }

    /// Releases a reservation whose create returns another call, so that a repeat with the same
    /// `Idempotency-Key` returns that call, too.
    pub(super) async fn release_with_alias(
        &self,
        new_call: &NewCall,
        answered_with: &CallId,
        written: Written,
    ) {
        let expires_at = self.clock.now().plus(ALIAS_TTL);
        if written.item
            && let Err(error) =
                self.store.replace_by_alias(new_call, answered_with, expires_at).await
        {
            ApiError::from(error)
                .log("storing an alias failed, its lease will expire", &new_call.id);
        }
        self.release(new_call, Written { item: false, ..written }).await;
    }

    /// Releases a reservation whose id belongs to another user's call or channel at Stream.
    pub(super) async fn cancel_reservation(&self, new_call: &NewCall) {
        self.release(new_call, Written { item: true, pointer: !new_call.parallel }).await;
    }

    /// Ends a call that another attempt reserved, in favour of the members' open call.
    pub(super) async fn abandon(&self, call: &Call) {
        let (reason, now) = (EndReason::NOT_CREATED.into(), self.clock.now());
        let result = self.end_if_unchanged(call, &reason, &EndedBy::System, now, now).await;
        if let Err(error) = result {
            ApiError::from(error).log("ending an abandoned call failed", &call.call_id);
        }
    }

    /// Ends a call unless another attempt has taken over its lease or, if it is active, its presence
    /// has changed. The sweeper cleans it up.
    pub(super) async fn end_if_unchanged(
        &self,
        call: &Call,
        reason: &EndReason,
        ended_by: &EndedBy,
        ended_at: Timestamp,
        now: Timestamp,
    ) -> Result<EndResult, StoreError> {
        let is_active = call.state == CallState::Active;
        let request = EndRequest {
            at: ended_at,
            due_at: now,
            precondition: Some(Precondition::Attempt(&call.attempt)),
            presence_version: is_active.then(|| call.presence.version()),
            limit_version: is_active.then_some(call.limit_version),
            ..EndRequest::new(&call.call_id, reason, ended_by, now)
        };
        self.store.end(request).await
    }

    /// Ends a call that has ended at Stream, and cleans it up.
    pub(super) async fn record_ended(&self, new_call: &NewCall, deadline: Deadline) {
        let reason = EndReason::ENDED_AT_STREAM.into();
        let request = EndRequest::new(&new_call.id, &reason, &EndedBy::Stream, self.clock.now());
        match self.store.end(request).await {
            Ok(EndResult::Ending(call) | EndResult::Unchanged(call))
                if call.state == CallState::Ending =>
            {
                self.ender().clean_up_and_finish(call, deadline).await;
            }
            Ok(_) => self.roll_back(new_call, deadline).await,
            Err(error) => ApiError::from(error).log("recording the end failed", &new_call.id),
        }
    }

    /// Removes from Stream what was provisioned for a call that ended meanwhile.
    pub(super) async fn roll_back(&self, new_call: &NewCall, deadline: Deadline) {
        if let Err(error) = self.ender().clean_up_owned(&new_call.cid(), deadline).await {
            error.log("rollback failed, left to the cleanup recheck", &new_call.id);
        }
    }
}
