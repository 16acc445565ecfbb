//! The sweeper, on a clock that is moved: whatever goes wrong, nothing of a call is left when its
//! time has come, and nothing that is not ours is touched.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use e2e::{Answer, App};
use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use local::{Options, StreamChoice, dynamo};
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

fn to_bob(id: &str) -> Value {
    json!({"receiverId": "bob", "callId": id})
}

/// Whether neither a live call nor a channel is at Stream.
fn is_gone(app: &App, id: &str) -> bool {
    let live = app.stream().call(&format!("default:{id}"));
    live.is_none_or(|call| call.ended_at.is_some())
        && app.stream().channel(&format!("messaging:call-{id}")).is_none()
}

async fn is_closed(app: &App, id: &str) -> bool {
    is_gone(app, id) && app.call_item(id).await["state"]["S"] == "ended"
}

fn since(app: &App, earlier: SystemTime) -> Duration {
    app.stack().now().duration_since(earlier).unwrap()
}

/// Lets minutes pass until a call is closed, and demands that it is within so much time.
async fn closes(app: &App, id: &str, start: SystemTime, bound: Duration) {
    while since(app, start) < bound && !is_closed(app, id).await {
        app.minutes(1).await;
    }
    assert!(is_closed(app, id).await, "{id} is open: {}", app.call_item(id).await);
    let took = since(app, start);
    assert!(took <= bound, "{id} took {took:?}");
}

/// After the second look there is nothing left to do with closed calls.
async fn settle(app: &App, ids: &[&str]) {
    app.minutes(4).await;
    for id in ids {
        assert!(is_closed(app, id).await, "{id}");
        let item = app.call_item(id).await;
        assert!(item["dueAt"].is_null() && item["dueShard"].is_null(), "{item}");
    }
}

