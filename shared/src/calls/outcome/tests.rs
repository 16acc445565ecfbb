use super::*;
use crate::calls::presence::{Join, Leave};
use crate::ids::SessionId;
use crate::test_support::user_id;

const RING: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_hours(1);
const TIMEOUTS: PresenceTimeouts = PresenceTimeouts {
    inactivity_timeout: Duration::from_mins(5),
    alone_timeout: Duration::from_mins(1),
};
/// The limit in seconds.
const HOUR: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

/// The facts about a call that is active since second 0.
struct Fixture {
    members: Vec<UserId>,
    presence: Presence,
    rejects: Rejects,
    state: StreamState,
}

fn times(entries: &[(&str, i64)]) -> BTreeMap<UserId, Timestamp> {
    entries.iter().map(|(user, seconds)| (user_id(user), at(*seconds))).collect()
}

impl Fixture {
    /// A call of these members, of whom the first one calls.
    fn new(members: &[&str]) -> Self {
        Self {
            members: members.iter().map(|name| user_id(name)).collect(),
            presence: Presence::default(),
            rejects: Rejects::default(),
            state: StreamState::default(),
        }
    }

    fn pair() -> Self {
        Self::new(&["alice", "bob"])
    }

    fn group() -> Self {
        Self::new(&["alice", "bob", "carol"])
    }

    fn join(user: &str, joined: i64) -> Join {
        let session = SessionId::try_from(format!("session-of-{user}")).unwrap();
        Join { user: user_id(user), session, joined_at: at(joined) }
    }

    /// A user was in from a join to a told leave. `None` if the user is in.
    fn present(mut self, user: &str, joined: i64, left: Option<i64>) -> Self {
        let join = Self::join(user, joined);
        self.presence.record_join(&join);
        if let Some(left) = left {
            let Join { user, session, joined_at } = join;
            let joined_at = Some(joined_at);
            let leave = Leave { user, session, joined_at, at: at(left), duration: None };
            self.presence.record_leave(&leave);
        }
        self.state.participants = self.presence.present_users();
        self
    }

    /// `GetCall` returned these participants, whose joins are known.
    fn looked(mut self, requested: i64, participants: &[(&str, i64)]) -> Self {
        let joins: Vec<Join> =
            participants.iter().map(|(user, joined)| Self::join(user, *joined)).collect();
        self.presence.observe_call(at(requested), &joins);
        self.state.participants = joins.into_iter().map(|join| join.user).collect();
        self
    }

    /// A webhook and `GetCall` report a reject.
    fn rejected(mut self, user: &str, reason: &str, seconds: i64) -> Self {
        self.rejects.record(&user_id(user), RejectReason::from_text(Some(reason)), at(seconds));
        self.state.rejected_by.insert(user_id(user), at(seconds));
        self
    }

    fn state(mut self, change: impl FnOnce(&mut StreamState)) -> Self {
        change(&mut self.state);
        self
    }

    fn facts<'a>(&'a self, stream: StreamView<'a>) -> CallFacts<'a> {
        CallFacts {
            owner: &self.members[0],
            members: &self.members,
            created_at: at(-1),
            active_at: at(0),
            started_at: None,
            ring_timeout: RING,
            max_duration: LIMIT,
            presence: &self.presence,
            rejects: &self.rejects,
            stream,
        }
    }

    /// The outcome by the response of `GetCall`.
    fn decide(&self, now: i64) -> Outcome {
        decide(&self.facts(StreamView::Current(Some(&self.state))), TIMEOUTS, at(now))
    }
}

fn over(reason: SystemEndReason, ended: i64) -> Outcome {
    Outcome::Over { reason, ended_at: at(ended), ended_by: EndedBy::System }
}

fn over_by(user: &str, reason: SystemEndReason, ended: i64) -> Outcome {
    let ended_by = EndedBy::User { user_id: user_id(user) };
    Outcome::Over { reason, ended_at: at(ended), ended_by }
}

