//! Deactivated, banned and deleted users, as callers and as members of calls.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use local::Options;
use serde_json::{Value, json};

/// Why a user is not active at Stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inactivity {
    Deactivated,
    Banned,
    Deleted,
}

impl Inactivity {
    const ALL: [Self; 3] = [Self::Deactivated, Self::Banned, Self::Deleted];

    /// Makes a user inactive at Stream, whose webhooks arrive.
    async fn apply(self, app: &TestApp, user: &str) {
        match self {
            Self::Deactivated => app.stream().deactivate_user(user),
            Self::Banned => app.stream().ban_user(user, None),
            Self::Deleted => app.stream().delete_user(user),
        }
        app.stream().webhooks_idle().await;
    }

    /// Undoes it at Stream, unless it is final.
    async fn undo(self, app: &TestApp, user: &str) {
        match self {
            Self::Deactivated => app.stream().reactivate_user(user),
            Self::Banned => app.stream().unban_user(user),
            Self::Deleted => {}
        }
        app.stream().webhooks_idle().await;
    }

    /// The outcome of a rejected request.
    fn outcome(self) -> (u16, &'static str) {
        match self {
            Self::Deactivated => (403, "user_deactivated"),
            Self::Banned => (403, "user_banned"),
            Self::Deleted => (409, "user_deleted"),
        }
    }
}

/// A stack whose emulator sends its events, with a call of Alice and Bob.
async fn app_with_webhooks() -> TestApp {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app.stream().webhooks_idle().await;
    app
}

/// The items of the table, except the counters.
async fn records(app: &TestApp) -> Vec<Value> {
    let is_record = |item: &Value| !item["pk"]["S"].as_str().unwrap().starts_with("LIMIT#");
    app.scan_table().await.into_iter().filter(is_record).collect()
}

/// Sends every request that an inactive caller cannot send.
async fn send_rejected_requests(app: &TestApp, user: &str) -> Vec<(&'static str, TestResponse)> {
    let create = |id: &str| json!({"receiverId": "bob", "callId": id, "allowParallel": true});
    let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    let upsert = json!({"userData": {"name": "Alice"}});
    vec![
        ("token", app.post("/token", user, json!({})).await),
        ("token of a call", app.post("/token", user, json!({"callId": "c1"})).await),
        ("token with a profile", app.post("/token", user, upsert.clone()).await),
        ("upsert", app.post("/user/upsert", user, upsert).await),
        ("new call", app.post("/call/create", user, create("c2")).await),
        ("existing call", app.post("/call/create", user, create("c1")).await),
        ("get", app.get("/call/c1", user).await),
        ("get of no call", app.get("/call/no-such-call", user).await),
        ("quality", app.get("/call/quality/c1", user).await),
        ("chart", app.get("/call/quality/c1?format=svg", user).await),
        ("report", app.post("/call/quality/c1", user, report).await),
        ("send", app.post("/message/send", user, message).await),
        ("list", app.get("/message/call-c1", user).await),
    ]
}

#[tokio::test]
async fn inactive_caller_is_rejected() {
    for inactivity in Inactivity::ALL {
        let app = app_with_webhooks().await;
        inactivity.apply(&app, "alice").await;
        let before = (records(&app).await, app.stream().snapshot());
        for (request, response) in send_rejected_requests(&app, "alice").await {
            assert_eq!(response.outcome(), inactivity.outcome(), "{inactivity:?} {request}");
        }
        assert_eq!((records(&app).await, app.stream().snapshot()), before, "{inactivity:?}");
        // Other members are not affected.
        let _ = app.get("/call/c1", "bob").await.expect_success();
    }
}

/// A caller can always end calls, revoke tokens and be erased.
#[tokio::test]
async fn inactive_caller_keeps_some_requests() {
    for inactivity in Inactivity::ALL {
        let app = app_with_webhooks().await;
        inactivity.apply(&app, "alice").await;
        let _ = app.get("/config", "alice").await.expect_success();
        let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
        let outcome = (ended.status, &ended.body["status"]);
        assert_eq!(outcome, (200, &json!("ended")), "{inactivity:?}");
        let revoked = app.post("/token/revoke", "alice", json!({})).await;
        let is_deleted = inactivity == Inactivity::Deleted;
        let expected = if is_deleted { (409, "user_deleted") } else { (200, "") };
        assert_eq!(revoked.outcome(), expected, "{inactivity:?}");
        let erased = app.delete("/user/alice", "alice").await;
        let outcome = (erased.status, &erased.body["status"]);
        assert_eq!(outcome, (200, &json!("deleted")), "{inactivity:?}");
        let token = app.post("/token", "alice", json!({})).await;
        assert_eq!(token.outcome(), (409, "user_deleted"), "{inactivity:?}");
    }
}

