//! Headers and queries by which some servers override the method, the path, the address or the user
//! of a request. None of them has an effect.

use e2e::TestApp;
use http::Method;
use serde_json::{Value, json};

/// Headers that a proxy, a framework or another service may read.
const HEADERS: &[(&str, &str)] = &[
    ("x-http-method-override", "DELETE"),
    ("x-http-method", "DELETE"),
    ("x-method-override", "DELETE"),
    ("x-original-method", "DELETE"),
    ("x-forwarded-method", "DELETE"),
    ("x-original-url", "/api/stream/user/alice"),
    ("x-original-uri", "/api/stream/user/alice"),
    ("x-rewrite-url", "/api/stream/user/alice"),
    ("x-override-url", "/api/stream/user/alice"),
    ("x-forwarded-uri", "/api/stream/user/alice"),
    ("x-forwarded-path", "/api/stream/user/alice"),
    ("x-forwarded-prefix", "/api/stream/user/alice"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-port", "0"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-for", "127.0.0.1, ::1, unknown, \"_hidden\""),
    ("x-forwarded-user", "bob"),
    ("x-real-ip", "127.0.0.1"),
    ("x-client-ip", "127.0.0.1"),
    ("true-client-ip", "127.0.0.1"),
    ("cf-connecting-ip", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;host=evil.example;proto=http;by=bob"),
    ("via", "1.1 evil.example"),
    ("x-host", "evil.example"),
    ("x-user-id", "bob"),
    ("x-remote-user", "bob"),
    ("x-amzn-oidc-identity", "bob"),
    ("x-role", "service"),
    ("x-api-key", "key"),
    ("x-amz-security-token", "token"),
    ("stream-auth-type", "anonymous"),
    ("x-stream-client", "another"),
    ("x-signature", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("cookie", "userId=bob; role=service"),
    ("origin", "https://evil.example"),
    ("access-control-request-method", "DELETE"),
    ("range", "bytes=0-0"),
    ("if-match", "\"x\""),
    ("if-none-match", "*"),
    ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("cache-control", "only-if-cached"),
    ("prefer", "return=minimal"),
    ("accept", "text/html"),
    ("accept-encoding", "br;q=1.0, gzip;q=0.5, *;q=0"),
    ("accept-language", "tlh"),
    ("content-encoding", "gzip"),
    ("max-forwards", "0"),
    ("upgrade-insecure-requests", "1"),
];

/// Paths of GET requests whose responses are always the same.
const PATHS: [&str; 3] = ["/call/c1", "/config", "/message/call-c1"];

/// The table and the state of Stream.
async fn system_state(app: &TestApp) -> (Vec<Value>, Value) {
    (app.scan_table().await, app.stream().snapshot())
}

#[tokio::test]
async fn override_headers_have_no_effect() {
    let app = TestApp::with_call("c1").await;
    let message = json!({"channelId": "call-c1", "message": "Hi", "messageId": "m1"});
    let _ = app.post("/message/send", "alice", message).await.expect_success();
    let mut expected = Vec::new();
    for path in PATHS {
        expected.push(app.get(path, "alice").await.expect_success().body);
    }
    let before = system_state(&app).await;
    let authorization = format!("Bearer {}", app.stack().token_for("alice"));
    for header in HEADERS {
        for copies in [1, 2] {
            let mut headers = vec![*header; copies];
            headers.push(("authorization", authorization.as_str()));
            for (path, expected) in PATHS.iter().zip(&expected) {
                let response = app.send(Method::GET, path, &headers, "").await;
                let received = (response.status, &response.body);
                assert_eq!(received, (200, expected), "{path} {header:?} {copies}");
            }
            let response = app.post_with_headers("/token", &headers, "{}").await;
            let received = (response.status, &response.body["userId"]);
            assert_eq!(received, (200, &json!("alice")), "{header:?} {copies}");
        }
    }
    assert_eq!(system_state(&app).await, before);
}

/// Queries of routes that read none.
const QUERIES: &[&str] = &[
    "_method=DELETE",
    "_METHOD=DELETE",
    "method=DELETE",
    "x-http-method-override=DELETE",
    "userId=bob",
    "callId=c2",
    "role=service",
    "access_token=x",
    "callback=alert",
    "format=svg",
    "a=%00%ff%C3%28",
    "&&==&",
    "%",
    "?",
];

#[tokio::test]
async fn override_queries_have_no_effect() {
    let app = TestApp::with_call("c1").await;
    let expected = app.get("/call/c1", "bob").await.expect_success().body;
    let before = system_state(&app).await;
    for query in QUERIES {
        let call = app.get(&format!("/call/c1?{query}"), "bob").await;
        assert_eq!((call.status, &call.body), (200, &expected), "{query}");
        let token = app.post(&format!("/token?{query}"), "alice", json!({})).await;
        let received = (token.status, &token.body["userId"]);
        assert_eq!(received, (200, &json!("alice")), "{query}");
        // A token names the call of the body only.
        let token = token.body["token"].as_str().unwrap();
        assert!(app.stream().check_user_token(token).unwrap().call_cids.is_empty(), "{query}");
    }
    assert_eq!(system_state(&app).await, before);
}
