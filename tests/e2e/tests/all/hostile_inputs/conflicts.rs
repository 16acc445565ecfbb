//! Concurrent requests of one user that change the same item. Each one succeeds or gets 429, and
//! the table and Stream agree afterwards.

use e2e::{TestApp, TestResponse};
use futures_util::future::join_all;
use local::{Options, UserLimits};
use serde_json::{Map, Value, json};

/// A stack with several processes of each function and the limits of a deployment, at the start of
/// a minute.
async fn app_with_processes() -> TestApp {
    let user_limits = UserLimits::Default;
    let options = Options { max_instances: 8, user_limits, ..Options::default() };
    let app = TestApp::with_options(options).await;
    app.advance_to_next_minute().await;
    app
}

/// The successes among these responses. Every other response is a 429 with `Retry-After`.
fn successes(responses: Vec<TestResponse>) -> Vec<TestResponse> {
    let is_success = |response: &TestResponse| {
        if response.status == 200 {
            return true;
        }
        assert_eq!(response.outcome(), (429, "too_many_requests"), "{}", response.body);
        let seconds: u64 = response.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        false
    };
    let successes: Vec<TestResponse> = responses.into_iter().filter(is_success).collect();
    assert!(!successes.is_empty(), "no request succeeded");
    successes
}

/// Stream's error code for a token, or 0 if it is valid.
fn token_error_code(app: &TestApp, token: &Value) -> i32 {
    let verified = app.stream().check_user_token(token.as_str().unwrap());
    verified.map_or_else(|failure| failure.code, |_| 0)
}

async fn issue_token(app: &TestApp, user: &str) -> Value {
    app.post("/token", user, json!({})).await.expect_success().body["token"].clone()
}

/// Checks that Stream has the profile of Alice in the table.
async fn assert_synchronized(app: &TestApp) {
    // A request pushes the profile if Stream lacks its newest version.
    let _ = issue_token(app, "alice").await;
    let item = app.get_item("USER#alice", "PROFILE").await;
    assert_eq!(item["synced"], item["version"], "{item}");
    let user = app.stream().user("alice").unwrap();
    assert_eq!(item["name"]["S"].as_str(), user.name.as_deref());
    let custom: Map<String, Value> = match item["custom"]["S"].as_str() {
        Some(custom) => serde_json::from_str(custom).unwrap(),
        None => Map::new(),
    };
    assert_eq!(custom, user.custom);
}

#[tokio::test]
async fn twelve_parallel_revocations_succeed_or_get_429() {
    let app = app_with_processes().await;
    let tokens = [issue_token(&app, "alice").await, issue_token(&app, "alice").await];
    let revocations = (0..12).map(|_| app.post("/token/revoke", "alice", json!({})));
    let accepted = successes(join_all(revocations).await);
    assert!(accepted.len() <= 10, "{}", accepted.len());
    for token in &tokens {
        assert_eq!(token_error_code(&app, token), 40);
    }
    let token = issue_token(&app, "alice").await;
    assert_eq!(token_error_code(&app, &token), 0);
}

#[tokio::test]
async fn fifteen_parallel_upserts_succeed_or_get_429() {
    let app = app_with_processes().await;
    let _ = issue_token(&app, "alice").await;
    let upserts = (0..15).map(|n| {
        let data = json!({"name": format!("Alice {n}")});
        app.post("/user/upsert", "alice", json!({"userData": data}))
    });
    let _ = successes(join_all(upserts).await);
    assert_synchronized(&app).await;
    let name = app.stream().user("alice").unwrap().name.unwrap();
    assert!(name.starts_with("Alice "), "{name}");
}

#[tokio::test]
async fn parallel_changes_of_custom_data_are_all_merged() {
    let app = app_with_processes().await;
    let _ = issue_token(&app, "alice").await;
    let upserts = (0..15).map(|n| {
        let custom = json!({format!("k{n}"): n, "last": n, "nested": {format!("k{n}"): n}});
        app.post("/user/upsert", "alice", json!({"userData": {"custom": custom}}))
    });
    let responses = join_all(upserts).await;
    let numbered = responses.iter().enumerate();
    let accepted = numbered.filter(|(_, response)| response.status == 200).map(|(n, _)| n);
    let accepted: Vec<usize> = accepted.collect();
    let _ = successes(responses);
    assert_synchronized(&app).await;
    let custom = app.stream().user("alice").unwrap().custom;
    for n in accepted {
        let key = format!("k{n}");
        assert_eq!((&custom[&key], &custom["nested"][&key]), (&json!(n), &json!(n)));
    }
}

#[tokio::test]
async fn ten_parallel_mixed_requests_succeed_or_get_429() {
    let app = app_with_processes().await;
    let old = issue_token(&app, "alice").await;
    let requests = (0..10).map(|n| {
        if n % 2 == 0 {
            app.post("/token/revoke", "alice", json!({}))
        } else {
            let data = json!({"name": format!("Alice {n}"), "custom": {"n": n}});
            app.post("/user/upsert", "alice", json!({"userData": data}))
        }
    });
    let _ = successes(join_all(requests).await);
    assert_eq!(token_error_code(&app, &old), 40);
    assert_synchronized(&app).await;
}

#[tokio::test]
async fn twelve_parallel_first_tokens_succeed_or_get_429() {
    let app = app_with_processes().await;
    let requests = (0..12).map(|n| {
        let data = json!({"name": format!("Alice {n}")});
        app.post("/token", "alice", json!({"userData": data}))
    });
    for response in successes(join_all(requests).await) {
        assert_eq!(token_error_code(&app, &response.body["token"]), 0);
    }
    assert_synchronized(&app).await;
}

/// A service and a user change different fields of one profile.
#[tokio::test]
async fn parallel_changes_by_a_service_and_the_user_are_both_applied() {
    let app = app_with_processes().await;
    let _ = issue_token(&app, "alice").await;
    let service = app.service_authorization();
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let requests = (0..10).map(|n| {
        let (authorization, data) = if n % 2 == 0 {
            (&service, json!({"language": "en"}))
        } else {
            (&token, json!({"name": "Alice"}))
        };
        let body = json!({"userId": "alice", "userData": data}).to_string();
        let app = &app;
        async move {
            let headers = [("authorization", authorization.as_str())];
            app.post_with_headers("/user/upsert", &headers, &body).await
        }
    });
    let _ = successes(join_all(requests).await);
    assert_synchronized(&app).await;
    let user = app.stream().user("alice").unwrap();
    assert_eq!((user.name.as_deref(), user.language.as_str()), (Some("Alice"), "en"));
}
