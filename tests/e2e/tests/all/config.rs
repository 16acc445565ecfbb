//! The configuration endpoint: its checks, and what it does not disclose.

use e2e::TestApp;
use local::{Options, StreamChoice};
use serde_json::{Value, json};
use stream_emulator::{APP_OBJECT_SECRET, Fault, FaultRule, Operation};

/// The URL of the API's webhook, with the host name of the local API Gateway.
const WEBHOOK_URL: &str = "https://local.execute-api.us-east-1.amazonaws.com/api/stream/webhook";

/// The default of the variable `STREAM_SERVICE_USER`.
const SERVICE_USER: &str = "stream-functions";

fn event_hook(url: &str) -> Value {
    json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": url,
        "event_types": [],
        "product": "all",
    })
}

async fn get_deep_config(app: &TestApp) -> Value {
    app.get("/config?deep=true", "alice").await.expect_success().body["config"].clone()
}

#[tokio::test]
async fn deep_check_queries_stream_and_the_table() {
    let app = TestApp::start().await;
    let shallow_config = app.get("/config", "alice").await.expect_success().body["config"].clone();
    assert_eq!(
        shallow_config,
        json!({
            "apiKey": local::STREAM_API_KEY,
            "hasApiSecret": true,
            "isConfigured": true,
            "clientInitialized": true,
            "missing": [],
            "region": local::REGION,
            "version": shallow_config["version"],
        })
    );
    let config = get_deep_config(&app).await;
    let stream = &config["checks"]["stream"];
    assert_eq!((&stream["ok"], &stream["warnings"]), (&json!(true), &json!([])));
    assert!(stream["latencyMs"].is_u64() && stream["clockSkewMs"].is_i64());
    assert_eq!(config["checks"]["dynamodb"]["ok"], true);
    assert!(!config.to_string().contains(APP_OBJECT_SECRET));
    assert!(!config.to_string().contains(local::STREAM_API_SECRET));
}

#[tokio::test]
async fn unregistered_webhook_is_a_warning() {
    let app = TestApp::start().await;
    let other_url = "https://elsewhere.example.com/hook?key=confidential";
    for (hooks, ok, warnings) in [
        (vec![], false, json!(["not_registered"])),
        (vec![event_hook(other_url)], false, json!(["not_registered"])),
        (vec![event_hook(other_url), event_hook(WEBHOOK_URL)], true, json!([])),
    ] {
        app.stream().set_event_hooks(hooks);
        let config = get_deep_config(&app).await;
        let webhook = &config["checks"]["webhook"];
        assert_eq!((&webhook["ok"], &webhook["warnings"]), (&json!(ok), &warnings));
        assert_eq!(webhook["url"], WEBHOOK_URL);
        // The URLs of other webhooks are not disclosed.
        assert!(!config.to_string().contains("elsewhere"), "{config}");
    }
    app.stream().set_event_hooks(vec![json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": WEBHOOK_URL,
        "event_types": ["call.ended"],
        "product": "all",
    })]);
    let webhook = get_deep_config(&app).await["checks"]["webhook"].clone();
    assert_eq!(webhook["warnings"], json!(["events_missing"]));
    let missing = webhook["missingEvents"].as_array().unwrap();
    assert!(missing.contains(&json!("call.missed")) && !missing.contains(&json!("call.ended")));
}

/// A header of the caller does not change the expected URL.
#[tokio::test]
async fn webhook_url_ignores_forwarded_host() {
    let app = TestApp::start().await;
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let headers = [("authorization", token.as_str()), ("x-forwarded-host", "evil.example")];
    let response =
        app.send(http::Method::GET, "/config?deep=true", &headers, "").await.expect_success();
    assert_eq!(response.body["config"]["checks"]["webhook"]["url"], WEBHOOK_URL);
}

#[tokio::test]
async fn configured_webhook_url_takes_precedence() {
    let url = "https://api.example.com/api/stream/webhook";
    let app = TestApp::with_env([("WEBHOOK_URL", url)]).await;
    app.stream().set_event_hooks(vec![event_hook(url)]);
    let webhook = get_deep_config(&app).await["checks"]["webhook"].clone();
    assert_eq!((&webhook["ok"], &webhook["url"]), (&json!(true), &json!(url)));
    drop(app);

    let app = TestApp::with_env([("WEBHOOK_URL", "api.example.com")]).await;
    assert_eq!(app.get("/config", "alice").await.status, 500);
    assert!(app.stack().output().contains("WEBHOOK_URL must be an http or https URL"));
}