fn continues(next_check: i64) -> Outcome {
    Outcome::Continues { next_check: at(next_check) }
}

fn check(cases: Vec<(&str, Fixture, i64, Outcome)>) {
    for (name, fixture, now, expected) in cases {
        assert_eq!(fixture.decide(now), expected, "{name}");
    }
}

#[test]
fn call_without_a_callee_ends_at_the_ring_timeout() {
    let pair = Fixture::pair;
    let accepted = || pair().state(|state| state.accepted_by = times(&[("bob", 10)]));
    check(vec![
        ("rings", pair(), 0, continues(120)),
        ("rings until the timeout", pair(), 119, continues(120)),
        ("no join", pair(), 120, over(EndReason::NOT_JOINED, 120)),
        ("the end does not depend on the decision", pair(), 900, over(EndReason::NOT_JOINED, 120)),
        ("the caller waits", pair().present("alice", 5, None), 119, continues(120)),
        (
            "the caller waits too long",
            pair().present("alice", 5, None),
            130,
            over(EndReason::NOT_ANSWERED, 120),
        ),
        ("the caller left, still rings", pair().present("alice", 5, Some(9)), 100, continues(120)),
        (
            "the caller left",
            pair().present("alice", 5, Some(9)),
            120,
            over(EndReason::NOT_ANSWERED, 120),
        ),
        (
            "the join is known from the session only",
            pair().state(|state| state.session_started_at = Some(at(5))),
            120,
            over(EndReason::NOT_ANSWERED, 120),
        ),
        ("accepted without a join", accepted(), 120, over(EndReason::NOT_JOINED, 120)),
        ("a callee joined", pair().present("bob", 5, None), 130, continues(370)),
        (
            "a callee joined late",
            pair().present("alice", 5, None).present("bob", 125, None),
            130,
            continues(370),
        ),
        (
            "one callee of two joined",
            Fixture::group().present("alice", 5, None).present("carol", 9, None),
            130,
            continues(370),
        ),
    ]);
}

#[test]
fn call_is_declined_if_every_callee_rejects_it_explicitly() {
    let pair = Fixture::pair;
    let group = Fixture::group;
    let declined = || pair().rejected("bob", "decline", 20);
    check(vec![
        ("declined", declined(), 21, over_by("bob", EndReason::DECLINED, 20)),
        ("decided late", declined(), 900, over_by("bob", EndReason::DECLINED, 20)),
        ("Stream's clock is ahead", declined(), 19, over_by("bob", EndReason::DECLINED, 19)),
        (
            "the caller waits",
            declined().present("alice", 5, None),
            21,
            over_by("bob", EndReason::DECLINED, 20),
        ),
        (
            "the caller's client cancels afterwards",
            declined().rejected("alice", "cancel", 21),
            22,
            over_by("bob", EndReason::DECLINED, 20),
        ),
        (
            "unknown reason, the webhook was lost",
            pair().state(|state| state.rejected_by = times(&[("bob", 20)])),
            21,
            over_by("bob", EndReason::DECLINED, 20),
        ),
        (
            "accepted on another device",
            declined().state(|state| state.accepted_by = times(&[("bob", 25)])),
            30,
            continues(120),
        ),
        ("joined", declined().present("bob", 25, None), 30, continues(270)),
        ("joined and left", declined().present("bob", 25, Some(30)), 31, continues(271)),
        ("one callee of two", group().rejected("bob", "decline", 20), 21, continues(120)),
        (
            "two callees",
            group().rejected("bob", "decline", 20).rejected("carol", "rejected", 30),
            31,
            over_by("carol", EndReason::DECLINED, 30),
        ),
    ]);
}

