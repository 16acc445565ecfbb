use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ids::{SessionId, UserId};
use crate::test_support::user_id;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session_id(name: &str) -> SessionId {
    SessionId::try_from(name.to_owned()).unwrap()
}

fn join(user: &str, session: &str, joined: i64) -> Join {
    Join { user: user_id(user), session: session_id(session), joined_at: at(joined) }
}

fn leave(user: &str, session: &str, joined: i64, left: i64) -> Leave {
    let (user, session) = (user_id(user), session_id(session));
    Leave { user, session, joined_at: Some(at(joined)), at: at(left), duration: None }
}

/// A leave without `joined_at`.
fn unkeyed(user: &str, session: &str, left: i64, duration_seconds: u64) -> Leave {
    let duration = Some(Duration::from_secs(duration_seconds));
    Leave { joined_at: None, duration, ..leave(user, session, 0, left) }
}

fn told(left: i64) -> Option<Departure> {
    Some(Departure { at: at(left), inferred_by: None })
}

fn inferred(left: i64, by: i64) -> Option<Departure> {
    Some(Departure { at: at(left), inferred_by: Some(at(by)) })
}

/// The begin and the end of each interval.
fn times(presence: &Presence) -> Vec<(Timestamp, Option<Departure>)> {
    presence.intervals().iter().map(|interval| (interval.joined_at, interval.left)).collect()
}

/// A presence of closed and open intervals: the user, the session, the join and the leave.
fn presence_of(intervals: &[(&str, &str, i64, Option<i64>)]) -> Presence {
    let mut presence = Presence::default();
    for (user, session, joined, left) in intervals {
        presence.record_join(&join(user, session, *joined));
        if let Some(left) = left {
            presence.record_leave(&leave(user, session, *joined, *left));
        }
    }
    presence
}

#[test]
fn told_events_make_and_close_intervals() {
    enum Told {
        Join(Join),
        Leave(Leave),
    }
    let joined = |session: &str, joined| Told::Join(join("alice", session, joined));
    let left = |joined, left| Told::Leave(leave("alice", "s1", joined, left));
    let unkeyed = |left, duration| Told::Leave(unkeyed("alice", "s1", left, duration));
    let cases = [
        ("a join makes an interval", vec![joined("s1", 0)], vec![(at(0), None)]),
        ("a join twice", vec![joined("s1", 0), joined("s1", 0)], vec![(at(0), None)]),
        ("a leave closes it", vec![joined("s1", 0), left(0, 50)], vec![(at(0), told(50))]),
        ("a leave whose join was not told", vec![left(0, 50)], vec![(at(0), told(50))]),
        ("a leave before its join", vec![left(0, 50), joined("s1", 0)], vec![(at(0), told(50))]),
        (
            "the earlier of two leaves stands",
            vec![joined("s1", 0), left(0, 50), left(0, 40), left(0, 60)],
            vec![(at(0), told(40))],
        ),
        ("a leave is not before its join", vec![left(10, 5)], vec![(at(10), told(10))]),
        (
            "the same session joins again",
            vec![joined("s1", 0), left(0, 50), joined("s1", 60)],
            vec![(at(0), told(50)), (at(60), None)],
        ),
        (
            "the leave of an earlier interval of the session",
            vec![joined("s1", 0), joined("s1", 60), left(0, 50)],
            vec![(at(0), told(50)), (at(60), None)],
        ),
        (
            "without joined_at, the open interval of the session",
            vec![joined("s1", 0), joined("s2", 10), unkeyed(5_000, 5)],
            vec![(at(0), told(5_000)), (at(10), None)],
        ),
        (
            "without joined_at and without an interval, by the duration",
            vec![joined("s2", 10), unkeyed(5_000, 3)],
            vec![(at(10), None), (at(2_000), told(5_000))],
        ),
        (
            "without joined_at, before its join",
            vec![unkeyed(5_000, 5), joined("s1", 123)],
            vec![(at(123), told(5_000))],
        ),
        (
            "without joined_at, and a later join of the session",
            vec![joined("s1", 0), joined("s1", 6_000), unkeyed(5_000, 5)],
            vec![(at(0), told(5_000)), (at(6_000), None)],
        ),
        (
            "without joined_at, and a join at the instant of the leave",
            vec![joined("s1", 0), joined("s1", 5_000), unkeyed(5_000, 5)],
            vec![(at(0), told(5_000)), (at(5_000), None)],
        ),
        (
            "without joined_at, two leaves of one interval",
            vec![joined("s1", 0), unkeyed(5_000, 5), unkeyed(6_000, 6)],
            vec![(at(0), told(5_000))],
        ),
        (
            "without joined_at, an interval whose join was not told",
            vec![joined("s1", 0), left(0, 5_000), unkeyed(9_000, 3)],
            vec![(at(0), told(5_000)), (at(6_000), told(9_000))],
        ),
    ];
    for (name, events, expected) in cases {
        let mut presence = Presence::default();
        for event in events {
            match event {
                Told::Join(join) => presence.record_join(&join),
                Told::Leave(leave) => presence.record_leave(&leave),
            };
        }
        assert_eq!(times(&presence), expected, "{name}");
    }
}

