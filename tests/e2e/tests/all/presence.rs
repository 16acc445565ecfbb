//! Presence: the times of a call are those of its participants at Stream, whatever the webhooks do.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::TestApp;
use local::Options;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use stream_emulator::{Fault, FaultRule, Operation, WebhookScript};

const CID: &str = "default:c1";
const JOINED: &str = "call.session_participant_joined";
const LEFT: &str = "call.session_participant_left";

/// The user, the session, and the join and the leave in milliseconds since 1970.
type Interval = (String, String, i64, Option<i64>);

/// A text of RFC 3339 as milliseconds since 1970.
fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

/// Milliseconds as whole seconds.
fn to_seconds(millis: i64) -> i64 {
    (millis + 500) / 1_000
}

/// A stack with webhooks and a call `c1` of Alice and Bob.
async fn app_with_call() -> TestApp {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app
}

async fn get_call(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/call/{id}"), "bob").await.expect_success().body
}

/// The intervals of the call at Stream.
fn stream_intervals(app: &TestApp) -> Vec<Interval> {
    let to_millis = |nanos: i64| nanos / 1_000_000;
    let joins = app.stream().joins(CID).into_iter();
    let mut intervals: Vec<Interval> = joins
        .map(|join| {
            let left_at = join.left_at.map(to_millis);
            (join.user_id, join.user_session_id, to_millis(join.joined_at), left_at)
        })
        .collect();
    intervals.sort();
    intervals
}

/// The intervals in the item of the call. An inferred leave is missing.
async fn stored_intervals(app: &TestApp) -> Vec<Interval> {
    let item = app.get_call_item("c1").await;
    let presence = &item["presence"]["M"];
    let number = |value: &Value| value["N"].as_str().map(|text| text.parse::<i64>().unwrap());
    let intervals = presence["intervals"]["L"].as_array().unwrap().iter();
    let mut intervals: Vec<Interval> = intervals
        .map(|interval| {
            let fields = &interval["L"];
            let user = usize::try_from(number(&fields[0]).unwrap()).unwrap();
            let user = presence["users"]["L"][user]["S"].as_str().unwrap().to_owned();
            let session = fields[1]["S"].as_str().unwrap().to_owned();
            let joined_at = number(&fields[2]).unwrap();
            (user, session, joined_at, number(&fields[3]).map(|left| joined_at + left))
        })
        .collect();
    intervals.sort();
    intervals
}

/// The periods with at least two users in.
fn overlaps(intervals: &[Interval]) -> Vec<(i64, i64)> {
    let times: BTreeSet<i64> = intervals
        .iter()
        .flat_map(|(_, _, joined_at, left_at)| [*joined_at, left_at.unwrap()])
        .collect();
    let times: Vec<i64> = times.into_iter().collect();
    let has_two_users = |from: i64, until: i64| {
        let present = intervals.iter().filter(|(_, _, joined_at, left_at)| {
            *joined_at <= from && left_at.is_some_and(|left_at| left_at >= until)
        });
        present.map(|(user, ..)| user).collect::<BTreeSet<_>>().len() >= 2
    };
    let periods = times.windows(2).map(|period| (period[0], period[1]));
    periods.filter(|(from, until)| has_two_users(*from, *until)).collect()
}

/// Checks that the item and the response have the times of Stream. All participants have left. The
/// time of the answer has tests of its own.
async fn assert_times_of_stream(app: &TestApp) {
    let intervals = stream_intervals(app);
    assert_eq!(stored_intervals(app).await, intervals);
    let call = get_call(app, "c1").await;
    let overlaps = overlaps(&intervals);
    let answered_at = overlaps.first().unwrap().0;
    let duration = overlaps.last().unwrap().1 - answered_at;
    let talk_time: i64 = overlaps.iter().map(|(from, until)| until - from).sum();
    let started_at = intervals.iter().map(|(_, _, joined_at, _)| *joined_at).min().unwrap();
    assert_eq!(millis(&call["startedAt"]), started_at);
    assert_eq!(
        (&call["durationSeconds"], &call["talkSeconds"]),
        (&json!(to_seconds(duration)), &json!(to_seconds(talk_time))),
        "{intervals:?}"
    );
}

/// Alice and Bob reconnect, come back under the same session and use two devices. At the end both
/// have left.
async fn run_participants(app: &TestApp) {
    let join = |user: &str, device: &str| {
        app.stream().join_as(CID, user, &format!("{device}-of-{user}")).unwrap();
    };
    let leave = |user: &str, device: &str| app.stream().leave(CID, &format!("{device}-of-{user}"));
    let wait = async |seconds: u64| {
        app.stream().webhooks_idle().await;
        app.advance_time(Duration::from_secs(seconds)).await;
    };
    join("alice", "phone");
    wait(2).await;
    join("bob", "phone");
    wait(5).await;
    // A reconnect without a gap.
    join("bob", "phone");
    wait(3).await;
    leave("alice", "phone");
    wait(4).await;
    join("alice", "phone");
    wait(1).await;
    join("alice", "tablet");
    wait(6).await;
    leave("alice", "phone");
    wait(2).await;
    leave("bob", "phone");
    wait(1).await;
    join("bob", "tablet");
    wait(7).await;
    leave("alice", "tablet");
    wait(1).await;
    leave("bob", "tablet");
    app.stream().webhooks_idle().await;
}

