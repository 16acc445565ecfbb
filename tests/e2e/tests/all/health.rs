//! `GET /health`: a probe without a token.

use e2e::TestApp;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn health_needs_no_token_and_sends_no_request() {
    let app = TestApp::start().await;
    let response = app.send(Method::GET, "/health", &[], "").await.expect_success();
    assert_eq!(response.body, json!({"error": false, "message": "Healthy"}));
    // An invalid token is ignored.
    let headers = [("authorization", "Bearer x")];
    assert_eq!(app.send(Method::GET, "/health", &headers, "").await.status, 200);
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn function_with_an_invalid_session_key_is_not_healthy() {
    let app = TestApp::with_env([("JWT_SECRET", "short")]).await;
    assert_eq!(app.send(Method::GET, "/health", &[], "").await.status, 500);
}

#[tokio::test]
async fn sample_event_is_healthy() {
    let app = TestApp::start().await;
    let response = app.stack().invoke("health", e2e::sample_event("health")).await.unwrap();
    assert_eq!(response["statusCode"], 200, "{response}");
}
