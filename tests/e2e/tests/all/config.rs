//! What the configuration endpoint tells, and what it never does.

use e2e::App;
use serde_json::{Value, json};
use stream_emulator::APP_OBJECT_SECRET;

async fn deep(app: &App) -> Value {
    app.get("/config?deep=true", "alice").await.good().body["config"].clone()
}

#[tokio::test]
async fn deep_checks_ask_stream_and_the_table() {
    let app = App::start().await;
    let plain = app.get("/config", "alice").await.good().body["config"].clone();
    assert_eq!(
        plain,
        json!({
            "apiKey": local::STREAM_API_KEY,
            "hasApiSecret": true,
            "isConfigured": true,
            "clientInitialized": true,
            "missing": [],
            "region": local::REGION,
            "version": plain["version"],
        })
    );
    let config = deep(&app).await;
    let stream = &config["checks"]["stream"];
    assert_eq!((&stream["ok"], &stream["warnings"]), (&json!(true), &json!([])));
    assert!(stream["latencyMs"].is_u64() && stream["clockSkewMs"].is_i64());
    assert_eq!(config["checks"]["dynamodb"]["ok"], true);
    assert!(!config.to_string().contains(APP_OBJECT_SECRET));
    assert!(!config.to_string().contains(local::STREAM_API_SECRET));
}

#[tokio::test]
async fn what_an_operator_should_see_is_a_warning() {
    let app = App::start().await;
    app.stream().set_disable_auth_checks(true);
    app.stream().set_date_skew(-60);
    let config = deep(&app).await;
    let stream = &config["checks"]["stream"];
    assert_eq!(stream["warnings"], json!(["auth_checks_disabled", "clock_skew"]));
    let skew = stream["clockSkewMs"].as_i64().unwrap();
    assert!((60_000..75_000).contains(&skew), "{skew}");
}

#[tokio::test]
async fn what_does_not_answer_has_a_code() {
    let app = App::start().await;
    app.stream().suspend_app(true);
    app.stack().dynamo().script(local::dynamo::Rule::always(local::dynamo::Fault::Refused));
    let config = deep(&app).await;
    assert_eq!(config["checks"]["stream"]["code"], "stream_rejected_credentials");
    assert_eq!(config["checks"]["dynamodb"]["code"], "store_unavailable");
}

#[tokio::test]
async fn a_secret_that_is_no_secret_keeps_a_function_from_starting() {
    let app = App::with_env([("JWT_SECRET", "short")]).await;
    let answer = app.get("/config", "alice").await;
    assert_eq!(answer.status, 500);
    assert!(app.stack().output().contains("JWT_SECRET must have at least 32 bytes"));
}
