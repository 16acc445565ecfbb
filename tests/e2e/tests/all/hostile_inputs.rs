//! Hostile inputs, by their source: the bodies and headers of requests, webhooks, and the responses
//! of Stream. Each has its documented outcome and no other effect. `rejected_request_table` has the
//! requests that are rejected before any request to the table or Stream.

mod bodies;
mod conflicts;
mod echoes;
mod overrides;
mod pictures;
mod stream_lists;
mod stream_responses;
mod webhooks;

use e2e::{TestApp, TestResponse};

/// Sends a POST request with this text as the body, which need not be JSON.
async fn post_text(app: &TestApp, path: &str, user: &str, body: &str) -> TestResponse {
    let authorization = format!("Bearer {}", app.stack().token_for(user));
    app.post_with_headers(path, &[("authorization", &authorization)], body).await
}
