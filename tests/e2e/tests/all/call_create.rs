//! Creating calls: idempotent and safe under concurrency.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::{join, join_all};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

fn create_body(id: &str) -> Value {
    json!({"receiverId": "bob", "callId": id})
}

/// The fields that are equal in all responses for a call.
fn call_fields(response: &TestResponse) -> Value {
    let mut body = response.body_without_instance();
    for key in ["created", "message", "rung"] {
        body.as_object_mut().unwrap().remove(key);
    }
    body
}

#[tokio::test]
async fn twenty_concurrent_creates_make_one_call() {
    let app = TestApp::with_options(Options { max_instances: 8, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let responses =
        join_all((0..20).map(|_| app.post("/call/create", "alice", create_body("c1")))).await;
    let responses: Vec<_> = responses.into_iter().map(TestResponse::expect_success).collect();
    for response in &responses {
        assert_eq!(call_fields(response), call_fields(&responses[0]));
    }
    let created = responses.iter().filter(|response| response.body["created"] == true).count();
    assert_eq!(created, 1);
    assert_eq!((app.stream().channels_created(), app.stream().calls_created()), (1, 1));
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
}

#[tokio::test]
async fn repeated_create_returns_the_same_call() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let first = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    app.reset_counts();
    let again = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    assert_eq!(call_fields(&again), call_fields(&first));
    assert_eq!((&first.body["created"], &again.body["created"]), (&json!(true), &json!(false)));
    assert_eq!(app.counts().1, 0);
}

#[tokio::test]
async fn reused_call_id_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    let _ = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    let before = (app.stream().snapshot(), app.get_item("CALL#c1", "CALL").await);
    for body in [
        json!({"receiverId": "carol", "callId": "c1"}),
        json!({"receiverId": "bob", "callId": "c1", "callType": "voice"}),
        json!({"receiverId": "bob", "callId": "c1", "custom": {"price": 3}}),
        json!({"memberIds": ["bob", "carol"], "callId": "c1"}),
    ] {
        let response = app.post("/call/create", "alice", body).await;
        assert_eq!(response.outcome(), (409, "call_id_reused"));
    }
    let bobs_create = json!({"receiverId": "carol", "callId": "c1"});
    let response = app.post("/call/create", "bob", bobs_create).await;
    assert_eq!(response.outcome(), (404, "call_not_found"));
    assert_eq!((app.stream().snapshot(), app.get_item("CALL#c1", "CALL").await), before);
}

#[tokio::test]
async fn create_with_the_id_of_an_ended_call_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let _ = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    let response = app.post("/call/create", "alice", create_body("c1")).await;
    assert_eq!(response.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn create_with_the_id_of_a_call_ended_at_stream_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let _ = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.delete_item("CALL#c1", "CALL").await;
    let response = app.post("/call/create", "alice", create_body("c1")).await;
    assert_eq!(response.outcome(), (409, "call_ended"));
    assert!(app.stream().live_channels().is_empty());
    app.reset_counts();
    let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    assert_eq!((&ended.body["status"], app.counts()), (&json!("ended"), (1, 0)));
}

/// Stream resources of another user with the same id are neither taken over nor deleted.
#[tokio::test]
async fn foreign_stream_resources_are_not_changed() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "mallory"]).await;
    // A channel of another creator, or without the owner tag.
    for (id, creator) in [("c1", "mallory"), ("c3", "stream-functions")] {
        let foreign = json!({"data": {"created_by_id": creator}});
        app.post_to_stream(&format!("chat/channels/messaging/call-{id}/query"), &foreign).await;
        let before = app.stream().snapshot();
        let response = app.post("/call/create", "alice", create_body(id)).await;
        assert_eq!(response.outcome(), (409, "call_id_reused"), "{id}");
        assert!(app.stream().snapshot() == before, "{id}");
        assert!(app.get_item(&format!("CALL#{id}"), "CALL").await.is_null());
    }

    // The channel is new, and only the call belongs to another user. The channel is deleted again.
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(503)));
    let parallel = json!({"receiverId": "bob", "callId": "c2", "allowParallel": true});
    let _ = app.post("/call/create", "mallory", parallel.clone()).await.expect_success();
    let _ = app.post("/call/end", "mallory", json!({"callId": "c2"})).await;
    app.stream().clear_faults();
    app.delete_item("CALL#c2", "CALL").await;
    let response = app.post("/call/create", "alice", parallel).await;
    assert_eq!(response.outcome(), (409, "call_id_reused"));
    assert!(app.stream().channel("messaging:call-c2").is_none());
    assert_eq!(app.stream().call("default:c2").unwrap().ended_at, None);
    assert!(app.get_item("CALL#c2", "CALL").await.is_null());
}

#[tokio::test]
async fn unknown_members_are_listed_and_nothing_is_created() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    app.reset_counts();
    let create = json!({"memberIds": ["bob", "carol"], "callId": "c1"});
    let response = app.post("/call/create", "alice", create.clone()).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    assert_eq!(response.body["detail"], "upsert these users first: bob, carol");
    assert_eq!(app.counts().1, 0);
    let end = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!(end.outcome(), (404, "call_not_found"));
    // The id is not used up: the same request works once they are known.
    app.provision_users(&["bob", "carol"]).await;
    let _ = app.post("/call/create", "alice", create).await.expect_success();
}

