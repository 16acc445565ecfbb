use super::*;
use crate::calls::presence::{Join, Leave};
use crate::calls::rejects::RejectReason;
use crate::ids::SessionId;
use crate::test_support::{active_call, user_id};

const TIMEOUTS: CallTimeouts = CallTimeouts {
    max_duration: Duration::from_hours(1),
    inactivity_timeout: Duration::from_mins(5),
    ring_timeout: Duration::from_mins(2),
    alone_timeout: Duration::from_mins(1),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

/// An active call, and its state at Stream.
#[derive(Clone)]
struct Fixture {
    call: Call,
    state: StreamState,
}

impl Fixture {
    /// A call of these members that is active since second 0. The first one is the owner.
    fn new(members: &[&str]) -> Self {
        Self { call: active_call(members, at(0)), state: StreamState::default() }
    }

    fn pair() -> Self {
        Self::new(&["alice", "bob"])
    }

    fn group() -> Self {
        Self::new(&["alice", "bob", "carol"])
    }

    /// The user was in from one second to another. `None` if the user is in.
    fn present(mut self, user: &str, joined: i64, left: Option<i64>) -> Self {
        let session = SessionId::try_from(format!("session-of-{user}")).unwrap();
        let join = Join { user: user_id(user), session, joined_at: at(joined) };
        self.call.presence.record_join(&join);
        if let Some(left) = left {
            let Join { user, session, joined_at } = join;
            let joined_at = Some(joined_at);
            let leave = Leave { user, session, joined_at, at: at(left), duration: None };
            self.call.presence.record_leave(&leave);
        }
        self.participants_as_stored()
    }

    fn participants_as_stored(mut self) -> Self {
        self.state.participants = self.call.presence.present_users();
        self
    }

    /// `GetCall` shows these participants, whatever is stored.
    fn shown(mut self, users: &[&str]) -> Self {
        self.state.participants = users.iter().map(|name| user_id(name)).collect();
        self
    }

    /// A webhook and `GetCall` report a reject.
    fn rejected(mut self, user: &str, reason: &str, seconds: i64) -> Self {
        let reason = RejectReason::from_text(Some(reason));
        self.call.rejects.record(&user_id(user), reason, at(seconds));
        self.rejected_at_stream(user, seconds)
    }

    fn rejected_at_stream(mut self, user: &str, seconds: i64) -> Self {
        self.state.rejected_by.insert(user_id(user), at(seconds));
        self
    }

    fn accepted(mut self, user: &str, seconds: i64) -> Self {
        self.state.accepted_by.insert(user_id(user), at(seconds));
        self
    }

    fn missed(mut self, user: &str, seconds: i64) -> Self {
        self.state.missed_by.insert(user_id(user), at(seconds));
        self
    }

    fn decide(&self, requester: &str, now: i64) -> Redial {
        let mut call = self.call.clone();
        if self.state.participants.is_empty() {
            call.presence.observe_call(at(now), &[]);
        }
        decide(&call, &user_id(requester), Some(&self.state), TIMEOUTS, at(now))
    }
}

fn replace(reason: SystemEndReason, ended: i64) -> Redial {
    Redial::Replace { reason, ended_at: at(ended), ended_by: EndedBy::System }
}

fn replace_by(user: &str, reason: SystemEndReason, ended: i64) -> Redial {
    let ended_by = EndedBy::User { user_id: user_id(user) };
    Redial::Replace { reason, ended_at: at(ended), ended_by }
}

#[test]
fn call_with_another_participant_is_joined() {
    let waiting = Fixture::pair().present("alice", 5, None);
    let answered = waiting.clone().present("bob", 10, None);
    let alone = Fixture::pair().present("alice", 5, None).present("bob", 10, Some(20));
    for (fixture, requester, now, is_overdue) in [
        (&waiting, "bob", 30, false),
        // The owner still waits after the ring timeout.
        (&waiting, "bob", 130, true),
        (&answered, "alice", 30, false),
        (&answered, "bob", 1_000, false),
        // Bob returns to Alice, who remained.
        (&alone, "bob", 25, false),
        (&alone, "bob", 300, true),
        // The webhooks were lost.
        (&Fixture::pair().shown(&["bob"]), "alice", 30, false),
        (&Fixture::group().shown(&["carol"]).rejected("bob", "decline", 5), "alice", 30, false),
    ] {
        let expected = Redial::Join { is_overdue };
        assert_eq!(fixture.decide(requester, now), expected, "{requester} {now}");
    }
}

#[test]
fn call_without_response_waits_until_the_ring_timeout() {
    let not_joined = Fixture::pair();
    let owner_waits = Fixture::pair().present("alice", 5, None);
    for (fixture, requester, now) in [
        (&not_joined, "alice", 1),
        (&not_joined, "alice", 119),
        (&not_joined, "bob", 60),
        (&owner_waits, "alice", 60),
        (&Fixture::group(), "carol", 60),
        // The caller waited and left, and is called back.
        (&Fixture::pair().present("alice", 5, Some(20)), "bob", 30),
    ] {
        assert_eq!(fixture.decide(requester, now), Redial::Wait, "{requester} {now}");
    }
    assert_eq!(not_joined.decide("alice", 120), replace(EndReason::NOT_JOINED, 120));
    assert_eq!(not_joined.decide("bob", 150), replace(EndReason::NOT_JOINED, 120));
    assert_eq!(owner_waits.decide("alice", 130), replace(EndReason::NOT_ANSWERED, 120));
}

#[test]
fn finished_call_is_replaced() {
    let both_left = || Fixture::pair().present("alice", 5, Some(60)).present("bob", 10, Some(61));
    let caller_remains = Fixture::pair().present("alice", 5, None).present("bob", 10, Some(40));
    let cases = [
        // Both hung up.
        (both_left(), "alice", 71, replace(EndReason::LEFT, 61)),
        (both_left(), "bob", 71, replace(EndReason::LEFT, 61)),
        (both_left(), "bob", 400, replace(EndReason::LEFT, 61)),
        // The requester alone is inside.
        (caller_remains, "alice", 45, replace(EndReason::LEFT, 40)),
        // The webhooks of the leaves were lost.
        (
            Fixture::pair().present("alice", 5, None).present("bob", 10, None).shown(&[]),
            "alice",
            45,
            replace(EndReason::LEFT, 10),
        ),
        // Bob joined, and left before Alice came.
        (Fixture::pair().present("bob", 10, Some(20)), "alice", 150, replace(EndReason::LEFT, 20)),
        // Bob declined, and calls back or is called again.
        (
            Fixture::pair().rejected("bob", "decline", 8),
            "bob",
            12,
            replace_by("bob", EndReason::DECLINED, 8),
        ),
        (
            Fixture::pair().rejected_at_stream("bob", 8),
            "alice",
            12,
            replace_by("bob", EndReason::DECLINED, 8),
        ),
        // Alice cancelled, and is called back.
        (
            Fixture::pair().rejected("alice", "cancel", 6),
            "bob",
            9,
            replace_by("alice", EndReason::CANCELLED, 6),
        ),
        // Bob declined while Alice waits inside.
        (
            Fixture::pair().present("alice", 5, None).rejected("bob", "decline", 8),
            "bob",
            12,
            replace_by("bob", EndReason::DECLINED, 8),
        ),
        // A busy or missed callee does not ring any more.
        (
            Fixture::pair().rejected("bob", "busy", 3),
            "alice",
            20,
            replace(EndReason::NOT_JOINED, 20),
        ),
        (
            Fixture::pair().present("alice", 5, None).missed("bob", 30),
            "alice",
            40,
            replace(EndReason::NOT_ANSWERED, 40),
        ),
        // Bob accepted, and never joined.
        (Fixture::pair().accepted("bob", 5), "alice", 20, replace(EndReason::NOT_JOINED, 20)),
        // One of two callees declined.
        (
            Fixture::group().rejected("bob", "decline", 8),
            "alice",
            20,
            replace(EndReason::NOT_JOINED, 20),
        ),
    ];
    for (fixture, requester, now, expected) in cases {
        assert_eq!(fixture.decide(requester, now), expected, "{requester} {now}");
    }
}

#[test]
fn call_that_stream_has_ended_is_replaced() {
    let mut ended = Fixture::pair().present("alice", 5, None).present("bob", 10, None);
    ended.state.ended_at = Some(at(50));
    let at_stream = |ended| Redial::Replace {
        reason: EndReason::ENDED_AT_STREAM,
        ended_at: at(ended),
        ended_by: EndedBy::Stream,
    };
    assert_eq!(ended.decide("alice", 60), at_stream(50));
    let call = active_call(&["alice", "bob"], at(0));
    assert_eq!(decide(&call, &user_id("alice"), None, TIMEOUTS, at(60)), at_stream(60));
    let too_long = Fixture::pair().present("alice", 5, None).present("bob", 10, None);
    assert_eq!(too_long.decide("alice", 3_700), replace(EndReason::TOO_LONG, 3_605));
}

#[test]
fn call_rings_again_after_more_than_15_seconds() {
    let mut call = active_call(&["alice", "bob"], at(0));
    assert!(may_ring(&call, at(0)));
    call.last_rung_at = Some(at(10));
    for (now, expected) in [(10, false), (25, false), (26, true)] {
        assert_eq!(may_ring(&call, at(now)), expected, "{now}");
    }
}
