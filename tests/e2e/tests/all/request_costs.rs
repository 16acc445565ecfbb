//! The number of requests to DynamoDB and Stream for each endpoint.

use std::time::Duration;

use e2e::TestApp;
use local::{Options, UserLimits, dynamo};
use serde_json::json;
use shared::clock::Timestamp;

#[tokio::test]
async fn every_endpoint_makes_the_documented_number_of_requests() {
    // With the rate limits of a deployment, since counting a request costs a table request.
    let app =
        TestApp::with_options(Options { user_limits: UserLimits::Default, ..Options::default() })
            .await;
    let cost = async |pending: std::pin::Pin<Box<dyn Future<Output = e2e::TestResponse> + '_>>| {
        app.reset_counts();
        let _ = pending.await.expect_success();
        app.counts()
    };
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let upsert = json!({"userData": {"name": "Alice"}});
    let create = json!({"receiverId": "bob", "callId": "c1"});
    app.provision_users(&["bob"]).await;
    // The first token of a user: a read that finds no user, count, merge and the quota of pushes,
    // lookup at Stream, upsert at Stream, confirm.
    assert_eq!(cost(Box::pin(app.post("/token", "alice", json!({})))).await, (5, 2));
    // The first request of a minute, and a later one.
    assert_eq!(cost(Box::pin(app.post("/token", "alice", json!({})))).await, (1, 0));
    assert_eq!(cost(Box::pin(app.post("/token", "alice", json!({})))).await, (2, 0));
    assert_eq!(cost(Box::pin(app.post("/user/upsert", "alice", upsert))).await, (4, 1));
    assert_eq!(cost(Box::pin(app.post("/call/create", "alice", create))).await, (5, 2));
    assert_eq!(cost(Box::pin(app.post("/message/send", "alice", message))).await, (3, 1));
    assert_eq!(cost(Box::pin(app.get("/message/call-c1", "alice"))).await, (2, 1));
    assert_eq!(cost(Box::pin(app.get("/call/c1", "alice"))).await, (2, 0));
    assert_eq!(cost(Box::pin(app.get("/call", "alice"))).await, (2, 0));
    let extend = json!({"maxDurationSeconds": 600});
    assert_eq!(cost(Box::pin(app.post_as_service("/call/c1/extend", extend))).await, (2, 1));
    let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
    assert_eq!(cost(Box::pin(app.post("/call/quality/c1", "alice", report))).await, (4, 0));
    assert_eq!(cost(Box::pin(app.get("/call/quality/c1", "alice"))).await, (6, 1));
    assert_eq!(cost(Box::pin(app.get("/config", "alice"))).await, (0, 0));
    assert_eq!(cost(Box::pin(app.get("/config?deep=true", "alice"))).await, (1, 4));
    let end = json!({"callId": "c1"});
    let call_token = json!({"callId": "c1"});
    assert_eq!(cost(Box::pin(app.post("/token", "alice", call_token))).await, (3, 0));
    assert_eq!(cost(Box::pin(app.post("/call/end", "alice", end))).await, (4, 2));
    let devices = json!({"devices": false});
    assert_eq!(cost(Box::pin(app.post("/token/revoke", "alice", devices))).await, (3, 1));
    // A second revocation in the same second costs one more.
    app.advance_time(Duration::from_secs(2)).await;
    assert_eq!(cost(Box::pin(app.post("/token/revoke", "alice", json!({})))).await, (3, 2));
    // One call of Alice's, its quality data, its summary, and seven requests of the erasure itself.
    assert_eq!(cost(Box::pin(app.delete("/user/alice", "alice"))).await, (11, 3));
}

