//! The chat of a call.

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
