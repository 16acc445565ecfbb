//! Deletion, deactivation and reactivation of users.

use std::time::Duration;

use e2e::TestApp;
use futures_util::future::join;
use http::Method;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Emulator, Fault, FaultRule, Operation};

/// The items that contain a user's id, except the tombstone and the calls, which other members
/// share.
async fn items_naming_user(app: &TestApp, user: &str) -> Vec<Value> {
    let named = |item: &Value| item.to_string().contains(user);
    let is_retained = |item: &Value| {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        sk == "CALL" || pk == format!("USER#{user}")
    };
    app.scan_table().await.into_iter().filter(|item| named(item) && !is_retained(item)).collect()
}

/// A stack with a call of Alice and Bob with samples and ratings. Alice has a profile.
async fn app_with_rated_call() -> TestApp {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    let profile = json!({"userData": {"name": "Alice Liddell", "custom": {"age": 7}}});
    let _ = app.post("/user/upsert", "alice", profile).await.expect_success();
    for user in ["alice", "bob"] {
        app.stream().join("default:c1", user).unwrap();
        let report = json!({"samples": [{"timestamp": app.now_millis(), "jitter": 0.01}]});
        let _ = app.post("/call/quality/c1", user, report).await.expect_success();
        app.stream().rate("default:c1", user, 4, Some("fine"));
    }
    app.stream().webhooks_idle().await;
    app
}

#[tokio::test]
async fn deleted_user_leaves_only_a_tombstone() {
    let app = app_with_rated_call().await;
    let at = app.now_millis().to_string();
    app.put_item(json!({
        "pk": {"S": "CALL#c1"}, "sk": {"S": "QUALITY#SUMMARY"},
        "quality": {"B": "YWxpY2U="}, "at": {"N": at},
    }))
    .await;
    let response = app.delete("/user/alice", "alice").await.expect_success();
    let outcome = (response.status, &response.body["userId"], &response.body["status"]);
    assert_eq!(outcome, (200, &json!("alice"), &json!("deleted")));
    app.stream().webhooks_idle().await;
    // Alice's open call has ended.
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["endReason"], "user_deleted");
    assert!(app.stream().channel("messaging:call-c1").is_none());
    let tombstone = app.get_item("USER#alice", "PROFILE").await;
    assert_eq!(tombstone["status"]["S"], "deleted");
    for field in ["name", "custom", "image", "language", "role"] {
        assert!(tombstone[field].is_null(), "{tombstone}");
    }
    assert_eq!(items_naming_user(&app, "alice").await, Vec::<Value>::new());
    assert!(app.get_item("CALL#c1", "QUALITY#SUMMARY").await["quality"].is_null());
    // Bob's data is kept.
    let items = app.scan_table().await;
    let bobs_items = items.iter().filter(|item| item["sk"]["S"].as_str().unwrap().contains("bob"));
    assert_eq!(bobs_items.count(), 2);
    // The id cannot be used again.
    for response in [
        app.post("/token", "alice", json!({})).await,
        app.post("/user/upsert", "alice", json!({"userData": {"name": "Alice"}})).await,
    ] {
        assert_eq!(response.outcome(), (409, "user_deleted"));
    }
    let invited = app.post("/call/create", "bob", json!({"receiverId": "alice"})).await;
    assert_eq!(invited.outcome(), (404, "user_not_found"));
    assert!(app.get_item("USER#alice", "PROFILE").await["name"].is_null());
    // A repeat returns the same response.
    let again = app.delete("/user/alice", "alice").await.expect_success();
    assert_eq!(again.body["status"], "deleted");
}

#[tokio::test]
async fn sweeper_completes_an_erasure_after_a_stream_outage() {
    let app = app_with_rated_call().await;
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteUsers, Fault::Status(503)));
    let response = app.delete("/user/alice", "alice").await;
    assert_eq!((response.status, &response.body["status"]), (202, &json!("deleting")));
    // The user is deleted in the table although Stream fails.
    let token = app.post("/token", "alice", json!({})).await;
    assert_eq!(token.outcome(), (409, "user_deleted"));
    assert_eq!(app.advance_minutes(1).await[0]["erased"], 0);
    app.stream().clear_faults();
    assert_eq!(app.advance_minutes(1).await[0]["erased"], 1);
    assert_eq!(app.advance_minutes(1).await[0]["erased"], 0);
    assert_eq!(items_naming_user(&app, "alice").await, Vec::<Value>::new());
}

