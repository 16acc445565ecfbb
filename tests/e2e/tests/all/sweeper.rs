//! The sweeper, with an advanced clock: each call is cleaned up within its bound, and resources of
//! other services are not changed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use e2e::{TestApp, TestResponse};
use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use local::{Options, StreamChoice, dynamo};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

fn create_body(id: &str) -> Value {
    json!({"receiverId": "bob", "callId": id})
}

/// Whether Stream has neither a live call nor a channel for this id.
fn is_gone(app: &TestApp, id: &str) -> bool {
    let live = app.stream().call(&format!("default:{id}"));
    live.is_none_or(|call| call.ended_at.is_some())
        && app.stream().channel(&format!("messaging:call-{id}")).is_none()
}

async fn is_closed(app: &TestApp, id: &str) -> bool {
    is_gone(app, id) && app.get_call_item(id).await["state"]["S"] == "ended"
}

fn elapsed_since(app: &TestApp, earlier: SystemTime) -> Duration {
    app.stack().now().duration_since(earlier).unwrap()
}

/// Advances minutes until a call is closed, which must happen within this time.
async fn wait_until_closed(app: &TestApp, id: &str, start: SystemTime, max_duration: Duration) {
    while elapsed_since(app, start) < max_duration && !is_closed(app, id).await {
        app.advance_minutes(1).await;
    }
    assert!(is_closed(app, id).await, "{id} is open: {}", app.get_call_item(id).await);
    let duration = elapsed_since(app, start);
    assert!(duration <= max_duration, "{id} took {duration:?}");
}

/// Checks that the calls leave the due index after the cleanup recheck and their settlement.
async fn assert_cleanup_completes(app: &TestApp, ids: &[&str]) {
    app.advance_minutes(12).await;
    for id in ids {
        assert!(is_closed(app, id).await, "{id}");
        let item = app.get_call_item(id).await;
        assert!(item["dueAt"].is_null() && item["dueShard"].is_null(), "{item}");
    }
}

/// Checks that calls close in time if the apps exit at different times between two sweeps.
async fn assert_abandoned_calls_close_within(webhooks: bool, max_duration: Duration) {
    let app = TestApp::with_options(Options { webhooks, ..Options::default() }).await;
    let ids = ["c0", "c1", "c2", "c3", "c4"];
    app.create_calls(&ids).await;
    for cid in ids.map(|id| format!("default:{id}")) {
        for user in ["alice", "bob"] {
            app.stream().join(&cid, user).unwrap();
        }
    }
    let mut killed = BTreeMap::new();
    let mut durations = BTreeMap::new();
    for minute in 0..16 {
        // The members leave 20 s after one sweep and 40 s before the next.
        app.advance_time(Duration::from_secs(20)).await;
        if let Some(id) = ids.get(minute) {
            app.stream().leave_all(&format!("default:{id}"));
            killed.insert(*id, app.stack().now());
        }
        app.advance_time(Duration::from_secs(40)).await;
        let sweep = app.sweep().await;
        assert_eq!((&sweep["failed"], &sweep["overdue"]), (&json!(0), &json!(0)));
        for (id, start) in &killed {
            if !durations.contains_key(id) && is_closed(&app, id).await {
                durations.insert(*id, elapsed_since(&app, *start));
            }
        }
        if durations.len() == ids.len() {
            break;
        }
    }
    for id in ids {
        assert!(durations.get(id).is_some_and(|took| *took <= max_duration), "{id}: {durations:?}");
        // Without webhooks a join before the first check, after two minutes, is unknown.
        let is_unknown = !webhooks && ["c0", "c1"].contains(&id);
        let reason = if is_unknown { "not_answered" } else { "left" };
        assert_eq!(app.get_call_item(id).await["endReason"]["S"], reason, "{id}");
    }
    assert_cleanup_completes(&app, &ids).await;
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn abandoned_call_is_closed_within_eleven_minutes_without_webhooks() {
    assert_abandoned_calls_close_within(false, Duration::from_mins(11)).await;
}

#[tokio::test]
async fn abandoned_call_is_closed_within_six_minutes_with_webhooks() {
    assert_abandoned_calls_close_within(true, Duration::from_mins(6)).await;
}

#[tokio::test]
async fn unjoined_call_is_closed_within_six_minutes() {
    let app = TestApp::with_call("c1").await;
    wait_until_closed(&app, "c1", app.stack().now(), Duration::from_mins(6)).await;
    assert_eq!(app.get_call_item("c1").await["endReason"]["S"], "not_joined");
    assert_cleanup_completes(&app, &["c1"]).await;
    // The members have no open call.
    let next =
        app.post("/call/create", "bob", json!({"receiverId": "alice"})).await.expect_success();
    assert_eq!(next.body["created"], true);
}

#[tokio::test]
async fn declined_or_missed_call_is_closed_without_webhooks() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1"]).await;
    for cid in ["default:c0", "default:c1"] {
        app.stream().join(cid, "alice").unwrap();
    }
    app.stream().reject("default:c0", "bob");
    app.stream().miss("default:c1", "bob");
    app.advance_minutes(2).await;
    for (id, reason) in [("c0", "declined"), ("c1", "not_answered")] {
        let item = app.get_call_item(id).await;
        assert_eq!(
            (&item["state"]["S"], &item["endReason"]["S"]),
            (&json!("ended"), &json!(reason))
        );
    }
    assert_cleanup_completes(&app, &["c0", "c1"]).await;
}