/// With the options of `cargo run -p local`.
#[tokio::test]
async fn local_stack_registers_its_webhook() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    let webhook = get_deep_config(&app).await["checks"]["webhook"].clone();
    assert_eq!((&webhook["ok"], &webhook["warnings"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn remaining_stream_rate_limits_are_reported() {
    let app = TestApp::with_call("c1").await;
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "bob", message).await.expect_success();
    let _ = app.get("/message/call-c1", "alice").await.expect_success();
    let _ = app.get("/call/quality/c1", "alice").await.expect_success();
    let _ = app.post("/token/revoke", "bob", json!({})).await.expect_success();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    let _ = app.delete("/user/alice", "alice").await;
    let _ = app.sweep().await;
    let _ = app.reconcile().await;
    let limits = get_deep_config(&app).await["checks"]["rateLimits"].clone();
    assert_eq!((&limits["ok"], &limits["warnings"]), (&json!(true), &json!([])), "{limits}");
    assert_eq!(limits["low"], json!([]));
    // The limit of the request that reads the limits.
    let own_endpoint = &limits["endpoints"]["GetRateLimits"];
    assert_eq!(own_endpoint["limit"], 60);
    assert!((50..60).contains(&own_endpoint["remaining"].as_i64().unwrap()), "{own_endpoint}");
    assert!(own_endpoint["reset"].as_str().unwrap().ends_with(":00.000Z"), "{own_endpoint}");
    // Every operation that was used has its limit under its name at Stream.
    let used = json!(app.stream().counts());
    for name in used.as_object().unwrap().keys() {
        assert!(limits["endpoints"].get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn unavailable_rate_limits_do_not_affect_other_checks() {
    let app = TestApp::start().await;
    app.stream().add_fault(FaultRule::for_operation(Operation::GetRateLimits, Fault::Status(503)));
    let checks = get_deep_config(&app).await["checks"].clone();
    assert_eq!(checks["rateLimits"]["ok"], false);
    assert_eq!(checks["rateLimits"]["code"], "stream_unavailable");
    assert_eq!((&checks["stream"]["ok"], &checks["dynamodb"]["ok"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn default_call_type_is_open() {
    let app = TestApp::start().await;
    let check = get_deep_config(&app).await["checks"]["callType"].clone();
    assert_eq!((&check["ok"], &check["name"]), (&json!(false), &json!("default")));
    let warnings = json!(["call_type_open", "ring_timeout_differs", "default_call_type"]);
    assert_eq!(check["warnings"], warnings);
}

#[tokio::test]
async fn configured_call_type_and_service_user_are_checked() {
    let app = TestApp::with_env([("STREAM_CALL_TYPE", "private")]).await;
    let check = async || get_deep_config(&app).await["checks"]["callType"].clone();
    app.stream().deactivate_user(SERVICE_USER);
    let missing = check().await;
    assert_eq!((&missing["ok"], &missing["name"]), (&json!(false), &json!("private")));
    assert_eq!(missing["warnings"], json!(["call_type_missing", "service_user_missing"]));

    app.stream().reactivate_user(SERVICE_USER);
    let call_type = json!({
        "name": "private",
        "grants": {
            "admin": [],
            "call_member": ["end-call", "join-call", "read-call", "send-audio", "send-video"],
            "guest": [],
            "user": [],
        },
        "settings": {"ring": {
            "auto_cancel_timeout_ms": 120_000,
            "incoming_call_timeout_ms": 120_000,
            "missed_call_timeout_ms": 120_000,
        }},
    });
    app.post_to_stream("video/calltypes", &call_type).await;
    let closed = check().await;
    assert_eq!((&closed["ok"], &closed["warnings"]), (&json!(true), &json!([])));

    app.stream().add_fault(FaultRule::for_operation(Operation::GetCallType, Fault::Status(503)));
    let checks = get_deep_config(&app).await["checks"].clone();
    assert_eq!(checks["callType"]["code"], "stream_unavailable");
    assert_eq!((&checks["callType"]["ok"], &checks["stream"]["ok"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn unconfigured_stream_fails_every_stream_check() {
    let app =
        TestApp::with_options(Options { stream: StreamChoice::Unconfigured, ..Options::default() })
            .await;
    let checks = get_deep_config(&app).await["checks"].clone();
    for name in ["stream", "webhook", "rateLimits", "callType"] {
        assert_eq!(checks[name]["ok"], false, "{name}");
        assert_eq!(checks[name]["code"], "stream_not_configured", "{name}");
    }
}

#[tokio::test]
async fn disabled_auth_checks_and_clock_skew_are_warnings() {
    let app = TestApp::start().await;
    app.stream().set_disable_auth_checks(true);
    app.stream().set_date_skew(-60);
    let config = get_deep_config(&app).await;
    let stream = &config["checks"]["stream"];
    assert_eq!(stream["warnings"], json!(["auth_checks_disabled", "clock_skew"]));
    let skew = stream["clockSkewMs"].as_i64().unwrap();
    assert!((60_000..75_000).contains(&skew), "{skew}");
}

#[tokio::test]
async fn unavailable_backends_have_error_codes() {
    let app = TestApp::start().await;
    app.stream().set_app_suspended(true);
    app.stack()
        .dynamo()
        .inject_fault(local::dynamo::Rule::always(local::dynamo::Fault::ConnectionClosed));
    let config = get_deep_config(&app).await;
    for name in ["stream", "webhook", "rateLimits", "callType"] {
        assert_eq!(config["checks"][name]["code"], "stream_rejected_credentials", "{name}");
    }
    assert_eq!(config["checks"]["dynamodb"]["code"], "store_unavailable");
}

#[tokio::test]
async fn short_jwt_secret_prevents_function_start() {
    let app = TestApp::with_env([("JWT_SECRET", "short")]).await;
    let response = app.get("/config", "alice").await;
    assert_eq!(response.status, 500);
    assert!(app.stack().output().contains("JWT_SECRET must have at least 32 bytes"));
}
