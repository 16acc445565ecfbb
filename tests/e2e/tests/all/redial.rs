//! Redial: a create for members who have an open call joins it, rings it again, or replaces it.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

/// A call type whose rings last as long as the ring timeout, as `stream-setup apply` sets it.
const CALL_TYPE: &str = "ringing";

/// A stack with webhooks and the call type.
async fn ringing_app() -> TestApp {
    ringing_app_with(true).await
}

/// A stack with the call type. Without webhooks, every event is lost.
async fn ringing_app_with(webhooks: bool) -> TestApp {
    let env = [("STREAM_CALL_TYPE".to_owned(), CALL_TYPE.to_owned())].into();
    let app = TestApp::with_options(Options { webhooks, env, ..Options::default() }).await;
    let call_type = json!({
        "name": CALL_TYPE,
        "settings": {"ring": {
            "auto_cancel_timeout_ms": 120_000,
            "incoming_call_timeout_ms": 120_000,
            "missed_call_timeout_ms": 120_000,
        }},
    });
    app.post_to_stream("video/calltypes", &call_type).await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    app
}

fn cid(id: &str) -> String {
    format!("{CALL_TYPE}:{id}")
}

async fn dial(app: &TestApp, from: &str, to: &str) -> TestResponse {
    app.post("/call/create", from, json!({"receiverId": to, "ring": true})).await
}

/// The id of the call, whether this request created it, and whether it rang.
fn outcome(response: TestResponse) -> (String, bool, bool) {
    let body = response.expect_success().body;
    assert_eq!(body["status"], "active");
    let id = body["callId"].as_str().unwrap().to_owned();
    (id, body["created"] == true, body["rung"] == true)
}

/// Alice calls Bob, with a ring.
async fn first_call(app: &TestApp) -> String {
    let (id, created, rung) = outcome(dial(app, "alice", "bob").await);
    assert!(created && rung);
    assert_eq!(rung_users(app, &id), ["bob"]);
    id
}

/// The users whose phones the call has rung, in order.
fn rung_users(app: &TestApp, id: &str) -> Vec<String> {
    app.stream().rings(&cid(id)).into_iter().map(|ring| ring.user_id).collect()
}

async fn join_call(app: &TestApp, id: &str, user: &str) -> String {
    let session = app.stream().join(&cid(id), user).unwrap();
    app.stream().webhooks_idle().await;
    session
}

async fn leave_call(app: &TestApp, id: &str, session: &str) {
    app.stream().leave(&cid(id), session);
    app.stream().webhooks_idle().await;
}

async fn reject_call(app: &TestApp, id: &str, user: &str, reason: &str) {
    app.stream().reject_with(&cid(id), user, Some(reason));
    app.stream().webhooks_idle().await;
}

/// A new call of both rings this user, and the old call has ended for the reason.
async fn assert_replaced(app: &TestApp, old: &str, response: TestResponse, rings: &str) -> Value {
    let (id, created, rung) = outcome(response);
    assert!(created && rung && id != old);
    assert_eq!(rung_users(app, &id), [rings]);
    let item = app.get_call_item(old).await;
    assert!(["ending", "ended"].contains(&item["state"]["S"].as_str().unwrap()), "{item}");
    app.sweep().await;
    assert_eq!(app.stream().live_calls(), [cid(&id)]);
    item["endReason"]["S"].clone()
}

#[tokio::test]
async fn redial_after_both_left_rings() {
    for (webhooks, reason) in [(true, "left"), (false, "not_answered")] {
        let app = ringing_app_with(webhooks).await;
        let first = first_call(&app).await;
        let alice = join_call(&app, &first, "alice").await;
        let bob = join_call(&app, &first, "bob").await;
        app.advance_time(Duration::from_secs(30)).await;
        leave_call(&app, &first, &bob).await;
        leave_call(&app, &first, &alice).await;
        // The client accepts a call before it joins.
        app.stream().accept(&cid(&first), "bob");
        app.advance_time(Duration::from_secs(10)).await;
        let response = dial(&app, "alice", "bob").await;
        assert_eq!(assert_replaced(&app, &first, response, "bob").await, reason, "{webhooks}");
    }
}

