//! What a request to create a call means where its id is taken: a pure function.

use crate::calls::{Call, CallState, MemberSet, NewCall};
use crate::error::Code;

/// What a request means where the id is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same request, answered before.
    Same,
    /// The same request, not done yet.
    Help,
    /// The other side's request for a call of the same members, under the same id.
    Meet,
    /// Refused.
    Refused(Code),
}

/// What the item that was found means for a new request.
pub(super) fn judge(call: &Call, new: &NewCall) -> Verdict {
    if call.owner != new.owner {
        let same_members = MemberSet::of(&call.members) == MemberSet::of(&new.members);
        return match call.state {
            _ if !same_members => Verdict::Refused(Code::CallNotFound),
            CallState::Ending | CallState::Ended => Verdict::Refused(Code::CallEnded),
            CallState::Creating | CallState::Active => Verdict::Meet,
        };
    }
    match call.state {
        CallState::Ending | CallState::Ended => Verdict::Refused(Code::CallEnded),
        _ if call.fingerprint != new.fingerprint => Verdict::Refused(Code::CallIdReused),
        CallState::Active => Verdict::Same,
        CallState::Creating => Verdict::Help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::CallType;
    use crate::clock::Timestamp;
    use crate::ids::{CallId, UserId};

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    fn id() -> CallId {
        CallId::try_from("c1".to_owned()).unwrap()
    }

    /// Alice calls Bob.
    fn new() -> NewCall {
        NewCall {
            id: id(),
            owner: user("alice"),
            members: vec![user("alice"), user("bob")],
            call_type: CallType::Video,
            fingerprint: "f".into(),
            parallel: false,
            attempt: "a".into(),
            at: Timestamp::from_secs(0),
        }
    }

    #[test]
    fn what_a_taken_id_means() {
        use CallState::{Active, Creating, Ended, Ending};
        let cases = [
            // same owner, same request, state
            (true, true, Creating, Verdict::Help),
            (true, true, Active, Verdict::Same),
            (true, true, Ending, Verdict::Refused(Code::CallEnded)),
            (true, true, Ended, Verdict::Refused(Code::CallEnded)),
            (true, false, Creating, Verdict::Refused(Code::CallIdReused)),
            (true, false, Active, Verdict::Refused(Code::CallIdReused)),
            (true, false, Ending, Verdict::Refused(Code::CallEnded)),
            (true, false, Ended, Verdict::Refused(Code::CallEnded)),
            (false, true, Creating, Verdict::Refused(Code::CallNotFound)),
            (false, true, Active, Verdict::Refused(Code::CallNotFound)),
            (false, false, Ending, Verdict::Refused(Code::CallNotFound)),
            (false, false, Ended, Verdict::Refused(Code::CallNotFound)),
        ];
        for (owner, request, state, verdict) in cases {
            let new = new();
            let call = Call {
                owner: user(if owner { "alice" } else { "mallory" }),
                members: vec![user(if owner { "alice" } else { "mallory" }), user("bob")],
                state,
                fingerprint: if request { "f" } else { "g" }.into(),
                ..Call::begun(&new)
            };
            assert_eq!(judge(&call, &new), verdict, "{owner} {request} {state:?}");
        }
    }

    #[test]
    fn both_sides_may_choose_the_same_id() {
        use CallState::{Active, Creating, Ended, Ending};
        let new = new();
        for (state, verdict) in [
            (Creating, Verdict::Meet),
            (Active, Verdict::Meet),
            (Ending, Verdict::Refused(Code::CallEnded)),
            (Ended, Verdict::Refused(Code::CallEnded)),
        ] {
            let members = vec![user("bob"), user("alice")];
            let call = Call { owner: user("bob"), members, state, ..Call::begun(&new) };
            assert_eq!(judge(&call, &new), verdict, "{state:?}");
        }
    }
}
