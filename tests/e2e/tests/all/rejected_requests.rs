//! Invalid requests are rejected with an error code, change nothing, and do not end the function.

use e2e::{FUNCTIONS, TestApp, sample_event, send_raw};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn invalid_events_are_rejected_by_every_function() {
    let app = TestApp::start().await;
    for function in FUNCTIONS {
        let event_with = |change: &dyn Fn(&mut Value)| {
            let mut event = sample_event(function);
            change(&mut event);
            event
        };
        let event_with_path =
            |path: &'static str| event_with(&|event| event["rawPath"] = json!(path));
        let event_with_body = |body: &'static str, base64: bool| {
            event_with(&|event| {
                event["body"] = json!(body);
                event["isBase64Encoded"] = json!(base64);
            })
        };
        let large = event_with(&|event| event["body"] = json!("x".repeat(65_537)));
        let cases = [
            (event_with_path("/api/../stream/token"), 400, "invalid_path"),
            (event_with_path("/api/stream/%2e%2e/token"), 400, "invalid_path"),
            (event_with_path("/api//stream/token"), 400, "invalid_path"),
            (event_with_path("/api/stream/a%2fb"), 400, "invalid_path"),
            (event_with_path("/api\\stream"), 400, "invalid_path"),
            (event_with_path("/api/stream/\u{0}"), 400, "invalid_path"),
            (event_with_path(""), 400, "invalid_path"),
            (event_with_body("!!!not base64!!!", true), 400, "invalid_request"),
            (large, 413, "body_too_large"),
            (json!({}), 400, "invalid_request"),
            (json!([]), 400, "invalid_request"),
            (json!("event"), 400, "invalid_request"),
            (Value::Null, 400, "invalid_request"),
            (event_with(&|event| event["headers"]["x"] = json!(7)), 400, "invalid_request"),
            (event_with(&|event| event["headers"] = json!({})), 401, "unauthenticated"),
            (event_with(&|event| event["headers"] = Value::Null), 401, "unauthenticated"),
            (event_with(&|event| append_to_token(event, "\u{e9}")), 401, "unauthenticated"),
            (event_with(&|event| append_to_token(event, "\u{7}")), 401, "unauthenticated"),
            (event_with(&|event| append_to_token(event, ",Bearer x")), 401, "unauthenticated"),
        ];
        for (n, (event, status, code)) in cases.into_iter().enumerate() {
            let response = app.invoke(function, event).await;
            assert_eq!(response.outcome(), (status, code), "{function} case {n}");
        }
    }
    assert_eq!(app.counts(), (0, 0));
    // Each function still has its first process.
    assert_eq!(app.stack().process_ids().len(), FUNCTIONS.len());
}

fn append_to_token(event: &mut Value, tail: &str) {
    let header = &mut event["headers"]["authorization"];
    *header = json!(format!("{}{tail}", header.as_str().unwrap()));
}

/// Inputs on which the conversion of `lambda_http` panics, or which it rejects or changes (ADR
/// 0002). A function ignores them and handles the rest of the event.
#[tokio::test]
async fn inputs_that_break_lambda_http_are_handled() {
    let app = TestApp::start().await;
    let long = "a".repeat(65_537);
    let headers = [
        ("host", "["),
        ("host", "a b"),
        ("host", "a%zz"),
        ("host", "a.b:99999"),
        ("host", "xn--a"),
        ("host", "256.256.256.256"),
        ("x-forwarded-proto", "a b"),
        ("x-forwarded-proto", ""),
        ("x-forwarded-proto", "https,http"),
        ("x-control", "a\u{1}b\u{7f}"),
        ("x-non-ascii", "caf\u{e9} \u{1f600}"),
        ("bad name", "a"),
        ("b\u{e4}d", "a"),
        ("", "a"),
    ];
    let queries = ["a=b c", "a=<", "a=\"", "a=\u{0}", "a=b#c", long.as_str()];
    for function in FUNCTIONS {
        let event_with = |change: &dyn Fn(&mut Value)| {
            let mut event = sample_event(function);
            // The token is checked after the event is read, so its rejection shows that the event
            // was read.
            event["headers"]["authorization"] = json!("Bearer x");
            change(&mut event);
            event
        };
        let mut events = vec![
            event_with(&|event| event["rawPath"] = json!(format!("/api/stream/{long}"))),
            event_with(&|event| event["requestContext"]["stage"] = json!("prod")),
            event_with(&|event| event["requestContext"]["http"]["method"] = json!("G@T")),
        ];
        events.extend(
            headers.map(|(name, value)| event_with(&|event| event["headers"][name] = json!(value))),
        );
        events.extend(
            queries.map(|query| event_with(&|event| event["rawQueryString"] = json!(query))),
        );
        for (n, event) in events.into_iter().enumerate() {
            let response = app.invoke(function, event).await;
            assert_eq!(response.outcome(), (401, "unauthenticated"), "{function} event {n}");
        }
    }
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(app.stack().process_ids().len(), FUNCTIONS.len());
}

/// `Uri` ends a query at `#`, so the function reads it from the event.
#[tokio::test]
async fn query_is_not_cut_at_a_number_sign() {
    let app = TestApp::start().await;
    for (query, outcome) in [("deep=false", (200, "")), ("deep=false#x", (400, "invalid_query"))] {
        let mut event = sample_event("config");
        event["rawQueryString"] = json!(query);
        assert_eq!(app.invoke("config", event).await.outcome(), outcome, "{query}");
    }
}

