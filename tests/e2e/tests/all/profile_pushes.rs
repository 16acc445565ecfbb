//! The quota of profile pushes. Pushes beyond it are queued, and the sweeper sends them in batches.

use std::time::Duration;

use e2e::TestApp;
use futures_util::stream::{self, StreamExt as _};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

/// The quota of a minute. Stream's limit is 300.
const MAX_PUSHES: u64 = 240;

/// Exhausts the quota of this minute and the next one.
async fn exhaust_quota(app: &TestApp) {
    let minute = app.now_millis() / 60_000;
    for minute in [minute, minute + 1] {
        let item = json!({
            "pk": {"S": "LIMIT#push-profile"},
            "sk": {"S": minute.to_string()},
            "used": {"N": MAX_PUSHES.to_string()},
        });
        app.put_item(item).await;
    }
}

/// A stack with an exhausted quota, in which these users have requested their first token.
async fn app_with_queued(users: &[&str]) -> TestApp {
    let app = TestApp::start().await;
    exhaust_quota(&app).await;
    for user in users {
        request_token(&app, user).await;
    }
    assert_eq!(queued_users(&app).await, users);
    app
}

/// Requests a token with the user's id as the name. The token is valid at Stream.
async fn request_token(app: &TestApp, user: &str) {
    let data = json!({"userData": {"name": user}});
    let response = app.post("/token", user, data).await.expect_success();
    let verified = app.stream().check_user_token(response.body["token"].as_str().unwrap());
    assert!(verified.is_ok(), "{user}");
}

/// The users whose push is queued, sorted.
async fn queued_users(app: &TestApp) -> Vec<String> {
    let items = app.scan_table().await;
    let queued = items.iter().filter(|item| item["pk"]["S"] == "PROFILES");
    queued.map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect()
}

/// The summary of a sweep of the queue.
async fn sweep_profiles(app: &TestApp) -> (Value, Value) {
    let summary = app.sweep().await;
    (summary["profiles"]["pushed"].clone(), summary["profiles"]["queued"].clone())
}

/// The names of users at Stream. `None` is a user who does not exist.
fn names_at_stream<const N: usize>(app: &TestApp, users: [&str; N]) -> [Option<String>; N] {
    users.map(|user| app.stream().user(user).and_then(|user| user.name))
}

#[tokio::test]
async fn pushes_beyond_the_quota_are_sent_in_a_batch() {
    let app = TestApp::with_options(Options { max_instances: 8, ..Options::default() }).await;
    app.advance_to_next_minute().await;
    let users: Vec<String> = (0..260).map(|n| format!("user-{n}")).collect();
    let requests = users.iter().map(|user| request_token(&app, user));
    let _: Vec<()> = stream::iter(requests).buffer_unordered(16).collect().await;
    assert_eq!(app.stream().counts().get(Operation::UpdateUsers), MAX_PUSHES);
    let queued = queued_users(&app).await;
    assert_eq!(queued.len(), 20);
    for user in &users {
        let is_at_stream = app.stream().user(user).is_some();
        assert_eq!(is_at_stream, !queued.contains(user), "{user}");
    }

    // A queued user gets tokens, but is no member of a call until the profile is at Stream.
    let waiting = &queued[0];
    let pushed = users.iter().find(|user| !queued.contains(user)).unwrap();
    request_token(&app, waiting).await;
    for (caller, receiver) in [(pushed, waiting), (waiting, pushed)] {
        let response = app.post("/call/create", caller, json!({"receiverId": receiver})).await;
        assert_eq!(response.outcome(), (404, "user_not_found"), "{caller}");
    }
    let upsert = json!({"userData": {"name": "Other"}});
    let busy = app.post("/user/upsert", waiting, upsert).await;
    assert_eq!(busy.outcome(), (503, "stream_busy"));
    let seconds: u64 = busy.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");

    app.reset_counts();
    assert_eq!(sweep_profiles(&app).await, (json!(20), json!(0)));
    let counts = app.stream().counts();
    assert_eq!((counts.get(Operation::QueryUsers), counts.get(Operation::UpdateUsers)), (1, 1));
    assert!(queued_users(&app).await.is_empty());
    for user in &users {
        let name = app.stream().user(user).and_then(|user| user.name);
        // The rejected upsert has changed the profile in the table.
        let expected = if user == waiting { "Other" } else { user };
        assert_eq!(name.as_deref(), Some(expected));
    }
    let create = json!({"receiverId": waiting});
    let _ = app.post("/call/create", pushed, create).await.expect_success();
    assert!(app.stream().peak_per_minute(Operation::UpdateUsers) <= 300);
}

