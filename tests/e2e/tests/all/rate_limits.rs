//! The limit of each user, at its edge: so many requests in a minute of the clock, and not one
//! more, and what is refused has cost Stream nothing and changed nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::join_all;
use local::{Options, UserLimits, dynamo};
use serde_json::json;

/// How many requests a minute has in these tests.
const MAX_REQUESTS: u64 = 3;

/// A stack in which one route has a limit, Alice, Bob and Carol are known, and a minute has just
/// begun.
async fn app_with_limit(variable: &str) -> TestApp {
    let app = TestApp::with_env([(variable, "3")]).await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    advance_to_next_minute(&app).await;
    app
}

/// Moves the clock to the beginning of the next minute, so that none ends in the middle of what
/// comes.
async fn advance_to_next_minute(app: &TestApp) {
    let seconds_into_minute = u64::try_from(app.now_millis() / 1_000 % 60).unwrap();
    app.advance_time(Duration::from_secs(60 - seconds_into_minute)).await;
}

/// A refusal says when it is worth coming back, and nothing else.
fn assert_rate_limited(response: &TestResponse) {
    assert_eq!(response.outcome(), (429, "too_many_requests"), "{}", response.body);
    assert_eq!(response.body["message"], "Too many requests of this user");
    let seconds = response.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Sends as many requests as a minute has, and then some. `send` is told how many it has sent
/// before; `requests_per_rejection` is how many requests to the table one costs that the table
/// refuses.
async fn assert_limit_enforced(
    app: &TestApp,
    requests_per_rejection: u64,
    send: impl AsyncFn(u64) -> TestResponse,
) {
    for n in 0..MAX_REQUESTS {
        let _ = send(n).await.expect_success();
    }
    let before = (app.scan_table().await, app.stream().snapshot());
    // The process that has taken the last one knows that it was the last.
    app.reset_counts();
    assert_rate_limited(&send(MAX_REQUESTS).await);
    assert_eq!(app.counts(), (0, 0));
    // One that starts now has to ask the table, once.
    app.advance_time(Duration::from_secs(1)).await;
    for requests in [requests_per_rejection, 0] {
        app.reset_counts();
        assert_rate_limited(&send(MAX_REQUESTS + 1).await);
        assert_eq!(app.counts(), (requests, 0));
    }
    assert_eq!((app.scan_table().await, app.stream().snapshot()), before);
    app.advance_time(Duration::from_mins(1)).await;
    let _ = send(MAX_REQUESTS + 2).await.expect_success();
}

#[tokio::test]
async fn token_requests_are_rate_limited() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    assert_limit_enforced(&app, 2, async |_| app.post("/token", "alice", json!({})).await).await;
}

#[tokio::test]
async fn rejected_call_tokens_count_toward_the_limit() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    let request_token =
        async || app.post("/token", "alice", json!({"callId": "no-such-call"})).await;
    for _ in 0..MAX_REQUESTS {
        assert_eq!(request_token().await.outcome(), (404, "call_not_found"));
    }
    assert_rate_limited(&request_token().await);
}

#[tokio::test]
async fn call_creates_are_rate_limited() {
    let app = app_with_limit("LIMIT_CALL_CREATE_PER_MINUTE").await;
    let create = async |n: u64| {
        // What comes after the last is the first call of its members, so it is marked, too.
        let (receiver, parallel) = if n < MAX_REQUESTS { ("bob", true) } else { ("carol", false) };
        let id = format!("c{n}");
        let create_body = json!({"receiverId": receiver, "callId": id, "allowParallel": parallel});
        app.post("/call/create", "alice", create_body).await
    };
    // Written, looked up, marked and counted; and the first and the third taken back.
    assert_limit_enforced(&app, 6, create).await;
    assert_eq!(app.stream().live_calls().len(), 4);
}

#[tokio::test]
async fn messages_are_rate_limited() {
    let app = app_with_limit("LIMIT_MESSAGE_SEND_PER_MINUTE").await;
    app.create_calls(&["c1"]).await;
    let send = async |n: u64| {
        let message =
            json!({"channelId": "call-c1", "message": "Hi", "messageId": format!("m{n}")});
        app.post("/message/send", "alice", message).await
    };
    assert_limit_enforced(&app, 2, send).await;
    assert_eq!(app.stream().messages("messaging:call-c1").len(), 4);
}

