//! Settling: the final figures of a call, from Stream's list of participants.

use std::time::Duration;

use e2e::TestApp;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation, ParticipantSessionFaults};

const CID: &str = "default:c1";

/// A stack with the call `c1` of Alice and Bob.
async fn app_with_call(webhooks: bool) -> TestApp {
    let app = TestApp::with_options(Options { webhooks, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app
}

async fn join(app: &TestApp, user: &str) -> String {
    let session = app.stream().join(CID, user).unwrap();
    app.stream().webhooks_idle().await;
    session
}

async fn leave(app: &TestApp, session: &str) {
    app.stream().leave(CID, session);
    app.stream().webhooks_idle().await;
}

async fn seconds(app: &TestApp, seconds: u64) {
    app.advance_time(Duration::from_secs(seconds)).await;
}

async fn call(app: &TestApp) -> Value {
    app.get("/call/c1", "alice").await.expect_success().body
}

/// The settlement in the item.
async fn settlement(app: &TestApp) -> Value {
    app.get_call_item("c1").await["settlement"]["M"].clone()
}

fn number(value: &Value) -> i64 {
    value["N"].as_str().unwrap().parse().unwrap()
}

/// The milliseconds in which Alice and Bob are both in, by Stream.
pub(crate) fn true_talk_millis(app: &TestApp) -> i64 {
    let stays: Vec<(String, i64, i64)> = app
        .stream()
        .joins(CID)
        .into_iter()
        .map(|join| {
            let millis = |nanos: i64| nanos / 1_000_000;
            (join.user_id, millis(join.joined_at), millis(join.left_at.unwrap()))
        })
        .collect();
    let of = |name: &str| {
        let name = name.to_owned();
        stays.iter().filter(move |(user, ..)| *user == name)
    };
    let overlap = |(_, a, b): &(String, i64, i64), (_, c, d): &(String, i64, i64)| {
        ((*b).min(*d) - (*a).max(*c)).max(0)
    };
    of("alice").map(|alice| of("bob").map(|bob| overlap(alice, bob)).sum::<i64>()).sum()
}

/// A call with a reconnect of Bob, who leaves last. Returns the time of his leave.
pub(crate) async fn talk(app: &TestApp) -> i64 {
    let alice = join(app, "alice").await;
    seconds(app, 5).await;
    let bob = join(app, "bob").await;
    seconds(app, 30).await;
    leave(app, &bob).await;
    seconds(app, 10).await;
    let bob = join(app, "bob").await;
    seconds(app, 45).await;
    leave(app, &alice).await;
    seconds(app, 1).await;
    leave(app, &bob).await;
    app.now_millis()
}

#[tokio::test]
async fn call_is_settled_within_fifteen_minutes_without_webhooks() {
    let app = app_with_call(false).await;
    let left_at = talk(&app).await;
    let mut settled = None;
    for _ in 0..15 {
        let sweeps = app.advance_minutes(1).await;
        if sweeps[0]["settled"] == 1 {
            settled = Some(sweeps[0].clone());
        }
    }
    assert!(app.now_millis() <= left_at + 15 * 60_000 + 60_000);
    assert!(settled.is_some(), "{}", app.get_call_item("c1").await);
    let stored = settlement(&app).await;
    assert!(number(&stored["settledAt"]) <= left_at + 15 * 60_000);
    assert_eq!(stored["settledFrom"]["S"], "stream");
    let expected = true_talk_millis(&app);
    assert!((75_000..76_000).contains(&expected), "{expected}");
    assert_eq!(number(&stored["talkMillis"]), expected);
    let call = call(&app).await;
    assert_eq!(
        (&call["settled"], &call["answered"], &call["talkSeconds"]),
        (&json!(true), &json!(true), &json!((expected + 500) / 1_000))
    );
    // The call leaves the due index, and later sweeps do not settle it again.
    let later = app.advance_minutes(10).await;
    assert!(later.iter().all(|sweep| sweep["settled"] == 0));
    assert!(app.get_call_item("c1").await["dueAt"].is_null());
}

#[tokio::test]
async fn report_of_the_last_session_settles_at_the_next_sweep() {
    let app = app_with_call(true).await;
    talk(&app).await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    let sweeps = app.advance_minutes(5).await;
    assert!(sweeps.iter().all(|sweep| sweep["settled"] == 0), "{sweeps:?}");
    let item = app.get_call_item("c1").await;
    let sessions = item["presence"]["M"]["sessions"]["M"].as_object().unwrap();
    let session = sessions.keys().next().unwrap();
    let report = json!({
        "type": "call.stats_report_ready",
        "created_at": shared::clock::Timestamp::from_millis(app.now_millis()).to_string(),
        "call_cid": CID,
        "session_id": session,
    });
    let _ = app.send_webhook(&report).await.expect_success();
    let swept = app.sweep().await;
    assert_eq!((&swept["settled"], &swept["settledFromWebhooks"]), (&json!(1), &json!(0)));
    assert_eq!(swept["presenceDifferences"], 0);
    assert_eq!(number(&settlement(&app).await["talkMillis"]), true_talk_millis(&app));
}

#[tokio::test]
async fn settled_call_never_changes() {
    let app = app_with_call(true).await;
    talk(&app).await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_minutes(11).await;
    let before = app.get_call_item("c1").await;
    assert!(before["settlement"].is_object(), "{before}");
    for kind in ["call.session_participant_joined", "call.session_participant_left"] {
        let event = json!({
            "type": kind,
            "created_at": shared::clock::Timestamp::from_millis(app.now_millis()).to_string(),
            "call_cid": CID,
            "session_id": "s1",
            "participant": {
                "user": {"id": "bob"},
                "user_session_id": "late",
                "joined_at": shared::clock::Timestamp::from_millis(app.now_millis()).to_string(),
            },
        });
        let _ = app.send_webhook(&event).await.expect_success();
    }
    assert_eq!(app.get_call_item("c1").await, before);
}

#[tokio::test]
async fn list_with_gaps_is_completed_by_the_webhooks() {
    let fault = ParticipantSessionFaults::default();
    for (name, fault) in [
        (
            "left_at",
            ParticipantSessionFaults { omit_left_at: true, fractional_duration: true, ..fault },
        ),
        (
            "joined_at",
            ParticipantSessionFaults { omit_joined_at: true, fractional_duration: true, ..fault },
        ),
        (
            "left_at and duration",
            ParticipantSessionFaults { omit_left_at: true, omit_duration: true, ..fault },
        ),
        ("rows", ParticipantSessionFaults { omit_rows: true, ..fault }),
        ("pages", ParticipantSessionFaults { page_size: Some(1), ..fault }),
    ] {
        let app = app_with_call(true).await;
        app.stream().set_participant_session_faults(fault);
        talk(&app).await;
        let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
        app.advance_minutes(11).await;
        let stored = settlement(&app).await;
        // A time that follows from a duration is rounded once more.
        let difference = number(&stored["talkMillis"]) - true_talk_millis(&app);
        assert!(difference.abs() <= 2, "{name} {difference}");
        assert_eq!(stored["settledFrom"]["S"], "stream", "{name}");
    }
}

#[tokio::test]
async fn unknown_session_is_settled_by_the_webhooks() {
    let app = app_with_call(true).await;
    talk(&app).await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.stream().add_fault(FaultRule::for_operation(
        Operation::QueryCallParticipantSessions,
        Fault::Status(404),
    ));
    let sweeps = app.advance_minutes(11).await;
    let settled: u64 =
        sweeps.iter().filter_map(|sweep| sweep["settledFromWebhooks"].as_u64()).sum();
    assert_eq!(settled, 1);
    let stored = settlement(&app).await;
    assert_eq!(stored["settledFrom"]["S"], "webhooks");
    assert_eq!(number(&stored["talkMillis"]), true_talk_millis(&app));
}

#[tokio::test]
async fn failures_of_a_day_settle_by_the_webhooks() {
    let app = app_with_call(true).await;
    talk(&app).await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::QueryCallSessionStats, Fault::Status(503)));
    let sweeps = app.advance_minutes(30).await;
    assert!(sweeps.iter().all(|sweep| sweep["settled"] == 0), "{sweeps:?}");
    assert!(sweeps.iter().any(|sweep| sweep["failed"] == 1), "{sweeps:?}");
    app.advance_time(Duration::from_hours(24)).await;
    assert_eq!(app.sweep().await["settledFromWebhooks"], 1);
    assert_eq!(number(&settlement(&app).await["talkMillis"]), true_talk_millis(&app));
}

