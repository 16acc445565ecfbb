//! Users and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::TestApp;
use futures_util::future::{join, join_all};
use local::{Options, UserLimits};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn token_contains_user_and_expiry() {
    let app = TestApp::start().await;
    let token = app.post("/token", "alice", json!({"ttlSeconds": 600})).await.expect_success().body;
    let claims = claims(&token["token"]);
    let keys: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["exp", "iat", "user_id"]);
    assert_eq!(claims["user_id"], "alice");
    let lifetime_seconds = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime_seconds, 605);
    let longest =
        app.post("/token", "alice", json!({"ttlSeconds": 1_000_000})).await.expect_success().body;
    let claims = self::claims(&longest["token"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_405);
    for invalid_ttl in [json!(59), json!("600"), json!(-1), json!(60.5)] {
        let response = app.post("/token", "alice", json!({"ttlSeconds": invalid_ttl})).await;
        assert_eq!(response.outcome(), (400, "invalid_body"));
        let error = &response.body["errors"][0];
        assert_eq!(error["pointer"], "/ttlSeconds");
        let reason = error["reason"].as_str().unwrap();
        assert!(reason.ends_with("expected a whole number of seconds, at least 60"), "{reason}");
    }
}

#[tokio::test]
async fn first_token_provisions_the_user() {
    let app = TestApp::start().await;
    let data = json!({"userData": {"name": "Alice", "image": "https://example.com/a.png"}});
    let _ = app.post("/token", "alice", data).await.expect_success();
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
}

#[tokio::test]
async fn unknown_users_may_be_rejected() {
    let app = TestApp::with_env([("UNKNOWN_USERS", "reject")]).await;
    let response = app.post("/token", "alice", json!({})).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    assert!(app.stream().user("alice").is_none());
    let upsert = json!({"userData": {"name": "Alice"}});
    let _ = app.post("/user/upsert", "alice", upsert).await.expect_success();
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
}

#[tokio::test]
async fn upsert_keeps_omitted_fields() {
    let app = TestApp::start().await;
    for data in [
        json!({"name": "Alice", "language": "en"}),
        json!({"image": "https://example.com/a.png"}),
        json!({"custom": {"plan": "pro", "n": 1.5}}),
    ] {
        let _ = app.post("/user/upsert", "alice", json!({"userData": data})).await.expect_success();
    }
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
    assert_eq!(user.language, "en");
    assert_eq!(Value::Object(user.custom), json!({"plan": "pro", "n": 1.5}));
    // A token request changes only the fields that it contains.
    let _ =
        app.post("/token", "alice", json!({"userData": {"name": "Alicia"}})).await.expect_success();
    let user = app.stream().user("alice").unwrap();
    assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("Alicia"), "en"));
}

#[tokio::test]
async fn invalid_user_fields_are_rejected() {
    let app = TestApp::start().await;
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
        let response = app.post("/user/upsert", "alice", json!({"userData": data})).await;
        assert_eq!(response.outcome(), (400, "invalid_body"), "{pointer}");
        assert_eq!(response.body["errors"][0]["pointer"], pointer);
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn concurrent_upserts_all_reach_stream() {
    let app = TestApp::with_options(Options { max_instances: 6, ..Options::default() }).await;
    let changes = [
        json!({"name": "Alice"}),
        json!({"image": "https://example.com/a.png"}),
        json!({"language": "en"}),
        json!({"custom": {"plan": "pro"}}),
    ];
    let upserts = changes.map(|data| app.post("/user/upsert", "alice", json!({"userData": data})));
    for response in join_all(upserts).await {
        let _ = response.expect_success();
    }
    let user = app.stream().user("alice").unwrap();
    assert_eq!(user.name.as_deref(), Some("Alice"));
    assert_eq!(user.image.as_deref(), Some("https://example.com/a.png"));
    assert_eq!(user.language, "en");
    assert_eq!(user.custom["plan"], "pro");
}

/// Importing the old profile from Stream does not overwrite a concurrent change.
#[tokio::test]
async fn provisioning_does_not_overwrite_concurrent_changes() {
    let app = TestApp::with_options(Options { max_instances: 6, ..Options::default() }).await;
    let old_profile = json!({"userData": {"name": "Old", "language": "en"}});
    for round in 0..5 {
        let _ = app.post("/user/upsert", "alice", old_profile.clone()).await.expect_success();
        app.delete_item("USER#alice", "PROFILE").await;
        let new_profile = json!({"userData": {"name": "New"}});
        let token = app.post("/token", "alice", json!({}));
        let (token, upsert) = join(token, app.post("/user/upsert", "alice", new_profile)).await;
        let _ = token.expect_success();
        assert_eq!(upsert.expect_success().body["user"]["name"], "New", "round {round}");
        let user = app.stream().user("alice").unwrap();
        assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("New"), "en"));
    }
}

#[tokio::test]
async fn unsynced_profile_is_sent_with_the_next_request() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateUsers, Fault::Status(503)));
    let upsert = json!({"userData": {"name": "Alice"}});
    let response = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(response.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("Alice"));
}

#[tokio::test]
async fn upsert_of_a_deleted_user_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    app.stream().delete_user("alice");
    let upsert = json!({"userData": {"name": "Alice"}});
    let response = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(response.outcome(), (409, "user_deleted"));
}

