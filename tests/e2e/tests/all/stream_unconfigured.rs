//! Without Stream's credentials, the functions start and report what is missing.

use e2e::TestApp;
use local::{Options, StreamChoice};
use serde_json::json;

#[tokio::test]
async fn every_route_except_config_returns_stream_not_configured() {
    let app =
        TestApp::with_options(Options { stream: StreamChoice::Unconfigured, ..Options::default() })
            .await;
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    for (path, body) in [
        ("/token", json!({})),
        ("/user/upsert", json!({"userData": {}})),
        ("/call/create", json!({"receiverId": "bob"})),
        ("/call/end", json!({"callId": "c1"})),
        ("/call/c1/extend", json!({"maxDurationSeconds": 600})),
        ("/message/send", message),
        ("/token/revoke", json!({})),
        ("/call/quality/c1", json!({"samples": [{"timestamp": 1_767_225_600_000_i64}]})),
    ] {
        let response = app.post(path, "alice", body).await;
        assert_eq!(response.outcome(), (503, "stream_not_configured"), "{path}");
        let unsigned = app.post_with_headers(path, &[], "{}").await;
        assert_eq!(unsigned.outcome(), (401, "unauthenticated"), "{path}");
    }
    for path in ["/call/c1", "/call/quality/c1", "/message/call-c1", "/health"] {
        let response = app.get(path, "alice").await;
        assert_eq!(response.outcome(), (503, "stream_not_configured"), "{path}");
    }
    let deleted = app.delete("/user/alice", "alice").await;
    assert_eq!(deleted.outcome(), (503, "stream_not_configured"));
    assert_eq!(app.counts(), (0, 0));

    let config =
        app.get("/config?deep=true", "alice").await.expect_success().body["config"].clone();
    assert_eq!(config["isConfigured"], false);
    assert_eq!(config["hasApiSecret"], false);
    assert_eq!(config["missing"], json!(["STREAM_API_KEY", "STREAM_API_SECRET"]));
    assert_eq!(config["checks"]["stream"]["code"], "stream_not_configured");
    assert_eq!(config["checks"]["dynamodb"]["ok"], true);
}