#[tokio::test]
async fn failed_or_lost_stream_task_is_restarted() {
    for lose_tasks in [Emulator::fail_tasks, Emulator::clear_tasks] {
        let app = TestApp::start().await;
        app.provision_users(&["alice"]).await;
        app.stream().add_fault(FaultRule::for_operation(Operation::GetTask, Fault::Status(503)));
        assert_eq!(app.delete("/user/alice", "alice").await.status, 202);
        assert!(app.get_item("ERASURES", "alice").await["task"].is_object());
        app.stream().clear_faults();
        lose_tasks(app.stream());
        let requests_before = app.stream().counts().get(Operation::DeleteUsers);
        let sweep = app.advance_minutes(1).await;
        assert_eq!((&sweep[0]["erased"], &sweep[0]["erasing"]), (&json!(0), &json!(1)));
        assert!(app.get_item("ERASURES", "alice").await["task"].is_null());
        let sweep = app.advance_minutes(1).await;
        assert_eq!((&sweep[0]["erased"], &sweep[0]["erasing"]), (&json!(1), &json!(0)));
        assert_eq!(app.stream().counts().get(Operation::DeleteUsers), requests_before + 1);
    }
}

#[tokio::test]
async fn erasure_pages_through_all_calls() {
    // With this timeout, the calls do not end as not joined while the sweeps run.
    let app = TestApp::with_env([("CALL_RING_TIMEOUT_SECONDS", "3600")]).await;
    let ids: Vec<String> = (0..105).map(|n| format!("c{n}")).collect();
    app.create_calls(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // Stream returns the first page of calls and then fails.
    app.stream().add_fault(
        FaultRule::for_operation(Operation::QueryCalls, Fault::Status(503)).skip_first(1),
    );
    let delete = async || {
        let response = app.delete("/user/alice", "alice").await;
        assert_eq!((response.status, &response.body["status"]), (202, &json!("deleting")));
        app.get_item("ERASURES", "alice").await
    };
    let first = delete().await;
    let mut sweeps = 0;
    while app.get_item("ERASURES", "alice").await["next"].is_null() {
        app.advance_minutes(1).await;
        sweeps += 1;
        assert!(sweeps < 10, "the first page takes too long");
    }
    assert_eq!(delete().await["begunAt"], first["begunAt"]);
    // If Stream rejects the page cursor, the erasure begins again.
    app.stream().clear_faults();
    app.stream().add_fault(FaultRule::for_operation(Operation::QueryCalls, Fault::Status(400)));
    assert_eq!(app.advance_minutes(1).await[0]["erased"], 0);
    assert!(app.get_item("ERASURES", "alice").await["next"].is_null());
    app.stream().clear_faults();
    let swept = app.advance_minutes(3).await;
    assert!(swept.iter().any(|sweep| sweep["erased"] == 1), "{swept:?}");
    for id in ids {
        assert_eq!(app.get_call_item(&id).await["endReason"]["S"], "user_deleted", "{id}");
    }
}

#[tokio::test]
async fn call_listed_only_at_stream_is_not_changed() {
    let app = TestApp::with_call("c1").await;
    let mut call = app.get_item("CALL#c1", "CALL").await;
    call["members"] = json!({"L": [{"S": "bob"}, {"S": "carol"}]});
    app.put_item(call.clone()).await;
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    assert_eq!(app.get_item("CALL#c1", "CALL").await, call);
}

/// A stack with an active call `c1`, which the first of these users has created.
async fn app_with_call_of(users: &[&str]) -> TestApp {
    let app = TestApp::start().await;
    app.provision_users(users).await;
    let create = json!({"memberIds": users[1..], "callId": "c1"});
    let _ = app.post("/call/create", users[0], create).await.expect_success();
    app
}

/// The members of the call `c1` and of its channel at Stream.
fn members_at_stream(app: &TestApp) -> [Vec<String>; 2] {
    let call = app.stream().call("default:c1").unwrap();
    [call.members, app.stream().channel("messaging:call-c1").unwrap().members]
}

#[tokio::test]
async fn larger_call_goes_on_without_a_deleted_member() {
    for (leaving, [first, second]) in [("alice", ["bob", "carol"]), ("bob", ["alice", "carol"])] {
        let app = app_with_call_of(&["alice", "bob", "carol"]).await;
        app.reset_counts();
        let deleted = app.delete(&format!("/user/{leaving}"), leaving).await.expect_success();
        assert_eq!(deleted.body["status"], "deleted");
        assert_eq!(app.counts(), (13, 5));
        let call = app.get("/call/c1", first).await.expect_success();
        let expected = (&json!([first, second]), &json!("active"));
        assert_eq!((&call.body["members"], &call.body["status"]), expected);
        assert!(!call.text.contains(leaving), "{}", call.text);
        // The owner is still the creator at Stream.
        assert_eq!(app.get_call_item("c1").await["owner"]["S"], "alice");
        assert_eq!(members_at_stream(&app), [[first, second], [first, second]]);
        let former = app.get("/call/c1", leaving).await;
        assert_eq!(former.status, 409, "{}", former.body);
        // The others can chat. A create of theirs returns this call, and they can end it.
        let message = json!({"channelId": "call-c1", "message": "Hi"});
        let _ = app.post("/message/send", second, message).await.expect_success();
        let create = json!({"receiverId": second});
        let same = app.post("/call/create", first, create).await.expect_success();
        let outcome = (&same.body["callId"], &same.body["created"]);
        assert_eq!(outcome, (&json!("c1"), &json!(false)));
        let end = json!({"callId": "c1"});
        let ended = app.post("/call/end", second, end).await.expect_success();
        assert_eq!(ended.body["status"], "ended");
        // The pointer of the remaining members is cleared with the call.
        let pointers = app.scan_table().await;
        let names_call = |item: &&Value| item["sk"]["S"] == "OPEN" && item["callId"]["S"] == "c1";
        assert_eq!(pointers.iter().filter(names_call).count(), 0, "{pointers:?}");
    }
}

/// The owner is deleted while three talk. The call goes on, and its times are right.
#[tokio::test]
async fn talk_goes_on_without_the_deleted_owner() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    let users = ["alice", "bob", "carol"];
    app.provision_users(&users).await;
    let create = json!({"memberIds": ["bob", "carol"], "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    for user in users {
        app.stream().join("default:c1", user).unwrap();
    }
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_secs(30)).await;
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    app.advance_minutes(6).await;
    let call = app.get("/call/c1", "bob").await.expect_success().body;
    assert_eq!((&call["status"], &call["answered"]), (&json!("active"), &json!(true)));
    let _ = app.post("/call/end", "bob", json!({"callId": "c1"})).await.expect_success();
    let call = app.get("/call/c1", "bob").await.expect_success().body;
    let talk = call["talkSeconds"].as_i64().unwrap();
    assert!((330..400).contains(&talk), "{call}");
}