/// A user who exists at Stream but not in the table.
#[tokio::test]
async fn existing_stream_profile_is_imported() {
    let app = TestApp::start().await;
    let data = json!({"name": "Alice", "language": "en", "custom": {"plan": "pro"}});
    let _ = app.post("/user/upsert", "alice", json!({"userData": data})).await.expect_success();
    app.delete_item("USER#alice", "PROFILE").await;
    let _ =
        app.post("/token", "alice", json!({"userData": {"name": "Alicia"}})).await.expect_success();
    let user = app.stream().user("alice").unwrap();
    assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("Alicia"), "en"));
    assert_eq!(user.custom["plan"], "pro");
    let response =
        app.post("/user/upsert", "alice", json!({"userData": {}})).await.expect_success().body;
    assert_eq!(response["user"]["custom"], json!({"plan": "pro"}));
}

#[tokio::test]
async fn null_removes_a_field_at_stream() {
    let app = TestApp::start().await;
    let profile = json!({
        "name": "Alice",
        "image": "https://example.com/a.png",
        "language": "en",
        "custom": {"plan": "pro"},
    });
    for (path, field) in [
        ("/user/upsert", "name"),
        ("/user/upsert", "image"),
        ("/user/upsert", "language"),
        ("/user/upsert", "custom"),
        ("/token", "name"),
        ("/token", "image"),
    ] {
        let upsert = json!({"userData": profile});
        let _ = app.post("/user/upsert", "alice", upsert).await.expect_success();
        let removal = json!({"userData": {field: null}});
        let response = app.post(path, "alice", removal).await.expect_success();
        assert!(response.body["user"][field].is_null(), "{path} {field}");
        let user = app.stream().user("alice").unwrap();
        for (name, is_set) in [
            ("name", user.name.is_some()),
            ("image", user.image.is_some()),
            ("language", !user.language.is_empty()),
            ("custom", !user.custom.is_empty()),
        ] {
            assert_eq!(is_set, name != field, "{path} {field}: {name}");
        }
    }
}

/// RFC 7396: a patch changes the members that it contains, at every depth.
#[tokio::test]
async fn custom_data_is_merged_by_name() {
    let app = TestApp::start().await;
    for (patch, expected) in [
        (json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"a": 1, "b": {"c": 1, "d": 2}})),
        (
            json!({"a": null, "b": {"c": null, "e": 3}, "x": "y"}),
            json!({"b": {"d": 2, "e": 3}, "x": "y"}),
        ),
        (json!({}), json!({"b": {"d": 2, "e": 3}, "x": "y"})),
        (json!({"b": [1, null]}), json!({"b": [1, null], "x": "y"})),
        (json!({"b": {"c": {"d": null}}}), json!({"b": {"c": {}}, "x": "y"})),
        (json!({"missing": null}), json!({"b": {"c": {}}, "x": "y"})),
        (json!({"b": null, "x": null}), json!({})),
        (json!({"n": 1.5, "text": "\u{1f600}"}), json!({"n": 1.5, "text": "\u{1f600}"})),
        (json!(null), json!({})),
        (json!({"n": null}), json!({})),
    ] {
        let upsert = json!({"userData": {"custom": patch}});
        let response = app.post("/user/upsert", "alice", upsert).await.expect_success();
        let returned = response.body["user"].get("custom").cloned();
        assert_eq!(returned.unwrap_or_else(|| json!({})), expected, "{patch}");
        let custom = app.stream().user("alice").unwrap().custom;
        assert_eq!(Value::Object(custom), expected, "{patch}");
    }
}

#[tokio::test]
async fn custom_data_is_limited_after_the_change() {
    let app = TestApp::start().await;
    let upsert = async |custom: Value| {
        app.post("/user/upsert", "alice", json!({"userData": {"custom": custom}})).await
    };
    // 2,048 bytes as JSON.
    let _ = upsert(json!({"a": "x".repeat(2_040)})).await.expect_success();
    let before = app.stream().user("alice").unwrap();
    for custom in [
        json!({"b": 1}),
        json!({"c": {"d": []}}),
        json!({"a": "x".repeat(2_041)}),
        json!({"a": "x".repeat(4_000)}),
    ] {
        let response = upsert(custom).await;
        assert_eq!(response.outcome(), (400, "invalid_body"));
        assert_eq!(response.body["errors"][0]["pointer"], "/userData/custom");
        assert_eq!(app.stream().user("alice").unwrap(), before);
    }
    let _ = upsert(json!({"a": null, "b": 1})).await.expect_success();
    let custom = app.stream().user("alice").unwrap().custom;
    assert_eq!(Value::Object(custom), json!({"b": 1}));
}

#[tokio::test]
async fn twenty_upserts_per_minute_are_accepted() {
    let user_limits = UserLimits::Default;
    let app = TestApp::with_options(Options { user_limits, ..Options::default() }).await;
    app.advance_to_next_minute().await;
    let upsert = async |n: usize| {
        let body = json!({"userData": {"name": format!("Alice {n}")}});
        app.post("/user/upsert", "alice", body).await
    };
    for n in 1..=20 {
        let _ = upsert(n).await.expect_success();
    }
    assert_eq!(upsert(21).await.outcome(), (429, "too_many_requests"));
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("Alice 20"));
}