#[tokio::test]
async fn non_ascii_header_is_accepted() {
    let app = TestApp::start().await;
    let mut event = sample_event("token");
    event["headers"]["user-agent"] = json!("caf\u{e9} \u{1f600}");
    assert_eq!(app.invoke("token", event).await.outcome(), (200, ""));
}

#[tokio::test]
async fn invalid_bodies_are_rejected_by_every_function() {
    let app = TestApp::start().await;
    let before = app.stream().snapshot();
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let large = format!("{{\"userId\":\"{}\"}}", "x".repeat(65_530));
    let deep = "[".repeat(10_000);
    for path in ["/token", "/user/upsert", "/call/create", "/call/end", "/message/send"] {
        for (body, status, code) in [
            ("[]", 400, "invalid_json"),
            ("\"text\"", 400, "invalid_json"),
            ("{", 400, "invalid_json"),
            ("{}{}", 400, "invalid_json"),
            ("null", 400, "invalid_json"),
            ("\u{0}", 400, "invalid_json"),
            (r#"{"userId":"alice","userId":"bob"}"#, 400, "invalid_json"),
            (r#"{"custom":{"a":1,"a":2}}"#, 400, "invalid_json"),
            (r#"{"custom":{"$serde_json::private::RawValue":"{}"}}"#, 400, "invalid_json"),
            (deep.as_str(), 400, "invalid_json"),
            (r#"{"nonsense":1}"#, 400, "invalid_body"),
            (r#"{"__proto__":{}}"#, 400, "invalid_body"),
            (large.as_str(), 413, "body_too_large"),
        ] {
            let response = app.post_with_headers(path, &[("authorization", &token)], body).await;
            assert_eq!(response.outcome(), (status, code), "{path} {body:.40}");
        }
        let form = [("authorization", token.as_str()), ("content-type", "text/plain")];
        let response = app.send(Method::POST, path, &form, "{}").await;
        assert_eq!(response.outcome(), (415, "unsupported_media_type"), "{path}");
    }
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(app.stream().snapshot(), before);
}

#[tokio::test]
async fn body_of_exactly_64_kib_is_accepted() {
    let app = TestApp::start().await;
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    for (padding, code) in [(65_536 - 2, 200), (65_536 - 1, 413)] {
        let body = format!("{{{}}}", " ".repeat(padding));
        let response = app.post_with_headers("/token", &[("authorization", &token)], &body).await;
        assert_eq!(response.status, code);
    }
}

#[tokio::test]
async fn invalid_ids_are_rejected() {
    let app = TestApp::start().await;
    let long = "x".repeat(60);
    for id in ["", "a b", "a/b", "a.b", "caf\u{e9}", "a\u{0}", "../x", "%2e", long.as_str()] {
        for (path, body) in [
            ("/call/create", json!({"receiverId": "bob", "callId": id})),
            ("/call/end", json!({"callId": id})),
            ("/call/end", json!({"channelId": format!("call-{id}")})),
            ("/message/send", json!({"channelId": format!("call-{id}"), "message": "x"})),
        ] {
            let response = app.post(path, "alice", body).await;
            assert_eq!(response.outcome(), (400, "invalid_body"), "{path} {id:?}");
        }
    }
    for path in [
        "/call/a.b",
        "/call/quality/a.b",
        "/call/quality/a%20b",
        "/message/other-c1",
        "/message/call-",
    ] {
        let response = app.get(path, "alice").await;
        assert_eq!(response.outcome(), (400, "invalid_id"), "{path}");
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn invalid_raw_requests_are_rejected() {
    let app = TestApp::start().await;
    let token = app.stack().token_for("alice");
    let url = app.stack().api_url().to_owned();
    let request = |line: &str, host: &str, body: &str| {
        format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    for (line, host, body, code) in [
        // A function's response has a code, and the gateway's own response has none.
        ("GET /api/stream/config?deep=a%20b", "[", "", "invalid_query"),
        ("GET /api/stream/config?deep=a%20b", "a b", "", "invalid_query"),
        ("GET /api/stream/message/call-a%2f..%2fb", "localhost", "", "invalid_path"),
        ("GET /api/stream/message/%2e%2e", "localhost", "", "invalid_path"),
        ("GET /api/stream/message/..", "localhost", "", "invalid_path"),
        ("GET /api/stream//config", "localhost", "", ""),
        ("GET /api/stream/call/quality/a%00b", "localhost", "", "invalid_path"),
        ("GET /api/stream/call/quality/a%20b", "localhost", "", "invalid_id"),
        ("GET /api/stream/config?deep=true&deep=true", "localhost", "", "invalid_query"),
        ("GET /api/stream/config?deep=maybe", "localhost", "", "invalid_query"),
        ("GET /api/stream/nothing", "localhost", "", ""),
        ("DELETE /api/stream/token", "localhost", "", ""),
    ] {
        let response = send_raw(&url, request(line, host, body).as_bytes()).await.unwrap();
        let status = response.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('4'), "{line} {host}: {response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"].as_str().unwrap_or_default(), code, "{line} {host}");
    }
    assert_eq!(app.counts(), (0, 0));
    let _ = app.get("/config", "alice").await.expect_success();
}
