//! Chat in a call.

use e2e::App;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

fn say(text: &str, id: &str) -> Value {
    json!({"channelId": "call-c1", "message": text, "messageId": id})
}

#[tokio::test]
async fn the_same_message_again_is_the_same_message() {
    let app = App::with_call("c1").await;
    let first = app.post("/message/send", "alice", say("Hello", "m1")).await.good();
    let again = app.post("/message/send", "alice", say("Hello", "m1")).await.good();
    assert_eq!(first.body, again.body);
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 1);
}

#[tokio::test]
async fn a_message_id_names_one_message() {
    let app = App::with_call("c1").await;
    let second = json!({"receiverId": "bob", "callId": "c2", "allowParallel": true});
    let _ = app.post("/call/create", "alice", second).await.good();
    let _ = app.post("/message/send", "alice", say("Hello", "m1")).await.good();
    let elsewhere = json!({"channelId": "call-c2", "message": "Hello", "messageId": "m1"});
    for (user, body) in
        [("alice", say("Hello!", "m1")), ("bob", say("Hello", "m1")), ("alice", elsewhere)]
    {
        let answer = app.post("/message/send", user, body).await;
        assert_eq!(answer.outcome(), (409, "message_id_reused"));
    }
}

#[tokio::test]
async fn pages_go_backwards_until_there_is_no_more() {
    let app = App::with_call("c1").await;
    for n in 1..=7 {
        let _ =
            app.post("/message/send", "alice", say(&format!("{n}"), &format!("m{n}"))).await.good();
    }
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = app.get(&format!("/message/call-c1{query}"), "bob").await.good().body;
        let texts: Vec<String> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["text"].as_str().unwrap().to_owned())
            .collect();
        seen.push(texts);
        assert_eq!(page["hasMore"] == true, page["next"].is_string());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!(seen, [vec!["5", "6", "7"], vec!["2", "3", "4"], vec!["1"]]);
}

#[tokio::test]
async fn a_page_that_ends_exactly_has_no_more() {
    let app = App::with_call("c1").await;
    for n in 1..=3 {
        let _ = app.post("/message/send", "alice", say("x", &format!("m{n}"))).await.good();
    }
    let page = app.get("/message/call-c1?limit=3", "bob").await.good().body;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["hasMore"]), (3, &json!(false)));
}

#[tokio::test]
async fn the_largest_page_knows_whether_there_is_more() {
    let app = App::with_call("c1").await;
    for n in 1..=101 {
        let _ = app.post("/message/send", "alice", say("x", &format!("m{n}"))).await.good();
        if n == 100 {
            let page = app.get("/message/call-c1?limit=100", "bob").await.good().body;
            assert_eq!(page["hasMore"], false);
        }
    }
    let page = app.get("/message/call-c1?limit=100", "bob").await.good().body;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["hasMore"]), (100, &json!(true)));
    assert_eq!(page["next"], "m2");
}

/// A service has no voice in a call that it is not in.
#[tokio::test]
async fn chat_is_for_members_only() {
    let app = App::with_call("c1").await;
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let sent = app.post_with("/message/send", &headers, &say("Hi", "m1").to_string()).await;
    assert_eq!(sent.outcome(), (404, "call_not_found"));
    let listed = app.send(http::Method::GET, "/message/call-c1", &headers, "").await;
    assert_eq!(listed.outcome(), (404, "call_not_found"));
    // But it may see how the call went, and end it.
    let quality = app.send(http::Method::GET, "/call/quality/c1", &headers, "").await;
    assert_eq!(quality.outcome(), (200, ""));
    let ended = app.post_with("/call/end", &headers, r#"{"callId":"c1"}"#).await;
    assert_eq!(ended.outcome(), (200, ""));
}

/// Without an id of the sender's our own repeats still make one message.
#[tokio::test]
async fn a_lost_answer_does_not_double_a_message() {
    let app = App::with_call("c1").await;
    app.stream().script(Rule::on(Operation::SendMessage, Fault::AppliedThenLost).once());
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "alice", message).await.good();
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 1);
}

#[tokio::test]
async fn queries_that_are_refused() {
    let app = App::with_call("c1").await;
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
        let answer = app.get(&format!("/message/call-c1?{query}"), "bob").await;
        assert_eq!(answer.outcome(), (400, "invalid_query"), "{query}");
    }
    let answer = app.get("/message/messaging-c1", "bob").await;
    assert_eq!(answer.outcome(), (400, "invalid_id"));
}

#[tokio::test]
async fn texts_at_their_limits() {
    let app = App::with_call("c1").await;
    let _ = app.post("/message/send", "alice", say(&"\u{e9}".repeat(5_000), "m1")).await.good();
    for text in [String::new(), "x".repeat(5_001)] {
        let answer = app.post("/message/send", "alice", say(&text, "m2")).await;
        assert_eq!(answer.outcome(), (400, "invalid_body"));
        assert_eq!(answer.body["errors"][0]["pointer"], "/message");
    }
}

#[tokio::test]
async fn an_ended_call_is_silent() {
    let app = App::with_call("c1").await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    app.reset_counts();
    let sent = app.post("/message/send", "alice", say("Hello", "m1")).await;
    let listed = app.get("/message/call-c1", "alice").await;
    for answer in [sent, listed] {
        assert_eq!(answer.outcome(), (409, "call_ended"));
    }
    assert_eq!(app.counts().1, 0);
}