#[tokio::test]
async fn unanswered_caller_is_released_at_the_end_of_the_ring() {
    let app = TestApp::with_call("c1").await;
    app.stream().join("default:c1", "alice").unwrap();
    let sweeps = app.advance_minutes(2).await;
    assert_eq!(sweeps[1]["ended"], json!({"not_answered": 1}));
    assert!(is_closed(&app, "c1").await);
}

#[tokio::test]
async fn user_who_remains_alone_is_released() {
    for (timeout, is_ended) in [("60", true), ("0", false)] {
        let options = Options { webhooks: true, ..Options::default() };
        let app = TestApp::with_options(Options {
            env: BTreeMap::from([("CALL_ALONE_TIMEOUT_SECONDS".to_owned(), timeout.to_owned())]),
            ..options
        })
        .await;
        app.create_calls(&["c1"]).await;
        let cid = "default:c1";
        app.stream().join(cid, "alice").unwrap();
        let bob = app.stream().join(cid, "bob").unwrap();
        app.advance_time(Duration::from_secs(10)).await;
        app.stream().leave(cid, &bob);
        app.stream().webhooks_idle().await;
        app.advance_minutes(3).await;
        assert_eq!(is_closed(&app, "c1").await, is_ended, "{timeout}");
        if is_ended {
            let call = app.get("/call/c1", "alice").await.expect_success().body;
            assert_eq!(call["endReason"], "left");
            let seconds = call["durationSeconds"].as_u64().unwrap();
            assert!((10..=12).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test]
async fn partially_failed_create_is_cleaned_up() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "r0", "r1", "r2", "r3", "r4"]).await;
    let start = app.stack().now();
    let create = async |n: usize| {
        let body = json!({"receiverId": format!("r{n}"), "callId": format!("c{n}")});
        app.post("/call/create", "alice", body).await
    };
    for (n, (operation, fault)) in [
        (Operation::GetOrCreateChannel, Fault::Status(500)),
        (Operation::GetOrCreateCall, Fault::Status(500)),
        (Operation::GetOrCreateChannel, Fault::AppliedThenLost),
        (Operation::GetOrCreateCall, Fault::AppliedThenLost),
    ]
    .into_iter()
    .enumerate()
    {
        app.stream().add_fault(FaultRule::for_operation(operation, fault.clone()));
        assert_eq!(create(n).await.outcome(), (503, "stream_unavailable"), "{operation} {fault:?}");
        app.stream().clear_faults();
    }
    // The table rejects the activation of the last call.
    let fault = dynamo::Fault::InternalError;
    let rejected_updates =
        dynamo::Rule { times: u32::MAX, ..dynamo::Rule::next("UpdateItem", fault) };
    app.stack().dynamo().inject_fault(rejected_updates);
    assert_eq!(create(4).await.outcome(), (503, "store_unavailable"));
    app.stack().dynamo().clear_faults();

    let ids = ["c0", "c1", "c2", "c3", "c4"];
    for id in ids {
        assert_eq!(app.get_call_item(id).await["state"]["S"], "creating");
    }
    assert_eq!((app.stream().live_channels().len(), app.stream().live_calls().len()), (4, 2));
    for id in ids {
        wait_until_closed(&app, id, start, Duration::from_secs(130)).await;
        assert_eq!(app.get_call_item(id).await["endReason"]["S"], "not_created");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
    assert_cleanup_completes(&app, &ids).await;
    // The members can create another call.
    let next =
        app.post("/call/create", "r1", json!({"receiverId": "alice"})).await.expect_success();
    assert_eq!(next.body["created"], true);
}

#[tokio::test]
async fn acknowledged_end_is_cleaned_up_after_failed_deletions() {
    let app = TestApp::with_call("c1").await;
    for operation in [Operation::DeleteChannel, Operation::DeleteChannels] {
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(500)));
    }
    let start = app.stack().now();
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
    // The sweeper's deletion fails once too.
    assert_eq!(app.advance_minutes(1).await[0]["failed"], 1);
    assert!(!is_gone(&app, "c1"));
    app.stream().clear_faults();
    wait_until_closed(&app, "c1", start, Duration::from_secs(250)).await;
    assert_cleanup_completes(&app, &["c1"]).await;
}

