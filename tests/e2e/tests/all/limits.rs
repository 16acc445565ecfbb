//! The limit of each user, at its edge: so many requests in a minute of the clock, and not one
//! more, and what is refused has cost Stream nothing and changed nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Answer, App};
use futures_util::future::join_all;
use local::{Options, UserLimits, dynamo};
use serde_json::json;

/// How many requests a minute has in these tests.
const MOST: u64 = 3;

/// A stack in which one route has a limit, Alice, Bob and Carol are known, and a minute has just
/// begun.
async fn app(variable: &str) -> App {
    let app = App::with_env([(variable, "3")]).await;
    app.known(&["alice", "bob", "carol"]).await;
    begin_a_minute(&app).await;
    app
}

/// Moves the clock to the beginning of the next minute, so that none ends in the middle of what
/// comes.
async fn begin_a_minute(app: &App) {
    let into = u64::try_from(app.now_millis() / 1_000 % 60).unwrap();
    app.pass(Duration::from_secs(60 - into)).await;
}

/// A refusal says when it is worth coming back, and nothing else.
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.outcome(), (429, "too_many_requests"), "{}", answer.body);
    assert_eq!(answer.body["message"], "Too many requests of this user");
    let seconds = answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Sends as many requests as a minute has, and then some. `send` is told how many it has sent
/// before; `refused` is how many requests to the table one costs that the table refuses.
async fn hold_at_the_edge(app: &App, refused: u64, send: impl AsyncFn(u64) -> Answer) {
    for n in 0..MOST {
        let _ = send(n).await.good();
    }
    let before = (app.table().await, app.stream().snapshot());
    // The process that has taken the last one knows that it was the last.
    app.reset_counts();
    assert_refused(&send(MOST).await);
    assert_eq!(app.counts(), (0, 0));
    // One that starts now has to ask the table, once.
    app.pass(Duration::from_secs(1)).await;
    for requests in [refused, 0] {
        app.reset_counts();
        assert_refused(&send(MOST + 1).await);
        assert_eq!(app.counts(), (requests, 0));
    }
    assert_eq!((app.table().await, app.stream().snapshot()), before);
    app.pass(Duration::from_mins(1)).await;
    let _ = send(MOST + 2).await.good();
}

#[tokio::test]
async fn tokens_have_a_limit() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    hold_at_the_edge(&app, 2, async |_| app.post("/token", "alice", json!({})).await).await;
}

#[tokio::test]
async fn tokens_that_are_refused_for_their_call_count() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    let ask = async || app.post("/token", "alice", json!({"callId": "no-such-call"})).await;
    for _ in 0..MOST {
        assert_eq!(ask().await.outcome(), (404, "call_not_found"));
    }
    assert_refused(&ask().await);
}

#[tokio::test]
async fn new_calls_have_a_limit() {
    let app = app("LIMIT_CALL_CREATE_PER_MINUTE").await;
    let create = async |n: u64| {
        // What comes after the last is the first call of its members, so it is marked, too.
        let (receiver, parallel) = if n < MOST { ("bob", true) } else { ("carol", false) };
        let id = format!("c{n}");
        let ask = json!({"receiverId": receiver, "callId": id, "allowParallel": parallel});
        app.post("/call/create", "alice", ask).await
    };
    // Written, looked up, marked and counted; and the first and the third taken back.
    hold_at_the_edge(&app, 6, create).await;
    assert_eq!(app.stream().live_calls().len(), 4);
}

#[tokio::test]
async fn messages_have_a_limit() {
    let app = app("LIMIT_MESSAGE_SEND_PER_MINUTE").await;
    app.calls(&["c1"]).await;
    let send = async |n: u64| {
        let message =
            json!({"channelId": "call-c1", "message": "Hi", "messageId": format!("m{n}")});
        app.post("/message/send", "alice", message).await
    };
    hold_at_the_edge(&app, 2, send).await;
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 4);
}

