use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::calls::presence::{Join, Leave};
use crate::ids::SessionId;
use crate::test_support::{active_call, user_id};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session(name: &str) -> SessionId {
    SessionId::try_from(name.to_owned()).unwrap()
}

/// A row of Alice or Bob: the times in milliseconds.
fn row(
    user: &str,
    joined: Option<i64>,
    left: Option<i64>,
    duration: Option<u64>,
) -> ParticipantRow {
    ParticipantRow {
        user: user_id(user),
        session: session(&format!("session-of-{user}")),
        joined_at: joined.map(at),
        left_at: left.map(at),
        duration: duration.map(millis),
    }
}

/// A call of Alice and Bob that has ended at 100 s, with these intervals by webhooks.
fn ended_call(intervals: &[(&str, i64, Option<i64>)]) -> Call {
    let mut call = active_call(&["alice", "bob"], at(0));
    for &(user, joined, left) in intervals {
        let (user, session) = (user_id(user), session(&format!("session-of-{user}")));
        let joined_at = at(joined);
        call.presence.record_join(&Join {
            user: user.clone(),
            session: session.clone(),
            joined_at,
        });
        if let Some(left) = left {
            let joined_at = Some(joined_at);
            let leave = Leave { user, session, joined_at, at: at(left), duration: None };
            call.presence.record_leave(&leave);
        }
    }
    call.started_at = call.presence.started_at();
    call.ending_at = Some(at(100_000));
    call.end_reason = Some(EndReason::LEFT.into());
    call
}

fn talk_millis(call: &Call, rows: &[ParticipantRow]) -> u128 {
    let settled = settle(call, rows, SettledFrom::Stream, at(700_000));
    settled.call.settlement.unwrap().talk_time.as_millis()
}

#[test]
fn streams_times_replace_those_of_the_webhooks() {
    let told = ended_call(&[("alice", 1_000, Some(60_900)), ("bob", 5_500, None)]);
    let both = [
        row("alice", Some(1_000), Some(61_000), None),
        row("bob", Some(5_250), Some(50_125), Some(45_000)),
    ];
    let settled = settle(&told, &both, SettledFrom::Stream, at(700_000));
    let expected = Settlement {
        settled_at: at(700_000),
        settled_from: SettledFrom::Stream,
        answered_at: Some(at(5_250)),
        duration: millis(44_875),
        talk_time: millis(44_875),
    };
    assert_eq!(settled.call.settlement, Some(expected));
    assert_eq!(settled.call.presence.version(), told.presence.version() + 1);
    assert_eq!((settled.differences, settled.call.started_at), (1, Some(at(1_000))));
    assert_eq!(settled.call.answered_at(), Some(at(5_250)));
}

#[test]
fn missing_fields_have_a_fallback() {
    let alice = || row("alice", Some(1_000), Some(90_000), None);
    let told = ended_call(&[("alice", 1_000, Some(90_000)), ("bob", 5_000, Some(40_000))]);
    let lost = ended_call(&[("alice", 1_000, Some(90_000)), ("bob", 5_000, None)]);
    for (name, call, bob, expected) in [
        ("left_at", &told, Some(row("bob", Some(5_000), Some(30_500), Some(1))), 25_500),
        (
            "duration instead of left_at",
            &told,
            Some(row("bob", Some(5_000), None, Some(20_750))),
            20_750,
        ),
        (
            "duration instead of joined_at",
            &told,
            Some(row("bob", None, Some(30_000), Some(10_000))),
            10_000,
        ),
        ("neither left_at nor duration", &told, Some(row("bob", Some(5_000), None, None)), 35_000),
        ("still open", &lost, Some(row("bob", Some(5_000), None, None)), 85_000),
        ("no times", &told, Some(row("bob", None, None, None)), 35_000),
        (
            "times in the wrong order",
            &told,
            Some(row("bob", Some(9_000), Some(2_000), None)),
            31_000,
        ),
        ("no row", &told, None, 35_000),
    ] {
        let rows: Vec<ParticipantRow> = [Some(alice()), bob].into_iter().flatten().collect();
        assert_eq!(talk_millis(call, &rows), expected, "{name}");
    }
}

