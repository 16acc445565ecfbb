//! Ending calls: a call is over for its members at once, and is cleaned up when Stream is available.

use e2e::TestApp;
use serde_json::{Value, json};
use shared::calls::SystemEndReason;
use stream_emulator::{Fault, FaultRule, Operation};

fn end_body() -> Value {
    json!({"callId": "c1"})
}

#[tokio::test]
async fn second_end_returns_the_same_response() {
    let app = TestApp::with_call("c1").await;
    let first = app.post("/call/end", "bob", end_body()).await.expect_success();
    app.reset_counts();
    let second = app
        .post("/call/end", "alice", json!({"callId": "c1", "reason": "late"}))
        .await
        .expect_success();
    assert_eq!(first.body, second.body);
    assert_eq!(first.status, second.status);
    assert_eq!(app.counts(), (1, 0));
    assert!(first.body["durationSeconds"].is_u64());
}

#[tokio::test]
async fn end_returns_202_until_stream_recovers() {
    for fault in [Fault::RefuseConnection, Fault::Status(503), Fault::NonJson(502)] {
        let app = TestApp::with_call("c1").await;
        app.stream().add_fault(FaultRule::for_any_operation(fault));
        let ending = app.post("/call/end", "alice", end_body()).await;
        assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
        // The call is over for its members, although it has not ended at Stream.
        let message = json!({"channelId": "call-c1", "message": "Hi"});
        let sent = app.post("/message/send", "bob", message).await;
        assert_eq!(sent.outcome(), (409, "call_ended"));
        let again = app.post("/call/end", "bob", end_body()).await;
        assert_eq!((again.status, &again.body["status"]), (202, &json!("ending")));
        app.stream().clear_faults();
        let ended = app.post("/call/end", "alice", end_body()).await.expect_success();
        assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")));
        assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
    }
}

#[tokio::test]
async fn end_succeeds_if_already_applied_at_stream() {
    let app = TestApp::with_call("c1").await;
    // Stream applies each request, but all responses are lost.
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::DeleteChannel, Fault::AppliedThenLost));
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::AppliedThenLost));
    let ended = app.post("/call/end", "alice", end_body()).await;
    assert_eq!((ended.status, &ended.body["status"]), (202, &json!("ending")));
    app.stream().clear_faults();
    let ended = app.post("/call/end", "alice", end_body()).await.expect_success();
    assert_eq!(ended.body["status"], "ended");
}

#[tokio::test]
async fn mismatched_call_and_channel_are_rejected() {
    let app = TestApp::with_call("c1").await;
    let both = |channel: &str| json!({"callId": "c1", "channelId": channel});
    let mismatch = app.post("/call/end", "alice", both("call-c2")).await;
    assert_eq!(mismatch.outcome(), (400, "call_channel_mismatch"));
    let neither = app.post("/call/end", "alice", json!({})).await;
    assert_eq!(neither.outcome(), (400, "invalid_body"));
    assert_eq!(app.stream().live_calls().len(), 1);
    let _ = app.post("/call/end", "alice", both("call-c1")).await.expect_success();
}

#[tokio::test]
async fn reasons_of_the_service_are_rejected() {
    let app = TestApp::with_call("c1").await;
    for reason in SystemEndReason::ALL {
        let body = json!({"callId": "c1", "reason": reason.as_str()});
        let rejected = app.post("/call/end", "alice", body).await;
        assert_eq!(rejected.outcome(), (400, "invalid_body"), "{reason:?}");
    }
    assert_eq!(app.stream().live_calls().len(), 1);
}

#[tokio::test]
async fn end_names_its_actor() {
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    let _ = app.post("/call/end", "bob", end_body()).await.expect_success();
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(call["endedBy"], json!({"kind": "user", "userId": "bob"}));
    // No member has joined.
    assert_eq!(
        [&call["answered"], &call["durationSeconds"], &call["talkSeconds"], &call["settled"]],
        [&json!(false), &json!(0), &json!(0), &json!(false)]
    );
}

#[tokio::test]
async fn partially_failed_end_stays_ending() {
    for operation in [Operation::EndCall, Operation::DeleteChannel] {
        let app = TestApp::with_call("c1").await;
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(503)));
        let ending = app.post("/call/end", "alice", end_body()).await;
        assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")), "{operation}");
        assert_eq!(app.get_item("CALL#c1", "CALL").await["state"], json!({"S": "ending"}));
    }
}

/// Stream may reject the end of a call that has already ended.
#[tokio::test]
async fn end_rejected_by_stream_succeeds_only_if_the_call_has_ended() {
    let app = TestApp::with_call("c1").await;
    // The call ends, but three responses are lost. Then Stream rejects the requests.
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::EndCall, Fault::AppliedThenLost).times(3));
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(400)).skip_first(3));
    let ending = app.post("/call/end", "alice", end_body()).await;
    assert_eq!(ending.status, 202);
    let ended = app.post("/call/end", "alice", end_body()).await;
    assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")));

    // If the call has not ended at Stream, the rejection is a failure.
    let app = TestApp::with_call("c1").await;
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(400)));
    let ending = app.post("/call/end", "alice", end_body()).await;
    assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
}
