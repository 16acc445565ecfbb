//! The chat of a call.

use std::fmt::Write as _;

use e2e::TestApp;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

fn message_body(text: &str, id: &str) -> Value {
    json!({"channelId": "call-c1", "message": text, "messageId": id})
}

#[tokio::test]
async fn repeated_message_is_stored_once() {
    let app = TestApp::with_call("c1").await;
    let first =
        app.post("/message/send", "alice", message_body("Hello", "m1")).await.expect_success();
    let again =
        app.post("/message/send", "alice", message_body("Hello", "m1")).await.expect_success();
    assert_eq!(first.body, again.body);
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 1);
}

#[tokio::test]
async fn reused_message_id_is_rejected() {
    let app = TestApp::with_call("c1").await;
    let second = json!({"receiverId": "bob", "callId": "c2", "allowParallel": true});
    let _ = app.post("/call/create", "alice", second).await.expect_success();
    let _ = app.post("/message/send", "alice", message_body("Hello", "m1")).await.expect_success();
    let elsewhere = json!({"channelId": "call-c2", "message": "Hello", "messageId": "m1"});
    for (user, body) in [
        ("alice", message_body("Hello!", "m1")),
        ("bob", message_body("Hello", "m1")),
        ("alice", elsewhere),
    ] {
        let response = app.post("/message/send", user, body).await;
        assert_eq!(response.outcome(), (409, "message_id_reused"));
    }
}

#[tokio::test]
async fn messages_are_paged_newest_first() {
    let app = TestApp::with_call("c1").await;
    for n in 1..=7 {
        let _ = app
            .post("/message/send", "alice", message_body(&format!("{n}"), &format!("m{n}")))
            .await
            .expect_success();
    }
    let mut pages = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = app.get(&format!("/message/call-c1{query}"), "bob").await.expect_success().body;
        let texts: Vec<String> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["text"].as_str().unwrap().to_owned())
            .collect();
        pages.push(texts);
        assert_eq!(page["hasMore"] == true, page["next"].is_string());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!(pages, [vec!["5", "6", "7"], vec!["2", "3", "4"], vec!["1"]]);
}

#[tokio::test]
async fn exactly_full_last_page_has_no_more() {
    let app = TestApp::with_call("c1").await;
    for n in 1..=3 {
        let _ = app
            .post("/message/send", "alice", message_body("x", &format!("m{n}")))
            .await
            .expect_success();
    }
    let page = app.get("/message/call-c1?limit=3", "bob").await.expect_success().body;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["hasMore"]), (3, &json!(false)));
}

#[tokio::test]
async fn largest_page_reports_has_more() {
    let app = TestApp::with_call("c1").await;
    for n in 1..=101 {
        let _ = app
            .post("/message/send", "alice", message_body("x", &format!("m{n}")))
            .await
            .expect_success();
        if n == 100 {
            let page = app.get("/message/call-c1?limit=100", "bob").await.expect_success().body;
            assert_eq!(page["hasMore"], false);
        }
    }
    let page = app.get("/message/call-c1?limit=100", "bob").await.expect_success().body;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["hasMore"]), (100, &json!(true)));
    assert_eq!(page["next"], "m2");
}

/// A service that is not a member can neither read nor send messages.
#[tokio::test]
async fn chat_is_for_members_only() {
    let app = TestApp::with_call("c1").await;
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let sent = app
        .post_with_headers("/message/send", &headers, &message_body("Hi", "m1").to_string())
        .await;
    assert_eq!(sent.outcome(), (404, "call_not_found"));
    let listed = app.send(http::Method::GET, "/message/call-c1", &headers, "").await;
    assert_eq!(listed.outcome(), (404, "call_not_found"));
    // It can read the quality of the call, and end it.
    let quality = app.send(http::Method::GET, "/call/quality/c1", &headers, "").await;
    assert_eq!(quality.outcome(), (200, ""));
    let ended = app.post_with_headers("/call/end", &headers, r#"{"callId":"c1"}"#).await;
    assert_eq!(ended.outcome(), (200, ""));
}

/// A message without an id gets one, so that retries of the function are idempotent.
#[tokio::test]
async fn lost_response_does_not_duplicate_a_message() {
    let app = TestApp::with_call("c1").await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::SendMessage, Fault::AppliedThenLost).once());
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "alice", message).await.expect_success();
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 1);
}

