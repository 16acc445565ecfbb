//! Revoked tokens and sessions, and tokens for one call: checked by whoever Stream would admit.

use std::time::Duration;

use e2e::App;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

async fn token(app: &App, user: &str) -> String {
    let answer = app.post("/token", user, json!({})).await.good();
    answer.body["token"].as_str().unwrap().to_owned()
}

/// Stream's error code for a token; 0 where it is good.
fn refusal(app: &App, token: &str) -> i32 {
    app.stream().check_user_token(token).map_or_else(|failure| failure.code, |_| 0)
}

#[tokio::test]
async fn old_tokens_are_worth_nothing_and_new_ones_are_good_at_once() {
    let app = App::start().await;
    let old = token(&app, "alice").await;
    let other = token(&app, "bob").await;
    assert_eq!((refusal(&app, &old), refusal(&app, &other)), (0, 0));
    // Again and again, all within a second or two.
    let mut tokens = vec![old];
    for _ in 0..3 {
        let answer = app.post("/token/revoke", "alice", json!({})).await.good();
        assert_eq!(answer.body["userId"], "alice");
        let new = token(&app, "alice").await;
        // Not even from Stream's own point of view, a second behind ours.
        assert_eq!(refusal(&app, &new), 0);
        for old in &tokens {
            assert_eq!(refusal(&app, old), 40);
        }
        tokens.push(new);
    }
    assert_eq!(refusal(&app, &other), 0);
}

#[tokio::test]
async fn a_session_of_before_gets_no_new_token() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let session = |seconds: i64| {
        let at = app.now_millis() / 1000 + seconds;
        json!({"sub": "alice", "role": "user", "iat": at, "exp": at + 600})
    };
    let timeless = json!({"sub": "alice", "role": "user", "exp": 4_102_444_800_i64});
    let ask = async |claims: &Value| {
        let bearer = format!("Bearer {}", app.stack().sign(claims.clone()));
        let headers = [("authorization", bearer.as_str())];
        app.post_with("/token", &headers, r#"{"userData":{"name":"Alice B"}}"#).await
    };
    let before = session(-10);
    assert_eq!(ask(&before).await.status, 200);
    app.pass(Duration::from_secs(5)).await;
    let _ = app.post("/token/revoke", "alice", json!({})).await.good();
    app.reset_counts();
    for claims in [&before, &timeless] {
        assert_eq!(ask(claims).await.outcome(), (403, "session_revoked"), "{claims}");
    }
    // One read each, and nothing of it at Stream.
    assert_eq!(app.counts(), (2, 0));
    assert_eq!(ask(&session(1)).await.status, 200);
    // Whoever acts for others has a session of its own.
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let body = r#"{"userId":"alice"}"#;
    assert_eq!(app.post_with("/token", &headers, body).await.status, 200);
}

#[tokio::test]
async fn only_oneself_or_a_service_revokes() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let bobs = token(&app, "bob").await;
    app.reset_counts();
    let other = app.post("/token/revoke", "alice", json!({"userId": "bob"})).await;
    assert_eq!(other.outcome(), (403, "user_mismatch"));
    assert_eq!(app.counts(), (0, 0));
    let nobody = app.post("/token/revoke", "carol", json!({})).await;
    assert_eq!(nobody.outcome(), (404, "user_not_found"));
    assert_eq!(app.counts(), (1, 0));
    assert_eq!(refusal(&app, &bobs), 0);
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let _ = app.post_with("/token/revoke", &headers, r#"{"userId":"bob"}"#).await.good();
    assert_eq!(refusal(&app, &bobs), 40);
}

#[tokio::test]
async fn what_stream_did_not_hear_of_is_revoked_by_a_repeat() {
    let app = App::start().await;
    let old = token(&app, "alice").await;
    app.stream().script(Rule::on(Operation::UpdateUsersPartial, Fault::Status(503)));
    assert_eq!(app.post("/token/revoke", "alice", json!({})).await.status, 503);
    // Ours comes first: the session gets nothing, even though Stream does not know yet.
    assert_eq!(refusal(&app, &old), 0);
    app.stream().clear_faults();
    let _ = app.post("/token/revoke", "alice", json!({})).await.good();
    assert_eq!(refusal(&app, &old), 40);
}

#[tokio::test]
async fn a_call_token_is_for_a_member_and_a_call_that_goes_on() {
    let app = App::with_call("c1").await;
    app.known(&["mallory"]).await;
    let ask = async |user: &str, call: &str| {
        app.post("/token", user, json!({"callId": call, "ttlSeconds": 60})).await
    };
    let made = ask("bob", "c1").await.good();
    let found = app.stream().check_user_token(made.body["token"].as_str().unwrap()).unwrap();
    assert_eq!(found.user_id, "bob");
    assert_eq!(found.call_cids, ["default:c1"]);
    app.reset_counts();
    for (user, call) in [("mallory", "c1"), ("bob", "no-such-call")] {
        assert_eq!(ask(user, call).await.outcome(), (404, "call_not_found"), "{user} {call}");
    }
    assert_eq!(app.counts(), (4, 0));
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    assert_eq!(ask("bob", "c1").await.outcome(), (409, "call_ended"));
}