/// No request to Stream succeeds, so the call is not even cleaned up.
#[tokio::test]
async fn call_is_settled_by_the_webhooks_while_stream_is_down() {
    let app = app_with_call(true).await;
    talk(&app).await;
    app.stream().add_fault(FaultRule::for_any_operation(Fault::Status(503)));
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    app.advance_minutes(3).await;
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "ending");
    app.advance_time(Duration::from_hours(24)).await;
    assert_eq!(app.sweep().await["settledFromWebhooks"], 1);
    assert_eq!(number(&settlement(&app).await["talkMillis"]), true_talk_millis(&app));
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "ending");
    app.stream().clear_faults();
    let sweeps = app.advance_minutes(20).await;
    assert!(sweeps.iter().all(|sweep| sweep["settled"] == 0), "{sweeps:?}");
    let item = app.get_call_item("c1").await;
    assert!(item["state"]["S"] == "ended" && item["dueAt"].is_null(), "{item}");
}

/// The figures do not wait for a cleanup that fails.
#[tokio::test]
async fn call_is_settled_while_its_channel_cannot_be_deleted() {
    let app = app_with_call(true).await;
    talk(&app).await;
    for operation in [Operation::DeleteChannel, Operation::DeleteChannels] {
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(503)));
    }
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    let sweeps = app.advance_minutes(20).await;
    let settled: u64 = sweeps.iter().filter_map(|sweep| sweep["settled"].as_u64()).sum();
    assert_eq!(settled, 1, "{sweeps:?}");
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "ending");
    assert_eq!(settlement(&app).await["settledFrom"]["S"], "stream");
    assert_eq!(number(&settlement(&app).await["talkMillis"]), true_talk_millis(&app));
}