async fn end_call(app: &TestApp) {
    let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    assert_eq!(ended.body["status"], "ended");
}

#[tokio::test]
async fn reconnects_and_devices_count_to_the_millisecond() {
    let app = app_with_call().await;
    run_participants(&app).await;
    app.advance_time(Duration::from_secs(20)).await;
    end_call(&app).await;
    assert_times_of_stream(&app).await;
    let answered_at = millis(&get_call(&app, "c1").await["answeredAt"]);
    assert_eq!(answered_at, overlaps(&stream_intervals(&app))[0].0);
}

/// The webhooks arrive after all participants have left.
#[tokio::test]
async fn repeated_and_reordered_events_give_the_times_of_stream() {
    for seed in [1, 2, 3] {
        let app = app_with_call().await;
        app.stream().set_webhook_script(WebhookScript {
            copies: 2,
            shuffle: Some(seed),
            concurrency: 1,
            ..WebhookScript::default()
        });
        run_participants(&app).await;
        assert!(app.get_call_item("c1").await["presence"].is_null());
        app.stream().release_webhooks();
        app.stream().webhooks_idle().await;
        let attempts = app.stream().delivery_attempts();
        assert!(attempts.iter().all(|attempt| attempt.status == Some(200)), "{attempts:?}");
        end_call(&app).await;
        assert_times_of_stream(&app).await;
    }
}

#[tokio::test]
async fn end_at_stream_is_not_the_arrival_of_the_event() {
    let app = app_with_call().await;
    let hold = WebhookScript { shuffle: Some(4), concurrency: 1, ..WebhookScript::default() };
    app.stream().set_webhook_script(hold);
    for user in ["alice", "bob"] {
        app.stream().join(CID, user).unwrap();
        app.advance_time(Duration::from_secs(3)).await;
    }
    app.stream().end_call(CID, Some("bob"), None);
    app.advance_time(Duration::from_secs(40)).await;
    app.stream().release_webhooks();
    app.stream().webhooks_idle().await;
    let call = get_call(&app, "c1").await;
    let ended_at = app.stream().call(CID).unwrap().ended_at.unwrap() / 1_000_000;
    assert_eq!((&call["status"], millis(&call["endedAt"])), (&json!("ending"), ended_at));
    let intervals = stream_intervals(&app);
    let joined_at = |user: &str| intervals.iter().find(|interval| interval.0 == user).unwrap().2;
    assert_eq!(
        (millis(&call["startedAt"]), millis(&call["answeredAt"])),
        (joined_at("alice"), joined_at("bob"))
    );
    // Without leaves, the participants were in until the end.
    assert_eq!(call["talkSeconds"], json!(to_seconds(ended_at - joined_at("bob"))));
}

/// The sweeps find the joins and the last leave. A late event corrects what they cannot know.
#[tokio::test]
async fn lost_events_are_found_by_sweeps() {
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    let join = |user: &str| app.stream().join_as(CID, user, &format!("phone-of-{user}")).unwrap();
    join("alice");
    app.advance_time(Duration::from_secs(1)).await;
    join("bob");
    app.advance_minutes(3).await;
    // Bob reconnects between two checks.
    join("bob");
    app.advance_minutes(4).await;
    app.stream().leave_all(CID);
    let left_at = stream_intervals(&app).last().unwrap().3.unwrap();
    for _ in 0..12 {
        if app.get_call_item("c1").await["state"]["S"] == "ended" {
            break;
        }
        app.advance_minutes(1).await;
    }
    let call = get_call(&app, "c1").await;
    let intervals = stream_intervals(&app);
    let joins = |intervals: &[Interval]| -> Vec<(String, i64)> {
        intervals.iter().map(|(user, _, joined_at, _)| (user.clone(), *joined_at)).collect()
    };
    assert_eq!(joins(&stored_intervals(&app).await), joins(&intervals));
    assert_eq!(
        (&call["status"], &call["endReason"], millis(&call["endedAt"])),
        (&json!("ended"), &json!("left"), left_at)
    );
    let overlaps = overlaps(&intervals);
    assert_eq!(millis(&call["answeredAt"]), overlaps[0].0);
    let talk_time: i64 = overlaps.iter().map(|(from, until)| until - from).sum();
    // The leaves are not known: the time after the last look at each interval is missing.
    let talk_seconds = call["talkSeconds"].as_i64().unwrap();
    assert!((60..to_seconds(talk_time)).contains(&talk_seconds), "{talk_seconds}");

    let events = app.stream().emitted_events();
    let is_of_participant = |event: &&Value| event["type"] == JOINED || event["type"] == LEFT;
    for event in events.iter().rev().filter(is_of_participant) {
        for _ in 0..2 {
            let _ = app.send_webhook(event).await.expect_success();
        }
    }
    assert_times_of_stream(&app).await;
    let corrected = get_call(&app, "c1").await;
    assert_eq!(corrected["endedAt"], call["endedAt"]);
}