#[test]
fn only_get_call_closes_intervals() {
    let open = presence_of(&[("alice", "s1", 0, None)]);
    let mut listed = open.clone();
    assert!(listed.observe_list(&[]), "GetCall must decide");
    assert_eq!(listed, open);

    let mut called = open.clone();
    assert!(called.observe_call(at(60_000), &[join("alice", "s1", 0)]));
    assert_eq!(times(&called), [(at(0), None)]);
    assert!(called.observe_call(at(120_000), &[]));
    assert_eq!(times(&called), [(at(0), inferred(60_000, 120_000))]);
    assert!(!called.observe_call(at(180_000), &[]), "the first look without the session counts");
}

#[test]
fn look_does_not_close_intervals_that_may_be_later() {
    let skew = i64::try_from(MAX_CLOCK_SKEW.as_millis()).unwrap();
    for (requested, expected) in
        [(-1, None), (0, None), (skew, None), (skew + 1, inferred(0, skew + 1))]
    {
        let mut presence = presence_of(&[("alice", "s1", 0, None)]);
        presence.observe_call(at(requested), &[]);
        assert_eq!(times(&presence), [(at(0), expected)], "{requested}");
    }
}

#[test]
fn stale_look_changes_nothing() {
    let mut presence = presence_of(&[("alice", "s1", 0, None)]);
    presence.observe_call(at(60_000), &[join("alice", "s1", 0)]);
    assert!(!presence.observe_call(at(50_000), &[]));
    presence.observe_call(at(120_000), &[]);
    presence.observe_call(at(110_000), &[join("alice", "s1", 0)]);
    assert_eq!(times(&presence), [(at(0), inferred(110_000, 120_000))]);
}

#[test]
fn told_leave_replaces_inferred_leave() {
    let mut presence = presence_of(&[("alice", "s1", 0, None)]);
    presence.observe_call(at(60_000), &[]);
    assert_eq!(times(&presence), [(at(0), inferred(0, 60_000))]);
    presence.record_leave(&leave("alice", "s1", 0, 30_000));
    assert_eq!(times(&presence), [(at(0), told(30_000))]);
}

#[test]
fn unkeyed_leave_replaces_inferred_leave() {
    let mut presence = presence_of(&[("alice", "s1", 0, None)]);
    presence.observe_call(at(60_000), &[]);
    presence.record_leave(&unkeyed("alice", "s1", 30_000, 30));
    assert_eq!(times(&presence), [(at(0), told(30_000))]);
}

#[test]
fn later_look_removes_inferred_leave_only() {
    let mut presence = presence_of(&[("alice", "s1", 0, None), ("bob", "s2", 1, Some(20_000))]);
    presence.observe_call(at(60_000), &[]);
    let participants = [join("alice", "s1", 0), join("bob", "s2", 1)];
    assert!(presence.observe_list(&participants), "GetCall must decide");
    assert_eq!(times(&presence), [(at(0), inferred(0, 60_000)), (at(1), told(20_000))]);
    presence.observe_call(at(90_000), &participants);
    assert_eq!(times(&presence), [(at(0), None), (at(1), told(20_000))]);
}