#[tokio::test]
async fn invalid_queries_are_rejected() {
    let app = TestApp::with_call("c1").await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=5&limit=6",
        "after=m1",
        "before=",
        "before=a,b",
        "before=no-such-message",
    ] {
        let response = app.get(&format!("/message/call-c1?{query}"), "bob").await;
        assert_eq!(response.outcome(), (400, "invalid_query"), "{query}");
    }
    let response = app.get("/message/messaging-c1", "bob").await;
    assert_eq!(response.outcome(), (400, "invalid_id"));
}

#[tokio::test]
async fn message_length_is_limited() {
    let app = TestApp::with_call("c1").await;
    let _ = app
        .post("/message/send", "alice", message_body(&"\u{e9}".repeat(5_000), "m1"))
        .await
        .expect_success();
    for text in [String::new(), "x".repeat(5_001)] {
        let response = app.post("/message/send", "alice", message_body(&text, "m2")).await;
        assert_eq!(response.outcome(), (400, "invalid_body"));
        assert_eq!(response.body["errors"][0]["pointer"], "/message");
    }
}

#[tokio::test]
async fn ended_call_has_no_chat() {
    let app = TestApp::with_call("c1").await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.reset_counts();
    let sent = app.post("/message/send", "alice", message_body("Hello", "m1")).await;
    let listed = app.get("/message/call-c1", "alice").await;
    for response in [sent, listed] {
        assert_eq!(response.outcome(), (409, "call_ended"));
    }
    assert_eq!(app.counts().1, 0);
}

/// Texts that Stream would run as commands, or that resemble them.
const SLASH_TEXTS: &[&str] = &[
    "/ban @bob",
    "/ban bob too loud",
    "/unban @bob",
    "/mute @bob",
    "/unmute @bob",
    "/flag @bob",
    "/giphy good morning",
    "/shrug",
    "/",
    "//",
    "/ ban @bob",
    "/BAN @bob",
    "/ban\t@bob",
    "/ban\n@bob",
    " /ban @bob",
    "\t/mute @bob",
    "\n\n/flag @bob",
    "\u{3000}/ban @bob",
    "\u{200b}/ban @bob",
    "\u{200b}\u{200b}/mute @bob",
    "\u{200b} /ban @bob",
    " \u{200b}/ban @bob",
];

/// The server that sends a message has more rights than its author.
#[tokio::test]
async fn text_with_a_slash_is_never_a_command() {
    let app = TestApp::with_call("c1").await;
    for (n, text) in SLASH_TEXTS.iter().enumerate() {
        let message = message_body(text, &format!("m{n}"));
        let sent = app.post("/message/send", "alice", message.clone()).await;
        assert_eq!(sent.outcome(), (200, ""), "{text:?}");
        assert_eq!(sent.body["messageData"]["text"], *text, "{text:?}");
        assert_eq!(sent.body["messageData"]["type"], "regular", "{text:?}");
        let again = app.post("/message/send", "alice", message).await.expect_success();
        assert_eq!(again.body, sent.body, "{text:?}");
    }
    let page = app.get("/message/call-c1?limit=100", "bob").await.expect_success().body;
    let listed = page["messages"].as_array().unwrap().iter();
    let listed: Vec<&str> = listed.map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(listed, SLASH_TEXTS);
    for message in app.stream().messages("messaging:call-c1") {
        assert!(!message.text.trim_start().starts_with('/'), "{:?}", message.text);
        assert_eq!((message.kind.as_str(), message.user_id.as_str()), ("regular", "alice"));
    }
    assert!(app.stream().bans().is_empty());
    assert!(app.stream().mutes().is_empty() && app.stream().flags().is_empty());
}

#[tokio::test]
async fn text_without_a_leading_slash_is_stored_unchanged() {
    let app = TestApp::with_call("c1").await;
    let texts =
        ["and/or", "https://example.com", "\u{200b}x", "\u{200b}", "\u{ff0f}ban @bob", "\\/ban"];
    for (n, text) in texts.into_iter().enumerate() {
        let message = message_body(text, &format!("m{n}"));
        let sent = app.post("/message/send", "alice", message).await.expect_success();
        assert_eq!(sent.body["messageData"]["text"], text);
        assert_eq!(app.stream().messages("messaging:call-c1")[n].text, text);
    }
}

