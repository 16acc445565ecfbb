//! Classifies a create request whose call id exists already: a pure function.

use crate::calls::{Call, CallState, MemberSet, NewCall};
use crate::error::Code;

/// The relation of a create request to the existing call with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExistingCall {
    /// The same request; the call is active already.
    Replay,
    /// The same request; the call is still `creating`.
    Resume,
    /// Another member's request for a call of the same members, with the same id.
    Concurrent,
    /// The request is rejected with this code.
    Rejected(Code),
}

pub(super) fn classify(call: &Call, new_call: &NewCall) -> ExistingCall {
    if call.owner != new_call.owner {
        let same_members = MemberSet::new(&call.members) == MemberSet::new(&new_call.members);
        return match call.state {
            _ if !same_members => ExistingCall::Rejected(Code::CallNotFound),
            CallState::Ending | CallState::Ended => ExistingCall::Rejected(Code::CallEnded),
            CallState::Creating | CallState::Active => ExistingCall::Concurrent,
        };
    }
    match call.state {
        CallState::Ending | CallState::Ended => ExistingCall::Rejected(Code::CallEnded),
        _ if call.fingerprint != new_call.fingerprint => ExistingCall::Rejected(Code::CallIdReused),
        CallState::Active => ExistingCall::Replay,
        CallState::Creating => ExistingCall::Resume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::test_support::{self, user_id};

    /// A new call of Alice (the owner) and Bob.
    fn new_call() -> NewCall {
        test_support::new_call(&["alice", "bob"], Timestamp::from_secs(0))
    }

    #[test]
    fn existing_call_is_classified_by_owner_request_and_state() {
        use CallState::{Active, Creating, Ended, Ending};
        let cases = [
            // same owner, same request, state
            (true, true, Creating, ExistingCall::Resume),
            (true, true, Active, ExistingCall::Replay),
            (true, true, Ending, ExistingCall::Rejected(Code::CallEnded)),
            (true, true, Ended, ExistingCall::Rejected(Code::CallEnded)),
            (true, false, Creating, ExistingCall::Rejected(Code::CallIdReused)),
            (true, false, Active, ExistingCall::Rejected(Code::CallIdReused)),
            (true, false, Ending, ExistingCall::Rejected(Code::CallEnded)),
            (true, false, Ended, ExistingCall::Rejected(Code::CallEnded)),
            (false, true, Creating, ExistingCall::Rejected(Code::CallNotFound)),
            (false, true, Active, ExistingCall::Rejected(Code::CallNotFound)),
            (false, false, Ending, ExistingCall::Rejected(Code::CallNotFound)),
            (false, false, Ended, ExistingCall::Rejected(Code::CallNotFound)),
        ];
        for (is_owner, is_same_request, state, expected) in cases {
            let new_call = new_call();
            let call = Call {
                owner: user_id(if is_owner { "alice" } else { "mallory" }),
                members: vec![user_id(if is_owner { "alice" } else { "mallory" }), user_id("bob")],
                state,
                fingerprint: if is_same_request { "f" } else { "g" }.into(),
                ..Call::new(&new_call)
            };
            assert_eq!(
                classify(&call, &new_call),
                expected,
                "{is_owner} {is_same_request} {state:?}"
            );
        }
    }

    #[test]
    fn id_shared_by_both_members_is_classified_as_concurrent() {
        use CallState::{Active, Creating, Ended, Ending};
        let new_call = new_call();
        for (state, expected) in [
            (Creating, ExistingCall::Concurrent),
            (Active, ExistingCall::Concurrent),
            (Ending, ExistingCall::Rejected(Code::CallEnded)),
            (Ended, ExistingCall::Rejected(Code::CallEnded)),
        ] {
            let members = vec![user_id("bob"), user_id("alice")];
            let call = Call { owner: user_id("bob"), members, state, ..Call::new(&new_call) };
            assert_eq!(classify(&call, &new_call), expected, "{state:?}");
        }
    }
}