#[tokio::test]
async fn late_leave_replaces_an_inferred_one() {
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    for user in ["alice", "bob"] {
        app.stream().join_as(CID, user, &format!("phone-of-{user}")).unwrap();
    }
    app.advance_minutes(3).await;
    app.stream().leave(CID, "phone-of-bob");
    // The check after 6 minutes does not show Bob.
    app.advance_time(Duration::from_secs(190)).await;
    app.sweep().await;
    let of_bob = async || {
        let intervals = stored_intervals(&app).await;
        intervals.into_iter().find(|(user, ..)| user == "bob").unwrap()
    };
    assert_eq!(of_bob().await.3, None);
    let mut events = app.stream().emitted_events().into_iter();
    let left = events.rfind(|event| event["type"] == LEFT).unwrap();
    let _ = app.send_webhook(&left).await.expect_success();
    let intervals = stream_intervals(&app);
    assert_eq!(Some(&of_bob().await), intervals.iter().find(|(user, ..)| user == "bob"));
}

/// An event of a participant of the call.
fn participant_event(id: &str, kind: &str, interval: (&str, &str, i64), at: i64) -> Value {
    let (user, session, joined_at) = interval;
    let text = |at: i64| Timestamp::from_millis(at).to_string();
    json!({
        "type": kind,
        "created_at": text(at),
        "call_cid": format!("default:{id}"),
        "session_id": "s1",
        "participant": {
            "user": {"id": user},
            "user_session_id": session,
            "joined_at": text(joined_at),
        },
        "duration_seconds": (at - joined_at) / 1_000,
    })
}

/// Intervals of a user with a session, in milliseconds after the start.
type Times = &'static [(&'static str, &'static str, i64, i64)];

/// Intervals, and the expected duration and talk time, both in seconds.
const TIMES: [(Times, u64, u64); 9] = [
    (&[("alice", "a", 0, 1_000), ("bob", "b", 0, 1_000)], 1, 1),
    (&[("alice", "a", 0, 9_000), ("bob", "b", 7_000, 8_000)], 1, 1),
    (&[("alice", "a", 0, 1_499), ("bob", "b", 0, 1_499)], 1, 1),
    (&[("alice", "a", 0, 1_500), ("bob", "b", 0, 1_500)], 2, 2),
    // The sum is rounded, and not its parts.
    (&[("alice", "a", 0, 9_000), ("bob", "b", 1_000, 1_400), ("bob", "b", 5_000, 5_400)], 4, 1),
    // Two devices.
    (&[("alice", "a", 0, 5_000), ("alice", "c", 3_000, 9_000), ("bob", "b", 4_000, 8_000)], 4, 4),
    // A reconnect without a gap.
    (&[("alice", "a", 0, 9_000), ("bob", "b", 1_000, 3_000), ("bob", "b", 3_000, 6_000)], 5, 5),
    // Two devices of one user are no answer, and neither are two users at different times.
    (&[("alice", "a", 0, 5_000), ("alice", "c", 1_000, 9_000)], 0, 0),
    (&[("alice", "a", 0, 2_000), ("bob", "b", 2_000, 4_000)], 0, 0),
];

#[tokio::test]
async fn durations_are_rounded_once() {
    let app = TestApp::start().await;
    let ids: Vec<String> = (0..2 * TIMES.len()).map(|n| format!("c{n}")).collect();
    app.create_calls(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.advance_time(Duration::from_mins(1)).await;
    // Only the events contain participants.
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let start = app.now_millis() - 50_000;
    for (n, id) in ids.iter().enumerate() {
        let (intervals, duration, talk_time) = TIMES[n / 2];
        let mut events: Vec<Value> = intervals
            .iter()
            .flat_map(|(user, session, from, until)| {
                let interval = (*user, *session, start + from);
                [
                    participant_event(id, JOINED, interval, start + from),
                    participant_event(id, LEFT, interval, start + until),
                ]
            })
            .collect();
        // Every second call is told in the opposite order.
        if n % 2 == 1 {
            events.reverse();
        }
        events.push(json!({
            "type": "call.ended",
            "created_at": Timestamp::from_millis(start + 40_000).to_string(),
            "call_cid": format!("default:{id}"),
            "user": {"id": "alice"},
        }));
        for event in &events {
            let _ = app.send_webhook(event).await.expect_success();
        }
        let call = get_call(&app, id).await;
        assert_eq!(
            (&call["durationSeconds"], &call["talkSeconds"], &call["answered"]),
            (&json!(duration), &json!(talk_time), &json!(talk_time > 0)),
            "{id} {intervals:?}"
        );
        assert_eq!(millis(&call["endedAt"]), start + 40_000, "{id}");
    }
}

/// The size of an attribute's value in the table, at most.
fn value_size(value: &Value) -> usize {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "L" => 3 + value.as_array().unwrap().iter().map(|item| 1 + value_size(item)).sum::<usize>(),
        "M" => 3 + attributes_size(value),
        // A number takes a byte for two digits.
        "S" | "N" | "B" => value.as_str().unwrap().len() + 1,
        _ => 1,
    }
}

