//! Revocation of tokens and sessions, and tokens for one call, verified by the emulator.

use std::time::Duration;

use e2e::TestApp;
use futures_util::future::join;
use http::Method;
use local::{Options, UserLimits};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

async fn issue_token(app: &TestApp, user: &str) -> String {
    let response = app.post("/token", user, json!({})).await.expect_success();
    response.body["token"].as_str().unwrap().to_owned()
}

/// Stream's error code for a token, or 0 if it is valid.
fn token_error_code(app: &TestApp, token: &str) -> i32 {
    app.stream().check_user_token(token).map_or_else(|failure| failure.code, |_| 0)
}

#[tokio::test]
async fn revocation_rejects_old_tokens_and_accepts_new_ones() {
    let app = TestApp::start().await;
    let old = issue_token(&app, "alice").await;
    let bobs = issue_token(&app, "bob").await;
    assert_eq!((token_error_code(&app, &old), token_error_code(&app, &bobs)), (0, 0));
    // Several revocations within two seconds.
    let mut tokens = vec![old];
    for _ in 0..3 {
        let response = app.post("/token/revoke", "alice", json!({})).await.expect_success();
        assert_eq!(response.body["userId"], "alice");
        let new = issue_token(&app, "alice").await;
        // The new token is valid, even if it was issued in the same second.
        assert_eq!(token_error_code(&app, &new), 0);
        for old in &tokens {
            assert_eq!(token_error_code(&app, old), 40);
        }
        tokens.push(new);
    }
    assert_eq!(token_error_code(&app, &bobs), 0);
}

#[tokio::test]
async fn session_issued_before_revocation_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let session = |seconds: i64| {
        let at = app.now_millis() / 1000 + seconds;
        json!({"sub": "alice", "role": "user", "iat": at, "exp": at + 600})
    };
    let without_issued_at = json!({"sub": "alice", "role": "user", "exp": 4_102_444_800_i64});
    let request_token = async |claims: &Value| {
        let bearer = format!("Bearer {}", app.stack().sign_token(claims.clone()));
        let headers = [("authorization", bearer.as_str())];
        app.post_with_headers("/token", &headers, r#"{"userData":{"name":"Alice B"}}"#).await
    };
    let before = session(-10);
    assert_eq!(request_token(&before).await.status, 200);
    app.advance_time(Duration::from_secs(5)).await;
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    app.reset_counts();
    for claims in [&before, &without_issued_at] {
        assert_eq!(request_token(claims).await.outcome(), (403, "session_revoked"), "{claims}");
    }
    // One read for each request, and no request to Stream.
    assert_eq!(app.counts(), (2, 0));
    assert_eq!(request_token(&session(1)).await.status, 200);
    // The session of a service is not affected.
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let body = r#"{"userId":"alice"}"#;
    assert_eq!(app.post_with_headers("/token", &headers, body).await.status, 200);
}

#[tokio::test]
async fn renewed_session_is_as_old_as_its_sign_in() {
    let app = TestApp::with_env([("JWT_AUTH_TIME_CLAIM", "auth_time")]).await;
    let request_token = async |auth_time: Option<i64>| {
        let now = app.now_millis() / 1000;
        let mut claims = json!({"sub": "alice", "iat": now, "exp": now + 600});
        if let Some(seconds) = auth_time {
            claims["auth_time"] = json!(now + seconds);
        }
        let bearer = format!("Bearer {}", app.stack().sign_token(claims));
        app.post_with_headers("/token", &[("authorization", bearer.as_str())], "{}").await
    };
    assert_eq!(request_token(Some(-90)).await.status, 200);
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    // The login has renewed the session: `iat` is now, and the sign-in was before the revocation.
    for auth_time in [Some(-60), None] {
        let response = request_token(auth_time).await;
        assert_eq!(response.outcome(), (403, "session_revoked"), "{auth_time:?}");
    }
    assert_eq!(request_token(Some(1)).await.status, 200);
}