#[test]
fn list_adds_and_differs() {
    let alice = join("alice", "s1", 0);
    let bob = join("bob", "s2", 10);
    let one = presence_of(&[("alice", "s1", 0, None)]);
    let left = presence_of(&[("alice", "s1", 0, Some(50))]);
    let cases = [
        ("nothing", Presence::default(), vec![], false, 0),
        ("the same", one.clone(), vec![alice.clone()], false, 1),
        ("another participant", one, vec![alice.clone(), bob], true, 2),
        ("a participant who left", left, vec![alice], false, 1),
    ];
    for (name, mut presence, participants, differs, count) in cases {
        let version = presence.version();
        assert_eq!(presence.observe_list(&participants), differs, "{name}");
        assert_eq!(presence.intervals().len(), count, "{name}");
        assert_eq!(presence.version() > version, differs, "{name}");
    }
}

#[test]
fn version_changes_with_each_change() {
    let mut presence = Presence::default();
    assert_eq!(presence.version(), 0);
    assert!(presence.record_join(&join("alice", "s1", 0)));
    assert!(!presence.record_join(&join("alice", "s1", 0)));
    assert_eq!(presence.version(), 1);
    assert!(presence.record_leave(&leave("alice", "s1", 0, 50)));
    assert!(!presence.record_leave(&leave("alice", "s1", 0, 60)));
    assert!(!presence.observe_call(at(60_000), &[join("alice", "s1", 0)]));
    assert_eq!(presence.version(), 2);
}

#[test]
fn times_are_derived_from_the_intervals() {
    let seconds = |seconds: i64| seconds * 1_000;
    let cases = [
        // name, intervals, started, answered, duration, talk
        ("no join", vec![], None, None, 0, 0),
        ("one user", vec![("alice", "s1", 0, None)], Some(0), None, 0, 0),
        (
            "two devices of one user",
            vec![("alice", "s1", 0, None), ("alice", "s2", seconds(5), None)],
            Some(0),
            None,
            0,
            0,
        ),
        (
            "two users",
            vec![("bob", "s2", seconds(5), None), ("alice", "s1", 0, Some(seconds(60)))],
            Some(0),
            Some(seconds(5)),
            55_000,
            55_000,
        ),
        (
            "never at the same time",
            vec![("alice", "s1", 0, Some(10)), ("bob", "s2", 10, None)],
            Some(0),
            None,
            0,
            0,
        ),
        (
            "a gap",
            vec![
                ("alice", "s1", 0, None),
                ("bob", "s2", seconds(10), Some(seconds(20))),
                ("bob", "s2", seconds(50), Some(seconds(70))),
            ],
            Some(0),
            Some(seconds(10)),
            60_000,
            30_000,
        ),
        (
            "overlapping intervals of a user are united",
            vec![
                ("alice", "s1", 0, None),
                ("bob", "s2", seconds(10), Some(seconds(30))),
                ("bob", "s3", seconds(20), Some(seconds(40))),
            ],
            Some(0),
            Some(seconds(10)),
            30_000,
            30_000,
        ),
        (
            "three users",
            vec![
                ("alice", "s1", 0, Some(seconds(20))),
                ("bob", "s2", seconds(10), Some(seconds(30))),
                ("carol", "s3", seconds(15), None),
            ],
            Some(0),
            Some(seconds(10)),
            20_000,
            20_000,
        ),
        (
            "told after the end",
            vec![
                ("alice", "s1", 0, Some(seconds(130))),
                ("bob", "s2", seconds(10), Some(seconds(140))),
            ],
            Some(0),
            Some(seconds(10)),
            90_000,
            90_000,
        ),
        (
            "open until the end",
            vec![("alice", "s1", 0, None), ("bob", "s2", seconds(10), None)],
            Some(0),
            Some(seconds(10)),
            90_000,
            90_000,
        ),
    ];
    for (name, intervals, started, answered, duration, talk) in cases {
        let presence = presence_of(&intervals);
        let until = at(seconds(100));
        assert_eq!(presence.started_at(), started.map(at), "{name}");
        assert_eq!(presence.answered_at(), answered.map(at), "{name}");
        assert_eq!(presence.duration(until), millis(duration), "{name}");
        assert_eq!(presence.talk_time(until), millis(talk), "{name}");
    }
}

#[test]
fn inferred_leave_includes_its_last_instant() {
    let mut presence = presence_of(&[("alice", "s1", 0, None), ("bob", "s2", 10, None)]);
    presence.observe_call(at(60_000), &[join("alice", "s1", 0)]);
    assert_eq!(times(&presence), [(at(0), None), (at(10), inferred(10, 60_000))]);
    assert_eq!(presence.answered_at(), Some(at(10)));
    assert_eq!(presence.talk_time(at(60_000)), Duration::ZERO);
    assert_eq!(presence.duration(at(60_000)), Duration::ZERO);
}