#[tokio::test]
async fn caller_who_cancels_is_called_back() {
    for webhooks in [true, false] {
        let app = ringing_app_with(webhooks).await;
        let first = first_call(&app).await;
        reject_call(&app, &first, "alice", "cancel").await;
        app.advance_time(Duration::from_secs(5)).await;
        app.reset_counts();
        let response = dial(&app, "bob", "alice").await;
        if !webhooks {
            // Reserve, members, pointer, count; read the call, end it, set the pointer; activate.
            // `GetCall`, channel, call, and the end of the old call beside them.
            assert_eq!(app.counts(), (7, 4));
        }
        // The old call ends at Stream at once, unless the webhook has ended it.
        assert_eq!(app.stream().live_calls().len(), if webhooks { 2 } else { 1 });
        assert_eq!(assert_replaced(&app, &first, response, "alice").await, "cancelled");
    }
}

#[tokio::test]
async fn callee_who_declines_can_be_called_again() {
    for webhooks in [true, false] {
        let app = ringing_app_with(webhooks).await;
        let first = first_call(&app).await;
        reject_call(&app, &first, "bob", "decline").await;
        app.advance_time(Duration::from_secs(5)).await;
        let response = dial(&app, "alice", "bob").await;
        assert_eq!(assert_replaced(&app, &first, response, "bob").await, "declined");
    }
}

/// Alice remained alone for longer than the timeout, and no sweep has run since.
#[tokio::test]
async fn returned_call_stays_open_until_the_requester_joins() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    join_call(&app, &first, "alice").await;
    let bob = join_call(&app, &first, "bob").await;
    app.advance_time(Duration::from_secs(30)).await;
    leave_call(&app, &first, &bob).await;
    app.advance_time(Duration::from_secs(65)).await;
    assert_eq!(outcome(dial(&app, "bob", "alice").await), (first.clone(), false, false));
    assert_eq!(app.sweep().await["due"], 0);
    join_call(&app, &first, "bob").await;
    app.advance_minutes(5).await;
    assert_eq!(app.get_call_item(&first).await["state"]["S"], "active");
}

/// The caller waited in the call and left, and the callee has not responded.
#[tokio::test]
async fn callee_who_calls_back_is_in_the_same_call() {
    let app = ringing_app().await;
    app.stream().set_ring_call_rings_creator(true);
    let first = first_call(&app).await;
    let alice = join_call(&app, &first, "alice").await;
    app.advance_time(Duration::from_secs(20)).await;
    leave_call(&app, &first, &alice).await;
    app.advance_time(Duration::from_secs(5)).await;
    assert_eq!(outcome(dial(&app, "bob", "alice").await), (first, false, true));
}

/// Alice's phone rings for a call of Bob, so a new call ends the old one at Stream.
#[tokio::test]
async fn replaced_call_is_ended_by_the_sweep_if_stream_fails() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    reject_call(&app, &first, "bob", "busy").await;
    app.advance_time(Duration::from_secs(5)).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(503)));
    let (second, created, rung) = outcome(dial(&app, "alice", "bob").await);
    assert!(created && rung && second != first);
    // One attempt only.
    assert_eq!(app.stream().counts().get(Operation::EndCall), 1);
    app.stream().clear_faults();
    app.sweep().await;
    assert_eq!(app.stream().live_calls(), [cid(&second)]);
}

#[tokio::test]
async fn unanswered_call_is_replaced_after_the_ring_timeout() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    // Without Stream, the create cannot decide.
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let unreachable = dial(&app, "alice", "bob").await;
    assert_eq!(unreachable.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    app.advance_time(Duration::from_secs(121)).await;
    let response = dial(&app, "bob", "alice").await;
    assert_eq!(assert_replaced(&app, &first, response, "alice").await, "not_joined");
}

#[tokio::test]
async fn member_who_waits_in_the_call_is_joined_without_a_ring() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    join_call(&app, &first, "alice").await;
    app.advance_time(Duration::from_secs(20)).await;
    assert_eq!(outcome(dial(&app, "bob", "alice").await), (first.clone(), false, false));
    // After an answer, too: one of them returns to the other.
    let bob = join_call(&app, &first, "bob").await;
    leave_call(&app, &first, &bob).await;
    app.advance_time(Duration::from_secs(20)).await;
    assert_eq!(outcome(dial(&app, "bob", "alice").await), (first.clone(), false, false));
    assert_eq!(app.stream().counts().get(Operation::RingCall), 0);
    // Alice remains alone, and calls Bob.
    let response = dial(&app, "alice", "bob").await;
    assert_eq!(assert_replaced(&app, &first, response, "bob").await, "left");
}

