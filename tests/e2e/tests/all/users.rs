//! Users and their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::App;
use futures_util::future::{join, join_all};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_names_its_user_and_when_it_ends() {
    let app = App::start().await;
    let made = app.post("/token", "alice", json!({"ttlSeconds": 600})).await.good().body;
    let claims = claims(&made["token"]);
    let keys: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["exp", "iat", "user_id"]);
    assert_eq!(claims["user_id"], "alice");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 605);
    let day = app.post("/token", "alice", json!({"ttlSeconds": 1_000_000})).await.good().body;
    let claims = self::claims(&day["token"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_405);
    for refused in [json!(59), json!("600"), json!(-1), json!(60.5)] {
        let answer = app.post("/token", "alice", json!({"ttlSeconds": refused})).await;
        assert_eq!(answer.outcome(), (400, "invalid_body"));
        let error = &answer.body["errors"][0];
        assert_eq!(error["pointer"], "/ttlSeconds");
        let reason = error["reason"].as_str().unwrap();
        assert!(reason.ends_with("expected a whole number of seconds, at least 60"), "{reason}");
    }
}

#[tokio::test]
async fn the_first_token_makes_its_user_known() {
    let app = App::start().await;
    let data = json!({"userData": {"name": "Alice", "image": "https://example.com/a.png"}});
    let _ = app.post("/token", "alice", data).await.good();
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
}

#[tokio::test]
async fn unknown_users_may_be_rejected() {
    let app = App::with_env([("UNKNOWN_USERS", "reject")]).await;
    let answer = app.post("/token", "alice", json!({})).await;
    assert_eq!(answer.outcome(), (404, "user_not_found"));
    assert!(app.stream().user("alice").is_none());
    let upsert = json!({"userData": {"name": "Alice"}});
    let _ = app.post("/user/upsert", "alice", upsert).await.good();
    let _ = app.post("/token", "alice", json!({})).await.good();
}

#[tokio::test]
async fn what_an_upsert_leaves_out_stays() {
    let app = App::start().await;
    for data in [
        json!({"name": "Alice", "language": "en"}),
        json!({"image": "https://example.com/a.png", "name": null}),
        json!({"custom": {"plan": "pro", "n": 1.5}}),
    ] {
        let _ = app.post("/user/upsert", "alice", json!({"userData": data})).await.good();
    }
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
    assert_eq!(user.language, "en");
    assert_eq!(Value::Object(user.custom), json!({"plan": "pro", "n": 1.5}));
    // A token request is an upsert of what it brings, and of nothing else.
    let _ = app.post("/token", "alice", json!({"userData": {"name": "Alicia"}})).await.good();
    let user = app.stream().user("alice").unwrap();
    assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("Alicia"), "en"));
}

#[tokio::test]
async fn fields_that_are_refused() {
    let app = App::start().await;
    let long = "x".repeat(4_100);
    for (pointer, data) in [
        ("/userData/name", json!({"name": ""})),
        ("/userData/name", json!({"name": "a\nb"})),
        ("/userData/image", json!({"image": "javascript:alert(1)"})),
        ("/userData/language", json!({"language": "english"})),
        ("/userData/custom", json!({"custom": {"a": long}})),
        ("/userData/custom", json!({"custom": []})),
        ("/userData/teams", json!({"teams": ["a"]})),
        ("/userData", json!("Alice")),
    ] {
        let answer = app.post("/user/upsert", "alice", json!({"userData": data})).await;
        assert_eq!(answer.outcome(), (400, "invalid_body"), "{pointer}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn changes_at_the_same_time_all_reach_stream() {
    let app = App::with(Options { max_instances: 6, ..Options::default() }).await;
    let changes = [
        json!({"name": "Alice"}),
        json!({"image": "https://example.com/a.png"}),
        json!({"language": "en"}),
        json!({"custom": {"plan": "pro"}}),
    ];
    let upserts = changes.map(|data| app.post("/user/upsert", "alice", json!({"userData": data})));
    for answer in join_all(upserts).await {
        let _ = answer.good();
    }
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
    assert_eq!(user.language, "en");
    assert_eq!(user.custom["plan"], "pro");
}

/// What Stream knew of a user never replaces what the user says now.
#[tokio::test]
async fn taking_over_loses_no_change() {
    let app = App::with(Options { max_instances: 6, ..Options::default() }).await;
    let old = json!({"userData": {"name": "Old", "language": "en"}});
    for round in 0..5 {
        let _ = app.post("/user/upsert", "alice", old.clone()).await.good();
        app.forget("USER#alice", "PROFILE").await;
        let new = json!({"userData": {"name": "New"}});
        let token = app.post("/token", "alice", json!({}));
        let (token, upsert) = join(token, app.post("/user/upsert", "alice", new)).await;
        let _ = token.good();
        assert_eq!(upsert.good().body["user"]["name"], "New", "round {round}");
        let user = app.stream().user("alice").unwrap();
        assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("New"), "en"));
    }
}

#[tokio::test]
async fn a_profile_that_did_not_reach_stream_is_sent_with_the_next_request() {
    let app = App::start().await;
    app.known(&["alice"]).await;
    app.stream().script(Rule::on(Operation::UpdateUsers, Fault::Status(503)));
    let upsert = json!({"userData": {"name": "Alice"}});
    let answer = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(answer.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    let _ = app.post("/token", "alice", json!({})).await.good();
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("Alice"));
}

#[tokio::test]
async fn a_deleted_user_does_not_come_back() {
    let app = App::start().await;
    app.known(&["alice"]).await;
    app.stream().delete_user("alice");
    let upsert = json!({"userData": {"name": "Alice"}});
    let answer = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(answer.outcome(), (409, "user_deleted"));
}

/// The apps' users were at Stream before they were in the table.
#[tokio::test]
async fn what_stream_knows_of_a_user_is_taken_over() {
    let app = App::start().await;
    let data = json!({"name": "Alice", "language": "en", "custom": {"plan": "pro"}});
    let _ = app.post("/user/upsert", "alice", json!({"userData": data})).await.good();
    app.forget("USER#alice", "PROFILE").await;
    let _ = app.post("/token", "alice", json!({"userData": {"name": "Alicia"}})).await.good();
    let user = app.stream().user("alice").unwrap();
    assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("Alicia"), "en"));
    assert_eq!(user.custom["plan"], "pro");
    let shown = app.post("/user/upsert", "alice", json!({"userData": {}})).await.good().body;
    assert_eq!(shown["user"]["custom"], json!({"plan": "pro"}));
}
