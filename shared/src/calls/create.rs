//! Creates a call in three steps: reserve (the item in the table), provision (the channel and the
//! call at Stream), activate (the item again).
//!
//! An attempt may die at any point. A repeat of the request resumes the call, since every step has
//! the same effect when it is done twice. If the members have an open call already, that call is
//! returned (see [`super::glare`]).

use crate::calls::reserve::Reservation;
use crate::calls::{Call, CallService, CreateCall, CreateTimeouts, not_active_yet};
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
}

/// How often the call is reserved if other attempts keep withdrawing it.
const MAX_ATTEMPTS: u32 = 3;

impl CallService {
    /// Creates the call, resumes its creation, or returns the call that exists already: by its id,
    /// or as the open call of its members.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_not_found`, `call_not_found` (the id of another owner's call with
    /// other members), `call_id_reused`, `call_ended`, `call_not_active`, `store_unavailable`, and
    /// the errors of Stream.
    pub async fn create(
        &self,
        command: &CreateCall,
        timeouts: CreateTimeouts,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<CreateResult, ApiError> {
        // One request is counted once, however many attempts it takes.
        let mut permit = Some(permit);
        for _ in 0..MAX_ATTEMPTS {
            if deadline.remaining(self.clock.now()).is_zero() {
                break;
            }
            let permit = permit.take().unwrap_or_default();
            match self.reserve(command, timeouts, permit, deadline).await? {
                Reservation::Existing(call) => return Ok(CreateResult { call, created: false }),
                Reservation::Acquired(new_call) => {
                    self.provision(command, &new_call, timeouts, deadline).await?;
                    return self.activate(&new_call, timeouts, deadline).await;
                }
                Reservation::Retry => {}
            }
        }
        Err(not_active_yet())
    }
}