/// The rounds of requests in sequence. A check that runs beside another request adds none.
#[tokio::test]
async fn requests_in_sequence_are_as_few_as_documented() {
    let app =
        TestApp::with_options(Options { user_limits: UserLimits::Default, ..Options::default() })
            .await;
    app.provision_users(&["alice", "bob"]).await;
    // The first request of a process waits for its first connection.
    let _ = rounds_of_a_call(&app, "c1").await;
    // Slow enough that concurrent requests overlap.
    let slow = dynamo::Fault::Slow(Duration::from_millis(100));
    app.stack().dynamo().inject_fault(dynamo::Rule::always(slow));
    assert_eq!(
        rounds_of_a_call(&app, "c2").await,
        [
            // A later request of the same minute.
            ("/token", 2, 0),
            ("/call/create", 2, 2),
            ("/message/send", 1, 1),
            ("/message/call-c2", 1, 1),
            ("/call/c2", 1, 0),
            ("/call/quality/c2", 2, 0),
            ("/call/quality/c2", 4, 1),
            ("/call/end", 3, 2),
            ("/token/revoke", 3, 2),
        ]
        .map(|(path, rounds, requests)| (path.to_owned(), rounds, requests))
    );
}

/// Each request of a call, with its rounds of requests to DynamoDB and its requests to Stream.
async fn rounds_of_a_call(app: &TestApp, id: &str) -> Vec<(String, u64, u64)> {
    let create = json!({"receiverId": "bob", "callId": id});
    let message = json!({"channelId": format!("call-{id}"), "message": "Hi"});
    let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
    let mut rounds = Vec::new();
    for (path, body) in [
        ("/token".to_owned(), Some(json!({}))),
        ("/call/create".to_owned(), Some(create)),
        ("/message/send".to_owned(), Some(message)),
        (format!("/message/call-{id}"), None),
        (format!("/call/{id}"), None),
        (format!("/call/quality/{id}"), Some(report)),
        (format!("/call/quality/{id}"), None),
        ("/call/end".to_owned(), Some(json!({"callId": id}))),
        ("/token/revoke".to_owned(), Some(json!({}))),
    ] {
        app.reset_counts();
        let response = match body {
            Some(body) => app.post(&path, "alice", body).await,
            None => app.get(&path, "alice").await,
        };
        let _ = response.expect_success();
        rounds.push((path, app.stack().dynamo().rounds(), app.stream().counts().total()));
    }
    rounds
}

/// The callee's pointer leads to an open answered call: the create reads that call and sends
/// `GetCall`.
#[tokio::test]
async fn pointer_to_an_answered_call_costs_one_read_and_one_get_call() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "carol", "dave"]).await;
    // The first request of a process waits for its first connection.
    let first = json!({"receiverId": "carol"});
    let _ = app.post("/call/create", "alice", first).await.expect_success();
    let other = json!({"receiverId": "carol", "callId": "c1"});
    let _ = app.post("/call/create", "bob", other).await.expect_success();
    // By the events both are in the call, but at Stream they are not. So the callee is not busy.
    let now = Timestamp::from_millis(app.now_millis()).to_string();
    for user in ["bob", "carol"] {
        let joined = json!({
            "type": "call.session_participant_joined",
            "created_at": now,
            "call_cid": "default:c1",
            "participant": {
                "user": {"id": user},
                "user_session_id": format!("session-of-{user}"),
                "joined_at": now,
            },
        });
        let _ = app.send_webhook(&joined).await.expect_success();
    }
    assert_eq!(app.get_item("USER#bob", "IN_CALL").await["callId"]["S"], "c1");
    // Slow enough that concurrent requests overlap.
    let slow = dynamo::Fault::Slow(Duration::from_millis(100));
    app.stack().dynamo().inject_fault(dynamo::Rule::always(slow));
    for (callee, rounds, counts) in [("dave", 2, (4, 2)), ("bob", 3, (5, 3))] {
        app.reset_counts();
        let create = json!({"receiverId": callee});
        let created = app.post("/call/create", "alice", create).await.expect_success();
        assert_eq!(created.body["created"], true, "{callee}");
        assert_eq!((app.stack().dynamo().rounds(), app.counts()), (rounds, counts), "{callee}");
    }
    // With `whenBusy`, the pointer is not read.
    app.reset_counts();
    let ring = json!({"receiverId": "bob", "allowParallel": true, "whenBusy": "ring"});
    let _ = app.post("/call/create", "dave", ring).await.expect_success();
    assert_eq!((app.stack().dynamo().rounds(), app.stream().counts().total()), (2, 2));
}
