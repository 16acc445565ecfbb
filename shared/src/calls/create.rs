//! Creates a call in three steps: reserve (the item in the table), provision (the channel and the
//! call at Stream), activate (the item again).
//!
//! An attempt may die at any point. A retry of the request resumes the call, since every step is
//! idempotent. If the members have an open call already, that call is returned or replaced (see
//! [`super::glare`] and [`super::redial`]).

use futures_util::future::join;

use crate::calls::reserve::Reservation;
use crate::calls::{Call, CallService, CallTimeouts, CreateCall, not_active_yet};
use crate::clock::Deadline;
use crate::error::ApiError;
use crate::rate_limiter::Permit;

/// The result of a create: an active call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateResult {
    /// The call.
    pub call: Call,
    /// Whether this request activated it, rather than an earlier one.
    pub created: bool,
    /// Whether this request rang the members' phones.
    pub rung: bool,
}

/// The number of attempts to reserve a call that other attempts keep withdrawing.
const MAX_ATTEMPTS: u32 = 3;

impl CallService {
    /// Creates the call or resumes its creation. If the call exists already, or its members have
    /// another open call, returns that call.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_not_found`, `user_busy`, `call_not_found` (the id of another
    /// owner's call with other members), `call_id_reused`, `call_ended`, `call_not_active`,
    /// `store_unavailable`, and the errors of Stream.
    pub async fn create(
        &self,
        command: &CreateCall,
        timeouts: CallTimeouts,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<CreateResult, ApiError> {
        // The first iteration consumes the permit, so a request is counted once.
        let mut permit = Some(permit);
        for _ in 0..MAX_ATTEMPTS {
            if deadline.remaining(self.clock.now()).is_zero() {
                break;
            }
            let permit = permit.take().unwrap_or_default();
            match self.reserve(command, timeouts, permit, deadline).await? {
                Reservation::Existing { call, rung } => {
                    return Ok(CreateResult { call, created: false, rung });
                }
                Reservation::Acquired { new_call, replaced } => {
                    let (provisioned, ()) = join(
                        self.provision(command, &new_call, timeouts, deadline),
                        self.end_replaced(replaced.as_ref(), deadline),
                    )
                    .await;
                    provisioned?;
                    return self.activate(&new_call, timeouts, deadline).await;
                }
                Reservation::Retry => {}
            }
        }
        Err(not_active_yet())
    }
}