#[test]
fn users_and_absences_are_derived_from_the_intervals() {
    let alice = user_id("alice");
    let users = |names: &[&str]| names.iter().map(|name| user_id(name)).collect::<BTreeSet<_>>();
    let mut presence = presence_of(&[
        ("alice", "s1", 0, Some(20)),
        ("alice", "s3", 15, None),
        ("bob", "s2", 10, Some(30)),
    ]);
    assert_eq!(presence.joined_users(), users(&["alice", "bob"]));
    assert_eq!(presence.present_users(), users(&["alice"]));
    assert_eq!(presence.present_since(&alice), Some(at(0)));
    assert_eq!(presence.present_since(&user_id("bob")), None);
    assert_eq!(presence.absence(), None);
    let absence = Absence { left_at: at(30), since: at(30) };
    assert_eq!(presence.absence_of_others(&alice), Some(absence));
    assert_eq!(presence.absence_of_others(&user_id("bob")), None);

    presence.observe_call(at(60_000), &[]);
    let absence = presence.absence().unwrap();
    assert_eq!(absence, Absence { left_at: at(30), since: at(60_000) });
    assert!(absence.is_inferred());
    assert_eq!(Presence::default().absence(), None);
}

#[test]
fn seconds_are_rounded_to_the_nearest() {
    for (duration, seconds) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2)] {
        assert_eq!(round_to_seconds(millis(duration)), seconds, "{duration}");
    }
}

fn unique_user(n: usize) -> UserId {
    UserId::try_from(format!("{n:064}")).unwrap()
}

/// A presence with the maximum number of open intervals of different users, with ids of the usual
/// length.
fn full_presence() -> Presence {
    let mut presence = Presence::default();
    for n in 0..MAX_INTERVALS {
        let session = session_id(&format!("{n:036}"));
        presence.record_join(&Join { user: unique_user(n), session, joined_at: at(0) });
    }
    presence
}

#[test]
fn largest_presence_is_small() {
    let mut presence = full_presence();
    let first =
        Join { user: unique_user(0), session: session_id(&"0".repeat(36)), joined_at: at(0) };
    // A day later, a look shows only one of them.
    presence.observe_call(at(86_400_000), &[first]);
    for n in 0..MAX_INTERVALS / 2 {
        presence.record_leave(&Leave {
            user: unique_user(n),
            session: session_id(&format!("{n:036}")),
            joined_at: Some(at(0)),
            at: at(86_400_000),
            duration: None,
        });
    }
    assert_eq!(presence.intervals().len(), MAX_INTERVALS);
    let json = serde_json::to_string(&presence).unwrap();
    assert!(json.len() < 34_000, "{}", json.len());
    assert_eq!(serde_json::from_str::<Presence>(&json).unwrap(), presence);
}