fn attributes_size(attributes: &Value) -> usize {
    let attributes = attributes.as_object().unwrap().iter();
    attributes.map(|(name, value)| name.len() + 1 + value_size(value)).sum()
}

/// The sessions have the longest ids.
#[tokio::test]
async fn item_with_200_intervals_is_smaller_than_40_kb() {
    const MAX_INTERVALS: usize = 200;
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    app.advance_time(Duration::from_secs(230)).await;
    let now = app.now_millis();
    // No two intervals overlap. The last one comes first, so that the participants have just left.
    for (n, left_at) in (0..=MAX_INTERVALS).zip((0..now).rev().step_by(1_000)) {
        let user = ["bob", "alice"][n % 2];
        let session = format!("{n:0>128}");
        let event = participant_event("c1", LEFT, (user, session.as_str(), left_at - 500), left_at);
        let _ = app.send_webhook(&event).await.expect_success();
        let is_truncated = get_call(&app, "c1").await["presenceTruncated"] == true;
        assert_eq!(is_truncated, n == MAX_INTERVALS, "{n}");
    }
    assert_eq!(stored_intervals(&app).await.len(), MAX_INTERVALS);
    let item = app.get_call_item("c1").await;
    let size = attributes_size(&item);
    assert!((25_000..40 * 1_024).contains(&size), "{size}");
    assert_eq!(item["state"]["S"], "active");
}

/// Stream cannot end the call, so the two talk on. The call was over at the request.
#[tokio::test]
async fn times_do_not_exceed_the_end_of_the_call() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    let sessions = ["alice", "bob"].map(|user| app.stream().join(CID, user).unwrap());
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_secs(30)).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(503)));
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ending.status, &ending.body["durationSeconds"]), (202, &json!(30)));
    app.advance_time(Duration::from_secs(40)).await;
    for session in sessions {
        app.stream().leave(CID, &session);
    }
    app.stream().webhooks_idle().await;
    let call = get_call(&app, "c1").await;
    assert_eq!([&call["durationSeconds"], &call["talkSeconds"]], [30, 30]);
}

/// A later join that is told first is not the answer.
#[tokio::test]
async fn answered_at_does_not_depend_on_the_event_order() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1"]).await;
    app.advance_time(Duration::from_mins(1)).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let start = app.now_millis() - 50_000;
    for (id, order) in [("c0", [0, 1, 2, 3]), ("c1", [0, 3, 2, 1])] {
        let events = [
            participant_event(id, JOINED, ("alice", "a", start), start),
            participant_event(id, JOINED, ("bob", "b", start + 3_000), start + 3_000),
            participant_event(id, LEFT, ("bob", "b", start + 3_000), start + 9_000),
            participant_event(id, JOINED, ("bob", "b", start + 20_000), start + 20_000),
        ];
        for n in order {
            let _ = app.send_webhook(&events[n]).await.expect_success();
        }
        let call = get_call(&app, id).await;
        assert_eq!(millis(&call["answeredAt"]), start + 3_000, "{id}");
    }
}

/// Alice has left before Bob joins, but the leave is told last.
#[tokio::test]
async fn late_leave_shows_that_a_call_was_not_answered() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1"]).await;
    app.advance_time(Duration::from_mins(1)).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let start = app.now_millis() - 50_000;
    for (id, order) in [("c0", [0, 1, 2]), ("c1", [0, 2, 1])] {
        let events = [
            participant_event(id, JOINED, ("alice", "a", start), start),
            participant_event(id, LEFT, ("alice", "a", start), start + 2_000),
            participant_event(id, JOINED, ("bob", "b", start + 5_000), start + 5_000),
        ];
        for n in order {
            let _ = app.send_webhook(&events[n]).await.expect_success();
        }
        let call = get_call(&app, id).await;
        assert_eq!((&call["answered"], &call["answeredAt"]), (&json!(false), &Value::Null), "{id}");
    }
}