#[test]
fn missed_or_busy_call_is_not_answered() {
    let pair = Fixture::pair;
    let busy = || pair().rejected("bob", "busy", 5);
    let missed = || pair().state(|state| state.missed_by = times(&[("bob", 15)]));
    check(vec![
        ("busy", busy(), 10, continues(120)),
        ("busy at the ring's end", busy(), 120, over(EndReason::NOT_JOINED, 120)),
        (
            "busy, and the caller waits",
            busy().present("alice", 1, None),
            120,
            over(EndReason::NOT_ANSWERED, 120),
        ),
        (
            "busy, then the caller rejects",
            busy().rejected("alice", "cancel", 8),
            10,
            over(EndReason::NOT_ANSWERED, 8),
        ),
        ("timeout", pair().rejected("bob", "timeout", 15), 20, continues(120)),
        ("missed", missed(), 20, continues(120)),
        (
            "missed, then the caller rejects",
            missed().rejected("alice", "cancel", 18),
            20,
            over(EndReason::NOT_ANSWERED, 18),
        ),
        (
            "one declined, one missed",
            Fixture::group()
                .rejected("bob", "decline", 10)
                .state(|state| state.missed_by = times(&[("carol", 15)])),
            20,
            continues(120),
        ),
        (
            "busy on one device, declined on another",
            busy().rejected("bob", "decline", 9),
            10,
            over_by("bob", EndReason::DECLINED, 9),
        ),
    ]);
}

#[test]
fn call_is_cancelled_if_the_caller_rejects_first() {
    let pair = Fixture::pair;
    let cancelled = || pair().rejected("alice", "cancel", 20);
    check(vec![
        ("cancelled", cancelled(), 21, over_by("alice", EndReason::CANCELLED, 20)),
        (
            "the callee rejects afterwards",
            cancelled().rejected("bob", "decline", 21),
            22,
            over_by("alice", EndReason::CANCELLED, 20),
        ),
        (
            "Stream reports the cancelled call as missed",
            cancelled().state(|state| state.missed_by = times(&[("bob", 20)])),
            22,
            over_by("alice", EndReason::CANCELLED, 20),
        ),
        (
            "the webhook was lost",
            pair().state(|state| state.rejected_by = times(&[("alice", 20)])),
            21,
            over_by("alice", EndReason::CANCELLED, 20),
        ),
        (
            "the caller's timeout",
            pair().rejected("alice", "timeout", 30),
            31,
            over(EndReason::NOT_ANSWERED, 30),
        ),
        (
            "one callee still rings",
            Fixture::group().rejected("bob", "decline", 10).rejected("alice", "cancel", 20),
            21,
            over_by("alice", EndReason::CANCELLED, 20),
        ),
        (
            "accepted",
            cancelled().state(|state| state.accepted_by = times(&[("bob", 21)])),
            22,
            continues(120),
        ),
        ("joined", cancelled().present("bob", 21, None), 22, continues(262)),
    ]);
}

#[test]
fn empty_call_ends_after_the_inactivity_timeout() {
    let pair = Fixture::pair;
    let left = || pair().present("alice", 5, Some(200)).present("bob", 10, Some(250));
    // Alice's leave was told. Bob's was lost.
    let lost = || {
        pair()
            .present("alice", 5, None)
            .present("bob", 10, None)
            .looked(200, &[("alice", 5), ("bob", 10)])
            .present("alice", 5, Some(210))
            .looked(450, &[])
    };
    check(vec![
        ("all left", left(), 260, continues(500)),
        ("all left, before the timeout", left(), 549, continues(550)),
        ("all left, after the timeout", left(), 550, over(EndReason::LEFT, 250)),
        ("decided late", left(), 5_000, over(EndReason::LEFT, 250)),
        (
            "the session's end is not the end of the call",
            left().state(|state| state.session_ended_at = Some(at(550))),
            560,
            over(EndReason::LEFT, 250),
        ),
        (
            "the session ended at once",
            left().state(|state| state.session_ended_at = Some(at(250))),
            300,
            continues(540),
        ),
        ("a participant is at Stream", left().looked(560, &[("bob", 555)]), 560, continues(615)),
        ("an inferred leave counts from its look", lost(), 460, continues(700)),
        ("inferred leave", lost(), 750, over(EndReason::LEFT, 210)),
        (
            "inferred leave and the session's end",
            lost().state(|state| state.session_ended_at = Some(at(530))),
            540,
            over(EndReason::LEFT, 230),
        ),
    ]);
}