/// With every webhook lost, the ring timeout ends a call in which two users talk.
#[tokio::test]
async fn unanswered_end_becomes_left_where_two_users_were_in() {
    let app = app_with_call(false).await;
    let alice = join(&app, "alice").await;
    let bob = join(&app, "bob").await;
    seconds(&app, 40).await;
    leave(&app, &bob).await;
    leave(&app, &alice).await;
    app.advance_minutes(4).await;
    assert_eq!(call(&app).await["endReason"], "not_answered");
    app.advance_minutes(11).await;
    let call = call(&app).await;
    assert_eq!(
        [&call["endReason"], &call["answered"], &call["settled"], &call["talkSeconds"]],
        [&json!("left"), &json!(true), &json!(true), &json!(40)]
    );
}

#[tokio::test]
async fn call_that_never_was_active_is_not_settled() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::GetOrCreateCall, Fault::Status(503)));
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let failed = app.post("/call/create", "alice", create).await;
    assert_eq!(failed.status, 503);
    app.stream().clear_faults();
    let sweeps = app.advance_minutes(15).await;
    assert!(sweeps.iter().all(|sweep| sweep["settled"] == 0), "{sweeps:?}");
    let item = app.get_call_item("c1").await;
    assert!(item["dueAt"].is_null() && item["settlement"].is_null(), "{item}");
}
