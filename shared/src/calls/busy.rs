//! Busy: rejects a call of two whose callee is in another call.

use std::time::Duration;

use crate::calls::look::Look;
use crate::calls::{Call, CallService, CallState, MemberSet, NewCall};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::users::JoinedCall;

/// The time for `GetCall`. The caller waits for it before the phone rings.
const STREAM_TIMEOUT: Duration = Duration::from_millis(1_500);

impl CallService {
    /// Returns an error if the callee is in an answered call of other members. `joined` is the call
    /// that the callee joined last. It costs one read, and one `GetCall` if the read shows the
    /// callee in that call. If Stream cannot be reached, the item decides.
    ///
    /// # Errors
    ///
    /// `user_busy`, `store_unavailable`.
    pub(super) async fn require_free_callee(
        &self,
        new_call: &NewCall,
        joined: Option<&JoinedCall>,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let Some((callee, joined)) = new_call.callee().zip(joined) else { return Ok(()) };
        let Some(call) = self.store.get(&joined.call_id).await? else { return Ok(()) };
        if is_in_other_call(callee, &call, new_call)
            && self.is_participant(callee, &call, deadline).await
        {
            let detail = "the callee is in another call; retry later, or send whenBusy \"ring\"";
            return Err(ApiError::new(Code::UserBusy, detail));
        }
        Ok(())
    }

    /// Whether the user is in the call at Stream.
    async fn is_participant(&self, user: &UserId, call: &Call, deadline: Deadline) -> bool {
        let now = self.clock.now();
        let deadline = Deadline::after(now, deadline.remaining(now).min(STREAM_TIMEOUT));
        match Look::fetch(&self.stream, &*self.clock, &call.cid(), deadline).await {
            Ok(look) => look
                .state()
                .is_some_and(|state| state.ended_at.is_none() && state.participants.contains(user)),
            Err(error) => {
                ApiError::from(error)
                    .log("GetCall failed, the callee counts as busy", &call.call_id);
                true
            }
        }
    }
}

/// Whether the item shows the user in an answered call of other members.
fn is_in_other_call(user: &UserId, call: &Call, new_call: &NewCall) -> bool {
    call.state == CallState::Active
        && call.answered_at().is_some()
        && MemberSet::new(&call.members) != MemberSet::new(&new_call.members)
        && call.presence.present_users().contains(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::presence::{Join, Leave};
    use crate::clock::Timestamp;
    use crate::ids::SessionId;
    use crate::test_support::{self, active_call, user_id};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    /// A call of Bob and Carol that both have joined.
    fn answered_call() -> Call {
        let mut call = active_call(&["bob", "carol"], at(0));
        for (user, joined) in [("bob", 5), ("carol", 10)] {
            call.presence.record_join(&join(user, joined));
        }
        call
    }

    fn join(user: &str, joined: i64) -> Join {
        let session = SessionId::try_from(format!("session-of-{user}")).unwrap();
        Join { user: user_id(user), session, joined_at: at(joined) }
    }

    #[test]
    fn only_a_participant_of_an_answered_call_of_others_is_busy() {
        let is_busy = |call: &Call, callee: &str| {
            let new_call = test_support::new_call(&["alice", callee], at(60));
            is_in_other_call(&user_id(callee), call, &new_call)
        };
        let call = answered_call();
        assert!(is_busy(&call, "bob"));
        assert!(!is_busy(&call, "dave"));
        for state in [CallState::Creating, CallState::Ending, CallState::Ended] {
            assert!(!is_busy(&Call { state, ..call.clone() }, "bob"), "{state:?}");
        }
        let same_members = Call { members: vec![user_id("bob"), user_id("alice")], ..call.clone() };
        assert!(!is_busy(&same_members, "bob"));
        let mut ringing = active_call(&["bob", "carol"], at(0));
        ringing.presence.record_join(&join("bob", 5));
        assert!(!is_busy(&ringing, "bob"));
        let mut left = call;
        let Join { user, session, joined_at } = join("bob", 5);
        let joined_at = Some(joined_at);
        let leave = Leave { user, session, joined_at, at: at(30), duration: None };
        left.presence.record_leave(&leave);
        assert!(!is_busy(&left, "bob"));
    }
}