/// A text that begins with a slash has an additional character at Stream.
#[tokio::test]
async fn text_with_a_slash_is_identified_by_what_was_sent() {
    let app = TestApp::with_call("c1").await;
    let first = message_body("/shrug", "m1");
    let _ = app.post("/message/send", "alice", first.clone()).await.expect_success();
    for text in ["\u{200b}/shrug", "shrug", " /shrug"] {
        let response = app.post("/message/send", "alice", message_body(text, "m1")).await;
        assert_eq!(response.outcome(), (409, "message_id_reused"), "{text:?}");
    }
    let _ = app.post("/message/send", "alice", first).await.expect_success();
    let longest = "/".repeat(4_999);
    let sent = app.post("/message/send", "alice", message_body(&longest, "m2")).await;
    assert_eq!(sent.outcome(), (200, ""));
    assert_eq!(sent.body["messageData"]["text"], longest);
    let too_long = app.post("/message/send", "alice", message_body(&"/".repeat(5_000), "m3")).await;
    assert_eq!(too_long.outcome(), (400, "invalid_body"));
}

#[tokio::test]
async fn blocked_message_is_not_stored() {
    let app = TestApp::with_call("c1").await;
    app.stream().add_blocked_word("spam");
    for (n, text) in ["spam", "no SPAM please", "/spam", "spam\u{200b}"].into_iter().enumerate() {
        let response =
            app.post("/message/send", "alice", message_body(text, &format!("m{n}"))).await;
        assert_eq!(response.outcome(), (422, "message_blocked"), "{text:?}");
        assert!(!response.text.to_lowercase().contains("spam"), "{}", response.text);
    }
    assert!(app.stream().messages("messaging:call-c1").is_empty());
    let page = app.get("/message/call-c1", "bob").await.expect_success().body;
    assert_eq!(page["messages"], json!([]));
    // The id of a blocked message is free.
    let other = message_body("Hello", "m0");
    let _ = app.post("/message/send", "alice", other).await.expect_success();
    app.stream().clear_blocked_words();
    let _ = app.post("/message/send", "alice", message_body("spam", "m1")).await.expect_success();
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 2);
}

/// Ids that Stream's client libraries generate, and others of visible ASCII characters.
const MESSAGE_IDS: &[&str] = &[
    "m1",
    "0f0a4d6e-3c3b-4f1a-9a43-0f6c5b1d2e3f",
    "alice-0f0a4d6e-3c3b-4f1a-9a43-0f6c5b1d2e3f",
    "alice@example-0f0a4d6e-3c3b-4f1a-9a43-0f6c5b1d2e3f",
    "a.b:c~d+e=f!",
    "...",
    "..a",
    "-",
    "\"quoted\"",
    "<b>&amp;",
    "{\"$ne\":1}",
    "(a)[b]{c}|d^e`f",
    "$'*;@_&=+",
    "*",
];

/// Every byte as an escape.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

#[tokio::test]
async fn message_ids_of_stream_libraries_are_accepted() {
    let app = TestApp::with_call("c1").await;
    let longest = "u".repeat(255);
    let ids: Vec<&str> = MESSAGE_IDS.iter().copied().chain([longest.as_str()]).collect();
    for (n, id) in ids.iter().enumerate() {
        let sent = app.post("/message/send", "alice", message_body("Hi", id)).await;
        assert_eq!(sent.outcome(), (200, ""), "{id}");
        assert_eq!(sent.body["messageData"]["id"], *id);
        // The repeat reads the message by its id.
        let again = app.post("/message/send", "alice", message_body("Hi", id)).await;
        assert_eq!(again.body, sent.body, "{id}");
        let query = format!("limit=1&before={}", percent_encoded(id));
        let page = app.get(&format!("/message/call-c1?{query}"), "bob").await.expect_success();
        let before = n.checked_sub(1).map(|previous| ids[previous]);
        assert_eq!(page.body["messages"][0]["id"].as_str(), before, "{id}");
    }
    assert_eq!(app.stream().messages("messaging:call-c1").len(), ids.len());
}

/// The text that Stream gets may be one character longer, and Stream's limit applies to it.
#[tokio::test]
async fn length_of_a_text_with_a_hidden_slash_is_limited() {
    let app = TestApp::with_call("c1").await;
    for (start, rest, is_valid) in [
        ("\u{200b}/", 4_997, true),
        ("\u{200b}/", 4_998, false),
        ("\u{200b}\u{200b} /", 4_995, true),
        ("\u{200b}\u{200b} /", 4_996, false),
    ] {
        let text = format!("{start}{}", "x".repeat(rest));
        let message = json!({"channelId": "call-c1", "message": text});
        let response = app.post("/message/send", "alice", message).await;
        let expected = if is_valid { (200, "") } else { (400, "invalid_body") };
        assert_eq!(response.outcome(), expected, "{start:?} {rest}");
    }
}