#[tokio::test]
async fn quality_reports_are_rate_limited() {
    let app = app_with_limit("LIMIT_QUALITY_REPORT_PER_MINUTE").await;
    app.create_calls(&["c1"]).await;
    let report = async |n: u64| {
        let samples = json!([{"timestamp": app.now_millis(), "jitter": 0.01}]);
        let batch = json!({"batchId": format!("b{n}"), "samples": samples});
        app.post("/call/quality/c1", "alice", batch).await
    };
    assert_limit_enforced(&app, 2, report).await;
}

/// Whatever processes they meet.
#[tokio::test]
async fn concurrent_requests_do_not_exceed_the_limit() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    let responses = join_all((0..12).map(|_| app.post("/token", "alice", json!({})))).await;
    let (accepted, rejected): (Vec<_>, Vec<_>) = responses.iter().partition(|it| it.status == 200);
    assert_eq!(accepted.len() as u64, MAX_REQUESTS);
    for response in rejected {
        assert_rate_limited(response);
    }
}

#[tokio::test]
async fn users_have_separate_limits() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    for user in ["alice", "bob"] {
        for _ in 0..MAX_REQUESTS {
            let _ = app.post("/token", user, json!({})).await.expect_success();
        }
        assert_rate_limited(&app.post("/token", user, json!({})).await);
    }
    let _ = app.post("/token", "carol", json!({})).await.expect_success();
}

#[tokio::test]
async fn service_is_not_rate_limited() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    let service = app.service_authorization();
    for _ in 0..3 * MAX_REQUESTS {
        let headers = [("authorization", service.as_str())];
        let _ = app
            .post_with_headers("/token", &headers, r#"{"userId": "alice"}"#)
            .await
            .expect_success();
    }
    // Nor is it counted for the user whom it acts for.
    for _ in 0..MAX_REQUESTS {
        let _ = app.post("/token", "alice", json!({})).await.expect_success();
    }
}

/// What is refused for its form, or for whom it names, is not counted.
#[tokio::test]
async fn invalid_requests_are_not_counted() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    app.reset_counts();
    for _ in 0..2 * MAX_REQUESTS {
        for (body, status) in [
            (json!({"userId": "bob"}), 403),
            (json!({"ttlSeconds": 1}), 400),
            (json!({"nonsense": true}), 400),
        ] {
            assert_eq!(app.post("/token", "alice", body).await.status, status);
        }
    }
    assert_eq!(app.counts(), (0, 0));
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
}

/// A limit that nobody could count lets nobody in: the request needs the table anyway.
#[tokio::test]
async fn uncountable_request_is_rejected_without_changes() {
    let app = app_with_limit("LIMIT_CALL_CREATE_PER_MINUTE").await;
    let before = (app.scan_table().await, app.stream().snapshot());
    let rule = dynamo::Rule::next("UpdateItem", dynamo::Fault::InternalError);
    app.stack().dynamo().inject_fault(dynamo::Rule { times: u32::MAX, ..rule });
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let response = app.post("/call/create", "alice", create.clone()).await;
    assert_eq!(response.outcome(), (503, "store_unavailable"));
    app.stack().dynamo().clear_faults();
    assert_eq!((app.scan_table().await, app.stream().snapshot()), before);
    let _ = app.post("/call/create", "alice", create).await.expect_success();
}

/// The partitions of the counters in the table.
async fn counters(app: &TestApp) -> BTreeSet<String> {
    let items = app.scan_table().await;
    let partitions = items.iter().filter_map(|item| item["pk"]["S"].as_str());
    partitions.filter(|it| it.starts_with("LIMIT#")).map(str::to_owned).collect()
}

#[tokio::test]
async fn disabled_limits_are_not_counted() {
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    assert_eq!(counters(&app).await, BTreeSet::new());
}

#[tokio::test]
async fn deployed_defaults_are_rate_limited() {
    let app =
        TestApp::with_options(Options { user_limits: UserLimits::Default, ..Options::default() })
            .await;
    app.create_calls(&["c1"]).await;
    let expected = ["LIMIT#call-create#alice", "LIMIT#token#alice", "LIMIT#token#bob"];
    assert_eq!(counters(&app).await, BTreeSet::from(expected.map(str::to_owned)));
    advance_to_next_minute(&app).await;
    for _ in 0..30 {
        let _ = app.post("/token", "alice", json!({})).await.expect_success();
    }
    assert_rate_limited(&app.post("/token", "alice", json!({})).await);
}