#[tokio::test]
async fn channel_recreated_after_the_end_is_deleted() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    // The first attempt gets no response and takes effect after the end.
    let delayed = Fault::AppliedLateByClock(Duration::from_secs(100));
    app.stream().add_fault(FaultRule::for_operation(Operation::GetOrCreateChannel, delayed).once());
    let _ = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    let start = app.stack().now();
    let ended = app.post("/call/end", "bob", json!({"callId": "c1"})).await.expect_success();
    assert_eq!(ended.body["status"], "ended");
    assert!(is_gone(&app, "c1"));
    app.advance_minutes(2).await;
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    wait_until_closed(&app, "c1", start, Duration::from_secs(250)).await;
    // The cleanup recheck is still due.
    assert!(!app.get_call_item("c1").await["dueAt"].is_null());
    assert_cleanup_completes(&app, &["c1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_concurrent_ends_stay_within_the_stream_rate_limit() {
    const CALLS: usize = 500;
    const CONCURRENCY: usize = 50;
    let app = TestApp::with_options(Options { max_instances: 8, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let ids = || stream::iter((0..CALLS).map(|n| format!("c{n}")));
    let created = ids().map(|id| {
        let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
        app.post("/call/create", "alice", body)
    });
    let created: Vec<TestResponse> = created.buffer_unordered(CONCURRENCY).collect().await;
    for response in created {
        assert_eq!(response.expect_success().body["created"], true);
    }
    let ended = ids().map(|id| app.post("/call/end", "bob", json!({"callId": id})));
    let ended: Vec<TestResponse> = ended.buffer_unordered(CONCURRENCY).collect().await;
    let start = app.stack().now();
    let (mut immediate, mut deferred) = (0, 0);
    for response in ended {
        let response = response.expect_success();
        match response.status {
            200 => immediate += 1,
            202 => deferred += 1,
            status => assert_eq!(status, 200, "{}", response.body),
        }
    }
    // Each 200 response used one channel deletion, and Stream rejected none.
    assert!((30..=60).contains(&immediate), "{immediate}");
    assert_eq!(app.stream().counts().get(Operation::DeleteChannel), immediate);
    assert_eq!(app.stream().live_channels().len(), CALLS - usize::try_from(immediate).unwrap());

    let sweep = app.advance_minutes(1).await.remove(0);
    assert_eq!((&sweep["cleaned"], &sweep["failed"]), (&json!(deferred), &json!(0)));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
    assert!(elapsed_since(&app, start) <= Duration::from_secs(250));
    let verified: u64 =
        app.advance_minutes(3).await.iter().map(|sweep| sweep["verified"].as_u64().unwrap()).sum();
    assert_eq!(verified, CALLS as u64);
    assert_eq!(app.sweep().await["due"], 0);
    for operation in [Operation::DeleteChannel, Operation::DeleteChannels] {
        assert!(app.stream().peak_per_minute(operation) <= 60, "{operation}");
    }
}

#[tokio::test]
async fn failed_cleanup_is_retried_with_backoff() {
    let app = TestApp::with_call("c1").await;
    app.advance_time(Duration::from_mins(2)).await;
    app.stream().add_fault(FaultRule::for_any_operation(Fault::Status(503)));
    for (tries, wait) in [("1", 30_000_i64), ("2", 60_000), ("3", 120_000)] {
        let before = app.now_millis();
        let sweep = app.sweep().await;
        assert_eq!((&sweep["due"], &sweep["failed"]), (&json!(1), &json!(1)));
        let after = app.now_millis();
        let item = app.get_call_item("c1").await;
        assert_eq!((&item["tries"]["N"], &item["state"]["S"]), (&json!(tries), &json!("active")));
        let due: i64 = item["dueAt"]["N"].as_str().unwrap().parse().unwrap();
        assert!((before + wait..=after + wait).contains(&due), "{due}");
        // The call is not due before that time.
        assert_eq!(app.sweep().await["due"], 0);
        app.advance_time(Duration::from_millis(wait.unsigned_abs())).await;
    }
    app.stream().clear_faults();
    let sweep = app.sweep().await;
    assert_eq!((&sweep["failed"], &sweep["ended"]), (&json!(0), &json!({"not_joined": 1})));
    assert!(is_closed(&app, "c1").await);
    assert!(app.get_call_item("c1").await["tries"].is_null());
    assert_cleanup_completes(&app, &["c1"]).await;
}

#[tokio::test]
async fn failed_sweep_is_completed_by_the_next() {
    let app = TestApp::with_call("c1").await;
    app.advance_time(Duration::from_mins(2)).await;
    app.stack().dynamo().inject_fault(dynamo::Rule::always(dynamo::Fault::ConnectionClosed));
    let error = json!({"error": true, "code": "store_unavailable"});
    assert_eq!((app.sweep().await, app.reconcile().await), (error.clone(), error));
    app.stack().dynamo().clear_faults();
    assert_eq!(app.sweep().await["cleaned"], 1);
    assert!(is_closed(&app, "c1").await);
}

#[tokio::test]
async fn concurrent_sweeps_end_each_call_once() {
    let app = TestApp::start().await;
    let ids = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    app.create_calls(&ids).await;
    // Two calls are ending, and two are ongoing.
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteChannel, Fault::Status(503)));
    for id in &ids[..2] {
        let ending = app.post("/call/end", "bob", json!({"callId": id})).await;
        assert_eq!(ending.status, 202);
    }
    app.stream().clear_faults();
    for id in &ids[2..4] {
        app.stream().join(&format!("default:{id}"), "bob").unwrap();
    }
    app.advance_time(Duration::from_mins(2)).await;
    let (first, second) = join(app.sweep(), app.sweep()).await;
    let sum = |name: &str| first[name].as_u64().unwrap_or(0) + second[name].as_u64().unwrap_or(0);
    assert_eq!(sum("failed"), 0, "{first} {second}");
    // Each call was ended by exactly one sweep.
    let ended_count = |sweep: &Value| sweep["ended"]["not_joined"].as_u64().unwrap_or(0);
    assert_eq!(ended_count(&first) + ended_count(&second), 4, "{first} {second}");
    for id in &ids[2..4] {
        assert_eq!(app.get_call_item(id).await["state"]["S"], "active");
    }
    let ended_ids = [&ids[..2], &ids[4..]].concat();
    assert_cleanup_completes(&app, &ended_ids).await;
    assert_eq!(app.stream().live_calls(), ["default:c2", "default:c3"]);
    assert_eq!(app.stream().live_channels(), ["messaging:call-c2", "messaging:call-c3"]);
}

/// A failed create may have met a channel or a call of another user, without detecting it.
#[tokio::test]
async fn rollback_does_not_delete_foreign_resources() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "mallory"]).await;
    let create_partially = async |operation: Operation, id: &str| {
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::Status(503)));
        let create = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
        let failed = app.post("/call/create", "alice", create).await;
        assert_eq!(failed.outcome(), (503, "stream_unavailable"));
        app.stream().clear_faults();
        assert_eq!(app.get_call_item(id).await["state"]["S"], "creating");
    };
    let mallorys = json!({"data": {"created_by_id": "mallory"}});
    app.post_to_stream("chat/channels/messaging/call-c1/query", &mallorys).await;
    app.post_to_stream("video/call/default/c1", &mallorys).await;
    app.post_to_stream("video/call/default/c2", &mallorys).await;
    let before = app.stream().snapshot();
    create_partially(Operation::GetOrCreateChannel, "c1").await;
    // The channel of this call belongs to the failed create.
    create_partially(Operation::GetOrCreateCall, "c2").await;
    assert_ne!(app.stream().snapshot(), before);

    app.advance_minutes(6).await;
    for id in ["c1", "c2"] {
        let item = app.get_call_item(id).await;
        assert_eq!((&item["state"]["S"], &item["dueAt"]), (&json!("ended"), &Value::Null));
    }
    assert_eq!(app.stream().live_calls(), ["default:c1", "default:c2"]);
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.stream().channel("messaging:call-c1").unwrap().created_by, "mallory");
}

