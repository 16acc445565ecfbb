//! Extending calls: a service changes the maximum duration of an active call.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::join;
use local::{Options, dynamo};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

/// A stack with webhooks and a joined call of Alice and Bob, which ends after 60 s.
async fn joined_call() -> TestApp {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 60});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    for user in ["alice", "bob"] {
        app.stream().join("default:c1", user).unwrap();
    }
    app.stream().webhooks_idle().await;
    app
}

async fn extend(app: &TestApp, seconds: u64) -> TestResponse {
    app.post_as_service("/call/c1/extend", json!({"maxDurationSeconds": seconds})).await
}

fn stream_limit(app: &TestApp) -> Option<u64> {
    app.stream().call("default:c1").unwrap().max_duration_seconds
}

fn update_count(app: &TestApp) -> u64 {
    app.stream().counts().get(Operation::UpdateCall)
}

/// The maximum duration, the limit version and the confirmed one.
async fn stored_limit(app: &TestApp) -> [Value; 3] {
    let item = app.get_call_item("c1").await;
    ["maxDurationSeconds", "limitVersion", "limitSynced"].map(|name| item[name]["N"].clone())
}

fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

#[tokio::test]
async fn extended_call_lasts_until_the_new_limit() {
    let app = joined_call().await;
    app.advance_time(Duration::from_secs(40)).await;
    app.reset_counts();
    let extended = extend(&app, 600).await.expect_success().body;
    assert_eq!(app.counts(), (2, 1));
    assert_eq!(extended["status"], "active");
    assert_eq!(millis(&extended["endsAt"]) - millis(&extended["startedAt"]), 600_000);
    assert_eq!(stream_limit(&app), Some(600));
    assert_eq!(stored_limit(&app).await, [json!("600"), json!("1"), json!("1")]);
    app.advance_minutes(8).await;
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
    app.advance_minutes(3).await;
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!((&call["status"], &call["endsAt"]), (&json!("ended"), &extended["endsAt"]));
    assert!(app.stream().live_calls().is_empty());
}

#[tokio::test]
async fn same_limit_twice_counts_once() {
    let app = joined_call().await;
    let first = extend(&app, 600).await.expect_success().body;
    app.reset_counts();
    let again = extend(&app, 600).await.expect_success().body;
    assert_eq!(again, first);
    assert_eq!(app.counts(), (1, 0));
    assert_eq!(stored_limit(&app).await, [json!("600"), json!("1"), json!("1")]);
    // Another limit, also a shorter one, is a change of its own.
    let _ = extend(&app, 120).await.expect_success();
    assert_eq!(stored_limit(&app).await, [json!("120"), json!("2"), json!("2")]);
    assert_eq!(stream_limit(&app), Some(120));
}

#[tokio::test]
async fn extend_of_an_ended_call_is_rejected() {
    let app = joined_call().await;
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteChannel, Fault::Status(503)));
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!(ending.status, 202);
    let before = app.get_call_item("c1").await;
    assert_eq!(extend(&app, 600).await.outcome(), (409, "call_ended"));
    assert_eq!(app.get_call_item("c1").await, before);
    app.stream().clear_faults();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    assert_eq!(extend(&app, 600).await.outcome(), (409, "call_ended"));
    assert_eq!(update_count(&app), 0);
    let missing = app.post_as_service("/call/c2/extend", json!({"maxDurationSeconds": 600})).await;
    assert_eq!(missing.outcome(), (404, "call_not_found"));
}

/// Stream has ended the call by its timer, but the table does not know it yet.
#[tokio::test]
async fn extend_after_the_end_at_stream_is_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 60});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    app.stream().join("default:c1", "alice").unwrap();
    app.advance_time(Duration::from_secs(61)).await;
    assert_eq!(extend(&app, 600).await.outcome(), (409, "call_ended"));
    assert_eq!(app.advance_minutes(1).await[0]["failed"], 0);
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["status"], &call["endReason"], &call["endedBy"]],
        [&json!("ended"), &json!("too_long"), &json!({"kind": "system"})]
    );
}

#[tokio::test]
async fn extend_and_end_at_the_same_time_leave_no_live_call() {
    let app = joined_call().await;
    app.stream().add_fault(FaultRule::for_operation(
        Operation::UpdateCall,
        Fault::Slow(Duration::from_millis(300)),
    ));
    let end = app.post("/call/end", "alice", json!({"callId": "c1"}));
    let (extended, ended) = join(extend(&app, 600), end).await;
    assert!(ended.status < 300, "{}", ended.body);
    let outcome = extended.outcome();
    assert!(outcome == (200, "") || outcome == (409, "call_ended"), "{outcome:?}");
    app.advance_minutes(5).await;
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "ended");
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn limit_is_bounded_by_the_elapsed_time_and_the_configuration() {
    let app = joined_call().await;
    let _ = extend(&app, 600).await.expect_success();
    app.advance_time(Duration::from_secs(130)).await;
    app.reset_counts();
    for seconds in [0, 59, 14_401] {
        let response = extend(&app, seconds).await;
        assert_eq!(response.outcome(), (400, "invalid_body"), "{seconds}");
    }
    assert_eq!(app.counts(), (0, 0));
    let response = extend(&app, 129).await;
    assert_eq!(response.outcome(), (400, "invalid_body"));
    assert_eq!(response.body["errors"][0]["pointer"], "/maxDurationSeconds");
    assert_eq!(stored_limit(&app).await[0], "600");
    let _ = extend(&app, 200).await.expect_success();
    let _ = extend(&app, 14_400).await.expect_success();
    assert_eq!(stream_limit(&app), Some(14_400));
}

