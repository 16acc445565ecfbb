//! Sample requests: one shell line for each route. Each line can be repeated, in any order, once
//! the lines that create calls have set their variables.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use local::Stack;
use serde_json::{Value, json};

/// The text above the printed lines.
pub(crate) const USAGE: &str = "\
Sample requests. Each line can be repeated, in any order. The lines that create calls set $CALL and
$ENDED_CALL, so run them first. Run them again after 409 call_ended: the sweeper ends a call that no
member joins within two minutes.";

/// The users whose tokens are always printed, with their names.
const USERS: [(&str, &str); 2] = [(ALICE, "Alice"), ("bob", "Bob")];

/// The caller of most requests.
const ALICE: &str = "alice";

/// The callee of the sample call. It is a user of its own, so that no line affects the calls of the
/// other users.
const CALLEE: (&str, &str) = ("sample-callee", "Sample callee");

/// The user whose tokens are revoked.
const REVOKED_USER: (&str, &str) = ("sample-revoked", "Sample revoked");

/// The user who is deleted. A deleted user's tokens cannot be revoked, so this is not
/// `REVOKED_USER`.
const DELETED_USER: (&str, &str) = ("sample-deleted", "Sample deleted");

/// A `sed` command that replaces a response by the call id in it. An error response is unchanged.
const EXTRACT_CALL_ID: &str = r#"s/.*"callId":"\([^"]*\)".*/\1/"#;

/// A request to a route, as a line for a shell.
pub(crate) struct SampleRequest {
    /// The route, such as `GET /api/stream/config`.
    pub(crate) route: &'static str,
    path: String,
    body: Option<Value>,
    sender: Sender,
    /// The shell variable that stores the call id of the response.
    call_variable: Option<&'static str>,
}

/// The sender of a request.
#[derive(Clone)]
enum Sender {
    /// A user, with a bearer token.
    User(String),
    /// A service, with a bearer token.
    Service,
    /// Stream, with a signature.
    Stream,
    /// A probe, without a token.
    Probe,
}

/// The users whose tokens are printed: alice, bob, and the further users of the command line.
pub(crate) fn users(further: &[String]) -> Vec<&str> {
    named_users(further).into_iter().map(|(user, _)| user).collect()
}

/// The same users, with their names. The name of a further user is the id.
pub(crate) fn named_users(further: &[String]) -> Vec<(&str, &str)> {
    let is_further = |user: &&str| USERS.iter().all(|(fixed, _)| fixed != user);
    let further = further.iter().map(String::as_str).filter(is_further);
    USERS.into_iter().chain(further.map(|user| (user, user))).collect()
}