#[tokio::test]
async fn reconcile_removes_only_own_orphaned_resources() {
    let app = TestApp::start().await;
    app.create_calls(&["kept", "lost"]).await;
    app.delete_item("CALL#lost", "CALL").await;
    // Resources of another service, with ids in the same format.
    let foreign_call = json!({"data": {"created_by_id": "alice"}});
    app.post_to_stream("chat/channels/messaging/call-theirs/query", &foreign_call).await;
    app.post_to_stream("video/call/default/theirs", &foreign_call).await;
    let summary = |examined: u64, removed: u64| {
        json!({
            "channels": examined,
            "calls": examined,
            "deleted": removed,
            "ended": removed,
            "failed": 0,
            "truncated": false,
        })
    };
    // Recent resources may belong to a request in progress.
    assert_eq!(app.reconcile().await, summary(0, 0));
    app.advance_time(Duration::from_mins(11)).await;
    let before = app.get_call_item("kept").await;
    assert_eq!(app.reconcile().await, summary(2, 1));
    assert!(is_gone(&app, "lost"));
    assert_eq!(app.stream().live_calls(), ["default:kept", "default:theirs"]);
    let channels = ["messaging:call-kept", "messaging:call-theirs"];
    assert_eq!(app.stream().live_channels(), channels);
    assert_eq!(app.get_call_item("kept").await, before);
    assert_eq!(app.reconcile().await, summary(1, 0));
}

