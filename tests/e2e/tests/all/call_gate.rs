//! The gate: who may create calls, who owns them, and how long they last.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::TestApp;
use http::Method;
use local::{Options, UserLimits};
use serde_json::{Value, json};
use stream_emulator::Operation;

const NO_REQUESTS: (u64, u64) = (0, 0);

/// A text of RFC 3339 as milliseconds since 1970.
fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

fn to_millis(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn restricted_creators_are_checked_before_any_request() {
    let options = Options {
        env: [("CALL_CREATORS".to_owned(), "service".to_owned())].into(),
        user_limits: UserLimits::Default,
        ..Options::default()
    };
    let app = TestApp::with_options(options).await;
    app.provision_users(&["alice", "bob"]).await;
    let before = app.scan_table().await;
    app.reset_counts();
    for body in [
        json!({"receiverId": "bob", "callId": "c1"}),
        json!({"receiverId": "bob", "callId": "c1", "ownerId": "alice"}),
        json!({"receiverId": "nemo", "callId": "c1", "ownerId": "bob"}),
    ] {
        let response = app.post("/call/create", "alice", body).await;
        assert_eq!(response.outcome(), (403, "creators_restricted"));
    }
    // A service must name the user who calls.
    let response = app.post_as_service("/call/create", json!({"receiverId": "bob"})).await;
    assert_eq!(response.outcome(), (400, "invalid_body"));
    assert_eq!(response.body["errors"][0]["pointer"], "/ownerId");
    // No member was read, and no request was counted.
    assert_eq!(app.counts(), NO_REQUESTS);
    assert_eq!(app.scan_table().await, before);

    let create = json!({"receiverId": "bob", "callId": "c1", "ownerId": "alice"});
    let created = app.post_as_service("/call/create", create).await.expect_success();
    assert_eq!(created.body["members"], json!(["alice", "bob"]));
}

#[tokio::test]
async fn owner_named_by_a_service_owns_the_call() {
    let app =
        TestApp::with_options(Options { user_limits: UserLimits::Default, ..Options::default() })
            .await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"memberIds": ["bob", "alice"], "callId": "c1", "ownerId": "alice"});
    let created = app.post_as_service("/call/create", create).await.expect_success();
    assert_eq!(created.body["members"], json!(["alice", "bob"]));
    assert_eq!(app.stream().call("default:c1").unwrap().created_by, "alice");
    assert_eq!(app.get_call_item("c1").await["owner"]["S"], "alice");
    // The service is not a member.
    let _ = app.get("/call/c1", "alice").await.expect_success();
    let _ = app.get("/call/c1", "bob").await.expect_success();
    // The requests of a service are not counted.
    let counters = app.scan_table().await;
    let is_counter = |item: &&Value| item["pk"]["S"].as_str().unwrap().contains("billing");
    assert_eq!(counters.iter().find(is_counter), None);
}

#[tokio::test]
async fn owner_must_be_a_known_user() {
    let app = TestApp::start().await;
    app.provision_users(&["bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "ownerId": "alice"});
    let response = app.post_as_service("/call/create", create.clone()).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    assert_eq!(response.body["detail"], "upsert these users first: alice");
    assert!(app.get_call_item("c1").await.is_null());
    app.provision_users(&["alice"]).await;
    let _ = app.post_as_service("/call/create", create).await.expect_success();
    // The owner is not a second member.
    let own = json!({"receiverId": "alice", "ownerId": "alice"});
    let response = app.post_as_service("/call/create", own).await;
    assert_eq!(response.outcome(), (400, "invalid_body"));
}

#[tokio::test]
async fn user_may_name_only_the_own_id_as_owner() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    app.reset_counts();
    let response =
        app.post("/call/create", "alice", json!({"receiverId": "carol", "ownerId": "bob"})).await;
    assert_eq!(response.outcome(), (403, "user_mismatch"));
    assert_eq!(app.counts(), NO_REQUESTS);
    let own = json!({"receiverId": "bob", "ownerId": "alice", "callId": "c1"});
    let created = app.post("/call/create", "alice", own).await.expect_success();
    assert_eq!(created.body["members"], json!(["alice", "bob"]));
    // It is the same request as one without the owner.
    let again = json!({"receiverId": "bob", "callId": "c1"});
    let again = app.post("/call/create", "alice", again).await.expect_success();
    assert_eq!(again.body["created"], false);
}

#[tokio::test]
async fn idempotency_key_is_scoped_to_the_owner() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    let service = app.service_authorization();
    let create = async |owner: &str| {
        let headers = [("authorization", service.as_str()), ("idempotency-key", "tap-1")];
        let body = json!({"receiverId": "bob", "ownerId": owner, "allowParallel": true});
        let response = app.post_with_headers("/call/create", &headers, &body.to_string()).await;
        response.expect_success().body
    };
    let (first, again, other) =
        (create("alice").await, create("alice").await, create("carol").await);
    assert_eq!((&first["callId"], &again["created"]), (&again["callId"], &json!(false)));
    assert_ne!(first["callId"], other["callId"]);
    // The owner's own request with the key is the same call.
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let headers = [("authorization", token.as_str()), ("idempotency-key", "tap-1")];
    let body = json!({"receiverId": "bob", "allowParallel": true}).to_string();
    let own = app.post_with_headers("/call/create", &headers, &body).await.expect_success();
    assert_eq!(own.body["callId"], first["callId"]);
}

