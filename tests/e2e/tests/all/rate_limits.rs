//! The rate limits of a user: exact within a minute, and a rejected request changes nothing and
//! sends no request to Stream.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::join_all;
use local::{Options, UserLimits, dynamo};
use serde_json::json;

/// The limit in these tests, in requests per minute.
const MAX_REQUESTS: u64 = 3;

/// A stack with a limit on one route and the users Alice, Bob and Carol, at the start of a minute.
async fn app_with_limit(variable: &str) -> TestApp {
    let app = TestApp::with_env([(variable, "3")]).await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    app.advance_to_next_minute().await;
    app
}

/// Checks the error of a rejected request.
fn assert_rate_limited(response: &TestResponse) {
    assert_eq!(response.outcome(), (429, "too_many_requests"), "{}", response.body);
    assert_eq!(response.body["message"], "The user sent too many requests in this minute");
    let seconds = response.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Sends requests up to the limit and beyond. `send` gets the number of the request.
/// `requests_per_rejection` is the number of table requests for a rejection by the table.
async fn assert_limit_enforced(
    app: &TestApp,
    requests_per_rejection: u64,
    send: impl AsyncFn(u64) -> TestResponse,
) {
    for n in 0..MAX_REQUESTS {
        let _ = send(n).await.expect_success();
    }
    let before = (app.scan_table().await, app.stream().snapshot());
    // The process that counted the last request rejects the next one without the table.
    app.reset_counts();
    assert_rate_limited(&send(MAX_REQUESTS).await);
    assert_eq!(app.counts(), (0, 0));
    // A new process must read the count once.
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
        // The rejected create has no `allowParallel`, so its open-call pointer must be removed too.
        let (receiver, parallel) = if n < MAX_REQUESTS { ("bob", true) } else { ("carol", false) };
        let id = format!("c{n}");
        let create_body = json!({"receiverId": receiver, "callId": id, "allowParallel": parallel});
        app.post("/call/create", "alice", create_body).await
    };
    // Requests for the rejected create: call item, members, pointer and count, then the removal of
    // the call item and the pointer.
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
    // Requests for the rejected message: the call, the account and the count.
    assert_limit_enforced(&app, 3, send).await;
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
    // Requests for the rejected report: the call, the account and the count.
    assert_limit_enforced(&app, 3, report).await;
}

#[tokio::test]
async fn quality_reads_are_rate_limited() {
    let app = app_with_limit("LIMIT_CALL_QUALITY_PER_MINUTE").await;
    app.create_calls(&["c1"]).await;
    // Requests for the rejected read: the call, its summary, the account and the count.
    assert_limit_enforced(&app, 4, async |_| app.get("/call/quality/c1", "alice").await).await;
}

#[tokio::test]
async fn revocations_are_rate_limited() {
    let app = app_with_limit("LIMIT_TOKEN_REVOKE_PER_MINUTE").await;
    let revoke = async |_| {
        // Two revocations of one second have different cutoffs.
        app.post("/token/revoke", "alice", json!({})).await
    };
    assert_limit_enforced(&app, 1, revoke).await;
}

#[tokio::test]
async fn profile_changes_are_rate_limited() {
    let app = app_with_limit("LIMIT_USER_UPSERT_PER_MINUTE").await;
    let upsert = async |n: u64| {
        app.post("/user/upsert", "alice", json!({"userData": {"name": format!("Alice {n}")}})).await
    };
    let send = upsert;
    for n in 0..MAX_REQUESTS {
        let _ = send(n).await.expect_success();
    }
    assert_rate_limited(&send(MAX_REQUESTS).await);
    assert_eq!(app.stream().user("alice").unwrap().name.as_deref(), Some("Alice 2"));
}

/// The limit is also exact across processes.
#[tokio::test]
async fn concurrent_requests_do_not_exceed_the_limit() {
    let app = app_with_limit("LIMIT_TOKEN_PER_MINUTE").await;
    let responses = join_all((0..12).map(|_| app.post("/token", "alice", json!({})))).await;
    let (accepted, rejected): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status == 200);
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
    // The requests of the service do not count toward the user's limit.
    for _ in 0..MAX_REQUESTS {
        let _ = app.post("/token", "alice", json!({})).await.expect_success();
    }
}

/// Requests that are rejected before the count do not count toward the limit.
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

/// If the table cannot count a request, the request is rejected.
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

/// The partitions of the rate limit counters.
async fn counters(app: &TestApp) -> BTreeSet<String> {
    let items = app.scan_table().await;
    let partitions = items.iter().filter_map(|item| item["pk"]["S"].as_str());
    let is_counter =
        |partition: &&str| partition.starts_with("LIMIT#") && partition.matches('#').count() == 2;
    partitions.filter(is_counter).map(str::to_owned).collect()
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
    app.advance_to_next_minute().await;
    for _ in 0..30 {
        let _ = app.post("/token", "alice", json!({})).await.expect_success();
    }
    assert_rate_limited(&app.post("/token", "alice", json!({})).await);
}