#[tokio::test]
async fn waiting_call_rings_again_after_15_seconds() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    let again = (first.clone(), false, true);
    let silent = (first.clone(), false, false);
    app.advance_time(Duration::from_secs(10)).await;
    assert_eq!(outcome(dial(&app, "alice", "bob").await), silent);
    app.advance_time(Duration::from_secs(10)).await;
    // A request without `ring` rings no phone.
    let quiet = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await;
    assert_eq!(outcome(quiet), silent);
    app.reset_counts();
    assert_eq!(outcome(dial(&app, "alice", "bob").await), again);
    assert_eq!(app.stream().counts().get(Operation::RingCall), 1);
    assert_eq!(outcome(dial(&app, "alice", "bob").await), silent);
    assert_eq!(rung_users(&app, &first), ["bob", "bob"]);
    // A second ring does not extend the ring timeout.
    app.advance_time(Duration::from_secs(101)).await;
    let response = dial(&app, "alice", "bob").await;
    assert_eq!(assert_replaced(&app, &first, response, "bob").await, "not_joined");
}

#[tokio::test]
async fn call_that_was_created_without_ring_rings_on_redial() {
    let app = ringing_app().await;
    let create = json!({"receiverId": "bob"});
    let (first, created, rung) = outcome(app.post("/call/create", "alice", create).await);
    assert!(created && !rung);
    assert_eq!(outcome(dial(&app, "alice", "bob").await), (first.clone(), false, true));
    assert_eq!(rung_users(&app, &first), ["bob"]);
}

/// Whether Stream rings the creator is not documented.
#[tokio::test]
async fn callee_who_dials_rings_the_creator_if_stream_does() {
    for rings_creator in [false, true] {
        let app = ringing_app().await;
        app.stream().set_ring_call_rings_creator(rings_creator);
        let first = first_call(&app).await;
        app.advance_time(Duration::from_secs(20)).await;
        let response = dial(&app, "bob", "alice").await;
        assert_eq!(outcome(response), (first.clone(), false, rings_creator));
        let rung = if rings_creator { vec!["bob", "alice"] } else { vec!["bob"] };
        assert_eq!(rung_users(&app, &first), rung);
    }
}

#[tokio::test]
async fn failed_ring_returns_the_call() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    app.advance_time(Duration::from_secs(20)).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::RingCall, Fault::Status(503)));
    app.reset_counts();
    assert_eq!(outcome(dial(&app, "alice", "bob").await), (first.clone(), false, false));
    // Stream may have rung, so the request is not retried.
    assert_eq!(app.stream().counts().get(Operation::RingCall), 1);
    app.stream().clear_faults();
    app.advance_time(Duration::from_secs(16)).await;
    assert_eq!(outcome(dial(&app, "alice", "bob").await), (first.clone(), false, true));
}

#[tokio::test]
async fn repeat_by_call_id_never_rings() {
    let app = ringing_app().await;
    let body = json!({"receiverId": "bob", "callId": "c1", "ring": true});
    let (id, created, rung) = outcome(app.post("/call/create", "alice", body.clone()).await);
    assert!(created && rung);
    app.advance_time(Duration::from_secs(20)).await;
    assert_eq!(outcome(app.post("/call/create", "alice", body).await), (id.clone(), false, false));
    assert_eq!(rung_users(&app, &id), ["bob"]);
}

#[tokio::test]
async fn concurrent_redials_ring_once() {
    let app = ringing_app().await;
    let first = first_call(&app).await;
    app.advance_time(Duration::from_secs(20)).await;
    let redials = (0..5).map(|_| dial(&app, "alice", "bob"));
    let responses = futures_util::future::join_all(redials).await;
    let rung = responses.into_iter().map(outcome).filter(|(id, created, rung)| {
        assert!(*id == first && !created);
        *rung
    });
    assert_eq!(rung.count(), 1);
    assert_eq!(rung_users(&app, &first), ["bob", "bob"]);
}

#[tokio::test]
async fn declined_member_of_a_group_is_called_by_a_new_call() {
    let app = ringing_app().await;
    let body = json!({"memberIds": ["bob", "carol"], "ring": true});
    let (first, ..) = outcome(app.post("/call/create", "alice", body.clone()).await);
    reject_call(&app, &first, "bob", "decline").await;
    let (second, created, rung) = outcome(app.post("/call/create", "alice", body).await);
    assert!(created && rung && second != first);
    assert_eq!(rung_users(&app, &second), ["bob", "carol"]);
    assert_eq!(app.get_call_item(&first).await["endReason"]["S"], "not_joined");
}
