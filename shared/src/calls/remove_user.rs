//! Removes a deleted user from an open call. The other members go on. If fewer than two remain, the
//! call ends.

use std::sync::Arc;

use futures_util::future::join;

use crate::auth::Caller;
use crate::calls::outcome::EndedBy;
use crate::calls::{
    Call, CallEnder, CallMemberStore, CallState, EndReason, MemberSet, ReplaceMembersResult,
};
use crate::clock::Deadline;
use crate::error::ApiError;
use crate::ids::UserId;
use crate::stream::ops::{RemoveCallMember, RemoveChannelMember};
use crate::stream::{Operation, StreamError};

/// The result of [`MemberRemover::remove_user`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoveUserResult {
    /// The call is active and goes on without the user.
    Removed(Call),
    /// The call is over.
    Over,
    /// The call is being created. Its creation has read the members, so the caller must retry after
    /// it.
    Creating,
}

/// Removes deleted users from calls.
#[derive(Clone)]
pub struct MemberRemover {
    /// The call items.
    pub store: Arc<dyn CallMemberStore>,
    /// Ends the calls with fewer than two remaining members.
    pub ender: CallEnder,
}

impl MemberRemover {
    /// Removes a deleted user from the item of an open call. Ends the call if fewer than two
    /// members remain. A retry is safe.
    ///
    /// # Errors
    ///
    /// `store_unavailable`.
    pub async fn remove_user(
        &self,
        mut call: Call,
        user: &UserId,
        deadline: Deadline,
    ) -> Result<RemoveUserResult, ApiError> {
        // Each conflict means fewer members or a later state, so the loop ends.
        loop {
            let remaining: Vec<UserId> =
                call.members.iter().filter(|member| *member != user).cloned().collect();
            let is_member = remaining.len() < call.members.len();
            match call.state {
                CallState::Ending | CallState::Ended => return Ok(RemoveUserResult::Over),
                CallState::Creating | CallState::Active if is_member && remaining.len() < 2 => {
                    // The call ends as if the user had ended it.
                    let caller = Caller {
                        user: user.clone(),
                        role: None,
                        is_service: false,
                        session_started_at: None,
                    };
                    let reason: EndReason = EndReason::USER_DELETED.into();
                    let ended_by = EndedBy::System;
                    self.ender.end_as(&caller, &call.call_id, &reason, &ended_by, deadline).await?;
                    return Ok(RemoveUserResult::Over);
                }
                CallState::Creating => return Ok(RemoveUserResult::Creating),
                CallState::Active if !is_member => break,
                CallState::Active => {}
            }
            let replaced =
                self.store.replace_members(&call.call_id, &call.members, &remaining).await?;
            match replaced {
                ReplaceMembersResult::Replaced(replaced) => {
                    call = replaced;
                    break;
                }
                ReplaceMembersResult::Unchanged(current) => call = current,
                ReplaceMembersResult::Missing => return Ok(RemoveUserResult::Over),
            }
        }
        self.move_open_call(&call, user).await;
        Ok(RemoveUserResult::Removed(call))
    }

    /// Removes the user from the channel and then from the call at Stream. A retry finds the call
    /// through the membership in it, so that membership is the last one that is removed.
    ///
    /// # Errors
    ///
    /// The errors of Stream. A rejection is logged, since a retry would be rejected as well.
    pub async fn remove_user_at_stream(
        &self,
        call: &Call,
        user: &UserId,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let channel = call.call_id.channel();
        self.remove_member(&RemoveChannelMember { id: &channel, user }, call, deadline).await?;
        self.remove_member(&RemoveCallMember { cid: &call.cid(), user }, call, deadline).await
    }

    async fn remove_member<O: Operation>(
        &self,
        operation: &O,
        call: &Call,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        match self.ender.send_ignoring_not_found(operation, deadline).await {
            Err(error @ StreamError::Rejected(_)) => {
                ApiError::from(error).log("removing a deleted member failed", &call.call_id);
                Ok(())
            }
            result => Ok(result?),
        }
    }

    /// Moves the open-call pointer from the members with the user to those without. If the members
    /// without the user have another open call, its pointer stays. Errors are only logged: without
    /// a pointer, these members can have a second call, and a stale pointer costs a create one read.
    async fn move_open_call(&self, call: &Call, user: &UserId) {
        if call.parallel {
            return;
        }
        let id = &call.call_id;
        let previous: Vec<UserId> = call.members.iter().chain([user]).cloned().collect();
        let member_set = MemberSet::new(&call.members);
        let now = self.ender.clock.now();
        let new_call = call.reservation(now);
        let (set, ()) = join(
            self.store.set_open_call(&member_set, &new_call, now, None),
            self.ender.clear_open_call(&previous, id, None),
        )
        .await;
        if let Err(error) = set {
            ApiError::from(error).log("setting the open-call pointer failed", id);
        }
    }
}
