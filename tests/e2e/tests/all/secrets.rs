//! Secrets in Secrets Manager: fetched when a process starts, and again after a rotation.

use std::time::Duration;

use e2e::TestApp;
use local::{
    JWT_SECRET, JWT_SECRET_ARN, Options, STREAM_API_SECRET, STREAM_SECRET_ARN, SecretSource,
    SecretStore,
};
use serde_json::{Value, json};

const OTHER_SECRET: &str = "another-secret-that-is-never-deployed-either";

async fn app_with_stored_secrets() -> TestApp {
    TestApp::with_options(Options { secrets: SecretSource::SecretsManager, ..Options::default() })
        .await
}

fn secret_store(app: &TestApp) -> &SecretStore {
    app.stack().secrets().unwrap()
}

fn session_started_event() -> Value {
    json!({"type": "call.session_started", "call_cid": "default:c1", "session_id": "s1",
        "created_at": "2026-01-01T00:00:00Z"})
}

fn put_secret(app: &TestApp, arn: &str, content: &Value) {
    secret_store(app).put(arn, content);
}

#[tokio::test]
async fn process_fetches_its_secrets_once() {
    let app = app_with_stored_secrets().await;
    app.provision_users(&["alice", "bob"]).await;
    assert_eq!(secret_store(&app).request_count(), 2);
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    assert_eq!(secret_store(&app).request_count(), 4);
    // The webhook function does not read the JWT secret.
    let _ = app.send_webhook(&session_started_event()).await.expect_success();
    assert_eq!(secret_store(&app).request_count(), 5);
    let _ = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await.expect_success();
    assert_eq!(secret_store(&app).request_count(), 5);
}

/// Rotates the secret at Stream, and stores the new one in Secrets Manager.
fn rotate_stream_secret(app: &TestApp) {
    app.stream().set_api_secret(OTHER_SECRET);
    put_secret(
        app,
        STREAM_SECRET_ARN,
        &json!({"secret": OTHER_SECRET, "previous": STREAM_API_SECRET}),
    );
}

#[tokio::test]
async fn stream_secret_rotation_fails_no_request() {
    let app = app_with_stored_secrets().await;
    app.provision_users(&["alice", "bob"]).await;
    let create = |id: &str| json!({"receiverId": "bob", "callId": id, "allowParallel": true});
    let _ = app.post("/call/create", "alice", create("c1")).await.expect_success();
    let requests_before = secret_store(&app).request_count();
    rotate_stream_secret(&app);
    let created = app.post("/call/create", "alice", create("c2")).await.expect_success().body;
    assert_eq!((&created["status"], &created["created"]), (&json!("active"), &json!(true)));
    assert_eq!(secret_store(&app).request_count(), requests_before + 2);
    let _ = app.post("/call/create", "alice", create("c3")).await.expect_success();
    assert_eq!(secret_store(&app).request_count(), requests_before + 2);
}

#[tokio::test]
async fn create_without_id_during_rotation_makes_one_call() {
    let app = app_with_stored_secrets().await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    let create = |receiver: &str| json!({"receiverId": receiver});
    let _ = app.post("/call/create", "alice", create("carol")).await.expect_success();
    rotate_stream_secret(&app);
    let call = app.post("/call/create", "alice", create("bob")).await.expect_success().body;
    assert_eq!(call["status"], "active");
    // The call that was begun with the old secret is removed, and nothing of it is left at Stream.
    assert_eq!(app.stream().live_calls().len(), 2);
    assert_eq!(app.stream().live_channels().len(), 2);
    let again = app.post("/call/create", "alice", create("bob")).await.expect_success().body;
    assert_eq!((&again["callId"], &again["created"]), (&call["callId"], &json!(false)));
}

#[tokio::test]
async fn permanently_rejected_secret_is_refetched_once() {
    let app = app_with_stored_secrets().await;
    app.provision_users(&["alice", "bob"]).await;
    let upsert = || app.post("/user/upsert", "alice", json!({"userData": {"name": "A"}}));
    let _ = upsert().await.expect_success();
    let requests_before = secret_store(&app).request_count();
    // The new secret is not stored in Secrets Manager.
    app.stream().set_api_secret(OTHER_SECRET);
    for _ in 0..3 {
        let rejected = app.post("/user/upsert", "alice", json!({"userData": {"name": "B"}})).await;
        assert_eq!((rejected.status, rejected.error_code()), (502, "stream_rejected_credentials"));
        assert_eq!(secret_store(&app).request_count(), requests_before + 2);
    }
}

#[tokio::test]
async fn sweeper_uses_a_rotated_secret_on_its_next_run() {
    let app = app_with_stored_secrets().await;
    assert_eq!(app.reconcile().await["failed"], 0);
    rotate_stream_secret(&app);
    assert_eq!(app.reconcile().await["failed"], 2);
    assert_eq!(app.reconcile().await["failed"], 0);
}

#[tokio::test]
async fn webhook_signed_with_the_new_secret_is_accepted() {
    let app = app_with_stored_secrets().await;
    let _ = app.send_webhook(&session_started_event()).await.expect_success();
    rotate_stream_secret(&app);
    let body = session_started_event().to_string();
    let signature = app.stream().sign_webhook(body.as_bytes());
    let _ = app
        .send_raw_webhook(body.as_bytes(), &[("x-signature", &signature)])
        .await
        .expect_success();
    // An event that was signed with the old secret is still accepted.
    let _ = app.send_webhook(&session_started_event()).await.expect_success();
}

#[tokio::test]
async fn sessions_of_current_and_previous_secret_are_accepted() {
    let app = app_with_stored_secrets().await;
    app.provision_users(&["alice"]).await;
    put_secret(&app, JWT_SECRET_ARN, &json!({"secret": OTHER_SECRET, "previous": JWT_SECRET}));
    // A new process fetches both secrets.
    app.stack().advance(Duration::from_secs(1)).await;
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
    put_secret(&app, JWT_SECRET_ARN, &json!({"secret": OTHER_SECRET}));
    app.stack().advance(Duration::from_secs(1)).await;
    assert_eq!(app.post("/token", "alice", json!({})).await.status, 401);
}

#[tokio::test]
async fn unavailable_secrets_return_503_until_fetched() {
    let app = app_with_stored_secrets().await;
    secret_store(&app).set_unavailable(true);
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!((rejected.status, rejected.error_code()), (503, "secrets_unavailable"));
    assert!(rejected.headers.contains_key("retry-after"));
    secret_store(&app).set_unavailable(false);
    app.stack().advance(Duration::from_secs(6)).await;
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
}

#[tokio::test]
async fn invalid_secrets_prevent_function_start() {
    let app = app_with_stored_secrets().await;
    for content in [
        json!({"secret": "short"}),
        json!({"secret": STREAM_API_SECRET}),
        json!({"secret": JWT_SECRET, "prevoius": OTHER_SECRET}),
    ] {
        put_secret(&app, JWT_SECRET_ARN, &content);
        assert_eq!(app.post("/token", "alice", json!({})).await.status, 500);
    }
    let output = app.stop().await;
    assert!(output.contains("invalid configuration"), "{output}");
}