/// Bob returns under the same session, and Stream's list has gaps.
#[test]
fn stay_of_a_session_is_not_taken_for_another_one() {
    let alice = || row("alice", Some(0), Some(90_000), None);
    let told = |stays: &[(i64, Option<i64>)]| {
        let mut intervals = vec![("alice", 0, Some(90_000))];
        intervals.extend(stays.iter().map(|&(joined, left)| ("bob", joined, left)));
        ended_call(&intervals)
    };
    let two = told(&[(0, Some(10_000)), (10_500, Some(40_000))]);
    let apart = told(&[(0, Some(10_000)), (20_000, Some(40_000))]);
    for (name, call, bob, expected) in [
        ("second stay without an end", &two, row("bob", Some(10_500), None, None), 39_500),
        ("first stay only", &two, row("bob", Some(0), Some(10_000), None), 39_500),
        ("first stay without an end", &apart, row("bob", Some(0), None, None), 30_000),
        ("duration not computed yet", &apart, row("bob", Some(20_000), None, Some(0)), 30_000),
        (
            "leave in the year 1",
            &apart,
            row("bob", Some(20_000), Some(-62_000_000_000_000), None),
            30_000,
        ),
        (
            "a call with the same id",
            &apart,
            row("bob", Some(-9_000_000), Some(-8_000_000), None),
            30_000,
        ),
    ] {
        assert_eq!(talk_millis(call, &[alice(), bob]), expected, "{name}");
    }
    let mut missed = told(&[(0, None)]);
    let requested_at = at(240_000);
    missed.presence.observe_call(requested_at, &[]);
    assert_eq!(talk_millis(&missed, &[alice(), row("bob", Some(20_000), None, None)]), 70_000);
}

#[test]
fn one_of_two_equal_rows_may_lack_the_end() {
    let call = ended_call(&[]);
    let alice = row("alice", Some(0), Some(90_000), None);
    let [open, closed] = [None, Some(30_000)].map(|left| row("bob", Some(10_000), left, None));
    let early = row("bob", Some(10_000), Some(10_000), None);
    for rows in [
        [open.clone(), closed.clone()],
        [closed.clone(), open],
        [early.clone(), closed.clone()],
        [closed, early],
    ] {
        let rows = [vec![alice.clone()], rows.to_vec()].concat();
        assert_eq!(talk_millis(&call, &rows), 20_000);
    }
}

/// Bob joins twice under the same session, and the webhooks tell one of the stays.
#[test]
fn leave_of_a_complete_row_does_not_end_another_row() {
    let alice = || row("alice", Some(0), Some(90_000), None);
    let bob = |joined, left: Option<i64>| row("bob", Some(joined), left, None);
    for (name, told, rows, expected) in [
        (
            "second stay without an end",
            ("bob", 10_000, Some(20_000)),
            vec![bob(10_000, Some(20_000)), bob(20_000, None)],
            80_000,
        ),
        (
            "outdated row of a stay without length",
            ("bob", 10_000, Some(10_000)),
            vec![bob(10_000, None), bob(10_000, Some(10_000)), bob(30_000, Some(50_000))],
            20_000,
        ),
        (
            "one of two equal rows without an end",
            ("bob", 30_000, Some(50_000)),
            vec![bob(10_000, None), bob(10_000, Some(20_000)), bob(30_000, Some(50_000))],
            30_000,
        ),
    ] {
        let call = ended_call(&[("alice", 0, Some(90_000)), told]);
        assert_eq!(talk_millis(&call, &[vec![alice()], rows].concat()), expected, "{name}");
    }
}

#[test]
fn each_stay_of_a_session_is_a_row() {
    let told = ended_call(&[("alice", 0, Some(90_000)), ("bob", 10_000, None)]);
    let rows = [
        row("alice", Some(0), Some(90_000), None),
        row("bob", Some(10_000), Some(20_000), None),
        row("bob", Some(30_000), Some(45_001), None),
    ];
    let settled = settle(&told, &rows, SettledFrom::Stream, at(700_000));
    let settlement = settled.call.settlement.unwrap();
    assert_eq!((settlement.talk_time, settlement.duration), (millis(25_001), millis(35_001)));
    assert_eq!(settled.call.presence.intervals().len(), 3);
}

#[test]
fn only_an_unanswered_end_is_corrected() {
    let rows = [
        row("alice", Some(1_000), Some(60_000), None),
        row("bob", Some(5_000), Some(50_000), None),
    ];
    for (reason, corrected, ended) in [
        (EndReason::NOT_ANSWERED, EndReason::LEFT, 60_000),
        (EndReason::NOT_JOINED, EndReason::LEFT, 60_000),
        (EndReason::TOO_LONG, EndReason::TOO_LONG, 100_000),
    ] {
        let mut call = ended_call(&[]);
        call.end_reason = Some(reason.into());
        let settled = settle(&call, &rows, SettledFrom::Stream, at(700_000)).call;
        assert_eq!(settled.end_reason, Some(corrected.into()), "{reason:?}");
        assert_eq!(settled.ending_at, Some(at(ended)), "{reason:?}");
        assert_eq!(settled.settlement.unwrap().talk_time, millis(45_000));
        let unanswered = settle(&call, &rows[..1], SettledFrom::Stream, at(700_000)).call;
        assert_eq!(unanswered.end_reason, Some(reason.into()), "{reason:?}");
    }
}