/// One request pushes at most a hundred users.
#[tokio::test]
async fn queue_is_pushed_in_batches_of_a_hundred() {
    let app = TestApp::with_options(Options { max_instances: 8, ..Options::default() }).await;
    exhaust_quota(&app).await;
    app.reset_counts();
    let users: Vec<String> = (0..205).map(|n| format!("user-{n}")).collect();
    let requests = users.iter().map(|user| request_token(&app, user));
    let _: Vec<()> = stream::iter(requests).buffer_unordered(16).collect().await;
    assert_eq!(app.stream().counts().total(), 0);
    assert_eq!(sweep_profiles(&app).await, (json!(205), json!(0)));
    let counts = app.stream().counts();
    // Queries have 50 users, so that their URL is short.
    assert_eq!((counts.get(Operation::QueryUsers), counts.get(Operation::UpdateUsers)), (5, 3));
    for user in &users {
        let name = app.stream().user(user).and_then(|user| user.name);
        assert_eq!(name.as_ref(), Some(user));
    }
}

#[tokio::test]
async fn newest_profile_is_pushed_and_the_profile_at_stream_is_kept() {
    let app = app_with_queued(&["alice", "bob"]).await;
    // The user's device created the user, and another service of the app set other fields.
    let custom = json!({"plan": "pro"});
    let bob = json!({"id": "bob", "name": "Old", "language": "en", "custom": custom});
    app.post_to_stream("users", &json!({"users": {"bob": bob}})).await;
    let data = json!({"userData": {"name": "Alicia", "image": "https://example.com/a.png"}});
    let _ = app.post("/token", "alice", data).await.expect_success();
    assert_eq!(sweep_profiles(&app).await, (json!(2), json!(0)));
    let alice = app.stream().user("alice").unwrap();
    let (name, image) = (alice.name.as_deref(), alice.image.as_deref());
    assert_eq!((name, image), (Some("Alicia"), Some("https://example.com/a.png")));
    let bob = app.stream().user("bob").unwrap();
    assert_eq!((bob.name.as_deref(), bob.language.as_str()), (Some("bob"), "en"));
    assert_eq!(Value::Object(bob.custom), custom);
}

#[tokio::test]
async fn profile_pushed_meanwhile_is_not_pushed_again() {
    let app = app_with_queued(&["alice", "bob"]).await;
    app.advance_time(Duration::from_mins(2)).await;
    request_token(&app, "alice").await;
    let upsert = json!({"userData": {"name": "Bobby"}});
    let _ = app.post("/user/upsert", "bob", upsert).await.expect_success();
    let expected = [Some("alice".to_owned()), Some("Bobby".to_owned())];
    assert_eq!(names_at_stream(&app, ["alice", "bob"]), expected);
    app.reset_counts();
    assert_eq!(sweep_profiles(&app).await, (json!(2), json!(0)));
    assert_eq!(app.stream().counts().total(), 0);
    assert!(queued_users(&app).await.is_empty());
}

/// Stream rejects a batch with one invalid user. That user leaves the queue, and the next request
/// of the user pushes the profile.
#[tokio::test]
async fn rejected_batch_is_pushed_one_by_one() {
    for (rejections, expected) in [
        (1, [Some("alice".to_owned()), Some("bob".to_owned()), Some("carol".to_owned())]),
        (2, [None, Some("bob".to_owned()), Some("carol".to_owned())]),
    ] {
        let users = ["alice", "bob", "carol"];
        let app = app_with_queued(&users).await;
        let rejection = FaultRule::for_operation(Operation::UpdateUsers, Fault::Status(400));
        app.stream().add_fault(rejection.times(rejections));
        assert_eq!(sweep_profiles(&app).await, (json!(3), json!(0)));
        assert_eq!(app.stream().counts().get(Operation::UpdateUsers), 4);
        assert_eq!(names_at_stream(&app, users), expected);
        assert!(queued_users(&app).await.is_empty());
        app.advance_time(Duration::from_mins(2)).await;
        request_token(&app, "alice").await;
        assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("alice"));
    }
}

