//! What no app sends: refused with a code, nothing changed, the function alive.

use e2e::{App, FUNCTIONS, event, exchange};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn events_that_are_refused_by_every_function() {
    let app = App::start().await;
    for function in FUNCTIONS {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut event = event(function);
            change(&mut event);
            event
        };
        let path = |path: &'static str| with(&|event| event["rawPath"] = json!(path));
        let host = |host: &'static str| with(&|event| event["headers"]["host"] = json!(host));
        let body = |body: &'static str, base64: bool| {
            with(&|event| {
                event["body"] = json!(body);
                event["isBase64Encoded"] = json!(base64);
            })
        };
        let large = with(&|event| event["body"] = json!("x".repeat(65_537)));
        let cases = [
            (path("/api/../stream/token"), 400, "invalid_path"),
            (path("/api/stream/%2e%2e/token"), 400, "invalid_path"),
            (path("/api//stream/token"), 400, "invalid_path"),
            (path("/api/stream/a%2fb"), 400, "invalid_path"),
            (path("/api\\stream"), 400, "invalid_path"),
            (path("/api/stream/\u{0}"), 400, "invalid_path"),
            (path(""), 400, "invalid_path"),
            (host("["), 400, "invalid_request"),
            (host("a b"), 400, "invalid_request"),
            (body("!!!not base64!!!", true), 400, "invalid_request"),
            (large, 413, "body_too_large"),
            (json!({}), 400, "invalid_request"),
            (json!([]), 400, "invalid_request"),
            (json!("event"), 400, "invalid_request"),
            (Value::Null, 400, "invalid_request"),
            (with(&|event| event["headers"]["x"] = json!(7)), 400, "invalid_request"),
            (with(&|event| event["headers"] = json!({})), 401, "unauthenticated"),
            (with(&|event| event["headers"] = Value::Null), 401, "unauthenticated"),
            (with(&|event| broken_token(event, "\u{e9}")), 401, "unauthenticated"),
            (with(&|event| broken_token(event, "\u{7}")), 401, "unauthenticated"),
            (with(&|event| broken_token(event, ",Bearer x")), 401, "unauthenticated"),
        ];
        for (n, (event, status, code)) in cases.into_iter().enumerate() {
            let answer = app.invoke(function, event).await;
            assert_eq!(answer.outcome(), (status, code), "{function} case {n}");
        }
    }
    assert_eq!(app.counts(), (0, 0));
    // None of them has ended its function: there is one process of each.
    assert_eq!(app.stack().instances().len(), FUNCTIONS.len());
}

fn broken_token(event: &mut Value, tail: &str) {
    let header = &mut event["headers"]["authorization"];
    *header = json!(format!("{}{tail}", header.as_str().unwrap()));
}

/// What nobody reads does no harm.
#[tokio::test]
async fn a_header_that_is_not_ascii_is_let_pass() {
    let app = App::start().await;
    let mut event = event("token");
    event["headers"]["user-agent"] = json!("caf\u{e9} \u{1f600}");
    assert_eq!(app.invoke("token", event).await.outcome(), (200, ""));
}

#[tokio::test]
async fn bodies_that_are_refused_by_every_function_with_one() {
    let app = App::start().await;
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
            let answer = app.post_with(path, &[("authorization", &token)], body).await;
            assert_eq!(answer.outcome(), (status, code), "{path} {body:.40}");
        }
        let form = [("authorization", token.as_str()), ("content-type", "text/plain")];
        let answer = app.send(Method::POST, path, &form, "{}").await;
        assert_eq!(answer.outcome(), (415, "unsupported_media_type"), "{path}");
    }
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(app.stream().snapshot(), before);
}

#[tokio::test]
async fn a_body_of_exactly_64_kilobytes_is_read() {
    let app = App::start().await;
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    for (padding, code) in [(65_536 - 2, 200), (65_536 - 1, 413)] {
        let body = format!("{{{}}}", " ".repeat(padding));
        let answer = app.post_with("/token", &[("authorization", &token)], &body).await;
        assert_eq!(answer.status, code);
    }
}

#[tokio::test]
async fn ids_that_are_refused() {
    let app = App::start().await;
    let long = "x".repeat(60);
    for id in ["", "a b", "a/b", "a.b", "caf\u{e9}", "a\u{0}", "../x", "%2e", long.as_str()] {
        for (path, body) in [
            ("/call/create", json!({"receiverId": "bob", "callId": id})),
            ("/call/end", json!({"callId": id})),
            ("/call/end", json!({"channelId": format!("call-{id}")})),
            ("/message/send", json!({"channelId": format!("call-{id}"), "message": "x"})),
        ] {
            let answer = app.post(path, "alice", body).await;
            assert_eq!(answer.outcome(), (400, "invalid_body"), "{path} {id:?}");
        }
    }
    for path in [
        "/call/a.b",
        "/call/quality/a.b",
        "/call/quality/a%20b",
        "/message/other-c1",
        "/message/call-",
    ] {
        let answer = app.get(path, "alice").await;
        assert_eq!(answer.outcome(), (400, "invalid_id"), "{path}");
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn bytes_that_are_refused() {
    let app = App::start().await;
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
        // What reaches a function has its code; what does not is answered by the gateway.
        ("POST /api/stream/token", "[", "{}", "invalid_request"),
        ("POST /api/stream/token", "a b", "{}", "invalid_request"),
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
        let answer = exchange(&url, request(line, host, body).as_bytes()).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('4'), "{line} {host}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"].as_str().unwrap_or_default(), code, "{line} {host}");
    }
    assert_eq!(app.counts(), (0, 0));
    let _ = app.get("/config", "alice").await.good();
}
