//! Users who are deleted, deactivated and reactivated.

use e2e::App;
use http::Method;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Emulator, Fault, Operation, Rule};

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
async fn a_task_that_stream_gives_up_or_forgets_is_given_again() {
    for give_up in [Emulator::fail_tasks, Emulator::forget_tasks] {
        let app = App::start().await;
        app.known(&["alice"]).await;
        app.stream().script(Rule::on(Operation::GetTask, Fault::Status(503)));
        assert_eq!(app.delete("/user/alice", "alice").await.status, 202);
        assert!(app.item("ERASURES", "alice").await["task"].is_object());
        app.stream().clear_faults();
        give_up(app.stream());
        let asked = app.stream().counts().get(Operation::DeleteUsers);
        let sweep = app.minutes(1).await;
        assert_eq!((&sweep[0]["erased"], &sweep[0]["erasing"]), (&json!(0), &json!(1)));
        assert!(app.item("ERASURES", "alice").await["task"].is_null());
        let sweep = app.minutes(1).await;
        assert_eq!((&sweep[0]["erased"], &sweep[0]["erasing"]), (&json!(1), &json!(0)));
        assert_eq!(app.stream().counts().get(Operation::DeleteUsers), asked + 1);
    }
}

#[tokio::test]
async fn a_long_list_of_calls_is_gone_through_page_by_page() {
    // However many minutes the pages take, no call is over because nobody has joined it.
    let app = App::with_env([("CALL_RING_TIMEOUT_SECONDS", "3600")]).await;
    let ids: Vec<String> = (0..105).map(|n| format!("c{n}")).collect();
    app.calls(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // Of the list one page comes, and then Stream is away.
    app.stream().script(Rule::on(Operation::QueryCalls, Fault::Status(503)).after(1));
    let delete = async || {
        let answer = app.delete("/user/alice", "alice").await;
        assert_eq!((answer.status, &answer.body["status"]), (202, &json!("deleting")));
        app.item("ERASURES", "alice").await
    };
    let begun = delete().await;
    let mut sweeps = 0;
    while app.item("ERASURES", "alice").await["next"].is_null() {
        app.minutes(1).await;
        sweeps += 1;
        assert!(sweeps < 10, "the first page takes too long");
    }
    assert_eq!(delete().await["begunAt"], begun["begunAt"]);
    // A place in the list that Stream has forgotten is given up.
    app.stream().clear_faults();
    app.stream().script(Rule::on(Operation::QueryCalls, Fault::Status(400)));
    assert_eq!(app.minutes(1).await[0]["erased"], 0);
    assert!(app.item("ERASURES", "alice").await["next"].is_null());
    app.stream().clear_faults();
    let swept = app.minutes(3).await;
    assert!(swept.iter().any(|sweep| sweep["erased"] == 1), "{swept:?}");
    for id in ids {
        assert_eq!(app.call_item(&id).await["endReason"]["S"], "user_deleted", "{id}");
    }
}

#[tokio::test]
async fn a_call_is_left_alone_that_is_the_users_only_at_stream() {
    let app = App::with_call("c1").await;
    let mut call = app.item("CALL#c1", "CALL").await;
    call["members"] = json!({"L": [{"S": "bob"}, {"S": "carol"}]});
    app.put(call.clone()).await;
    let _ = app.delete("/user/alice", "alice").await.good();
    assert_eq!(app.item("CALL#c1", "CALL").await, call);
}

#[tokio::test]
async fn erasures_that_are_stuck_keep_nobody_waiting() {
    let app = App::start().await;
    for n in 0..40 {
        let begun = json!({"N": "1767225600000"});
        let (user, task) = (format!("a{n:02}"), json!({"S": "task-of-nobody"}));
        app.put(json!({"pk": {"S": "ERASURES"}, "sk": {"S": user}, "userId": {"S": user}, "begunAt": begun, "task": task})).await;
    }
    app.known(&["zoe"]).await;
    // All of them wait for Stream, Zoe behind the others.
    app.stream().script(Rule::on(Operation::GetTask, Fault::Status(503)));
    assert_eq!(app.delete("/user/zoe", "zoe").await.status, 202);
    app.stream().clear_faults();
    app.stream().script(Rule::on(Operation::DeleteUsers, Fault::Status(503)));
    let mut erased = 0;
    for sweep in app.minutes(3).await {
        erased += sweep["erased"].as_u64().unwrap();
    }
    assert_eq!(erased, 1);
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