#[test]
fn call_is_due_after_its_reports_or_ten_minutes() {
    let mut call = ended_call(&[]);
    assert!(!is_due(&call, at(699_999)) && is_due(&call, at(700_000)));
    call.presence.record_session(&session("s1"));
    call.presence.record_report(&session("s1"));
    assert!(is_due(&call, at(100_000)));
    call.presence.record_session(&session("s2"));
    assert!(!is_due(&call, at(100_000)));
    let day = 24 * 60 * 60 * 1_000;
    assert!(!gives_up(&call, at(99_999 + day)) && gives_up(&call, at(100_000 + day)));
}

#[test]
fn settlement_is_stored_in_milliseconds() {
    let call = ended_call(&[("alice", 1_000, Some(60_000)), ("bob", 5_000, Some(50_000))]);
    let settled = settle(&call, &[], SettledFrom::Webhooks, at(700_000));
    assert_eq!(settled.differences, 0);
    let json = serde_json::to_value(&settled.call.settlement).unwrap();
    let expected = serde_json::json!({
        "settledAt": 1_767_226_300_000_i64,
        "settledFrom": "webhooks",
        "answeredAt": 1_767_225_605_000_i64,
        "durationMillis": 45_000,
        "talkMillis": 45_000,
    });
    assert_eq!(json, expected);
    let parsed: Settlement = serde_json::from_value(json).unwrap();
    assert_eq!(Some(parsed), settled.call.settlement);
}

#[test]
fn presence_beyond_the_bound_is_not_stored() {
    let call = ended_call(&[("alice", 0, Some(90_000))]);
    let rows: Vec<ParticipantRow> =
        (0..250).map(|n| row("bob", Some(n * 100), Some(n * 100 + 50), None)).collect();
    let settled = settle(&call, &rows, SettledFrom::Stream, at(700_000)).call;
    assert_eq!(settled.settlement.unwrap().talk_time, millis(12_500));
    assert_eq!(settled.presence.intervals(), call.presence.intervals());
    assert!(settled.presence.is_truncated() && !call.presence.is_truncated());
}

/// A stay of a user with a device: the times in milliseconds.
fn stay() -> impl Strategy<Value = (usize, i64, i64)> {
    (0..3_usize, 0..110_i64, 0..40_i64)
        .prop_map(|(user, joined, length)| (user, joined, joined + length))
}

proptest! {
    /// Whatever the webhooks told, complete rows give the true overlap before the end.
    #[test]
    fn complete_rows_give_the_true_talk_time(
        stays in prop::collection::vec(stay(), 0..10),
        is_told in prop::collection::vec(any::<(bool, bool)>(), 10),
    ) {
        let users = ["alice", "bob", "carol"];
        let mut call = ended_call(&[]);
        call.ending_at = Some(at(100));
        let mut rows = Vec::new();
        for (n, (&(user, joined, left), (is_join_told, is_leave_told))) in
            stays.iter().zip(is_told).enumerate()
        {
            let (user, session) = (user_id(users[user]), session(&format!("s{n}")));
            let joined_at = at(joined);
            if is_join_told {
                let (user, session) = (user.clone(), session.clone());
                call.presence.record_join(&Join { user, session, joined_at });
            }
            if is_leave_told {
                let (user, session) = (user.clone(), session.clone());
                let joined_at = Some(joined_at);
                let leave = Leave { user, session, joined_at, at: at(left), duration: None };
                call.presence.record_leave(&leave);
            }
            let (joined_at, left_at) = (Some(joined_at), Some(at(left)));
            rows.push(ParticipantRow { user, session, joined_at, left_at, duration: None });
        }
        let present = |time: i64| {
            let is_in = |&&(_, joined, left): &&(usize, i64, i64)| joined <= time && time < left;
            stays.iter().filter(is_in).map(|(user, ..)| *user).collect::<BTreeSet<_>>().len()
        };
        let expected = (0..100).filter(|time| present(*time) > 1).count() as u128;
        prop_assert_eq!(talk_millis(&call, &rows), expected);
    }
}