/// The requests. `$CALL` is an open call. `$ENDED_CALL` is a call of its own, so that the line
/// that ends it does not affect the other lines. Each further user requests a token and calls
/// alice.
pub(crate) fn all(further_users: &[String]) -> Vec<SampleRequest> {
    let post = |sender, route: &'static str, body| SampleRequest {
        route,
        path: route.trim_start_matches("POST ").to_owned(),
        body: Some(body),
        sender,
        call_variable: None,
    };
    let user = |user: &str| Sender::User(user.to_owned());
    let alice = || user(ALICE);
    let get = |route, path: &str| SampleRequest {
        route,
        path: path.to_owned(),
        body: None,
        sender: alice(),
        call_variable: None,
    };
    let create_call = |call_variable, receiver: &str| SampleRequest {
        call_variable: Some(call_variable),
        ..post(alice(), "POST /api/stream/call/create", json!({"receiverId": receiver}))
    };
    let mut requests = vec![
        post(
            alice(),
            "POST /api/stream/user/upsert",
            json!({"userData": {"name": "Alice", "language": "en"}}),
        ),
        post(alice(), "POST /api/stream/token", json!({"userId": ALICE})),
        create_call("CALL", CALLEE.0),
        post(
            alice(),
            "POST /api/stream/message/send",
            json!({"channelId": "call-$CALL", "message": "Hello"}),
        ),
        get("GET /api/stream/message/{channelId}", "/api/stream/message/call-$CALL?limit=10"),
        get("GET /api/stream/call/{callId}", "/api/stream/call/$CALL"),
        SampleRequest {
            path: "/api/stream/call/quality/$CALL".to_owned(),
            ..post(alice(), "POST /api/stream/call/quality/{callId}", quality_report())
        },
        get("GET /api/stream/call/quality/{callId}", "/api/stream/call/quality/$CALL"),
        get("GET /api/stream/config", "/api/stream/config"),
        create_call("ENDED_CALL", REVOKED_USER.0),
        post(alice(), "POST /api/stream/call/end", json!({"callId": "$ENDED_CALL"})),
        post(Sender::Stream, "POST /api/stream/webhook", user_reactivated_event()),
        post(user(REVOKED_USER.0), "POST /api/stream/token/revoke", json!({})),
        SampleRequest {
            sender: user(DELETED_USER.0),
            ..get(
                "DELETE /api/stream/user/{userId}",
                &format!("/api/stream/user/{}", DELETED_USER.0),
            )
        },
        SampleRequest {
            path: "/api/stream/call/$CALL/extend".to_owned(),
            ..post(
                Sender::Service,
                "POST /api/stream/call/{callId}/extend",
                json!({"maxDurationSeconds": 7_200}),
            )
        },
        get("GET /api/stream/call", "/api/stream/call?limit=10"),
        SampleRequest {
            sender: Sender::Probe,
            ..get("GET /api/stream/health", "/api/stream/health")
        },
    ];
    for name in users(further_users).into_iter().skip(USERS.len()) {
        requests.push(post(user(name), "POST /api/stream/token", json!({})));
        let body = json!({"receiverId": ALICE});
        requests.push(post(user(name), "POST /api/stream/call/create", body));
    }
    requests
}

/// A typical quality sample of a phone.
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

/// An event that has no effect on an active user. An event of a call would have to be signed after
/// the call is created.
fn user_reactivated_event() -> Value {
    json!({
        "type": "user.reactivated",
        "created_at": Timestamp::now().to_string(),
        "user": {"id": ALICE},
    })
}

/// Quotes a word for a shell, with double quotes if it contains a variable.
fn quote(word: &str) -> String {
    if word.contains('$') {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        format!("'{word}'")
    }
}

impl SampleRequest {
    /// Whether the request deletes data permanently.
    pub(crate) fn is_irreversible(&self) -> bool {
        self.route.starts_with("DELETE ")
    }

    /// The shell line that sends the request. `token_for` returns the bearer token of a user, or of a
    /// service without one, and `sign` returns Stream's signature of a body.
    pub(crate) fn curl_command(
        &self,
        api_url: &str,
        token_for: impl Fn(Option<&str>) -> String,
        sign: impl Fn(&[u8]) -> String,
    ) -> String {
        let Self { path, body, sender, call_variable, .. } = self;
        let body = body.as_ref().map(Value::to_string);
        let header = match sender {
            Sender::User(user) => Some(format!("authorization: Bearer {}", token_for(Some(user)))),
            Sender::Service => Some(format!("authorization: Bearer {}", token_for(None))),
            Sender::Stream => {
                let signature = sign(body.as_deref().unwrap_or_default().as_bytes());
                Some(format!("x-signature: {signature}"))
            }
            Sender::Probe => None,
        };
        let method_option = if self.is_irreversible() { "-X DELETE " } else { "" };
        let url = quote(&format!("{api_url}{path}"));
        let mut line = format!("curl -sS {method_option}{url}");
        if let Some(header) = header {
            line = format!("{line} -H '{header}'");
        }
        if let Some(body) = body {
            line = format!("{line} -H 'content-type: application/json' -d {}", quote(&body));
        }
        match call_variable {
            Some(name) => format!("{name}=$({line} | sed '{EXTRACT_CALL_ID}'); echo \"${name}\""),
            None => line,
        }
    }
}