#[test]
fn user_who_remains_alone_ends_a_call_of_two() {
    let pair = Fixture::pair;
    let alone = || pair().present("alice", 5, None).present("bob", 10, Some(200));
    check(vec![
        ("alone", alone(), 210, continues(260)),
        ("alone, before the timeout", alone(), 259, continues(260)),
        ("alone, after the timeout", alone(), 260, over(EndReason::LEFT, 200)),
        ("the caller left", alone().present("alice", 5, Some(201)), 280, continues(501)),
        ("came back", alone().present("bob", 230, None), 280, continues(520)),
        (
            "the other user is at Stream",
            alone().state(|state| state.participants = [user_id("alice"), user_id("bob")].into()),
            280,
            continues(520),
        ),
        (
            "the remaining user joined again",
            pair()
                .present("alice", 5, Some(210))
                .present("bob", 10, Some(200))
                .present("alice", 240, None),
            280,
            continues(300),
        ),
        ("never two", pair().present("bob", 10, None), 200, continues(440)),
        (
            "a lost leave counts from its look",
            pair()
                .present("alice", 5, None)
                .present("bob", 10, None)
                .looked(200, &[("alice", 5), ("bob", 10)])
                .looked(440, &[("alice", 5)]),
            500,
            over(EndReason::LEFT, 200),
        ),
        (
            "a larger call",
            Fixture::group().present("alice", 5, None).present("bob", 10, Some(200)),
            280,
            continues(520),
        ),
    ]);
    let off = PresenceTimeouts { alone_timeout: Duration::ZERO, ..TIMEOUTS };
    let fixture = alone();
    let facts = fixture.facts(StreamView::Current(Some(&fixture.state)));
    assert_eq!(decide(&facts, off, at(280)), continues(520));
}

#[test]
fn call_ends_at_its_limit() {
    let talking = || Fixture::pair().present("alice", 5, None).present("bob", 10, None);
    let ended = |ended: i64, timer: Option<i64>| {
        talking().state(|state| {
            state.session_started_at = Some(at(5));
            state.ended_at = Some(at(ended));
            state.timer_ends_at = timer.map(at);
        })
    };
    let at_stream = |ended: i64| Outcome::Over {
        reason: EndReason::ENDED_AT_STREAM,
        ended_at: at(ended),
        ended_by: EndedBy::Stream,
    };
    check(vec![
        ("polls", talking(), 100, continues(340)),
        ("the check is at the limit", talking(), 3_500, continues(HOUR + 5)),
        ("the limit", talking(), HOUR + 5, over(EndReason::TOO_LONG, HOUR + 5)),
        ("Stream's timer", ended(500, Some(501)), 510, over(EndReason::TOO_LONG, 500)),
        ("the tolerance", ended(500, Some(502)), 510, over(EndReason::TOO_LONG, 500)),
        ("before the timer", ended(500, Some(503)), 510, at_stream(500)),
        ("no timer", ended(HOUR + 3, None), HOUR + 4, over(EndReason::TOO_LONG, HOUR + 3)),
        ("no timer, before the limit", ended(HOUR + 2, None), HOUR + 4, at_stream(HOUR + 2)),
    ]);
}

#[test]
fn call_that_ends_at_stream_is_over() {
    let ended = |ended: i64| Fixture::pair().state(|state| state.ended_at = Some(at(ended)));
    let at_stream = |ended: i64| Outcome::Over {
        reason: EndReason::ENDED_AT_STREAM,
        ended_at: at(ended),
        ended_by: EndedBy::Stream,
    };
    check(vec![
        ("ended", ended(50), 60, at_stream(50)),
        ("Stream's clock is ahead", ended(70), 60, at_stream(60)),
        ("Stream's clock is behind", ended(-9), 60, at_stream(-1)),
        ("decided late", ended(50), 900, at_stream(50)),
        ("the ring's end came first", ended(500), 900, over(EndReason::NOT_JOINED, 120)),
    ]);
    let fixture = Fixture::pair();
    let facts = fixture.facts(StreamView::Current(None));
    assert_eq!(decide(&facts, TIMEOUTS, at(60)), at_stream(60));
}

