//! Users who are deleted, deactivated and reactivated.

use e2e::App;
use http::Method;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

/// Whether anything in the table names a user beyond the stone, and the calls that others had a
/// part in, too.
async fn traces(app: &App, user: &str) -> Vec<Value> {
    let named = |item: &Value| item.to_string().contains(user);
    let kept = |item: &Value| {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        sk == "CALL" || pk == format!("USER#{user}")
    };
    app.table().await.into_iter().filter(|item| named(item) && !kept(item)).collect()
}

/// Alice and Bob in a call that is measured and rated, Alice with a profile.
async fn measured_call() -> App {
    let app = App::with(Options { webhooks: true, ..Options::default() }).await;
    app.calls(&["c1"]).await;
    let profile = json!({"userData": {"name": "Alice Liddell", "custom": {"age": 7}}});
    let _ = app.post("/user/upsert", "alice", profile).await.good();
    for user in ["alice", "bob"] {
        app.stream().join("default:c1", user).unwrap();
        let measured = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
        let _ = app.post("/call/quality/c1", user, measured).await.good();
        app.stream().rate("default:c1", user, 4, Some("fine"));
    }
    app.stream().webhooks_idle().await;
    app
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_user() {
    let app = measured_call().await;
    let answer = app.delete("/user/alice", "alice").await.good();
    let said = (answer.status, &answer.body["userId"], &answer.body["status"]);
    assert_eq!(said, (200, &json!("alice"), &json!("deleted")));
    app.stream().webhooks_idle().await;
    // The call that she was in is over.
    let call = app.get("/call/c1", "bob").await.good();
    assert_eq!(call.body["endReason"], "user_deleted");
    assert!(app.stream().channel("messaging:call-c1").is_none());
    let stone = app.item("USER#alice", "PROFILE").await;
    assert_eq!(stone["status"]["S"], "deleted");
    for gone in ["name", "custom", "image", "language", "role"] {
        assert!(stone[gone].is_null(), "{stone}");
    }
    assert_eq!(traces(&app, "alice").await, Vec::<Value>::new());
    // Of Bob everything is left.
    let kept = app.table().await;
    let kept = kept.iter().filter(|item| item["sk"]["S"].as_str().unwrap().contains("bob"));
    assert_eq!(kept.count(), 2);
    // The id is nobody's, for ever.
    for answer in [
        app.post("/token", "alice", json!({})).await,
        app.post("/user/upsert", "alice", json!({"userData": {"name": "Alice"}})).await,
    ] {
        assert_eq!(answer.outcome(), (409, "user_deleted"));
    }
    let invited = app.post("/call/create", "bob", json!({"receiverId": "alice"})).await;
    assert_eq!(invited.outcome(), (404, "user_not_found"));
    assert!(app.item("USER#alice", "PROFILE").await["name"].is_null());
    // And again is the same.
    let again = app.delete("/user/alice", "alice").await.good();
    assert_eq!(again.body["status"], "deleted");
}

#[tokio::test]
async fn what_stream_cannot_do_now_the_sweeper_does() {
    let app = measured_call().await;
    app.stream().script(Rule::on(Operation::DeleteUsers, Fault::Status(503)));
    let answer = app.delete("/user/alice", "alice").await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("deleting")));
    // From then on nobody is Alice, whatever Stream does.
    let token = app.post("/token", "alice", json!({})).await;
    assert_eq!(token.outcome(), (409, "user_deleted"));
    assert_eq!(app.minutes(1).await[0]["erased"], 0);
    app.stream().clear_faults();
    assert_eq!(app.minutes(1).await[0]["erased"], 1);
    assert_eq!(app.minutes(1).await[0]["erased"], 0);
    assert_eq!(traces(&app, "alice").await, Vec::<Value>::new());
}

#[tokio::test]
async fn only_oneself_or_a_service_deletes() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.reset_counts();
    let other = app.delete("/user/bob", "alice").await;
    assert_eq!(other.outcome(), (403, "user_mismatch"));
    assert_eq!(app.counts(), (0, 0));
    let nobody = app.delete("/user/carol", "carol").await;
    assert_eq!(nobody.outcome(), (404, "user_not_found"));
    assert_eq!(app.counts(), (1, 0));
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let deleted = app.send(Method::DELETE, "/user/bob", &headers, "").await.good();
    assert_eq!(deleted.body["status"], "deleted");
}

#[tokio::test]
async fn a_service_lets_a_deactivated_user_in_again() {
    let app = App::with(Options { webhooks: true, ..Options::default() }).await;
    app.known(&["alice"]).await;
    app.post_to_stream("users/alice/deactivate", &json!({})).await;
    app.stream().webhooks_idle().await;
    let refused = app.post("/token", "alice", json!({})).await;
    assert_eq!(refused.outcome(), (403, "user_deactivated"));
    app.reset_counts();
    let upsert = json!({"userData": {"name": "Somebody else"}});
    let refused = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(refused.outcome(), (403, "user_deactivated"));
    assert_eq!(app.counts(), (1, 0));
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let upsert = r#"{"userId":"alice","userData":{}}"#;
    let _ = app.post_with("/user/upsert", &headers, upsert).await.good();
    let token = app.post("/token", "alice", json!({})).await.good();
    let token = token.body["token"].as_str().unwrap();
    assert!(app.stream().check_user_token(token).is_ok());
}
