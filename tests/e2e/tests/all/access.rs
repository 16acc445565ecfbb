//! Who may do what: the user is whoever the token says, and what is not theirs does not exist.

use e2e::App;
use http::Method;
use serde_json::json;

const NOBODY: (u64, u64) = (0, 0);

#[tokio::test]
async fn naming_somebody_else_is_refused_and_costs_nothing() {
    let app = App::start().await;
    for (path, body) in [
        ("/token", json!({"userId": "bob"})),
        ("/token", json!({"userId": "bob", "userData": {"name": "Bob"}})),
        ("/user/upsert", json!({"userId": "bob", "userData": {"name": "Bob"}})),
    ] {
        let answer = app.post(path, "alice", body).await;
        assert_eq!(answer.outcome(), (403, "user_mismatch"), "{path}");
    }
    assert_eq!(app.counts(), NOBODY);
    assert!(app.stream().user("bob").is_none());
}

#[tokio::test]
async fn a_service_may_act_for_others() {
    let app = App::start().await;
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let answer = app.post_with("/token", &headers, r#"{"userId":"bob"}"#).await.good();
    assert_eq!(answer.body["userId"], "bob");
    // The service's own role is not the user's.
    assert_eq!(app.stream().user("bob").unwrap().role, "user");
}

#[tokio::test]
async fn the_role_comes_from_the_token_and_from_nowhere_else() {
    let app = App::start().await;
    let admin = app.stack().sign(json!({"sub": "root", "role": "admin", "exp": 4_102_444_800_i64}));
    let admin = format!("Bearer {admin}");
    let _ = app.post_with("/token", &[("authorization", &admin)], "{}").await.good();
    assert_eq!(app.stream().user("root").unwrap().role, "admin");

    let body = json!({"userData": {"name": "Alice", "role": "admin"}});
    let answer = app.post("/user/upsert", "alice", body).await;
    assert_eq!(answer.outcome(), (400, "invalid_body"));
    app.known(&["alice"]).await;
    assert_eq!(app.stream().user("alice").unwrap().role, "user");

    // Whoever is no longer an admin by the token is none at Stream either.
    app.known(&["root"]).await;
    assert_eq!(app.stream().user("root").unwrap().role, "user");
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer_before_any_io() {
    let app = App::start().await;
    let good = app.stack().token_for("alice");
    let expired = app.stack().sign(json!({"sub": "alice", "exp": 1_767_225_600}));
    let eternal = app.stack().sign(json!({"sub": "alice"}));
    let nobody = app.stack().sign(json!({"exp": 4_102_444_800_i64}));
    let (head, _) = good.rsplit_once('.').unwrap();
    let mut bodies = std::collections::BTreeSet::new();
    for value in [
        String::new(),
        "Bearer".to_owned(),
        good.clone(),
        format!("Basic {good}"),
        format!("Bearer {head}."),
        format!("Bearer {head}.AAAA"),
        format!("Bearer {expired}"),
        format!("Bearer {eternal}"),
        format!("Bearer {nobody}"),
        format!("Bearer {}", "x".repeat(5_000)),
    ] {
        let answer = app.send(Method::POST, "/token", &[("authorization", &value)], "{}").await;
        assert_eq!(answer.outcome(), (401, "unauthenticated"), "{value}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        bodies.insert(answer.timeless().to_string());
    }
    let none = app.send(Method::POST, "/token", &[], "{}").await;
    bodies.insert(none.timeless().to_string());
    assert_eq!(bodies.len(), 1);
    assert_eq!(app.counts(), NOBODY);
}

#[tokio::test]
async fn a_strangers_call_looks_like_none() {
    let app = App::with_call("c1").await;
    app.known(&["mallory"]).await;
    let before = (app.stream().snapshot(), app.item("CALL#c1", "CALL").await);
    app.reset_counts();
    let mut seen = Vec::new();
    for id in ["c1", "no-such-call"] {
        let channel = format!("call-{id}");
        let message = json!({"channelId": channel, "message": "Hi"});
        let measured = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
        seen.push([
            app.post("/call/end", "mallory", json!({"callId": id})).await,
            app.get(&format!("/call/{id}"), "mallory").await,
            app.get(&format!("/call/quality/{id}"), "mallory").await,
            app.get(&format!("/call/quality/{id}?format=svg"), "mallory").await,
            app.post(&format!("/call/quality/{id}"), "mallory", measured).await,
            app.post("/message/send", "mallory", message).await,
            app.get(&format!("/message/{channel}"), "mallory").await,
        ]);
    }
    for (real, made_up) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(real.outcome(), (404, "call_not_found"));
        assert_eq!(real.timeless(), made_up.timeless());
    }
    assert_eq!(app.counts().1, 0);
    assert_eq!((app.stream().snapshot(), app.item("CALL#c1", "CALL").await), before);
    // The call goes on for those who are in it.
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "bob", message).await.good();
}