/// Apps are killed at different moments between two looks: is everything closed in time?
async fn abandon(webhooks: bool, bound: Duration) {
    let app = App::with(Options { webhooks, ..Options::default() }).await;
    let ids = ["c0", "c1", "c2", "c3", "c4"];
    app.calls(&ids).await;
    for cid in ids.map(|id| format!("default:{id}")) {
        for user in ["alice", "bob"] {
            app.stream().join(&cid, user).unwrap();
        }
    }
    let mut killed = BTreeMap::new();
    let mut took = BTreeMap::new();
    for minute in 0..16 {
        // Twenty seconds after one sweep, and forty before the next.
        app.pass(Duration::from_secs(20)).await;
        if let Some(id) = ids.get(minute) {
            app.stream().leave_all(&format!("default:{id}"));
            killed.insert(*id, app.stack().now());
        }
        app.pass(Duration::from_secs(40)).await;
        let sweep = app.sweep().await;
        assert_eq!((&sweep["failed"], &sweep["overdue"]), (&json!(0), &json!(0)));
        for (id, start) in &killed {
            if !took.contains_key(id) && is_closed(&app, id).await {
                took.insert(*id, since(&app, *start));
            }
        }
        if took.len() == ids.len() {
            break;
        }
    }
    for id in ids {
        assert!(took.get(id).is_some_and(|took| *took <= bound), "{id}: {took:?}");
        assert_eq!(app.call_item(id).await["endReason"]["S"], "left", "{id}");
    }
    settle(&app, &ids).await;
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn what_killed_apps_leave_behind_is_closed_within_eleven_minutes_without_webhooks() {
    abandon(false, Duration::from_mins(11)).await;
}

#[tokio::test]
async fn what_killed_apps_leave_behind_is_closed_within_six_minutes_with_webhooks() {
    abandon(true, Duration::from_mins(6)).await;
}

#[tokio::test]
async fn a_call_that_nobody_joins_is_closed_within_six_minutes() {
    let app = App::with_call("c1").await;
    closes(&app, "c1", app.stack().now(), Duration::from_mins(6)).await;
    assert_eq!(app.call_item("c1").await["endReason"]["S"], "not_joined");
    settle(&app, &["c1"]).await;
    // Its members have no call open any more.
    let next = app.post("/call/create", "bob", json!({"receiverId": "alice"})).await.good();
    assert_eq!(next.body["created"], true);
}

#[tokio::test]
async fn a_call_that_is_declined_is_closed_with_the_next_sweep() {
    let app = App::with(Options { webhooks: true, ..Options::default() }).await;
    app.calls(&["c0", "c1"]).await;
    for cid in ["default:c0", "default:c1"] {
        app.stream().join(cid, "alice").unwrap();
    }
    app.stream().reject("default:c0", "bob");
    app.stream().miss("default:c1", "bob");
    let sweeps = app.minutes(1).await;
    assert_eq!(sweeps[0]["over"], json!({"declined": 2}));
    settle(&app, &["c0", "c1"]).await;
}

#[tokio::test]
async fn of_a_create_that_failed_half_way_nothing_is_left() {
    let app = App::start().await;
    app.known(&["alice", "r0", "r1", "r2", "r3", "r4"]).await;
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
        app.stream().script(Rule::on(operation, fault.clone()));
        assert_eq!(create(n).await.outcome(), (503, "stream_unavailable"), "{operation} {fault:?}");
        app.stream().clear_faults();
    }
    // The table refuses to say that the last one is active.
    let fault = dynamo::Fault::InternalError;
    let refused = dynamo::Rule { times: u32::MAX, ..dynamo::Rule::next("UpdateItem", fault) };
    app.stack().dynamo().script(refused);
    assert_eq!(create(4).await.outcome(), (503, "store_unavailable"));
    app.stack().dynamo().clear_faults();

    let ids = ["c0", "c1", "c2", "c3", "c4"];
    for id in ids {
        assert_eq!(app.call_item(id).await["state"]["S"], "creating");
    }
    assert_eq!((app.stream().live_channels().len(), app.stream().live_calls().len()), (4, 2));
    for id in ids {
        closes(&app, id, start, Duration::from_secs(130)).await;
        assert_eq!(app.call_item(id).await["endReason"]["S"], "not_created");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
    settle(&app, &ids).await;
    // Its members are free for another call.
    let next = app.post("/call/create", "r1", json!({"receiverId": "alice"})).await.good();
    assert_eq!(next.body["created"], true);
}

#[tokio::test]
async fn an_acknowledged_end_is_clear_although_deletions_are_refused() {
    let app = App::with_call("c1").await;
    for operation in [Operation::DeleteChannel, Operation::DeleteChannels] {
        app.stream().script(Rule::on(operation, Fault::Status(500)));
    }
    let start = app.stack().now();
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
    // The sweeper fails as well, once.
    assert_eq!(app.minutes(1).await[0]["failed"], 1);
    assert!(!is_gone(&app, "c1"));
    app.stream().clear_faults();
    closes(&app, "c1", start, Duration::from_secs(250)).await;
    settle(&app, &["c1"]).await;
}

#[tokio::test]
async fn a_channel_that_comes_back_after_the_end_is_cleared_away() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    // The first attempt is lost on the way, and arrives when all is over.
    let late = Fault::AppliedLateByClock(Duration::from_secs(100));
    app.stream().script(Rule::on(Operation::GetOrCreateChannel, late).once());
    let _ = app.post("/call/create", "alice", to_bob("c1")).await.good();
    let start = app.stack().now();
    let ended = app.post("/call/end", "bob", json!({"callId": "c1"})).await.good();
    assert_eq!(ended.body["status"], "ended");
    assert!(is_gone(&app, "c1"));
    app.minutes(2).await;
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    closes(&app, "c1", start, Duration::from_secs(250)).await;
    // It was looked at once more after that.
    assert!(!app.call_item("c1").await["dueAt"].is_null());
    settle(&app, &["c1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_that_end_at_once_stay_within_streams_limit() {
    const CALLS: usize = 500;
    const AT_ONCE: usize = 50;
    let app = App::with(Options { max_instances: 8, ..Options::default() }).await;
    app.known(&["alice", "bob"]).await;
    let ids = || stream::iter((0..CALLS).map(|n| format!("c{n}")));
    let created = ids().map(|id| {
        let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
        app.post("/call/create", "alice", body)
    });
    let created: Vec<Answer> = created.buffer_unordered(AT_ONCE).collect().await;
    for answer in created {
        assert_eq!(answer.good().body["created"], true);
    }
    let ended = ids().map(|id| app.post("/call/end", "bob", json!({"callId": id})));
    let ended: Vec<Answer> = ended.buffer_unordered(AT_ONCE).collect().await;
    let start = app.stack().now();
    let (mut at_once, mut later) = (0, 0);
    for answer in ended {
        let answer = answer.good();
        match answer.status {
            200 => at_once += 1,
            202 => later += 1,
            status => assert_eq!(status, 200, "{}", answer.body),
        }
    }
    // Each of those answered with 200 took one deletion, and none was refused.
    assert!((30..=60).contains(&at_once), "{at_once}");
    assert_eq!(app.stream().counts().get(Operation::DeleteChannel), at_once);
    assert_eq!(app.stream().live_channels().len(), CALLS - usize::try_from(at_once).unwrap());

    let sweep = app.minutes(1).await.remove(0);
    assert_eq!((&sweep["cleared"], &sweep["failed"]), (&json!(later), &json!(0)));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
    assert!(since(&app, start) <= Duration::from_secs(250));
    let settled: u64 =
        app.minutes(3).await.iter().map(|sweep| sweep["settled"].as_u64().unwrap()).sum();
    assert_eq!(settled, CALLS as u64);
    assert_eq!(app.sweep().await["due"], 0);
    for operation in [Operation::DeleteChannel, Operation::DeleteChannels] {
        assert!(app.stream().most_in_a_minute(operation) <= 60, "{operation}");
    }
}

#[tokio::test]
async fn what_fails_is_put_off_longer_each_time_and_done_in_the_end() {
    let app = App::with_call("c1").await;
    app.pass(Duration::from_mins(2)).await;
    app.stream().script(Rule::any(Fault::Status(503)));
    for (tries, wait) in [("1", 30_000_i64), ("2", 60_000), ("3", 120_000)] {
        let before = app.now_millis();
        let sweep = app.sweep().await;
        assert_eq!((&sweep["due"], &sweep["failed"]), (&json!(1), &json!(1)));
        let after = app.now_millis();
        let item = app.call_item("c1").await;
        assert_eq!((&item["tries"]["N"], &item["state"]["S"]), (&json!(tries), &json!("active")));
        let due: i64 = item["dueAt"]["N"].as_str().unwrap().parse().unwrap();
        assert!((before + wait..=after + wait).contains(&due), "{due}");
        // Until then it is left alone.
        assert_eq!(app.sweep().await["due"], 0);
        app.pass(Duration::from_millis(wait.unsigned_abs())).await;
    }
    app.stream().clear_faults();
    let sweep = app.sweep().await;
    assert_eq!((&sweep["failed"], &sweep["over"]), (&json!(0), &json!({"not_joined": 1})));
    assert!(is_closed(&app, "c1").await);
    assert!(app.call_item("c1").await["tries"].is_null());
    settle(&app, &["c1"]).await;
}

#[tokio::test]
async fn what_a_sweep_could_not_do_the_next_one_does() {
    let app = App::with_call("c1").await;
    app.pass(Duration::from_mins(2)).await;
    app.stack().dynamo().script(dynamo::Rule::always(dynamo::Fault::Refused));
    let refused = json!({"error": true, "code": "store_unavailable"});
    assert_eq!((app.sweep().await, app.reconcile().await), (refused.clone(), refused));
    app.stack().dynamo().clear_faults();
    assert_eq!(app.sweep().await["cleared"], 1);
    assert!(is_closed(&app, "c1").await);
}

#[tokio::test]
async fn two_sweeps_at_once_do_no_harm() {
    let app = App::start().await;
    let ids = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    app.calls(&ids).await;
    // Two of them are ending, two go on.
    app.stream().script(Rule::on(Operation::DeleteChannel, Fault::Status(503)));
    for id in &ids[..2] {
        let ending = app.post("/call/end", "bob", json!({"callId": id})).await;
        assert_eq!(ending.status, 202);
    }
    app.stream().clear_faults();
    for id in &ids[2..4] {
        app.stream().join(&format!("default:{id}"), "alice").unwrap();
    }
    app.pass(Duration::from_mins(2)).await;
    let (one, other) = join(app.sweep(), app.sweep()).await;
    let both = |name: &str| one[name].as_u64().unwrap_or(0) + other[name].as_u64().unwrap_or(0);
    assert_eq!(both("failed"), 0, "{one} {other}");
    // Each call was ended by one of them.
    let over = |sweep: &Value| sweep["over"]["not_joined"].as_u64().unwrap_or(0);
    assert_eq!(over(&one) + over(&other), 4, "{one} {other}");
    for id in &ids[2..4] {
        assert_eq!(app.call_item(id).await["state"]["S"], "active");
    }
    let rest = [&ids[..2], &ids[4..]].concat();
    settle(&app, &rest).await;
    assert_eq!(app.stream().live_calls(), ["default:c2", "default:c3"]);
    assert_eq!(app.stream().live_channels(), ["messaging:call-c2", "messaging:call-c3"]);
}

/// A create that failed may have found somebody else's channel or call under its id, and died
/// before it noticed.
#[tokio::test]
async fn a_roll_back_leaves_alone_what_is_not_ours() {
    let app = App::start().await;
    app.known(&["alice", "bob", "mallory"]).await;
    let half = async |operation: Operation, id: &str| {
        app.stream().script(Rule::on(operation, Fault::Status(503)));
        let create = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
        let failed = app.post("/call/create", "alice", create).await;
        assert_eq!(failed.outcome(), (503, "stream_unavailable"));
        app.stream().clear_faults();
        assert_eq!(app.call_item(id).await["state"]["S"], "creating");
    };
    let _ = app.post("/call/create", "mallory", to_bob("c1")).await.good();
    app.forget("CALL#c1", "CALL").await;
    let hers = json!({"data": {"created_by_id": "mallory"}});
    app.post_to_stream("video/call/default/c2", &hers).await;
    let before = app.stream().snapshot();
    half(Operation::GetOrCreateChannel, "c1").await;
    // Of this one the channel is ours.
    half(Operation::GetOrCreateCall, "c2").await;
    assert_ne!(app.stream().snapshot(), before);

    app.minutes(6).await;
    for id in ["c1", "c2"] {
        let item = app.call_item(id).await;
        assert_eq!((&item["state"]["S"], &item["dueAt"]), (&json!("ended"), &Value::Null));
    }
    assert_eq!(app.stream().live_calls(), ["default:c1", "default:c2"]);
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.stream().channel("messaging:call-c1").unwrap().created_by, "mallory");
}

#[tokio::test]
async fn what_no_item_knows_is_removed_within_the_hour_and_the_rest_stays() {
    let app = App::start().await;
    app.calls(&["kept", "lost"]).await;
    app.forget("CALL#lost", "CALL").await;
    // Another service's, called as ours are.
    let theirs = json!({"data": {"created_by_id": "alice"}});
    app.post_to_stream("chat/channels/messaging/call-theirs/query", &theirs).await;
    app.post_to_stream("video/call/default/theirs", &theirs).await;
    let found = |seen: u64, removed: u64| {
        json!({
            "channels": seen,
            "calls": seen,
            "deleted": removed,
            "ended": removed,
            "failed": 0,
            "unfinished": false,
        })
    };
    // What is young is left to those who are at it.
    assert_eq!(app.reconcile().await, found(0, 0));
    app.pass(Duration::from_mins(11)).await;
    let before = app.call_item("kept").await;
    assert_eq!(app.reconcile().await, found(2, 1));
    assert!(is_gone(&app, "lost"));
    assert_eq!(app.stream().live_calls(), ["default:kept", "default:theirs"]);
    let channels = ["messaging:call-kept", "messaging:call-theirs"];
    assert_eq!(app.stream().live_channels(), channels);
    assert_eq!(app.call_item("kept").await, before);
    assert_eq!(app.reconcile().await, found(1, 0));
}

#[tokio::test]
async fn a_reconciliation_goes_on_where_the_last_one_stopped() {
    let app = App::start().await;
    app.calls(&["lost"]).await;
    app.forget("CALL#lost", "CALL").await;
    // As if the last one had come so far, and its time was up.
    let place = json!({"channels": app.now_millis(), "calls": app.now_millis()}).to_string();
    let key = json!({"pk": {"S": "SWEEP"}, "sk": {"S": "RECONCILE"}, "place": {"S": place}});
    app.put(key).await;
    app.pass(Duration::from_mins(11)).await;
    let first = app.reconcile().await;
    assert_eq!((&first["channels"], &first["calls"]), (&json!(0), &json!(0)));
    assert!(!is_gone(&app, "lost"));
    // That one came to the end, so the next one begins at the beginning.
    let next = app.reconcile().await;
    assert_eq!((&next["deleted"], &next["ended"]), (&json!(1), &json!(1)));
    assert!(is_gone(&app, "lost"));
}

#[tokio::test]
async fn a_channel_that_comes_back_after_the_second_look_goes_within_the_hour() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let late = Fault::AppliedLateByClock(Duration::from_mins(20));
    app.stream().script(Rule::on(Operation::GetOrCreateChannel, late).once());
    let _ = app.post("/call/create", "alice", to_bob("c1")).await.good();
    let _ = app.post("/call/end", "bob", json!({"callId": "c1"})).await.good();
    settle(&app, &["c1"]).await;
    app.pass(Duration::from_mins(17)).await;
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.sweep().await["due"], 0);
    app.pass(Duration::from_mins(11)).await;
    assert_eq!(app.reconcile().await["deleted"], 1);
    assert!(is_closed(&app, "c1").await);
}

#[tokio::test]
async fn without_credentials_the_sweeper_says_so() {
    let app = App::with(Options { stream: StreamChoice::Unconfigured, ..Options::default() }).await;
    let refused = json!({"error": true, "code": "stream_not_configured"});
    assert_eq!((app.sweep().await, app.reconcile().await), (refused.clone(), refused));
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn a_task_that_is_none_is_refused() {
    let app = App::start().await;
    for task in [json!({"task": "sleep"}), json!({"task": 1}), json!({}), json!([])] {
        let answer = app.stack().invoke("sweeper", task.clone()).await.unwrap();
        assert_eq!(answer, json!({"error": true, "code": "invalid_json"}), "{task}");
    }
    assert_eq!(app.counts(), (0, 0));
}