#[tokio::test]
async fn only_the_user_or_a_service_can_revoke() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let bobs = issue_token(&app, "bob").await;
    app.reset_counts();
    let rejected = app.post("/token/revoke", "alice", json!({"userId": "bob"})).await;
    assert_eq!(rejected.outcome(), (403, "user_mismatch"));
    assert_eq!(app.counts(), (0, 0));
    let unknown_user = app.post("/token/revoke", "carol", json!({})).await;
    assert_eq!(unknown_user.outcome(), (404, "user_not_found"));
    assert_eq!(app.counts(), (1, 0));
    assert_eq!(token_error_code(&app, &bobs), 0);
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let _ = app
        .post_with_headers("/token/revoke", &headers, r#"{"userId":"bob"}"#)
        .await
        .expect_success();
    assert_eq!(token_error_code(&app, &bobs), 40);
}

#[tokio::test]
async fn retry_completes_a_revocation_that_stream_missed() {
    let app = TestApp::start().await;
    let old = issue_token(&app, "alice").await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::UpdateUsersPartial, Fault::Status(503)));
    assert_eq!(app.post("/token/revoke", "alice", json!({})).await.status, 503);
    // The table is updated first: the session gets no new token, although Stream accepts the old
    // one.
    assert_eq!(token_error_code(&app, &old), 0);
    app.stream().clear_faults();
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    assert_eq!(token_error_code(&app, &old), 40);
}

#[tokio::test]
async fn call_token_requires_a_member_and_an_active_call() {
    let app = TestApp::with_call("c1").await;
    app.provision_users(&["mallory"]).await;
    let request_token = async |user: &str, call: &str| {
        app.post("/token", user, json!({"callId": call, "ttlSeconds": 60})).await
    };
    let response = request_token("bob", "c1").await.expect_success();
    let verified = app.stream().check_user_token(response.body["token"].as_str().unwrap()).unwrap();
    assert_eq!(verified.user_id, "bob");
    assert_eq!(verified.call_cids, ["default:c1"]);
    app.reset_counts();
    for (user, call) in [("mallory", "c1"), ("bob", "no-such-call")] {
        assert_eq!(
            request_token(user, call).await.outcome(),
            (404, "call_not_found"),
            "{user} {call}"
        );
    }
    assert_eq!(app.counts(), (4, 0));
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    assert_eq!(request_token("bob", "c1").await.outcome(), (409, "call_ended"));
}

#[tokio::test]
async fn ten_revocations_per_minute_are_accepted() {
    let user_limits = UserLimits::Default;
    let app = TestApp::with_options(Options { user_limits, ..Options::default() }).await;
    app.advance_to_next_minute().await;
    for _ in 0..10 {
        let token = issue_token(&app, "alice").await;
        let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
        assert_eq!(token_error_code(&app, &token), 40);
        // Revocations of one user that follow within a second are rejected.
        app.advance_time(Duration::from_secs(1)).await;
    }
    let token = issue_token(&app, "alice").await;
    let rejected = app.post("/token/revoke", "alice", json!({})).await;
    assert_eq!(rejected.outcome(), (429, "too_many_requests"));
    assert_eq!(token_error_code(&app, &token), 0);
    app.advance_time(Duration::from_mins(1)).await;
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    assert_eq!(token_error_code(&app, &token), 40);
}

/// Registers push devices with the user's own tokens, as the apps do.
async fn register_devices(app: &TestApp, user: &str, ids: &[&str]) {
    for id in ids {
        let device = json!({"id": id, "push_provider": "apn", "voip_token": true});
        let response = app.send_to_stream_as(user, Method::POST, "/video/devices", &device).await;
        assert_eq!(response.status, 201, "{}", response.body);
    }
}