#[tokio::test]
async fn user_deleted_at_stream_is_not_found() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.stream().delete_user("bob");
    let response = app.post("/call/create", "alice", create_body("c1")).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    assert!(app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn idempotency_key_is_scoped_to_the_user() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let create = async |user: &str, key: &str, body: Value| {
        let token = format!("Bearer {}", app.stack().token_for(user));
        let headers = [("authorization", token.as_str()), ("idempotency-key", key)];
        app.post_with_headers("/call/create", &headers, &body.to_string()).await
    };
    let to = |user: &str| json!({"receiverId": user, "allowParallel": true});
    let first = create("alice", "tap-1", to("bob")).await.expect_success();
    let again = create("alice", "tap-1", to("bob")).await.expect_success();
    assert_eq!(call_fields(&again), call_fields(&first));
    let other = create("alice", "tap-2", to("bob")).await.expect_success();
    assert_ne!(other.body["callId"], first.body["callId"]);
    let bobs = create("bob", "tap-1", to("alice")).await.expect_success();
    assert_ne!(bobs.body["callId"], first.body["callId"]);
    let ringing = json!({"receiverId": "bob", "allowParallel": true, "ring": true});
    let changed = create("alice", "tap-1", ringing).await;
    assert_eq!(changed.outcome(), (409, "call_id_reused"));
    let empty = create("alice", "", to("bob")).await;
    assert_eq!(empty.outcome(), (400, "invalid_header"));
}

/// A request of Bob's with the key `tap-1`.
async fn keyed_create(app: &TestApp, body: Value) -> TestResponse {
    let token = format!("Bearer {}", app.stack().token_for("bob"));
    let headers = [("authorization", token.as_str()), ("idempotency-key", "tap-1")];
    app.post_with_headers("/call/create", &headers, &body.to_string()).await
}

#[tokio::test]
async fn repeated_key_returns_the_call_that_answered_the_first_request() {
    let app = TestApp::with_call("c1").await;
    let body = json!({"receiverId": "alice", "ring": true});
    let first = keyed_create(&app, body.clone()).await.expect_success().body;
    assert_eq!((&first["callId"], &first["created"]), (&json!("c1"), &json!(false)));
    app.advance_time(Duration::from_secs(20)).await;
    // The repeat sends one read more than a repeat of a created call, and nothing to Stream.
    app.reset_counts();
    let again = keyed_create(&app, body.clone()).await.expect_success().body;
    assert_eq!(
        (&again["callId"], &again["created"], &again["rung"]),
        (&json!("c1"), &json!(false), &json!(false))
    );
    assert_eq!(app.counts(), (4, 0));
    let other = keyed_create(&app, json!({"receiverId": "alice"})).await;
    assert_eq!(other.outcome(), (409, "call_id_reused"));

    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    assert_eq!(keyed_create(&app, body.clone()).await.outcome(), (409, "call_ended"));
    // The rejected repeat leaves no pointer behind.
    let next = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await;
    assert_eq!(next.expect_success().body["created"], json!(true));
    assert_eq!(keyed_create(&app, body.clone()).await.outcome(), (409, "call_ended"));
}

#[tokio::test]
async fn key_is_free_again_after_a_day() {
    let app = TestApp::with_call("c1").await;
    let body = json!({"receiverId": "alice"});
    let _ = keyed_create(&app, body.clone()).await.expect_success();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_time(Duration::from_mins(24 * 60 - 1)).await;
    assert_eq!(keyed_create(&app, body.clone()).await.outcome(), (409, "call_ended"));
    app.advance_time(Duration::from_mins(1)).await;
    // The table has not deleted the alias yet.
    let created = keyed_create(&app, body).await.expect_success().body;
    assert_eq!((&created["created"], &created["status"]), (&json!(true), &json!("active")));
}

#[tokio::test]
async fn creates_without_call_id_make_separate_calls() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let body =
        json!({"memberIds": ["bob"], "callType": "audio", "ring": true, "allowParallel": true});
    let first = app.post("/call/create", "alice", body.clone()).await.expect_success().body;
    let second = app.post("/call/create", "alice", body).await.expect_success().body;
    assert_ne!(first["callId"], second["callId"]);
    assert_eq!(first["callType"], "voice");
    assert_eq!(first["callSettings"]["video"], false);
    assert_eq!(app.stream().call(first["callCid"].as_str().unwrap()).unwrap().rings, 1);
}

#[tokio::test]
async fn retry_resumes_a_partially_failed_create() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::GetOrCreateCall, Fault::Status(503)));
    let failed = app.post("/call/create", "alice", create_body("c1")).await;
    assert_eq!(failed.outcome(), (503, "stream_unavailable"));
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let response = app.post("/message/send", "alice", message).await;
    assert_eq!(response.outcome(), (409, "call_not_active"));
    app.stream().clear_faults();
    let resumed = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    assert_eq!(
        (&resumed.body["created"], &resumed.body["status"]),
        (&json!(true), &json!("active"))
    );
    assert_eq!(app.stream().live_channels().len(), 1);
}

#[tokio::test]
async fn end_during_create_wins() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.stream().add_fault(FaultRule::for_operation(
        Operation::GetOrCreateCall,
        Fault::Slow(Duration::from_secs(1)),
    ));
    let create = app.post("/call/create", "alice", create_body("c1"));
    let end = async {
        // As soon as the channel is there, the call is remembered and may be ended.
        while app.stream().live_channels().is_empty() {
            tokio::task::yield_now().await;
        }
        app.post("/call/end", "bob", json!({"callId": "c1"})).await
    };
    let (created, ended) = join(create, end).await;
    assert_eq!(ended.outcome(), (200, ""));
    assert_eq!(created.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}