#[tokio::test]
async fn caller_is_accepted_again_after_the_inactivity() {
    for inactivity in [Inactivity::Deactivated, Inactivity::Banned] {
        let app = app_with_webhooks().await;
        inactivity.apply(&app, "alice").await;
        let rejected = app.get("/call/c1", "alice").await;
        assert_eq!(rejected.outcome(), inactivity.outcome());
        inactivity.undo(&app, "alice").await;
        for (request, response) in send_rejected_requests(&app, "alice").await {
            let expected = if request == "get of no call" { 404 } else { 200 };
            assert_eq!(response.status, expected, "{inactivity:?} {request}: {}", response.body);
        }
    }
}

/// The caller does not learn why a member cannot be called.
#[tokio::test]
async fn inactive_member_is_unknown() {
    for inactivity in Inactivity::ALL {
        let app = app_with_webhooks().await;
        app.provision_users(&["carol"]).await;
        inactivity.apply(&app, "bob").await;
        let before = (records(&app).await, app.stream().snapshot());
        for body in [
            json!({"receiverId": "bob"}),
            json!({"receiverId": "bob", "callId": "c2", "ring": true}),
            json!({"memberIds": ["carol", "bob"], "callId": "c3"}),
        ] {
            let response = app.post("/call/create", "alice", body).await;
            assert_eq!(response.outcome(), (404, "user_not_found"), "{inactivity:?}");
            assert_eq!(response.body["detail"], "upsert these users first: bob");
        }
        assert_eq!((records(&app).await, app.stream().snapshot()), before, "{inactivity:?}");
        // An open call continues.
        let call = app.get("/call/c1", "alice").await.expect_success();
        assert_eq!(call.body["status"], "active");
        inactivity.undo(&app, "bob").await;
        let again = json!({"receiverId": "bob", "callId": "c4", "allowParallel": true});
        let again = app.post("/call/create", "alice", again).await;
        let is_final = inactivity == Inactivity::Deleted;
        let expected = if is_final { (404, "user_not_found") } else { (200, "") };
        assert_eq!(again.outcome(), expected, "{inactivity:?}");
    }
}

#[tokio::test]
async fn ban_ends_at_its_expiry() {
    let app = app_with_webhooks().await;
    for user in ["alice", "bob"] {
        app.stream().ban_user(user, Some(Duration::from_mins(5)));
    }
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_mins(4)).await;
    for user in ["alice", "bob"] {
        let rejected = app.get("/call/c1", user).await;
        assert_eq!(rejected.outcome(), (403, "user_banned"), "{user}");
    }
    // Stream sends no event for the end.
    app.advance_time(Duration::from_mins(2)).await;
    for user in ["alice", "bob"] {
        let _ = app.get("/call/c1", user).await.expect_success();
        let _ = app.post("/token", user, json!({})).await.expect_success();
    }
    let create = json!({"receiverId": "bob", "callId": "c2", "allowParallel": true});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
}

#[tokio::test]
async fn channel_ban_and_shadow_ban_do_not_reject_the_caller() {
    let app = app_with_webhooks().await;
    for ban in [
        json!({"target_user_id": "alice", "channel_cid": "messaging:call-c1"}),
        json!({"target_user_id": "alice", "type": "messaging", "id": "call-c1"}),
        json!({"target_user_id": "alice", "shadow": true}),
        json!({"target_user_id": "alice", "shadow": true, "timeout": 5}),
    ] {
        app.post_to_stream("moderation/ban", &ban).await;
        app.stream().webhooks_idle().await;
        let _ = app.get("/call/c1", "alice").await.expect_success();
        let _ = app.get("/message/call-c1", "alice").await.expect_success();
        // The response to the push has the shadow ban, too.
        let upsert = json!({"userData": {"name": "Alice"}});
        let _ = app.post("/user/upsert", "alice", upsert).await.expect_success();
    }
}

