//! A request for each route, in an order in which each finds what it needs: two users, one call.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local::Stack;
use serde_json::{Value, json};

/// The users that are there from the start, with the names that they are shown by.
pub(crate) const USERS: [(&str, &str); 2] = [("alice", "Alice"), ("bob", "Bob")];

/// A request of the first user.
pub(crate) struct Sample {
    /// The route that it is for, such as `GET /api/stream/config`.
    pub(crate) route: &'static str,
    path: String,
    body: Option<Value>,
}

/// A call id that is used once: a call that ended is never started again.
pub(crate) fn fresh_call_id() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("demo-{seconds}")
}

/// The requests, which work one after the other.
pub(crate) fn all(call_id: &str) -> Vec<Sample> {
    let channel_id = format!("call-{call_id}");
    let post = |route: &'static str, body: Value| Sample {
        route,
        path: route.trim_start_matches("POST ").to_owned(),
        body: Some(body),
    };
    let get = |route, path| Sample { route, path, body: None };
    vec![
        post(
            "POST /api/stream/user/upsert",
            json!({"userData": {"name": "Alice", "language": "en"}}),
        ),
        post("POST /api/stream/token", json!({"userId": "alice"})),
        post("POST /api/stream/call/create", json!({"receiverId": "bob", "callId": call_id})),
        post(
            "POST /api/stream/message/send",
            json!({"channelId": channel_id, "message": "Hello Bob"}),
        ),
        get(
            "GET /api/stream/message/{channelId}",
            format!("/api/stream/message/{channel_id}?limit=10"),
        ),
        get("GET /api/stream/call/{callId}", format!("/api/stream/call/{call_id}")),
        get("GET /api/stream/call/quality/{callId}", format!("/api/stream/call/quality/{call_id}")),
        get("GET /api/stream/config", "/api/stream/config".to_owned()),
        post("POST /api/stream/call/end", json!({"callId": call_id})),
    ]
}

impl Sample {
    /// The line that sends it from a shell.
    pub(crate) fn curl(&self, api_url: &str, token: &str) -> String {
        let Self { path, body, .. } = self;
        let line = format!("curl -sS '{api_url}{path}' -H 'authorization: Bearer {token}'");
        match body {
            Some(body) => format!("{line} -H 'content-type: application/json' -d '{body}'"),
            None => line,
        }
    }
}

/// Makes the sample users known, as their apps would: each by a request of its own.
pub(crate) async fn provision(stack: &Stack) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (user, name) in USERS {
        let body = json!({"userData": {"name": name}}).to_string();
        let request = Request::post(format!("{}/api/stream/user/upsert", stack.api_url()))
            .header("authorization", format!("Bearer {}", stack.token_for(user)))
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let response = client.request(request).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let body = response.into_body().collect().await?.to_bytes();
            let reason = String::from_utf8_lossy(&body).into_owned();
            return Err(format!("the user {user} was not provisioned: {status} {reason}").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_is_a_sample_for_every_route() {
        let samples = all("demo-1");
        let shown: BTreeSet<_> = samples.iter().map(|sample| sample.route.to_owned()).collect();
        let routes: BTreeSet<_> = local::route_keys().unwrap().into_iter().collect();
        assert_eq!(shown, routes);
    }

    #[test]
    fn a_line_can_be_pasted() {
        let samples = all("demo-1");
        let lines: Vec<_> = samples.iter().map(|sample| sample.curl("http://a", "t")).collect();
        assert_eq!(
            lines[1],
            "curl -sS 'http://a/api/stream/token' -H 'authorization: Bearer t' \
             -H 'content-type: application/json' -d '{\"userId\":\"alice\"}'"
        );
        assert_eq!(
            lines[4],
            "curl -sS 'http://a/api/stream/message/call-demo-1?limit=10' \
             -H 'authorization: Bearer t'"
        );
        for line in lines {
            assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
        }
    }
}
