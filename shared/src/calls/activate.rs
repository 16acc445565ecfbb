//! Activates a provisioned call: moves its item from `creating` to `active`.

use crate::calls::existing_call::{ExistingCall, classify};
use crate::calls::{ActivateResult, CallService, CallTimeouts, CreateResult, NewCall};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};

impl CallService {
    /// Activates the call. If it has ended meanwhile, rolls it back.
    pub(super) async fn activate(
        &self,
        new_call: &NewCall,
        timeouts: CallTimeouts,
        deadline: Deadline,
    ) -> Result<CreateResult, ApiError> {
        let now = self.clock.now();
        let max_duration = new_call.max_duration(timeouts.max_duration);
        let due_at = timeouts.first_check_at(new_call.at, now, max_duration);
        let code = match self.store.activate(new_call, now, due_at).await? {
            ActivateResult::Activated(call) => {
                // An event arrived before the activation, and nothing has decided on it yet.
                if !call.presence.is_empty() || call.started_at.is_some() {
                    self.store.set_next_check(&call.cid(), now).await?;
                }
                return Ok(CreateResult { call, created: true, rung: new_call.ring });
            }
            ActivateResult::Unchanged(call) => match classify(&call, new_call) {
                ExistingCall::Replay => {
                    let created = call.attempt == new_call.attempt;
                    return Ok(CreateResult { call, created, rung: new_call.ring });
                }
                ExistingCall::Resume | ExistingCall::Concurrent => Code::CallNotActive,
                ExistingCall::Rejected(code) => code,
            },
            ActivateResult::Missing => Code::CallEnded,
        };
        if code == Code::CallEnded {
            self.roll_back(new_call, deadline).await;
        }
        Err(ApiError::from_code(code))
    }
}
