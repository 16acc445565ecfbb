//! A request for each route, in an order in which each finds what it needs: two users, one call.
//! All are the first user's, but for the one that Stream would send.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use local::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

/// The users that are there from the start, with the names that they are shown by.
pub(crate) const USERS: [(&str, &str); 2] = [("alice", "Alice"), ("bob", "Bob")];

/// A request.
pub(crate) struct SampleRequest {
    /// The route that it is for, such as `GET /api/stream/config`.
    pub(crate) route: &'static str,
    path: String,
    body: Option<Value>,
    sender: Sender,
}

/// Whose request it is, which shows in how it says so.
#[derive(Clone, Copy)]
enum Sender {
    /// The first user, with a bearer token.
    User,
    /// Stream, with a signature.
    Stream,
}

/// A call id that is used once: a call that ended is never started again.
pub(crate) fn new_call_id() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("demo-{seconds}")
}

/// The requests, which work one after the other.
pub(crate) fn all(call_id: &str) -> Vec<SampleRequest> {
    let channel_id = format!("call-{call_id}");
    let post_from = |from, route: &'static str, body: Value| SampleRequest {
        route,
        path: route.trim_start_matches("POST ").to_owned(),
        body: Some(body),
        sender: from,
    };
    let post = |route, body| post_from(Sender::User, route, body);
    let get = |route, path| SampleRequest { route, path, body: None, sender: Sender::User };
    vec![
        post(
            "POST /api/stream/user/upsert",
            json!({"userData": {"name": "Alice", "language": "en"}}),
        ),
        post("POST /api/stream/token", json!({"userId": "alice"})),
        post("POST /api/stream/call/create", json!({"receiverId": "bob", "callId": call_id})),
        post_from(Sender::Stream, "POST /api/stream/webhook", session_started_event(call_id)),
        post(
            "POST /api/stream/message/send",
            json!({"channelId": channel_id, "message": "Hello Bob"}),
        ),
        get(
            "GET /api/stream/message/{channelId}",
            format!("/api/stream/message/{channel_id}?limit=10"),
        ),
        get("GET /api/stream/call/{callId}", format!("/api/stream/call/{call_id}")),
        SampleRequest {
            path: format!("/api/stream/call/quality/{call_id}"),
            ..post("POST /api/stream/call/quality/{callId}", quality_report())
        },
        get("GET /api/stream/call/quality/{callId}", format!("/api/stream/call/quality/{call_id}")),
        get("GET /api/stream/config", "/api/stream/config".to_owned()),
        post("POST /api/stream/call/end", json!({"callId": call_id})),
        post("POST /api/stream/token/revoke", json!({})),
        get("DELETE /api/stream/user/{userId}", "/api/stream/user/alice".to_owned()),
    ]
}

/// What a phone measures in five seconds.
fn quality_report() -> Value {
    json!({
        "platform": "ios",
        "samples": [{
            "timestamp": Timestamp::now().as_millisecond(),
            "direction": "inbound",
            "roundTripTime": 0.082,
            "jitter": 0.006,
            "packetsLost": 2,
            "packetsReceived": 498,
        }],
    })
}

/// What Stream says when somebody joins the call just now.
fn session_started_event(call_id: &str) -> Value {
    let (cid, now) = (format!("default:{call_id}"), Timestamp::now().to_string());
    let session = Uuid::new_v4().to_string();
    json!({
        "type": "call.session_started",
        "created_at": now,
        "call_cid": cid,
        "session_id": session,
        "call": {
            "type": "default",
            "id": call_id,
            "cid": cid,
            "session": {"id": session, "started_at": now, "participants": []},
        },
    })
}

impl SampleRequest {
    /// Whether what it does cannot be undone.
    pub(crate) fn is_irreversible(&self) -> bool {
        self.route.starts_with("DELETE ")
    }

    /// The line that sends it from a shell, with the user's token or with what `sign` makes of the
    /// body in Stream's name.
    pub(crate) fn curl_command(
        &self,
        api_url: &str,
        token: &str,
        sign: impl Fn(&[u8]) -> String,
    ) -> String {
        let Self { path, body, sender: from, .. } = self;
        let body = body.as_ref().map(Value::to_string);
        let header = match from {
            Sender::User => format!("authorization: Bearer {token}"),
            Sender::Stream => {
                format!("x-signature: {}", sign(body.as_deref().unwrap_or_default().as_bytes()))
            }
        };
        let method_option = if self.is_irreversible() { "-X DELETE " } else { "" };
        let line = format!("curl -sS {method_option}'{api_url}{path}' -H '{header}'");
        match body {
            Some(body) => format!("{line} -H 'content-type: application/json' -d '{body}'"),
            None => line,
        }
    }
}

/// Makes the sample users known, as their apps would: each by a request of its own.
pub(crate) async fn provision_users(stack: &Stack) -> Result<(), Box<dyn Error>> {
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
    fn every_route_has_a_sample_request() {
        let samples = all("demo-1");
        let sample_routes: BTreeSet<_> =
            samples.iter().map(|sample| sample.route.to_owned()).collect();
        let routes: BTreeSet<_> = local::route_keys().unwrap().into_iter().collect();
        assert_eq!(sample_routes, routes);
    }

    #[test]
    fn curl_commands_are_valid_shell() {
        let samples = all("demo-1");
        let sign = |body: &[u8]| format!("of-{}-bytes", body.len());
        let curl = |sample: &SampleRequest| sample.curl_command("http://a", "t", sign);
        let lines: Vec<_> = samples.iter().map(curl).collect();
        assert_eq!(
            lines[1],
            "curl -sS 'http://a/api/stream/token' -H 'authorization: Bearer t' \
             -H 'content-type: application/json' -d '{\"userId\":\"alice\"}'"
        );
        let body = samples[3].body.as_ref().unwrap().to_string();
        assert_eq!(
            lines[3],
            format!(
                "curl -sS 'http://a/api/stream/webhook' -H 'x-signature: of-{}-bytes' \
                 -H 'content-type: application/json' -d '{body}'",
                body.len()
            )
        );
        assert_eq!(
            lines[5],
            "curl -sS 'http://a/api/stream/message/call-demo-1?limit=10' \
             -H 'authorization: Bearer t'"
        );
        for line in lines {
            assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
        }
    }
}