#[tokio::test]
async fn max_duration_is_stored_and_sent_to_stream() {
    let app = TestApp::with_env([("CALL_MAX_DURATION_SECONDS", "3600")]).await;
    app.provision_users(&["alice", "bob"]).await;
    for seconds in [json!(59), json!(3_601)] {
        let body = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": seconds});
        for response in [
            app.post("/call/create", "alice", body.clone()).await,
            app.post_as_service("/call/create", body).await,
        ] {
            assert_eq!(response.outcome(), (400, "invalid_body"), "{seconds}");
            assert_eq!(response.body["errors"][0]["pointer"], "/maxDurationSeconds");
        }
    }
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let body = r#"{"receiverId":"bob","callId":"c1","maxDurationSeconds":6e1}"#;
    let headers = [("authorization", token.as_str())];
    let created = app.post_with_headers("/call/create", &headers, body).await.expect_success();
    assert!(created.body["endsAt"].is_null());
    let item = app.get_call_item("c1").await;
    assert_eq!(item["maxDurationSeconds"], json!({"N": "60"}));
    assert_eq!(app.stream().call("default:c1").unwrap().max_duration_seconds, Some(60));
    // The maximum duration is a part of the request.
    for (body, outcome) in [
        (json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 60}), (200, "")),
        (
            json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 61}),
            (409, "call_id_reused"),
        ),
        (json!({"receiverId": "bob", "callId": "c1"}), (409, "call_id_reused")),
    ] {
        let response = app.post("/call/create", "alice", body.clone()).await;
        assert_eq!(response.outcome(), outcome, "{body}");
    }
    // Without it, the call has the configured one.
    app.create_calls(&["c2"]).await;
    assert!(app.get_call_item("c2").await["maxDurationSeconds"].is_null());
    assert_eq!(app.stream().call("default:c2").unwrap().max_duration_seconds, Some(3_600));
}

#[tokio::test]
async fn call_ends_at_stream_by_its_limit_without_any_function() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 60});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    // The time before the first join does not count.
    app.advance_time(Duration::from_secs(30)).await;
    app.stream().join("default:c1", "alice").unwrap();
    let joined_at = app.stream().call("default:c1").unwrap().session_started_at.unwrap();
    app.advance_time(Duration::from_secs(20)).await;
    app.stream().join("default:c1", "bob").unwrap();
    app.advance_time(Duration::from_secs(25)).await;
    assert_eq!(app.stream().call("default:c1").unwrap().ended_at, None);
    // No sweep has run, and no webhook has arrived.
    app.advance_time(Duration::from_secs(25)).await;
    let ended_at = app.stream().call("default:c1").unwrap().ended_at.unwrap();
    assert_eq!(ended_at - joined_at, 60_000_000_000);
    assert_eq!(app.stream().join("default:c1", "alice"), None);

    let sweep = app.sweep().await;
    assert_eq!(sweep["ended"], json!({"too_long": 1}));
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!((&call["status"], &call["endReason"]), (&json!("ended"), &json!("too_long")));
    assert_eq!(millis(&call["endedAt"]), ended_at / 1_000_000);
}

#[tokio::test]
async fn sweeper_ends_a_call_that_stream_does_not_end() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 300});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    app.stream().join("default:c1", "alice").unwrap();
    app.stream().join("default:c1", "bob").unwrap();
    app.stream().webhooks_idle().await;
    let call = app.get("/call/c1", "bob").await.expect_success().body;
    let ends_at = millis(&call["endsAt"]);
    assert_eq!(ends_at - millis(&call["startedAt"]), 300_000);
    // Another service has removed the limit at Stream.
    let overrides = json!({"limits": {"max_duration_seconds": 0}});
    let update = json!({"settings_override": overrides});
    app.send_to_stream(Method::PATCH, "video/call/default/c1", &update).await;
    for _ in 0..6 {
        app.advance_minutes(1).await;
        let item = app.get_call_item("c1").await;
        if item["state"]["S"] == "active" {
            // The next check is not later than the end.
            let due_at: i64 = item["dueAt"]["N"].as_str().unwrap().parse().unwrap();
            assert!(due_at <= ends_at, "{item}");
        }
    }
    let call = app.get("/call/c1", "bob").await.expect_success().body;
    assert_eq!((&call["status"], &call["endReason"]), (&json!("ended"), &json!("too_long")));
    assert_eq!((millis(&call["endsAt"]), millis(&call["endedAt"])), (ends_at, ends_at));
    assert!(to_millis(app.stack().now()) >= ends_at);
    assert!(app.stream().live_calls().is_empty());
}

#[tokio::test]
async fn calls_without_a_limit_of_their_own_have_the_configured_end() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app.stream().join("default:c1", "alice").unwrap();
    app.stream().webhooks_idle().await;
    app.reset_counts();
    let call = app.get("/call/c1", "bob").await.expect_success().body;
    assert_eq!(millis(&call["endsAt"]) - millis(&call["startedAt"]), 14_400_000);
    // A repeated create returns the end, too.
    let again = json!({"receiverId": "bob", "callId": "c1", "allowParallel": true});
    let again = app.post("/call/create", "alice", again).await.expect_success().body;
    assert_eq!(again["endsAt"], call["endsAt"]);
    assert_eq!(app.stream().counts().get(Operation::UpdateCall), 0);
}