#[tokio::test]
async fn revocation_removes_the_push_devices() {
    let app = TestApp::start().await;
    let phones: Vec<String> = (0..25).map(|n| format!("phone/{n}+%")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    register_devices(&app, "alice", &phones).await;
    register_devices(&app, "bob", &["bobs-phone"]).await;
    let stale = issue_token(&app, "alice").await;
    let revoked = app.post("/token/revoke", "alice", json!({"devices": false})).await;
    assert_eq!(revoked.expect_success().body["devicesRemoved"], 0);
    assert_eq!(token_error_code(&app, &stale), 40);
    assert_eq!(app.stream().devices("alice"), phones);
    app.reset_counts();
    let revoked = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    assert_eq!(revoked.body["devicesRemoved"], 25);
    // The cutoff, the list and each device.
    assert_eq!(app.counts().1, 27);
    assert_eq!(app.stream().devices("alice"), Vec::<String>::new());
    assert_eq!(app.stream().devices("bob"), ["bobs-phone"]);
    let again = app.post("/token/revoke", "alice", json!({"devices": true})).await;
    assert_eq!(again.expect_success().body["devicesRemoved"], 0);
    // A service removes the devices of another user, who registers one again after the sign-in.
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let revoked = app.post_with_headers("/token/revoke", &headers, r#"{"userId":"bob"}"#).await;
    assert_eq!(revoked.expect_success().body["devicesRemoved"], 1);
    register_devices(&app, "bob", &["bobs-phone"]).await;
    assert_eq!(app.stream().devices("bob"), ["bobs-phone"]);
}

#[tokio::test]
async fn devices_are_removed_only_after_the_tokens_are_revoked() {
    let app = TestApp::start().await;
    register_devices(&app, "alice", &["phone"]).await;
    let fault = FaultRule::for_operation(Operation::UpdateUsersPartial, Fault::Status(503));
    app.stream().add_fault(fault);
    let failed = app.post("/token/revoke", "alice", json!({})).await;
    assert_eq!(failed.outcome(), (503, "stream_unavailable"));
    assert_eq!(app.stream().counts().get(Operation::ListDevices), 0);
    assert_eq!(app.stream().devices("alice"), ["phone"]);
}

/// After a failure the response contains no number, although some devices are removed.
#[tokio::test]
async fn retry_removes_the_remaining_devices() {
    let app = TestApp::start().await;
    for (operation, passing, remaining) in
        [(Operation::ListDevices, 0, 4), (Operation::DeleteDevice, 1, 3)]
    {
        register_devices(&app, "alice", &["a", "b", "c", "d"]).await;
        let token = issue_token(&app, "alice").await;
        let fault = FaultRule::for_operation(operation, Fault::Status(503)).skip_first(passing);
        app.stream().add_fault(fault);
        let failed = app.post("/token/revoke", "alice", json!({})).await;
        assert_eq!(failed.outcome(), (503, "stream_unavailable"), "{operation}");
        assert!(failed.body["devicesRemoved"].is_null(), "{operation}");
        assert_eq!(token_error_code(&app, &token), 40, "{operation}");
        assert_eq!(app.stream().devices("alice").len(), remaining, "{operation}");
        app.stream().clear_faults();
        let retried = app.post("/token/revoke", "alice", json!({})).await.expect_success();
        assert_eq!(retried.body["devicesRemoved"], remaining, "{operation}");
        assert!(app.stream().devices("alice").is_empty(), "{operation}");
    }
}

/// Another request or the app itself may remove a device first.
#[tokio::test]
async fn missing_device_is_not_counted() {
    let app = TestApp::start().await;
    register_devices(&app, "alice", &["a", "b"]).await;
    let missing = Fault::body(404, r#"{"code":16,"message":"no such device","StatusCode":404}"#);
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteDevice, missing).once());
    let revoked = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    assert_eq!(revoked.body["devicesRemoved"], 1);
}

/// A revocation that reaches Stream late does not undo a later one.
#[tokio::test]
async fn late_revocation_does_not_undo_a_later_one() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    let slow = Fault::Slow(Duration::from_secs(2));
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateUsersPartial, slow).once());
    let revoke = async || app.post("/token/revoke", "alice", json!({})).await.expect_success();
    let later = async {
        while app.stream().counts().get(Operation::UpdateUsersPartial) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let token = issue_token(&app, "alice").await;
        let _ = revoke().await;
        token
    };
    let (_, token) = join(revoke(), later).await;
    assert_eq!(token_error_code(&app, &token), 40);
}
