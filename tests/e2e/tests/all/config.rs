//! What the configuration endpoint tells, and what it never does.

use e2e::App;
use local::{Options, StreamChoice};
use serde_json::{Value, json};
use stream_emulator::{APP_OBJECT_SECRET, Fault, Operation, Rule};

/// The webhook of the API, by the name that API Gateway's events give it here.
const WEBHOOK: &str = "https://local.execute-api.us-east-1.amazonaws.com/api/stream/webhook";

fn hook(url: &str) -> Value {
    json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": url,
        "event_types": [],
        "product": "all",
    })
}

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
async fn a_webhook_that_is_not_registered_here_is_a_warning() {
    let app = App::start().await;
    let elsewhere = "https://elsewhere.example.com/hook?key=of-somebody-else";
    for (hooks, ok, warnings) in [
        (vec![], false, json!(["not_registered"])),
        (vec![hook(elsewhere)], false, json!(["not_registered"])),
        (vec![hook(elsewhere), hook(WEBHOOK)], true, json!([])),
    ] {
        app.stream().set_event_hooks(hooks);
        let config = deep(&app).await;
        let webhook = &config["checks"]["webhook"];
        assert_eq!((&webhook["ok"], &webhook["warnings"]), (&json!(ok), &warnings));
        assert_eq!(webhook["url"], WEBHOOK);
        // What others have there is nobody's business.
        assert!(!config.to_string().contains("elsewhere"), "{config}");
    }
    app.stream().set_event_hooks(vec![json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": WEBHOOK,
        "event_types": ["call.ended"],
        "product": "all",
    })]);
    let webhook = deep(&app).await["checks"]["webhook"].clone();
    assert_eq!(webhook["warnings"], json!(["events_missing"]));
    let missing = webhook["missingEvents"].as_array().unwrap();
    assert!(missing.contains(&json!("call.missed")) && !missing.contains(&json!("call.ended")));
}

/// The caller's own word does not say where the webhook is.
#[tokio::test]
async fn the_webhooks_address_is_not_the_hosts() {
    let app = App::start().await;
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let headers = [("authorization", token.as_str()), ("x-forwarded-host", "evil.example")];
    let answer = app.send(http::Method::GET, "/config?deep=true", &headers, "").await.good();
    assert_eq!(answer.body["config"]["checks"]["webhook"]["url"], WEBHOOK);
}

#[tokio::test]
async fn a_configured_address_wins() {
    let url = "https://api.example.com/api/stream/webhook";
    let app = App::with_env([("WEBHOOK_URL", url)]).await;
    app.stream().set_event_hooks(vec![hook(url)]);
    let webhook = deep(&app).await["checks"]["webhook"].clone();
    assert_eq!((&webhook["ok"], &webhook["url"]), (&json!(true), &json!(url)));
    drop(app);

    let app = App::with_env([("WEBHOOK_URL", "api.example.com")]).await;
    assert_eq!(app.get("/config", "alice").await.status, 500);
    assert!(app.stack().output().contains("WEBHOOK_URL must be an http or https URL"));
}

/// As `cargo run -p local` has it.
#[tokio::test]
async fn the_local_stack_has_its_webhook() {
    let app = App::with(Options { webhooks: true, ..Options::default() }).await;
    let webhook = deep(&app).await["checks"]["webhook"].clone();
    assert_eq!((&webhook["ok"], &webhook["warnings"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn what_is_left_of_streams_limits_is_told() {
    let app = App::with_call("c1").await;
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "bob", message).await.good();
    let _ = app.get("/message/call-c1", "alice").await.good();
    let _ = app.get("/call/quality/c1", "alice").await.good();
    let _ = app.post("/token/revoke", "bob", json!({})).await.good();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    let _ = app.delete("/user/alice", "alice").await;
    let _ = app.sweep().await;
    let _ = app.reconcile().await;
    let limits = deep(&app).await["checks"]["rateLimits"].clone();
    assert_eq!((&limits["ok"], &limits["warnings"]), (&json!(true), &json!([])), "{limits}");
    assert_eq!(limits["low"], json!([]));
    // That of the very request that asks.
    let own = &limits["endpoints"]["GetRateLimits"];
    assert_eq!(own["limit"], 60);
    assert!((50..60).contains(&own["remaining"].as_i64().unwrap()), "{own}");
    assert!(own["reset"].as_str().unwrap().ends_with(":00.000Z"), "{own}");
    // Every operation that was used has its limit there, by the name that Stream has for it.
    let used = json!(app.stream().counts());
    for name in used.as_object().unwrap().keys() {
        assert!(limits["endpoints"].get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn limits_that_stream_does_not_tell_leave_the_rest() {
    let app = App::start().await;
    app.stream().script(Rule::on(Operation::GetRateLimits, Fault::Status(503)));
    let checks = deep(&app).await["checks"].clone();
    assert_eq!(checks["rateLimits"]["ok"], false);
    assert_eq!(checks["rateLimits"]["code"], "stream_unavailable");
    assert_eq!((&checks["stream"]["ok"], &checks["dynamodb"]["ok"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn without_stream_every_check_of_it_says_so() {
    let app = App::with(Options { stream: StreamChoice::Unconfigured, ..Options::default() }).await;
    let checks = deep(&app).await["checks"].clone();
    for name in ["stream", "webhook", "rateLimits"] {
        assert_eq!(checks[name]["ok"], false, "{name}");
        assert_eq!(checks[name]["code"], "stream_not_configured", "{name}");
    }
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
    for name in ["stream", "webhook", "rateLimits"] {
        assert_eq!(config["checks"][name]["code"], "stream_rejected_credentials", "{name}");
    }
    assert_eq!(config["checks"]["dynamodb"]["code"], "store_unavailable");
}

#[tokio::test]
async fn a_secret_that_is_no_secret_keeps_a_function_from_starting() {
    let app = App::with_env([("JWT_SECRET", "short")]).await;
    let answer = app.get("/config", "alice").await;
    assert_eq!(answer.status, 500);
    assert!(app.stack().output().contains("JWT_SECRET must have at least 32 bytes"));
}
