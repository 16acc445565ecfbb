//! Ends a call: moves its item to `ending`, which ends the call for its members, cleans it up at
//! Stream, and moves the item to `ended`.

use std::sync::Arc;

use crate::auth::Caller;
use crate::calls::outcome::EndedBy;
use crate::calls::{
    Call, CallCleanupStore, CallState, EndReason, EndRequest, EndResult, not_found,
};
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::ids::{CallId, UserId};
use crate::stream::StreamClient;

/// Ends calls and cleans them up.
#[derive(Clone)]
pub struct CallEnder {
    /// The call items.
    pub store: Arc<dyn CallCleanupStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The user who creates the channels.
    pub service_user: UserId,
}

impl CallEnder {
    /// Ends the call. The returned call is `ending` or `ended`: it is over for its members, even if
    /// Stream cannot be reached.
    ///
    /// # Errors
    ///
    /// `call_not_found` if the call does not exist or the caller may not access it, and
    /// `store_unavailable`.
    pub async fn end(
        &self,
        caller: &Caller,
        id: &CallId,
        reason: &EndReason,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        let ended_by = if caller.is_service {
            EndedBy::Service
        } else {
            EndedBy::User { user_id: caller.user.clone() }
        };
        self.end_as(caller, id, reason, &ended_by, deadline).await
    }

    /// As [`Self::end`], with another actor.
    pub(crate) async fn end_as(
        &self,
        caller: &Caller,
        id: &CallId,
        reason: &EndReason,
        ended_by: &EndedBy,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        let member = (!caller.is_service).then_some(&caller.user);
        let request =
            EndRequest { member, ..EndRequest::new(id, reason, ended_by, self.clock.now()) };
        match self.store.end(request).await? {
            EndResult::Unchanged(call) if !call.is_accessible_to(caller) => Err(not_found()),
            EndResult::Unchanged(call) if call.state == CallState::Ended => Ok(call),
            EndResult::Ending(call) | EndResult::Unchanged(call) => {
                Ok(self.clean_up_and_finish(call, deadline).await)
            }
            EndResult::Missing => Err(not_found()),
        }
    }

    /// Cleans up an `ending` call and moves it to `ended`. After a failure the call stays `ending`
    /// and in the due index, and the sweeper retries.
    pub(super) async fn clean_up_and_finish(&self, call: Call, deadline: Deadline) -> Call {
        if let Err(error) = self.clean_up(&call, deadline).await {
            error.log("cleanup at Stream failed, retrying in a sweep", &call.call_id);
            return call;
        }
        match self.store.finish(&call.call_id, self.clock.now()).await {
            Ok(ended) => ended.unwrap_or(call),
            Err(error) => {
                ApiError::from(error).log("finishing a call failed, still ending", &call.call_id);
                call
            }
        }
    }
}
