//! Authorization: the user is taken from the session token, and calls of other members do not exist
//! for the caller.

use e2e::TestApp;
use http::Method;
use serde_json::{Value, json};

const NO_REQUESTS: (u64, u64) = (0, 0);

#[tokio::test]
async fn request_for_another_user_is_rejected_without_io() {
    let app = TestApp::start().await;
    for (path, body) in [
        ("/token", json!({"userId": "bob"})),
        ("/token", json!({"userId": "bob", "userData": {"name": "Bob"}})),
        ("/user/upsert", json!({"userId": "bob", "userData": {"name": "Bob"}})),
    ] {
        let response = app.post(path, "alice", body).await;
        assert_eq!(response.outcome(), (403, "user_mismatch"), "{path}");
    }
    assert_eq!(app.counts(), NO_REQUESTS);
    assert!(app.stream().user("bob").is_none());
}

#[tokio::test]
async fn a_service_may_act_for_others() {
    let app = TestApp::start().await;
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let response =
        app.post_with_headers("/token", &headers, r#"{"userId":"bob"}"#).await.expect_success();
    assert_eq!(response.body["userId"], "bob");
    // The role of the service is not copied to the user.
    assert_eq!(app.stream().user("bob").unwrap().role, "user");
}

#[tokio::test]
async fn role_is_taken_only_from_the_session_token() {
    let app = TestApp::start().await;
    let admin =
        app.stack().sign_token(json!({"sub": "root", "role": "admin", "exp": 4_102_444_800_i64}));
    let admin = format!("Bearer {admin}");
    let _ =
        app.post_with_headers("/token", &[("authorization", &admin)], "{}").await.expect_success();
    assert_eq!(app.stream().user("root").unwrap().role, "admin");

    let body = json!({"userData": {"name": "Alice", "role": "admin"}});
    let response = app.post("/user/upsert", "alice", body).await;
    assert_eq!(response.outcome(), (400, "invalid_body"));
    app.provision_users(&["alice"]).await;
    assert_eq!(app.stream().user("alice").unwrap().role, "user");

    // A token request without the admin role removes the role at Stream.
    app.provision_users(&["root"]).await;
    assert_eq!(app.stream().user("root").unwrap().role, "user");
}

#[tokio::test]
async fn invalid_tokens_get_the_same_response_without_io() {
    let app = TestApp::start().await;
    let token = app.stack().token_for("alice");
    let expired = app.stack().sign_token(json!({"sub": "alice", "exp": 1_767_225_600}));
    let without_expiry = app.stack().sign_token(json!({"sub": "alice"}));
    let without_subject = app.stack().sign_token(json!({"exp": 4_102_444_800_i64}));
    let (signing_input, _) = token.rsplit_once('.').unwrap();
    let mut bodies = std::collections::BTreeSet::new();
    for value in [
        String::new(),
        "Bearer".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer {signing_input}."),
        format!("Bearer {signing_input}.AAAA"),
        format!("Bearer {expired}"),
        format!("Bearer {without_expiry}"),
        format!("Bearer {without_subject}"),
        format!("Bearer {}", "x".repeat(9_000)),
    ] {
        let response = app.send(Method::POST, "/token", &[("authorization", &value)], "{}").await;
        assert_eq!(response.outcome(), (401, "unauthenticated"), "{value}");
        assert_eq!(response.headers["www-authenticate"], "Bearer");
        bodies.insert(response.body_without_instance().to_string());
    }
    let missing = app.send(Method::POST, "/token", &[], "{}").await;
    bodies.insert(missing.body_without_instance().to_string());
    assert_eq!(bodies.len(), 1);
    assert_eq!(app.counts(), NO_REQUESTS);
}

#[tokio::test]
async fn settings_for_another_issuer_reach_the_functions() {
    let app = TestApp::with_env([
        ("JWT_ISSUER", "https://old.example, https://new.example"),
        ("JWT_AUDIENCE", "ios,android"),
        ("JWT_AUDIENCE_CLAIM", "client_id"),
        ("JWT_REQUIRED_CLAIM", "token_use=access"),
        ("JWT_USER_ID_ENCODING", "escape"),
    ])
    .await;
    // The token of the local stack has the claims that these settings require.
    app.provision_users(&["bob"]).await;
    let claims = json!({
        "iss": "https://new.example", "client_id": "android", "token_use": "access",
        "sub": "auth0|alice", "exp": 4_102_444_800_i64,
    });
    let request_token = async |claims: &Value| {
        let bearer = format!("Bearer {}", app.stack().sign_token(claims.clone()));
        app.post_with_headers("/token", &[("authorization", bearer.as_str())], "{}").await
    };
    let response = request_token(&claims).await.expect_success();
    // The user has the encoded id in responses and at Stream.
    assert_eq!(response.body["userId"], "auth0@7calice");
    assert!(app.stream().user("auth0@7calice").is_some());
    let call = app.post("/call/create", "bob", json!({"receiverId": "auth0@7calice"})).await;
    let _ = call.expect_success();
    for (name, value) in [
        ("iss", "https://other.example"),
        ("client_id", "web"),
        ("token_use", "id"),
        ("aud", "web"),
        ("sub", ""),
    ] {
        let mut claims = claims.clone();
        claims[name] = json!(value);
        assert_eq!(request_token(&claims).await.outcome(), (401, "unauthenticated"), "{name}");
    }
}

#[tokio::test]
async fn call_of_other_members_is_not_found() {
    let app = TestApp::with_call("c1").await;
    app.provision_users(&["mallory"]).await;
    let before = (app.stream().snapshot(), app.get_item("CALL#c1", "CALL").await);
    app.reset_counts();
    let mut responses = Vec::new();
    for id in ["c1", "no-such-call"] {
        let channel = format!("call-{id}");
        let message = json!({"channelId": channel, "message": "Hi"});
        let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
        responses.push([
            app.post("/call/end", "mallory", json!({"callId": id})).await,
            app.get(&format!("/call/{id}"), "mallory").await,
            app.get(&format!("/call/quality/{id}"), "mallory").await,
            app.get(&format!("/call/quality/{id}?format=svg"), "mallory").await,
            app.post(&format!("/call/quality/{id}"), "mallory", report).await,
            app.post("/message/send", "mallory", message).await,
            app.get(&format!("/message/{channel}"), "mallory").await,
        ]);
    }
    for (real, unknown) in responses[0].iter().zip(&responses[1]) {
        assert_eq!(real.outcome(), (404, "call_not_found"));
        assert_eq!(real.body_without_instance(), unknown.body_without_instance());
    }
    assert_eq!(app.counts().1, 0);
    assert_eq!((app.stream().snapshot(), app.get_item("CALL#c1", "CALL").await), before);
    // The members can still use the call.
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let _ = app.post("/message/send", "bob", message).await.expect_success();
}