/// A push would replace the profile of a user who cannot be read.
#[tokio::test]
async fn unreadable_user_does_not_stop_other_pushes() {
    for (unreadable_responses, is_alice_pushed) in [(1, true), (2, false)] {
        let users = ["alice", "bob", "carol"];
        let app = app_with_queued(&users).await;
        let unreadable = Fault::body(200, r#"{"users":[{"id":7}]}"#);
        let rule = FaultRule::for_operation(Operation::QueryUsers, unreadable);
        app.stream().add_fault(rule.times(unreadable_responses));
        assert_eq!(sweep_profiles(&app).await, (json!(3), json!(0)));
        let alice = is_alice_pushed.then(|| "alice".to_owned());
        let expected = [alice, Some("bob".to_owned()), Some("carol".to_owned())];
        assert_eq!(names_at_stream(&app, users), expected);
        assert!(queued_users(&app).await.is_empty());
    }
}

/// The tokens of a user who is not at Stream yet are revoked, too.
#[tokio::test]
async fn revocation_of_a_queued_user_reaches_stream() {
    let app = app_with_queued(&["alice"]).await;
    app.advance_time(Duration::from_secs(1)).await;
    let response = app.post("/token", "alice", json!({})).await.expect_success();
    let token = response.body["token"].as_str().unwrap().to_owned();
    app.advance_time(Duration::from_secs(1)).await;
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    assert!(app.stream().check_user_token(&token).is_err());
    request_token(&app, "alice").await;
}

#[tokio::test]
async fn failed_push_stays_queued() {
    let users = ["alice", "bob", "carol"];
    let app = app_with_queued(&users).await;
    for (operation, fault) in [
        (Operation::UpdateUsers, Fault::Status(503)),
        (Operation::UpdateUsers, Fault::TooManyRequests { retry_after: None }),
        (Operation::UpdateUsers, Fault::body(200, "{}")),
        (Operation::UpdateUsers, Fault::body(200, r#"{"users":{"alice":{"id":"alice"}}}"#)),
        (Operation::QueryUsers, Fault::Status(503)),
        (Operation::QueryUsers, Fault::body(200, "[]")),
    ] {
        app.stream().add_fault(FaultRule::for_operation(operation, fault.clone()));
        assert_eq!(sweep_profiles(&app).await, (json!(0), json!(3)), "{fault:?}");
        assert_eq!(names_at_stream(&app, users), [None, None, None], "{fault:?}");
        assert_eq!(queued_users(&app).await, users, "{fault:?}");
        app.stream().clear_faults();
    }
    assert_eq!(sweep_profiles(&app).await, (json!(3), json!(0)));
    assert_eq!(names_at_stream(&app, users), users.map(|user| Some(user.to_owned())));
}

#[tokio::test]
async fn inactive_users_do_not_stop_other_pushes() {
    let app = app_with_queued(&["alice", "bob", "carol"]).await;
    // Their devices created them before.
    for user in ["alice", "bob"] {
        app.stream().create_user(user);
    }
    app.stream().deactivate_user("alice");
    app.stream().ban_user("bob", None);
    assert_eq!(sweep_profiles(&app).await, (json!(1), json!(2)));
    assert_eq!(names_at_stream(&app, ["alice", "bob", "carol"])[2].as_deref(), Some("carol"));
    for (user, code) in [("alice", "user_deactivated"), ("bob", "user_banned")] {
        let rejected = app.post("/token", user, json!({})).await;
        assert_eq!(rejected.outcome(), (403, code), "{user}");
        assert_eq!(app.stream().user(user).unwrap().name, None);
    }
    // Their pushes are dropped. A token request after the inactivity queues another one.
    assert_eq!(sweep_profiles(&app).await, (json!(2), json!(0)));
    app.stream().unban_user("bob");
    let unbanned = json!({"type": "user.unbanned", "created_at": "2099-01-01T00:00:00Z",
        "user": {"id": "bob"}});
    let _ = app.send_webhook(&unbanned).await.expect_success();
    request_token(&app, "bob").await;
    assert_eq!(sweep_profiles(&app).await, (json!(1), json!(0)));
    assert_eq!(app.stream().user("bob").unwrap().name.as_deref(), Some("bob"));
}

#[tokio::test]
async fn erased_user_is_not_pushed() {
    let app = app_with_queued(&["alice", "bob"]).await;
    let erased = app.delete("/user/alice", "alice").await.expect_success();
    // Stream rejects the id, so that an issued token cannot create the user.
    let upsert = json!({"users": {"alice": {"id": "alice"}}});
    let rejected = app.try_post_to_stream("users", &upsert).await;
    assert_eq!(rejected.status, 404);
    assert_eq!(erased.body["status"], "deleted");
    assert_eq!(sweep_profiles(&app).await, (json!(2), json!(0)));
    assert_eq!(names_at_stream(&app, ["alice", "bob"]), [None, Some("bob".to_owned())]);
    assert!(queued_users(&app).await.is_empty());
}

/// Stream's own limit has the same effect as the quota.
#[tokio::test]
async fn push_that_stream_rejects_as_too_many_is_queued() {
    let app = TestApp::start().await;
    let fault = Fault::TooManyRequests { retry_after: Some(30) };
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateUsers, fault));
    request_token(&app, "alice").await;
    let upsert = json!({"userData": {"name": "Bob"}});
    let busy = app.post("/user/upsert", "bob", upsert).await;
    assert_eq!(busy.outcome(), (503, "stream_busy"));
    assert_eq!(names_at_stream(&app, ["alice", "bob"]), [None, None]);
    assert_eq!(queued_users(&app).await, ["alice", "bob"]);
    app.stream().clear_faults();
    assert_eq!(sweep_profiles(&app).await, (json!(2), json!(0)));
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("alice"));
}

/// Stream rejects a batch with a deleted user. The table does not know the deletion.
#[tokio::test]
async fn deleted_user_does_not_stop_other_pushes() {
    let app = app_with_queued(&["alice", "bob"]).await;
    app.stream().create_user("alice");
    app.stream().delete_user("alice");
    for _ in 0..2 {
        let _ = app.sweep().await;
    }
    assert_eq!(app.stream().user("bob").and_then(|user| user.name).as_deref(), Some("bob"));
    assert!(queued_users(&app).await.is_empty());
}