#[tokio::test]
async fn call_ends_when_one_member_remains() {
    let app = app_with_call_of(&["alice", "bob", "carol"]).await;
    for (leaving, state) in [("alice", "active"), ("carol", "ended")] {
        let _ = app.delete(&format!("/user/{leaving}"), leaving).await.expect_success();
        let call = app.get("/call/c1", "bob").await.expect_success();
        assert_eq!(call.body["status"], state);
    }
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["endReason"], "user_deleted");
}

#[tokio::test]
async fn concurrent_erasures_of_two_members_end_a_call_of_three() {
    let app = app_with_call_of(&["alice", "bob", "carol"]).await;
    let (alice, bob) =
        join(app.delete("/user/alice", "alice"), app.delete("/user/bob", "bob")).await;
    let _ = (alice.expect_success(), bob.expect_success());
    app.advance_minutes(2).await;
    let item = app.get_call_item("c1").await;
    assert_eq!(
        (&item["state"]["S"], &item["endReason"]["S"]),
        (&json!("ended"), &json!("user_deleted"))
    );
    for user in ["alice", "bob"] {
        assert!(app.get_item("ERASURES", user).await.is_null(), "{user}");
    }
}

/// The members of the item change first, and a retry completes the removal at Stream.
#[tokio::test]
async fn retry_removes_a_member_from_stream() {
    for operation in [Operation::UpdateChannel, Operation::UpdateCallMembers] {
        let app = app_with_call_of(&["alice", "bob", "carol"]).await;
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(503)));
        let response = app.delete("/user/alice", "alice").await;
        assert_eq!((response.status, &response.body["status"]), (202, &json!("deleting")));
        let call = app.get("/call/c1", "bob").await.expect_success();
        assert_eq!(call.body["members"], json!(["bob", "carol"]), "{operation}");
        assert_eq!(members_at_stream(&app)[0], ["alice", "bob", "carol"], "{operation}");
        app.stream().clear_faults();
        assert_eq!(app.advance_minutes(1).await[0]["erased"], 1, "{operation}");
        assert_eq!(members_at_stream(&app), [["bob", "carol"], ["bob", "carol"]], "{operation}");
    }
}

/// A rejection would be repeated every minute, and Stream deletes the user all the same.
#[tokio::test]
async fn rejected_removal_of_a_member_does_not_stop_an_erasure() {
    let app = app_with_call_of(&["alice", "bob", "carol"]).await;
    for operation in [Operation::UpdateChannel, Operation::UpdateCallMembers] {
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(400)));
    }
    let deleted = app.delete("/user/alice", "alice").await.expect_success();
    assert_eq!(deleted.body["status"], "deleted");
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["members"], json!(["bob", "carol"]));
}