#[tokio::test]
async fn samples_have_a_limit() {
    let app = app("LIMIT_QUALITY_REPORT_PER_MINUTE").await;
    app.calls(&["c1"]).await;
    let report = async |n: u64| {
        let samples = json!([{"timestamp": app.now_millis(), "jitter": 0.01}]);
        let batch = json!({"batchId": format!("b{n}"), "samples": samples});
        app.post("/call/quality/c1", "alice", batch).await
    };
    hold_at_the_edge(&app, 2, report).await;
}

/// Whatever processes they meet.
#[tokio::test]
async fn of_many_at_once_no_more_are_answered_than_a_minute_has() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    let answers = join_all((0..12).map(|_| app.post("/token", "alice", json!({})))).await;
    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!(good.len() as u64, MOST);
    for answer in refused {
        assert_refused(answer);
    }
}

#[tokio::test]
async fn users_do_not_share_a_limit() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    for user in ["alice", "bob"] {
        for _ in 0..MOST {
            let _ = app.post("/token", user, json!({})).await.good();
        }
        assert_refused(&app.post("/token", user, json!({})).await);
    }
    let _ = app.post("/token", "carol", json!({})).await.good();
}

#[tokio::test]
async fn a_service_has_no_limit() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    let service = app.service();
    for _ in 0..3 * MOST {
        let headers = [("authorization", service.as_str())];
        let _ = app.post_with("/token", &headers, r#"{"userId": "alice"}"#).await.good();
    }
    // Nor is it counted for the user whom it acts for.
    for _ in 0..MOST {
        let _ = app.post("/token", "alice", json!({})).await.good();
    }
}

/// What is refused for its form, or for whom it names, is not counted.
#[tokio::test]
async fn what_is_refused_for_another_reason_before_is_not_counted() {
    let app = app("LIMIT_TOKEN_PER_MINUTE").await;
    app.reset_counts();
    for _ in 0..2 * MOST {
        for (body, status) in [
            (json!({"userId": "bob"}), 403),
            (json!({"ttlSeconds": 1}), 400),
            (json!({"nonsense": true}), 400),
        ] {
            assert_eq!(app.post("/token", "alice", body).await.status, status);
        }
    }
    assert_eq!(app.counts(), (0, 0));
    let _ = app.post("/token", "alice", json!({})).await.good();
}

/// A limit that nobody could count lets nobody in: the request needs the table anyway.
#[tokio::test]
async fn a_request_that_cannot_be_counted_is_refused_and_leaves_nothing() {
    let app = app("LIMIT_CALL_CREATE_PER_MINUTE").await;
    let before = (app.table().await, app.stream().snapshot());
    let rule = dynamo::Rule::next("UpdateItem", dynamo::Fault::InternalError);
    app.stack().dynamo().script(dynamo::Rule { times: u32::MAX, ..rule });
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let answer = app.post("/call/create", "alice", create.clone()).await;
    assert_eq!(answer.outcome(), (503, "store_unavailable"));
    app.stack().dynamo().clear_faults();
    assert_eq!((app.table().await, app.stream().snapshot()), before);
    let _ = app.post("/call/create", "alice", create).await.good();
}

/// The partitions of the counters in the table.
async fn counters(app: &App) -> BTreeSet<String> {
    let items = app.table().await;
    let partitions = items.iter().filter_map(|item| item["pk"]["S"].as_str());
    partitions.filter(|it| it.starts_with("LIMIT#")).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_switched_off_is_not_counted() {
    let app = App::start().await;
    app.calls(&["c1"]).await;
    assert_eq!(counters(&app).await, BTreeSet::new());
}

#[tokio::test]
async fn what_is_deployed_has_limits() {
    let app = App::with(Options { user_limits: UserLimits::Default, ..Options::default() }).await;
    app.calls(&["c1"]).await;
    let expected = ["LIMIT#call-create#alice", "LIMIT#token#alice", "LIMIT#token#bob"];
    assert_eq!(counters(&app).await, BTreeSet::from(expected.map(str::to_owned)));
    begin_a_minute(&app).await;
    for _ in 0..30 {
        let _ = app.post("/token", "alice", json!({})).await.good();
    }
    assert_refused(&app.post("/token", "alice", json!({})).await);
}
