//! The number of requests to DynamoDB and Stream for each endpoint.

use e2e::TestApp;
use local::{Options, UserLimits};
use serde_json::json;

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
    let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
    assert_eq!(cost(Box::pin(app.post("/call/quality/c1", "alice", report))).await, (4, 0));
    assert_eq!(cost(Box::pin(app.get("/call/quality/c1", "alice"))).await, (5, 1));
    assert_eq!(cost(Box::pin(app.get("/config", "alice"))).await, (0, 0));
    assert_eq!(cost(Box::pin(app.get("/config?deep=true", "alice"))).await, (1, 2));
    let end = json!({"callId": "c1"});
    let call_token = json!({"callId": "c1"});
    assert_eq!(cost(Box::pin(app.post("/token", "alice", call_token))).await, (3, 0));
    assert_eq!(cost(Box::pin(app.post("/call/end", "alice", end))).await, (4, 2));
    assert_eq!(cost(Box::pin(app.post("/token/revoke", "alice", json!({})))).await, (2, 1));
    // One call of Alice's, its quality data, its summary, and five requests of the erasure itself.
    assert_eq!(cost(Box::pin(app.delete("/user/alice", "alice"))).await, (9, 3));
}