#[test]
fn only_get_call_ends_a_call() {
    let fixture = Fixture::pair().rejected("bob", "decline", 20);
    let ringing = Fixture::pair();
    let cases = [
        (fixture.facts(StreamView::Unknown), 21, Outcome::NeedsGetCall),
        (fixture.facts(StreamView::Listed(Some(&fixture.state))), 21, Outcome::NeedsGetCall),
        (fixture.facts(StreamView::Listed(None)), 21, Outcome::NeedsGetCall),
        (ringing.facts(StreamView::Unknown), 21, continues(120)),
        (ringing.facts(StreamView::Listed(Some(&ringing.state))), 21, continues(120)),
        (ringing.facts(StreamView::Listed(None)), 21, Outcome::NeedsGetCall),
        (ringing.facts(StreamView::Unknown), 120, Outcome::NeedsGetCall),
    ];
    for (facts, now, expected) in cases {
        assert_eq!(decide(&facts, TIMEOUTS, at(now)), expected, "{facts:?}");
    }
}

#[test]
fn call_of_one_member_waits_for_its_owner() {
    check(vec![
        ("no join", Fixture::new(&["alice"]), 120, over(EndReason::NOT_JOINED, 120)),
        ("joined", Fixture::new(&["alice"]).present("alice", 5, None), 130, continues(370)),
        (
            "left",
            Fixture::new(&["alice"]).present("alice", 5, Some(50)),
            350,
            over(EndReason::LEFT, 50),
        ),
    ]);
}

#[test]
fn actor_serializes_with_its_kind() {
    let user = EndedBy::User { user_id: user_id("bob") };
    let cases = [
        (user.clone(), r#"{"kind":"user","userId":"bob"}"#),
        (EndedBy::Service, r#"{"kind":"service"}"#),
        (EndedBy::System, r#"{"kind":"system"}"#),
        (EndedBy::Stream, r#"{"kind":"stream"}"#),
    ];
    for (ended_by, json) in cases {
        assert_eq!(serde_json::to_string(&ended_by).unwrap(), json);
        assert_eq!(serde_json::from_str::<EndedBy>(json).unwrap(), ended_by);
        let item: crate::dynamo::Item = serde_dynamo::to_item(&ended_by).unwrap();
        assert_eq!(serde_dynamo::from_item::<_, EndedBy>(item).unwrap(), ended_by);
    }
    assert_eq!(EndedBy::from_event(Some(user_id("bob"))), user);
    assert_eq!(EndedBy::from_event(None), EndedBy::Stream);
}

#[test]
fn outcome_does_not_depend_on_the_time_of_the_decision() {
    let pair = Fixture::pair;
    let fixtures = [
        pair(),
        pair().present("alice", 5, None),
        pair().rejected("bob", "decline", 20),
        pair().rejected("bob", "decline", 20).rejected("alice", "cancel", 21),
        pair().rejected("bob", "busy", 20),
        pair().rejected("alice", "cancel", 20).rejected("bob", "decline", 21),
        pair().present("alice", 5, Some(200)).present("bob", 10, Some(250)),
        pair().present("alice", 5, None).present("bob", 10, Some(200)),
        pair().present("alice", 5, None).present("bob", 10, None),
    ];
    for (n, fixture) in fixtures.iter().enumerate() {
        let last = fixture.decide(10_000);
        assert!(matches!(last, Outcome::Over { .. }), "{n}");
        let outcomes = (300..10_000).step_by(7).map(|now| (now, fixture.decide(now)));
        for (now, outcome) in outcomes {
            if let Outcome::Continues { next_check } = outcome {
                assert!(next_check > at(now), "{n} {now}");
            } else {
                assert_eq!(outcome, last, "{n} {now}");
            }
        }
    }
}