#[tokio::test]
async fn only_a_service_may_extend() {
    let app = joined_call().await;
    app.reset_counts();
    for user in ["alice", "bob", "mallory"] {
        let body = json!({"maxDurationSeconds": 600});
        let response = app.post("/call/c1/extend", user, body).await;
        assert_eq!(response.outcome(), (403, "user_mismatch"), "{user}");
    }
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(stream_limit(&app), Some(60));
}

#[tokio::test]
async fn complete_settings_are_sent_whether_stream_merges_or_replaces_them() {
    for replaces in [false, true] {
        let app = TestApp::start().await;
        app.provision_users(&["alice", "bob"]).await;
        app.stream().set_update_call_replaces_settings(replaces);
        let create = json!({"receiverId": "bob", "callId": "c1", "callType": "voice"});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        let settings = || app.stream().snapshot()["calls"]["default:c1"]["settings"].clone();
        let mut before = settings();
        let _ = extend(&app, 600).await.expect_success();
        before["limits"]["max_duration_seconds"] = json!(600);
        assert_eq!(settings(), before, "{replaces}");
        assert_eq!(before["video"]["enabled"], false);
        assert_eq!(before["session"]["inactivity_timeout_seconds"], 300);
    }
}

#[tokio::test]
async fn sweeper_pushes_a_limit_that_stream_has_not_confirmed() {
    let app = joined_call().await;
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateCall, Fault::Status(503)));
    assert_eq!(extend(&app, 600).await.outcome(), (503, "stream_unavailable"));
    assert_eq!(stored_limit(&app).await, [json!("600"), json!("1"), Value::Null]);
    assert_eq!(stream_limit(&app), Some(60));
    app.stream().clear_faults();
    app.advance_time(Duration::from_secs(30)).await;
    let sweep = app.sweep().await;
    assert_eq!((&sweep["active"], &sweep["failed"]), (&json!(1), &json!(0)));
    assert_eq!(stream_limit(&app), Some(600));
    assert_eq!(stored_limit(&app).await, [json!("600"), json!("1"), json!("1")]);
    // A later sweep has nothing to push.
    app.reset_counts();
    app.advance_minutes(5).await;
    assert_eq!(update_count(&app), 0);
}

#[tokio::test]
async fn repeat_of_an_extend_pushes_until_stream_confirms() {
    let app = joined_call().await;
    // The three attempts of the first request fail.
    let unavailable = FaultRule::for_operation(Operation::UpdateCall, Fault::Status(503)).times(3);
    app.stream().add_fault(unavailable);
    assert_eq!(extend(&app, 600).await.outcome(), (503, "stream_unavailable"));
    let pushed = extend(&app, 600).await.expect_success();
    assert_eq!(pushed.body["status"], "active");
    assert_eq!(stored_limit(&app).await, [json!("600"), json!("1"), json!("1")]);
    let fault = dynamo::Fault::InternalError;
    let rejected = dynamo::Rule { times: u32::MAX, ..dynamo::Rule::next("UpdateItem", fault) };
    app.stack().dynamo().inject_fault(rejected);
    assert_eq!(extend(&app, 700).await.outcome(), (503, "store_unavailable"));
    app.stack().dynamo().clear_faults();
    assert_eq!(stored_limit(&app).await[0], "600");
}

#[tokio::test]
async fn overtaken_extend_pushes_the_newest_limit() {
    let app = TestApp::with_options(Options { max_instances: 2, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    // The first push reaches Stream late.
    let slow = Fault::Slow(Duration::from_millis(1_500));
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateCall, slow).once());
    let second = async {
        while stored_limit(&app).await[0] != "600" {
            tokio::task::yield_now().await;
        }
        extend(&app, 900).await
    };
    let (first, second) = join(extend(&app, 600), second).await;
    let (first, second) = (first.expect_success(), second.expect_success());
    assert_eq!(
        (&first.body["status"], &second.body["status"]),
        (&json!("active"), &json!("active"))
    );
    assert_eq!(stream_limit(&app), Some(900));
    assert_eq!(stored_limit(&app).await, [json!("900"), json!("2"), json!("2")]);
    // The first request found the newer version and pushed it again.
    assert!(update_count(&app) >= 3, "{}", update_count(&app));
}