/// Provisions the sample users and the further users, each with an upsert request of its own.
pub(crate) async fn provision_users(
    stack: &Stack,
    further_users: &[String],
) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    // In a real Stream app, no user is deleted.
    let deleted_user = stack.stream().map(|_| DELETED_USER);
    let fixed = USERS.into_iter().chain([CALLEE, REVOKED_USER]).chain(deleted_user);
    let further = further_users.iter().map(|user| (user.as_str(), user.as_str()));
    for (user, name) in fixed.chain(further) {
        let body = json!({"userData": {"name": name}}).to_string();
        let request = Request::post(format!("{}/api/stream/user/upsert", stack.api_url()))
            .header("authorization", format!("Bearer {}", stack.token_for(user)))
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let response = client.request(request).await?;
        let status = response.status();
        // With `--data`, the user may have been deleted in an earlier run.
        let is_deleted = user == DELETED_USER.0 && status == StatusCode::CONFLICT;
        if status != StatusCode::OK && !is_deleted {
            let body = response.into_body().collect().await?.to_bytes();
            let reason = String::from_utf8_lossy(&body).into_owned();
            return Err(format!("provisioning the user {user} failed: {status} {reason}").into());
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
        let samples = all(&[]);
        let sample_routes: BTreeSet<_> =
            samples.iter().map(|sample| sample.route.to_owned()).collect();
        let routes: BTreeSet<_> = local::route_keys().unwrap().into_iter().collect();
        assert_eq!(sample_routes, routes);
    }

    #[test]
    fn further_users_are_listed_once() {
        let further = ["carol".to_owned(), "alice".to_owned()];
        assert_eq!(users(&further), ["alice", "bob", "carol"]);
        assert_eq!(named_users(&further)[1..], [("bob", "Bob"), ("carol", "carol")]);
        assert_eq!(all(&further).len(), all(&[]).len() + 2);
    }

    #[test]
    fn curl_commands_are_valid_shell() {
        let samples = all(&[]);
        let token_for = |user: Option<&str>| format!("of-{}", user.unwrap_or("service"));
        let sign = |body: &[u8]| format!("of-{}-bytes", body.len());
        let curl = |sample: &SampleRequest| sample.curl_command("http://a", token_for, sign);
        let lines: Vec<_> = samples.iter().map(curl).collect();
        assert_eq!(
            lines[1],
            "curl -sS 'http://a/api/stream/token' -H 'authorization: Bearer of-alice' \
             -H 'content-type: application/json' -d '{\"userId\":\"alice\"}'"
        );
        assert_eq!(
            lines[2],
            "CALL=$(curl -sS 'http://a/api/stream/call/create' \
             -H 'authorization: Bearer of-alice' -H 'content-type: application/json' \
             -d '{\"receiverId\":\"sample-callee\"}' | \
             sed 's/.*\"callId\":\"\\([^\"]*\\)\".*/\\1/'); echo \"$CALL\""
        );
        assert_eq!(
            lines[4],
            "curl -sS \"http://a/api/stream/message/call-$CALL?limit=10\" \
             -H 'authorization: Bearer of-alice'"
        );
        assert_eq!(
            lines[10],
            "curl -sS 'http://a/api/stream/call/end' -H 'authorization: Bearer of-alice' \
             -H 'content-type: application/json' -d \"{\\\"callId\\\":\\\"$ENDED_CALL\\\"}\""
        );
        let body = samples[11].body.as_ref().unwrap().to_string();
        assert_eq!(
            lines[11],
            format!(
                "curl -sS 'http://a/api/stream/webhook' -H 'x-signature: of-{}-bytes' \
                 -H 'content-type: application/json' -d '{body}'",
                body.len()
            )
        );
        assert_eq!(
            lines[13],
            "curl -sS -X DELETE 'http://a/api/stream/user/sample-deleted' \
             -H 'authorization: Bearer of-sample-deleted'"
        );
        assert_eq!(
            lines[14],
            "curl -sS \"http://a/api/stream/call/$CALL/extend\" \
             -H 'authorization: Bearer of-service' -H 'content-type: application/json' \
             -d '{\"maxDurationSeconds\":7200}'"
        );
        assert_eq!(lines[16], "curl -sS 'http://a/api/stream/health'");
        for line in lines {
            assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
        }
    }
}
