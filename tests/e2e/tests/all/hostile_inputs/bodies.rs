//! Bodies: halves of characters, whole numbers in any form, long names, and empty bodies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::TestApp;
use http::Method;
use serde_json::{Value, json};

use super::post_text;

/// Texts of messages as JSON, and as they are stored.
const MESSAGE_TEXTS: &[(&str, &str)] = &[
    (r#""half \ud83d""#, "half \u{fffd}"),
    (r#""\ude00 half""#, "\u{fffd} half"),
    (r#""\ud83d""#, "\u{fffd}"),
    (r#""\uD83D""#, "\u{fffd}"),
    (r#""\uD83D\uDE00""#, "\u{1f600}"),
    (r#""\ud83d\ude00""#, "\u{1f600}"),
    (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
    (r#""\ud83d\ud83d""#, "\u{fffd}\u{fffd}"),
    (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
    (r#""\ud83d\ude00\ude00""#, "\u{1f600}\u{fffd}"),
    (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
    (r#""\ud83d \ude00""#, "\u{fffd} \u{fffd}"),
    (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
    (r#""\ud83d\"\ude00""#, "\u{fffd}\"\u{fffd}"),
    (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
    (r#""\\ud83d""#, "\\ud83d"),
    (r#""\\\ud83d""#, "\\\u{fffd}"),
    (r#""\\\\ud83d""#, "\\\\ud83d"),
    (r#""\ud83d\u0041""#, "\u{fffd}A"),
    (r#""\ud83d\ufffd""#, "\u{fffd}\u{fffd}"),
    (r#""\ud800\udfff""#, "\u{103ff}"),
    (r#""\udbff\udc00""#, "\u{10fc00}"),
    (r#""\udbff\ue000""#, "\u{fffd}\u{e000}"),
    (r#""\ud7ff\ud800""#, "\u{d7ff}\u{fffd}"),
    (r#""\udfff\ue000""#, "\u{fffd}\u{e000}"),
];

#[tokio::test]
async fn lone_surrogates_in_a_message_are_replaced() {
    let app = TestApp::with_call("c1").await;
    for (json, text) in MESSAGE_TEXTS {
        let body = format!(r#"{{"channelId":"call-c1","message":{json}}}"#);
        let sent = post_text(&app, "/message/send", "alice", &body).await.expect_success();
        assert_eq!(sent.body["messageData"]["text"], *text, "{json}");
    }
    let messages = app.stream().messages("messaging:call-c1");
    let stored: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    let expected: Vec<&str> = MESSAGE_TEXTS.iter().map(|(_, text)| *text).collect();
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn lone_surrogates_in_profiles_and_custom_data_are_replaced() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    for (path, body) in [
        ("/user/upsert", r#"{"userData":{"name":"Al\ud83d"}}"#),
        ("/user/upsert", r#"{"userData":{"custom":{"\ud83d":["\ude00",{"\udfff":"\ud800"}]}}}"#),
        ("/call/create", r#"{"receiverId":"bob","callId":"c1","custom":{"\ud83d":"\ude00"}}"#),
    ] {
        let response = post_text(&app, path, "alice", body).await;
        assert_eq!(response.outcome(), (200, ""), "{body}");
    }
    let alice = app.stream().user("alice").unwrap();
    assert_eq!(alice.name.as_deref(), Some("Al\u{fffd}"));
    let custom = json!({"\u{fffd}": ["\u{fffd}", {"\u{fffd}": "\u{fffd}"}]});
    assert_eq!(Value::Object(alice.custom), custom);
    let call = app.stream().call("default:c1").unwrap();
    assert_eq!(Value::Object(call.custom), json!({"\u{fffd}": "\u{fffd}"}));
    let body = r#"{"userData":{"name":"\ud83dl","\ud83d":1}}"#;
    let token = post_text(&app, "/token", "alice", body).await.expect_success();
    assert_eq!(token.body["ignored"][0]["pointer"], "/userData/\u{fffd}");
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("\u{fffd}l"));
}

/// Values of `ttlSeconds`, and the lifetimes of their tokens in seconds.
const LIFETIMES: &[(&str, i64)] = &[
    ("60", 60),
    ("60.0", 60),
    ("60.000", 60),
    ("6e1", 60),
    ("6E1", 60),
    ("6e+1", 60),
    ("0.6e2", 60),
    ("600e-1", 60),
    ("1e3", 1_000),
    ("3600.0", 3_600),
    ("36e2", 3_600),
    ("3.6e3", 3_600),
    ("86400.0", 86_400),
    // A longer lifetime is reduced to one day.
    ("86401", 86_400),
    ("1e10", 86_400),
    ("9007199254740991.0", 86_400),
    ("9007199254740993.0", 86_400),
    ("18446744073709551615", 86_400),
    ("18446744073709551616", 86_400),
    ("1e300", 86_400),
    ("null", 86_400),
];

/// The lifetime of a Stream token in seconds.
fn lifetime(token: &Value) -> i64 {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

#[tokio::test]
async fn whole_numbers_are_read_in_any_form() {
    /// A token is backdated by this number of seconds.
    const BACKDATE: i64 = 5;
    let app = TestApp::start().await;
    for (number, seconds) in LIFETIMES {
        let body = format!(r#"{{"ttlSeconds":{number}}}"#);
        let response = post_text(&app, "/token", "alice", &body).await;
        assert_eq!(response.outcome(), (200, ""), "{number}");
        assert_eq!(lifetime(&response.body["token"]), seconds + BACKDATE, "{number}");
    }
}

/// Samples whose numbers have other forms.
const SAMPLES: &[&str] = &[
    r#"{"timestamp":1767225600000.0}"#,
    r#"{"timestamp":1767225600000.25}"#,
    r#"{"timestamp":1.7672256e12}"#,
    r#"{"timestamp":17672256e5}"#,
    r#"{"timestamp":1767225600000,"packetsLost":2.0,"packetsReceived":98e0}"#,
    r#"{"timestamp":1767225600000,"frameWidth":128e1,"frameHeight":7.2e2}"#,
    r#"{"timestamp":1767225600000,"jitter":1e-2,"roundTripTime":0}"#,
];

#[tokio::test]
async fn numbers_of_samples_are_read_in_any_form() {
    let app = TestApp::with_call("c1").await;
    for (n, sample) in SAMPLES.iter().enumerate() {
        let body = format!(r#"{{"batchId":"b{n}","samples":[{sample}]}}"#);
        let response = post_text(&app, "/call/quality/c1", "alice", &body).await;
        assert_eq!((response.status, &response.body["accepted"]), (200, &json!(1)), "{sample}");
    }
}

/// Bodies in which `@` stands for a long name or a long value.
const LONG_TEXTS: &[(&str, &str)] = &[
    ("/token", r#"{"@":1}"#),
    ("/token", r#"{"callId":"@"}"#),
    ("/token", r#"{"ttlSeconds":"@"}"#),
    ("/token/revoke", r#"{"@":{}}"#),
    ("/user/upsert", r#"{"userData":"@"}"#),
    ("/user/upsert", r#"{"userData":{"@":1}}"#),
    ("/user/upsert", r#"{"userData":{"language":"@"}}"#),
    ("/user/upsert", r#"{"userData":{"custom":"@"}}"#),
    ("/call/create", r#"{"receiverId":"bob","callType":"@"}"#),
    ("/call/create", r#"{"receiverId":"bob","ring":"@"}"#),
    ("/call/create", r#"{"receiverId":"bob","memberIds":{"@":1}}"#),
    ("/call/end", r#"{"callId":"c1","@":1}"#),
    ("/message/send", r#"{"channelId":"@","message":"Hi"}"#),
    ("/message/send", r#"{"channelId":"call-c1","message":{"@":1}}"#),
    ("/message/send", r#"{"channelId":"call-c1","message":"Hi","@":1}"#),
    ("/call/quality/c1", r#"{"samples":[{"timestamp":1767225600000,"@":1}]}"#),
    ("/call/quality/c1", r#"{"samples":[{"timestamp":1767225600000,"direction":"@"}]}"#),
    ("/call/quality/c1", r#"{"platform":"@","samples":[{"timestamp":1767225600000}]}"#),
];

#[tokio::test]
async fn errors_repeat_only_the_beginning_of_a_long_text() {
    let app = TestApp::start().await;
    // The texts as JSON, and the maximum size of a response in bytes.
    let texts = [
        ("x".repeat(60_000), 2_048),
        ("~".repeat(60_000), 2_048),
        (r#"\""#.repeat(30_000), 2_048),
        ("\u{1f600}".repeat(15_000), 2_048),
        // Each of these characters has six bytes as JSON.
        (r"\u0001".repeat(10_000), 3_072),
    ];
    for (path, template) in LONG_TEXTS {
        for (text, max_bytes) in &texts {
            let response = post_text(&app, path, "alice", &template.replace('@', text)).await;
            let (size, first) = (response.text.len(), text.chars().next());
            assert_eq!(response.outcome(), (400, "invalid_body"), "{template} {first:?}");
            assert!(size < *max_bytes, "{template} {first:?}: {size} bytes");
        }
    }
    for query in [
        format!("{}=1", "x".repeat(4_000)),
        format!("{}=1", "%F0%9F%98%80".repeat(300)),
        format!("deep={}", "x".repeat(4_000)),
    ] {
        let response = app.get(&format!("/config?{query}"), "alice").await;
        assert_eq!(response.outcome(), (400, "invalid_query"));
        assert!(response.text.len() < 2_048, "{}", response.text.len());
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn ignored_fields_are_reported_within_limits() {
    let app = TestApp::start().await;
    let members: Vec<String> = (0..1_000).map(|n| format!(r#""f{n}":{n}"#)).collect();
    let body = format!(r#"{{"userData":{{{}}}}}"#, members.join(","));
    let response = post_text(&app, "/token", "alice", &body).await.expect_success();
    assert_eq!(response.body["ignored"].as_array().map(Vec::len), Some(20));
    let long = json!({"userData": {("x".repeat(60_000)): 1}});
    let response = app.post("/token", "alice", long).await.expect_success();
    assert!(response.text.len() < 2_048, "{}", response.text.len());
    for data in [json!("Alice"), json!(7), json!(true), json!([]), json!([{"name": "Alice"}])] {
        let response = app.post("/token", "alice", json!({"userData": data})).await;
        assert_eq!(response.outcome(), (200, ""), "{data}");
        assert_eq!(response.body["ignored"][0]["pointer"], "/userData", "{data}");
    }
    for data in [json!(null), json!({}), json!({"name": null}), json!({"image": null})] {
        let response = app.post("/token", "alice", json!({"userData": data})).await;
        assert_eq!(response.outcome(), (200, ""), "{data}");
        assert!(response.body["ignored"].is_null(), "{data}");
    }
}

/// Values of `Content-Type` with which HTTP clients send an empty body.
const CONTENT_TYPES: &[&str] = &[
    "",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=UTF-8",
    "multipart/form-data",
    "multipart/form-data; boundary=----x",
    "text/plain",
    "text/plain;charset=UTF-8",
    "text/html",
    "application/octet-stream",
    "application/xml",
    "application/problem+json",
    "application/json; charset=utf-16",
    "application/grpc",
    "image/png",
    "*/*",
    "nonsense",
];

#[tokio::test]
async fn empty_body_of_any_type_is_an_empty_object() {
    let app = TestApp::start().await;
    for (n, kind) in CONTENT_TYPES.iter().enumerate() {
        // Revocations of one user that follow within a second are rejected.
        let user = format!("user-{n}");
        let authorization = format!("Bearer {}", app.stack().token_for(&user));
        let headers = [("authorization", authorization.as_str()), ("content-type", *kind)];
        let twice = [&headers[..], &[("content-type", *kind)]].concat();
        for (path, headers) in
            [("/token", &headers[..]), ("/token", &twice[..]), ("/token/revoke", &headers[..])]
        {
            let response = app.send(Method::POST, path, headers, "").await;
            assert_eq!(response.outcome(), (200, ""), "{path} {kind}");
            assert_eq!(response.body["userId"], user.as_str());
        }
    }
}
