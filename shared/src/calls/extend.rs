//! Changes the maximum duration of an active call, in the table first and then at Stream.
//!
//! Each change increments the limit version of the item, and `limitSynced` is the last version that
//! Stream has confirmed. While the two differ, the sweeper pushes the maximum duration again.

use std::sync::Arc;
use std::time::Duration;

use crate::calls::timeouts::EXTEND_CHECK_DELAY;
use crate::calls::{
    Call, CallExtendStore, ConfirmLimitResult, ExtendRequest, ExtendResult, not_found,
};
use crate::clock::{Clock, Deadline};
use crate::error::{ApiError, Code};
use crate::ids::CallId;
use crate::stream::ops::UpdateCall;
use crate::stream::{StreamClient, StreamError};

/// The number of pushes in a request, if other requests change the maximum duration meanwhile.
const MAX_PUSHES: u32 = 3;

/// The settings of an extend request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendCall {
    /// The new maximum duration, from the time when the first participant joined.
    pub max_duration_seconds: u64,
    /// How long Stream keeps a session open without participants, which each push repeats.
    pub inactivity_timeout: Duration,
}

/// Changes the maximum duration of calls.
#[derive(Clone)]
pub struct CallExtender {
    /// The call items.
    pub store: Arc<dyn CallExtendStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl CallExtender {
    /// Changes the maximum duration of an active call. The same value again counts as done, unless
    /// Stream has not confirmed it.
    ///
    /// # Errors
    ///
    /// `call_not_found`, `call_not_active`, `call_ended`, `invalid_body` if the call has lasted
    /// longer already, `store_unavailable`, and the errors of Stream. After an error of Stream the
    /// item has the new maximum duration, and the sweeper pushes it.
    pub async fn extend(
        &self,
        id: &CallId,
        command: ExtendCall,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        let now = self.clock.now();
        let max_duration = Duration::from_secs(command.max_duration_seconds);
        let request = ExtendRequest {
            id,
            max_duration_seconds: command.max_duration_seconds,
            joined_after: now.minus(max_duration),
            due_at: now.plus(EXTEND_CHECK_DELAY),
        };
        let call = match self.store.extend(request).await? {
            ExtendResult::Extended(call) => call,
            ExtendResult::Unchanged(call) => {
                call.require_active()?;
                if call.joined_at().is_some_and(|at| now.since(at) >= max_duration) {
                    let reason = "must be longer than the time since the first participant joined";
                    return Err(ApiError::invalid_field("/maxDurationSeconds", reason));
                }
                if call.is_limit_synced() {
                    return Ok(call);
                }
                call
            }
            ExtendResult::Missing => return Err(not_found()),
        };
        self.push_limit(call, command.inactivity_timeout, deadline).await
    }

    /// Pushes the maximum duration of a call to Stream and stores that Stream has it. If another
    /// request has changed it meanwhile, pushes the newest: the two may have reached Stream in any
    /// order.
    pub(super) async fn push_limit(
        &self,
        mut call: Call,
        inactivity_timeout: Duration,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        for _ in 0..MAX_PUSHES {
            let Some(max_duration) = call.max_duration_seconds.map(Duration::from_secs) else {
                return Ok(call);
            };
            let update = UpdateCall {
                cid: &call.cid(),
                settings: call.call_type.settings().into(),
                max_duration,
                inactivity_timeout,
            };
            let ended_at = match self.stream.send(&update, deadline).await {
                Ok(response) => response.call.ended_at,
                // Stream has deleted the call. The sweeper ends it.
                Err(error @ StreamError::NotFound(_)) => {
                    return Err(ApiError::from_code(Code::CallEnded).with_source(error));
                }
                Err(error) => return Err(error.into()),
            };
            if ended_at.is_some() {
                return Err(ApiError::from_code(Code::CallEnded));
            }
            match self.store.confirm_limit(&call.call_id, call.limit_version).await? {
                ConfirmLimitResult::Confirmed(confirmed) => {
                    confirmed.require_active()?;
                    return Ok(confirmed);
                }
                ConfirmLimitResult::Superseded(newest) => {
                    newest.require_active()?;
                    call = newest;
                }
                ConfirmLimitResult::Missing => return Err(not_found()),
            }
        }
        // The item has the maximum duration of a later request. That request or the sweeper pushes
        // it.
        Ok(call)
    }
}
