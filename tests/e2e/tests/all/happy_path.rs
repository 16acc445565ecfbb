//! The endpoints, used like an app uses them.

use e2e::{FUNCTIONS, TestApp, sample_event};
use serde_json::json;

#[tokio::test]
async fn full_call_lifecycle_succeeds() {
    let app = TestApp::start().await;

    let user = app
        .post(
            "/user/upsert",
            "alice",
            json!({"userData": {"name": "Alice", "custom": {"plan": 1}}}),
        )
        .await
        .expect_success();
    assert_eq!(
        user.body["user"],
        json!({"id": "alice", "name": "Alice", "custom": {"plan": 1}, "role": "user"})
    );

    let token = app.post("/token", "alice", json!({})).await.expect_success().body;
    assert_eq!(token["userId"], "alice");
    assert_eq!(token["apiKey"], local::STREAM_API_KEY);
    let accepted = app.stream().check_user_token(token["token"].as_str().unwrap()).unwrap();
    assert_eq!(accepted.user_id, "alice");

    app.provision_users(&["bob"]).await;
    let call = app
        .post("/call/create", "alice", json!({"receiverId": "bob", "callId": "c1"}))
        .await
        .expect_success()
        .body;
    let expected = json!({
        "error": false,
        "message": "Call created",
        "callId": "c1",
        "callCid": "default:c1",
        "channelId": "call-c1",
        "channelCid": "messaging:call-c1",
        "callType": "video",
        "members": ["alice", "bob"],
        "callSettings": {
            "audio": true,
            "video": true,
            "screen_sharing": true,
            "recording": false,
            "transcribing": false,
        },
        "status": "active",
        "answered": false,
        "settled": false,
        "created": true,
        "rung": false,
        "createdAt": call["createdAt"],
    });
    assert_eq!(call, expected);
    assert_eq!(app.stream().channel("messaging:call-c1").unwrap().members, ["alice", "bob"]);
    let live = app.stream().call("default:c1").unwrap();
    assert_eq!(live.channel_cid.as_deref(), Some("messaging:call-c1"));
    assert_eq!(live.max_duration_seconds, Some(14_400));
    assert_eq!(live.inactivity_timeout_seconds, Some(300));

    let message = json!({"channelId": "call-c1", "message": "Hello"});
    let sent = app.post("/message/send", "bob", message).await.expect_success().body;
    assert_eq!(sent["messageData"]["text"], "Hello");
    assert_eq!(sent["messageData"]["user"]["id"], "bob");

    let list = app.get("/message/call-c1", "alice").await.expect_success().body;
    assert_eq!(list["messages"], json!([sent["messageData"]]));
    assert_eq!(list["hasMore"], false);

    let mut again = app.get("/call/c1", "bob").await.expect_success().body;
    again["created"] = json!(true);
    again["rung"] = json!(false);
    again["message"] = json!("Call created");
    assert_eq!(again, expected);

    let quality = app.get("/call/quality/c1", "alice").await.expect_success().body;
    assert_eq!(quality["quality"]["callId"], "c1");
    assert_eq!(quality["quality"]["quality"], "unknown");

    let config = app.get("/config", "alice").await.expect_success().body;
    assert_eq!(config["config"]["isConfigured"], true);

    let ended =
        app.post("/call/end", "alice", json!({"channelId": "call-c1"})).await.expect_success().body;
    assert_eq!((&ended["status"], &ended["callId"]), (&json!("ended"), &json!("c1")));
    assert!(app.stream().live_channels().is_empty());
    assert!(app.stream().live_calls().is_empty());

    let ended_call = app.get("/call/c1", "bob").await.expect_success().body;
    assert_eq!(
        (&ended_call["status"], &ended_call["endReason"]),
        (&json!("ended"), &json!("ended"))
    );
    assert!(ended_call["endedAt"].as_str() > ended_call["createdAt"].as_str());
}

/// The sample events for `cargo lambda invoke` succeed in this order. A service provisions Bob, and
/// the other requests are Alice's.
#[tokio::test]
async fn every_sample_event_succeeds() {
    let app = TestApp::start().await;
    for function in FUNCTIONS {
        let response = app.invoke(function, sample_event(function)).await;
        assert_eq!((response.status, &response.body["error"]), (200, &json!(false)), "{function}");
    }
}