#[test]
fn serialized_form_is_compact() {
    let mut presence = Presence::default();
    presence.record_join(&join("bob", "s2", 10));
    presence.record_leave(&leave("alice", "s1", 0, 50));
    presence.record_leave(&unkeyed("carol", "s3", 2_000, 1));
    let json = serde_json::to_value(&presence).unwrap();
    let expected = serde_json::json!({
        "version": 3,
        "users": ["alice", "bob", "carol"],
        "intervals": [
            [0, "s1", 1_767_225_600_000_i64, 50, 0, null],
            [1, "s2", 1_767_225_600_010_i64, null, 0, null],
        ],
        "leaves": [[2, "s3", 1_767_225_602_000_i64, 1_000]],
    });
    assert_eq!(json, expected);
    let item: crate::dynamo::Item = serde_dynamo::to_item(&presence).unwrap();
    assert_eq!(serde_dynamo::from_item::<_, Presence>(item).unwrap(), presence);
    for invalid in [
        r#"{"version":1,"intervals":[[0,"s1",0,null,0,null]]}"#,
        r#"{"version":1,"users":["a"],"intervals":[[0,"s 1",0,null,0,null]]}"#,
        r#"{"version":1,"users":["a"],"leaves":[[1,"s1",0,null]]}"#,
    ] {
        assert!(serde_json::from_str::<Presence>(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn overlapping_intervals_are_united_at_the_bound() {
    let mut presence = Presence::default();
    let count = i64::try_from(MAX_INTERVALS).unwrap();
    for n in 0..count {
        // Each interval overlaps the next one.
        presence.record_leave(&leave("alice", "s1", n * 10, n * 10 + 15));
    }
    assert_eq!(presence.intervals().len(), MAX_INTERVALS);
    assert!(presence.record_join(&join("bob", "s2", 7)));
    assert!(!presence.is_truncated());
    assert_eq!(times(&presence), [(at(0), told(count * 10 + 5)), (at(7), None)]);
    // A late repetition of a part overlaps the united interval.
    let talk_time = presence.talk_time(at(10_000));
    presence.record_leave(&leave("alice", "s1", 20, 35));
    assert_eq!(presence.talk_time(at(10_000)), talk_time);
}

#[test]
fn event_without_room_is_not_stored() {
    let mut presence = full_presence();
    let (before, version) = (presence.intervals(), presence.version());
    assert!(!presence.is_truncated());
    assert!(presence.record_join(&join("bob", "s2", 7)));
    assert!(presence.is_truncated());
    assert!(presence.version() > version);
    assert_eq!(presence.intervals(), before);
    assert!(!presence.record_leave(&unkeyed("bob", "s2", 7_000, 7)));
    assert_eq!(presence.intervals(), before);
    let json = serde_json::to_string(&presence).unwrap();
    assert!(json.contains(r#""truncated":true"#));
    assert_eq!(serde_json::from_str::<Presence>(&json).unwrap(), presence);
}

/// A told event or a look.
#[derive(Clone, Debug)]
enum Change {
    Join(Join),
    Leave(Leave),
    List(Vec<Join>),
    Call(Timestamp, Vec<Join>),
}

impl Change {
    fn apply(&self, presence: &mut Presence) {
        match self {
            Self::Join(join) => presence.record_join(join),
            Self::Leave(leave) => presence.record_leave(leave),
            Self::List(participants) => presence.observe_list(participants),
            Self::Call(requested_at, participants) => {
                presence.observe_call(*requested_at, participants)
            }
        };
    }
}

/// Applies the changes in this order.
fn apply_all<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Presence {
    let mut presence = Presence::default();
    for change in changes {
        change.apply(&mut presence);
    }
    presence
}

fn any_join() -> impl Strategy<Value = Join> {
    let user_and_session = prop::sample::select(vec![
        ("alice", "s1"),
        ("alice", "s2"),
        ("bob", "s3"),
        ("bob", "s4"),
        ("carol", "s5"),
    ]);
    (user_and_session, 0..60_i64).prop_map(|((user, session), joined)| join(user, session, joined))
}

fn any_leave() -> impl Strategy<Value = Leave> {
    let duration = prop::option::of((0..60_u64).prop_map(Duration::from_millis));
    (any_join(), any::<bool>(), 0..60_i64, duration).prop_map(|(join, has_join, left, duration)| {
        let Join { user, session, joined_at } = join;
        let joined_at = has_join.then_some(joined_at);
        Leave { user, session, joined_at, at: at(left), duration }
    })
}

fn told_event() -> impl Strategy<Value = Change> {
    prop_oneof![any_join().prop_map(Change::Join), any_leave().prop_map(Change::Leave)]
}

/// Times at which a look closes no interval, or every interval.
fn look_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![0..100_i64, 5_000..5_200_i64].prop_map(at)
}

fn look() -> impl Strategy<Value = Change> {
    let participants = || prop::collection::vec(any_join(), 0..4);
    prop_oneof![
        participants().prop_map(Change::List),
        (look_time(), participants())
            .prop_map(|(requested_at, participants)| Change::Call(requested_at, participants)),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![told_event(), look()]
}

/// The number of milliseconds in which two users are in. No test interval exceeds this range.
fn count_talk_millis(presence: &Presence, until: Timestamp) -> u64 {
    let intervals = presence.intervals();
    let has_two_users = |time: &Timestamp| {
        let is_in = |interval: &&Interval| {
            let end = interval.left.map_or(until, |left| left.at);
            interval.joined_at <= *time && *time < end.min(until)
        };
        let users: BTreeSet<&UserId> =
            intervals.iter().filter(is_in).map(|interval| &interval.user).collect();
        users.len() >= 2
    };
    u64::try_from((-100..200).map(at).filter(has_two_users).count()).unwrap()
}

/// The told leaves. The join of a leave without `joined_at` can change.
fn told_leaves(presence: &Presence) -> BTreeSet<(UserId, Timestamp)> {
    let intervals = presence.intervals().into_iter();
    intervals
        .filter_map(|interval| {
            let left = interval.left.filter(|left| !left.is_inferred())?;
            Some((interval.user, left.at))
        })
        .collect()
}

proptest! {
    #[test]
    fn told_events_have_the_same_result_in_any_order(
        (events, reordered) in prop::collection::vec(told_event(), 0..12)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        repeated in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let expected = apply_all(&events);
        let mut presence = apply_all(&reordered);
        prop_assert_eq!(presence.intervals(), expected.intervals());
        let version = presence.version();
        if !reordered.is_empty() {
            for index in repeated {
                index.get(&reordered).apply(&mut presence);
            }
        }
        prop_assert_eq!(presence.version(), version);
        prop_assert_eq!(presence.intervals(), expected.intervals());
    }

    #[test]
    fn talk_time_is_the_number_of_milliseconds_with_two_users(
        events in prop::collection::vec(told_event(), 0..12),
        until in 0..100_i64,
    ) {
        let presence = apply_all(&events);
        let talk_time = presence.talk_time(at(until));
        prop_assert_eq!(talk_time, millis(count_talk_millis(&presence, at(until))));
        prop_assert!(talk_time <= presence.duration(at(until)));
    }

    #[test]
    fn uniting_loses_no_time(
        events in prop::collection::vec(told_event(), 0..16),
        until in 0..100_i64,
    ) {
        let before = apply_all(&events);
        let mut united = before.clone();
        united.unite();
        let until = at(until);
        prop_assert_eq!(united.talk_time(until), before.talk_time(until));
        prop_assert_eq!(united.duration(until), before.duration(until));
        prop_assert_eq!(united.started_at(), before.started_at());
        prop_assert_eq!(united.joined_users(), before.joined_users());
        prop_assert_eq!(united.present_users(), before.present_users());
        prop_assert_eq!(united.absence(), before.absence());
    }

    #[test]
    fn looks_keep_told_leaves(
        changes in prop::collection::vec(any_change(), 0..12),
        looks in prop::collection::vec(look(), 1..4),
    ) {
        let mut presence = apply_all(&changes);
        let before = told_leaves(&presence);
        for look in looks {
            look.apply(&mut presence);
        }
        prop_assert!(told_leaves(&presence).is_superset(&before));
    }

    #[test]
    fn list_only_adds_intervals(
        changes in prop::collection::vec(any_change(), 0..12),
        participants in prop::collection::vec(any_join(), 0..4),
    ) {
        let before = apply_all(&changes);
        let mut presence = before.clone();
        let differs = presence.observe_list(&participants);
        prop_assert!(differs || presence == before);
        let known: BTreeSet<Key> = presence.records.keys().cloned().collect();
        for (key, record) in &before.records {
            prop_assert_eq!(presence.records.get(key), Some(record));
        }
        prop_assert!(participants.iter().all(|join| known.contains(&Key::from(join))));
    }

    #[test]
    fn another_join_never_delays_the_answer(
        changes in prop::collection::vec(any_change(), 0..12),
        join in any_join(),
    ) {
        // A leave without `joined_at` moves the begin of its interval when its join is told.
        let is_keyed = |change: &&Change| {
            !matches!(change, Change::Leave(Leave { joined_at: None, .. }))
        };
        let mut presence = apply_all(changes.iter().filter(is_keyed));
        let (started_at, answered_at) = (presence.started_at(), presence.answered_at());
        presence.record_join(&join);
        prop_assert!(presence.started_at() <= started_at.or(Some(join.joined_at)));
        if answered_at.is_some() {
            prop_assert!((Some(at(-100_000))..=answered_at).contains(&presence.answered_at()));
        }
    }

    #[test]
    fn version_increases_with_each_change_and_survives_serialization(
        changes in prop::collection::vec(any_change(), 0..12),
    ) {
        let mut presence = Presence::default();
        for change in changes {
            let before = presence.clone();
            change.apply(&mut presence);
            let has_changed = presence.version() > before.version();
            prop_assert_eq!(has_changed, presence != before);
        }
        let json = serde_json::to_string(&presence).unwrap();
        prop_assert_eq!(serde_json::from_str::<Presence>(&json).unwrap(), presence);
    }
}
