//! Secrets as they are kept when deployed: fetched when a process starts, and again when they have
//! changed.

use std::time::Duration;

use e2e::App;
use local::{
    JWT_SECRET, JWT_SECRET_ARN, Options, STREAM_API_SECRET, STREAM_SECRET_ARN, SecretStore, Secrets,
};
use serde_json::{Value, json};

const OTHER: &str = "another-secret-that-is-never-deployed-either";

async fn app() -> App {
    App::with(Options { secrets: Secrets::Kept, ..Options::default() }).await
}

fn store(app: &App) -> &SecretStore {
    app.stack().secrets().unwrap()
}

fn event() -> Value {
    json!({"type": "call.session_started", "call_cid": "default:c1", "session_id": "s1",
        "created_at": "2026-01-01T00:00:00Z"})
}

fn keep(app: &App, arn: &str, content: &Value) {
    store(app).put(arn, content);
}

#[tokio::test]
async fn a_process_fetches_its_secrets_once() {
    let app = app().await;
    app.known(&["alice", "bob"]).await;
    assert_eq!(store(&app).asked(), 2);
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.good();
    assert_eq!(store(&app).asked(), 4);
    // The webhook has no callers, so it needs no secret of theirs.
    let _ = app.tell(&event()).await.good();
    assert_eq!(store(&app).asked(), 5);
    let _ = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await.good();
    assert_eq!(store(&app).asked(), 5);
}

/// Stream changes its secret, and it is put where functions fetch it.
fn rotate(app: &App) {
    app.stream().set_api_secret(OTHER);
    keep(app, STREAM_SECRET_ARN, &json!({"secret": OTHER, "previous": STREAM_API_SECRET}));
}

#[tokio::test]
async fn a_changed_stream_secret_fails_no_request() {
    let app = app().await;
    app.known(&["alice", "bob"]).await;
    let create = |id: &str| json!({"receiverId": "bob", "callId": id, "allowParallel": true});
    let _ = app.post("/call/create", "alice", create("c1")).await.good();
    let asked = store(&app).asked();
    rotate(&app);
    let created = app.post("/call/create", "alice", create("c2")).await.good().body;
    assert_eq!((&created["status"], &created["created"]), (&json!("active"), &json!(true)));
    assert_eq!(store(&app).asked(), asked + 2);
    let _ = app.post("/call/create", "alice", create("c3")).await.good();
    assert_eq!(store(&app).asked(), asked + 2);
}

#[tokio::test]
async fn a_call_without_an_id_is_made_once_though_the_secret_has_changed() {
    let app = app().await;
    app.known(&["alice", "bob", "carol"]).await;
    let create = |with: &str| json!({"receiverId": with});
    let _ = app.post("/call/create", "alice", create("carol")).await.good();
    rotate(&app);
    let made = app.post("/call/create", "alice", create("bob")).await.good().body;
    assert_eq!(made["status"], "active");
    // What was begun under the old secret is gone, and nothing of it is at Stream.
    assert_eq!(app.stream().live_calls().len(), 2);
    assert_eq!(app.stream().live_channels().len(), 2);
    let again = app.post("/call/create", "alice", create("bob")).await.good().body;
    assert_eq!((&again["callId"], &again["created"]), (&made["callId"], &json!(false)));
}

#[tokio::test]
async fn what_stream_refuses_for_good_is_asked_for_once() {
    let app = app().await;
    app.known(&["alice", "bob"]).await;
    let upsert = || app.post("/user/upsert", "alice", json!({"userData": {"name": "A"}}));
    let _ = upsert().await.good();
    let asked = store(&app).asked();
    // Nobody has put the new one where functions fetch it.
    app.stream().set_api_secret(OTHER);
    for _ in 0..3 {
        let refused = app.post("/user/upsert", "alice", json!({"userData": {"name": "B"}})).await;
        assert_eq!((refused.status, refused.code()), (502, "stream_rejected_credentials"));
        assert_eq!(store(&app).asked(), asked + 2);
    }
}

#[tokio::test]
async fn the_sweeper_has_a_changed_secret_by_its_next_run() {
    let app = app().await;
    assert_eq!(app.reconcile().await["failed"], 0);
    rotate(&app);
    assert_eq!(app.reconcile().await["failed"], 2);
    assert_eq!(app.reconcile().await["failed"], 0);
}

#[tokio::test]
async fn an_event_that_is_signed_with_the_new_secret_is_heard() {
    let app = app().await;
    let _ = app.tell(&event()).await.good();
    rotate(&app);
    let body = event().to_string();
    let signature = app.stream().sign(body.as_bytes());
    let _ = app.deliver_raw(body.as_bytes(), &[("x-signature", &signature)]).await.good();
    // And one of before that is still on its way.
    let _ = app.tell(&event()).await.good();
}

#[tokio::test]
async fn sessions_of_both_secrets_are_good_while_one_is_changed() {
    let app = app().await;
    app.known(&["alice"]).await;
    keep(&app, JWT_SECRET_ARN, &json!({"secret": OTHER, "previous": JWT_SECRET}));
    // Processes that start now have fetched both.
    app.stack().advance(Duration::from_secs(1)).await;
    let _ = app.post("/token", "alice", json!({})).await.good();
    keep(&app, JWT_SECRET_ARN, &json!({"secret": OTHER}));
    app.stack().advance(Duration::from_secs(1)).await;
    assert_eq!(app.post("/token", "alice", json!({})).await.status, 401);
}

#[tokio::test]
async fn without_secrets_nobody_is_answered_until_they_come() {
    let app = app().await;
    store(&app).set_away(true);
    let refused = app.post("/token", "alice", json!({})).await;
    assert_eq!((refused.status, refused.code()), (503, "secrets_unavailable"));
    assert!(refused.headers.contains_key("retry-after"));
    store(&app).set_away(false);
    app.stack().advance(Duration::from_secs(6)).await;
    let _ = app.post("/token", "alice", json!({})).await.good();
}

#[tokio::test]
async fn secrets_that_cannot_be_used_keep_a_function_from_starting() {
    let app = app().await;
    for content in [
        json!({"secret": "short"}),
        json!({"secret": STREAM_API_SECRET}),
        json!({"secret": JWT_SECRET, "prevoius": OTHER}),
    ] {
        keep(&app, JWT_SECRET_ARN, &content);
        assert_eq!(app.post("/token", "alice", json!({})).await.status, 500);
    }
    let printed = app.stop().await;
    assert!(printed.contains("the configuration cannot be used"), "{printed}");
}