/// Without webhooks, the response to the next push shows the ban or the deactivation.
#[tokio::test]
async fn inactivity_without_a_webhook_is_found_by_the_next_push() {
    for inactivity in Inactivity::ALL {
        let app = TestApp::with_call("c1").await;
        inactivity.apply(&app, "alice").await;
        let upsert = json!({"userData": {"name": "Alice"}});
        let rejected = app.post("/user/upsert", "alice", upsert).await;
        assert_eq!(rejected.outcome(), inactivity.outcome(), "{inactivity:?}");
        let token = app.post("/token", "alice", json!({})).await;
        assert_eq!(token.outcome(), inactivity.outcome(), "{inactivity:?}");
    }
}

/// Users who exist at Stream and not in the table.
#[tokio::test]
async fn first_token_keeps_the_inactivity() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    for inactivity in Inactivity::ALL {
        let user = format!("{inactivity:?}");
        app.stream().create_user(&user);
        inactivity.apply(&app, &user).await;
        let before = app.stream().user(&user);
        for (path, body) in [
            ("/token", json!({})),
            ("/token", json!({"userData": {"name": "A"}})),
            ("/user/upsert", json!({"userData": {"name": "A"}})),
        ] {
            let response = app.post(path, &user, body).await;
            assert_eq!(response.outcome(), inactivity.outcome(), "{inactivity:?} {path}");
        }
        assert_eq!(app.stream().user(&user), before, "{inactivity:?}");
        let member = app.post("/call/create", "alice", json!({"receiverId": user})).await;
        assert_eq!(member.outcome(), (404, "user_not_found"), "{inactivity:?}");
    }
    // The table has the inactivity, so the next request needs no request to Stream.
    app.reset_counts();
    for user in ["Deactivated", "Banned"] {
        assert_eq!(app.post("/token", user, json!({})).await.status, 403);
    }
    assert_eq!(app.counts().1, 0);
}

#[tokio::test]
async fn temporary_ban_at_the_first_token_ends() {
    let app = TestApp::start().await;
    app.stream().create_user("alice");
    app.stream().ban_user("alice", Some(Duration::from_mins(5)));
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!(rejected.outcome(), (403, "user_banned"));
    app.advance_time(Duration::from_mins(6)).await;
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
    app.provision_users(&["bob"]).await;
    let _ = app.post("/call/create", "bob", json!({"receiverId": "alice"})).await.expect_success();
}

async fn send_as_service(app: &TestApp, path: &str, body: Value) -> TestResponse {
    let service = app.service_authorization();
    app.post_with_headers(path, &[("authorization", &service)], &body.to_string()).await
}

/// A service creates the user in the table, and reactivates the user at Stream.
#[tokio::test]
async fn service_upsert_reactivates_a_user_at_stream() {
    let app = TestApp::start().await;
    let carol = json!({"id": "carol", "name": "Carol", "custom": {"plan": "pro"}});
    app.post_to_stream("users", &json!({"users": {"carol": carol}})).await;
    app.stream().deactivate_user("carol");
    let upsert = json!({"userId": "carol", "userData": {"language": "en"}});
    let response = send_as_service(&app, "/user/upsert", upsert).await.expect_success();
    assert_eq!(response.body["user"]["name"], "Carol");
    let user = app.stream().user("carol").unwrap();
    assert_eq!((user.deactivated_at, user.name.as_deref()), (None, Some("Carol")));
    assert_eq!((user.language.as_str(), &user.custom["plan"]), ("en", &json!("pro")));
    let token = app.post("/token", "carol", json!({})).await.expect_success();
    assert!(app.stream().check_user_token(token.body["token"].as_str().unwrap()).is_ok());
    // A service cannot undo a deletion.
    app.stream().delete_user("carol");
    let upsert = json!({"userId": "carol", "userData": {"name": "C"}});
    let response = send_as_service(&app, "/user/upsert", upsert).await;
    assert_eq!(response.outcome(), (409, "user_deleted"));
}

/// A service may change the profile of a banned user, who stays banned.
#[tokio::test]
async fn service_upsert_keeps_a_ban() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    app.stream().ban_user("alice", None);
    for name in ["Alice", "Alicia"] {
        let upsert = json!({"userId": "alice", "userData": {"name": name}});
        let _ = send_as_service(&app, "/user/upsert", upsert).await.expect_success();
        let user = app.stream().user("alice").unwrap();
        assert_eq!((user.banned, user.name.as_deref()), (true, Some(name)));
    }
    let token = send_as_service(&app, "/token", json!({"userId": "alice"})).await;
    assert_eq!(token.outcome(), (403, "user_banned"));
    let token = app.post("/token", "alice", json!({})).await;
    assert_eq!(token.outcome(), (403, "user_banned"));
}