#[tokio::test]
async fn reconcile_resumes_from_the_checkpoint() {
    let app = TestApp::start().await;
    app.create_calls(&["lost"]).await;
    app.delete_item("CALL#lost", "CALL").await;
    // As if the previous reconciliation had stopped here.
    let checkpoint = json!({"channels": app.now_millis(), "calls": app.now_millis()}).to_string();
    let item = json!({"pk": {"S": "SWEEP"}, "sk": {"S": "RECONCILE"}, "place": {"S": checkpoint}});
    app.put_item(item).await;
    app.advance_time(Duration::from_mins(11)).await;
    let first = app.reconcile().await;
    assert_eq!((&first["channels"], &first["calls"]), (&json!(0), &json!(0)));
    assert!(!is_gone(&app, "lost"));
    // That run completed, so the next one starts from the beginning.
    let next = app.reconcile().await;
    assert_eq!((&next["deleted"], &next["ended"]), (&json!(1), &json!(1)));
    assert!(is_gone(&app, "lost"));
}

#[tokio::test]
async fn channel_recreated_after_the_recheck_is_deleted_by_reconcile() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let delayed = Fault::AppliedLateByClock(Duration::from_mins(20));
    app.stream().add_fault(FaultRule::for_operation(Operation::GetOrCreateChannel, delayed).once());
    let _ = app.post("/call/create", "alice", create_body("c1")).await.expect_success();
    let _ = app.post("/call/end", "bob", json!({"callId": "c1"})).await.expect_success();
    assert_cleanup_completes(&app, &["c1"]).await;
    app.advance_time(Duration::from_mins(17)).await;
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.sweep().await["due"], 0);
    app.advance_time(Duration::from_mins(11)).await;
    assert_eq!(app.reconcile().await["deleted"], 1);
    assert!(is_closed(&app, "c1").await);
}

#[tokio::test]
async fn sweeper_without_credentials_returns_stream_not_configured() {
    let app =
        TestApp::with_options(Options { stream: StreamChoice::Unconfigured, ..Options::default() })
            .await;
    let error = json!({"error": true, "code": "stream_not_configured"});
    assert_eq!((app.sweep().await, app.reconcile().await), (error.clone(), error));
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn unknown_sweeper_task_is_rejected() {
    let app = TestApp::start().await;
    for task in [json!({"task": "sleep"}), json!({"task": 1}), json!({}), json!([])] {
        let response = app.stack().invoke("sweeper", task.clone()).await.unwrap();
        assert_eq!(response, json!({"error": true, "code": "invalid_json"}), "{task}");
    }
    assert_eq!(app.counts(), (0, 0));
}