/// The create has read the members, and may still name them at Stream.
#[tokio::test]
async fn erasure_waits_for_a_larger_call_that_is_being_created() {
    let app = app_with_call_of(&["alice", "bob", "carol"]).await;
    let active = app.get_call_item("c1").await;
    let mut creating = active.clone();
    creating["state"] = json!({"S": "creating"});
    app.put_item(creating.clone()).await;
    let response = app.delete("/user/alice", "alice").await;
    assert_eq!((response.status, &response.body["status"]), (202, &json!("deleting")));
    assert_eq!(app.get_call_item("c1").await, creating);
    assert_eq!(app.stream().counts().get(Operation::DeleteUsers), 0);
    app.put_item(active).await;
    assert_eq!(app.advance_minutes(1).await[0]["erased"], 1);
    assert_eq!(members_at_stream(&app), [["bob", "carol"], ["bob", "carol"]]);
}

/// A removed membership shortens Stream's list, so that the calls of the next page move forward.
#[tokio::test]
async fn removed_memberships_do_not_hide_further_calls() {
    let app = TestApp::with_env([("CALL_RING_TIMEOUT_SECONDS", "3600")]).await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    let ids: Vec<String> = (0..105).map(|n| format!("c{n}")).collect();
    for id in &ids {
        let create = json!({"memberIds": ["bob", "carol"], "callId": id, "allowParallel": true});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
    }
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    let mut sweeps = 0;
    while !app.get_item("ERASURES", "alice").await.is_null() {
        app.advance_minutes(1).await;
        sweeps += 1;
        assert!(sweeps < 10, "the erasure takes too long");
    }
    let remaining = json!({"L": [{"S": "bob"}, {"S": "carol"}]});
    for id in ids {
        assert_eq!(app.get_call_item(&id).await["members"], remaining, "{id}");
        let call = app.stream().call(&format!("default:{id}")).unwrap();
        assert_eq!(call.members, ["bob", "carol"], "{id}");
    }
}

#[tokio::test]
async fn stuck_erasures_do_not_block_others() {
    let app = TestApp::start().await;
    for n in 0..40 {
        let begun_at = json!({"N": "1767225600000"});
        let (user, task) = (format!("a{n:02}"), json!({"S": "unknown-task"}));
        app.put_item(json!({"pk": {"S": "ERASURES"}, "sk": {"S": user}, "userId": {"S": user}, "begunAt": begun_at, "task": task})).await;
    }
    app.provision_users(&["zoe"]).await;
    // Zoe's erasure and 40 others wait for Stream.
    app.stream().add_fault(FaultRule::for_operation(Operation::GetTask, Fault::Status(503)));
    assert_eq!(app.delete("/user/zoe", "zoe").await.status, 202);
    app.stream().clear_faults();
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteUsers, Fault::Status(503)));
    let mut erased = 0;
    for sweep in app.advance_minutes(3).await {
        erased += sweep["erased"].as_u64().unwrap();
    }
    assert_eq!(erased, 1);
}

#[tokio::test]
async fn only_the_user_or_a_service_can_delete() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.reset_counts();
    let rejected = app.delete("/user/bob", "alice").await;
    assert_eq!(rejected.outcome(), (403, "user_mismatch"));
    assert_eq!(app.counts(), (0, 0));
    let unknown_user = app.delete("/user/carol", "carol").await;
    assert_eq!(unknown_user.outcome(), (404, "user_not_found"));
    assert_eq!(app.counts(), (1, 0));
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let deleted = app.send(Method::DELETE, "/user/bob", &headers, "").await.expect_success();
    assert_eq!(deleted.body["status"], "deleted");
}

#[tokio::test]
async fn service_upsert_reactivates_a_user() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.provision_users(&["alice"]).await;
    app.post_to_stream("users/alice/deactivate", &json!({})).await;
    app.stream().webhooks_idle().await;
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!(rejected.outcome(), (403, "user_deactivated"));
    app.reset_counts();
    let upsert = json!({"userData": {"name": "Alice B"}});
    let rejected = app.post("/user/upsert", "alice", upsert).await;
    assert_eq!(rejected.outcome(), (403, "user_deactivated"));
    // The quota of pushes and the rejected change.
    assert_eq!(app.counts(), (2, 0));
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let upsert = r#"{"userId":"alice","userData":{}}"#;
    let _ = app.post_with_headers("/user/upsert", &headers, upsert).await.expect_success();
    let token = app.post("/token", "alice", json!({})).await.expect_success();
    let token = token.body["token"].as_str().unwrap();
    assert!(app.stream().check_user_token(token).is_ok());
}
