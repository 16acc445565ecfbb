//! The state of the stack: addresses, users with session tokens, switches and faults.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use hyper::header::HOST;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Console, ConsoleUser};
use crate::cors;
use crate::http_server::Peer;
use crate::options::JWT_SECRET;
use crate::sync::lock;
use crate::tokens::{self, Holder, SERVICE_SUBJECT, SESSION_LIFETIME};

/// How long a token is kept. A revocation rejects the sessions that began before it, so the page
/// soon gets a token of a new one.
const RENEW_AFTER: Duration = Duration::from_secs(5);

/// The session tokens of the page.
#[derive(Default)]
pub(crate) struct SessionTokens(HashMap<String, SessionToken>);

/// A token with its secret, which is not printed.
#[derive(Clone)]
struct SessionToken {
    token: String,
    expires_at: SystemTime,
}

impl SessionTokens {
    /// The token of a user, or of the service without one.
    fn get(
        &mut self,
        user: Option<&str>,
        variables: &BTreeMap<String, String>,
        now: SystemTime,
    ) -> SessionToken {
        let key = user.unwrap_or_default().to_owned();
        let is_fresh = |token: &SessionToken| {
            let remaining = token.expires_at.duration_since(now).unwrap_or_default();
            remaining + RENEW_AFTER > SESSION_LIFETIME
        };
        if let Some(token) = self.0.get(&key).filter(|token| is_fresh(token)) {
            return token.clone();
        }
        let holder = user.map_or(Holder::Service, Holder::User);
        let token = SessionToken {
            token: tokens::session_token(variables, holder, now),
            expires_at: now + SESSION_LIFETIME,
        };
        self.0.insert(key, token.clone());
        token
    }
}

impl Console {
    pub(super) fn state(&self, parts: &Parts, peer: Peer) -> Value {
        let now = self.clock.now();
        json!({
            "startedAt": rfc3339(self.started_at),
            "now": rfc3339(now),
            "clockOffsetSeconds": self.clock.offset().as_secs(),
            "isRunning": true,
            "addresses": {
                "api": cors::own_origin(&parts.headers, peer),
                "dynamodb": format!("http://localhost:{}", self.addresses.dynamo.port()),
                "stream": self.stream_origin(parts, peer),
            },
            "streamIsEmulated": self.stream.is_some(),
            "apiKey": self.variables.get("STREAM_API_KEY"),
            "users": if self.may_have_tokens(peer) { self.users(now) } else { Vec::new() },
            "webhooks": { "dropAll": self.drops_webhooks() },
            "faults": self.faults(),
            "functions": self.function_names,
        })
    }

    /// The origin of the Stream emulator at the host by which the page was opened.
    pub(super) fn stream_origin(&self, parts: &Parts, peer: Peer) -> Option<String> {
        let port = self.addresses.stream.as_ref().map(SocketAddr::port)?;
        let host = parts.headers.get(HOST)?.to_str().ok()?;
        let name = cors::host_name(host);
        let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let scheme = if peer.is_tls { "https" } else { "http" };
        Some(format!("{scheme}://{name}:{port}"))
    }

    /// Whether a page may get session tokens. A device in the network gets only those of the stack's
    /// own key and emulator, which it could not use anywhere else.
    fn may_have_tokens(&self, peer: Peer) -> bool {
        let key = self.variables.get("JWT_SECRET").map(String::as_str);
        may_have_tokens(peer, key, self.stream.is_some())
    }

    fn users(&self, now: SystemTime) -> Vec<Value> {
        if self.options.users.is_empty() {
            return Vec::new();
        }
        let mut session_tokens = lock(&self.tokens);
        let mut entry = |id: &str, name: &str, role: &str, user: Option<&str>| {
            let SessionToken { token, expires_at } = session_tokens.get(user, &self.variables, now);
            json!({
                "id": id,
                "name": name,
                "role": role,
                "token": token,
                "expiresAt": rfc3339(expires_at),
            })
        };
        let users = self.options.users.iter();
        let mut entries: Vec<Value> =
            users.map(|ConsoleUser { id, name }| entry(id, name, "user", Some(id))).collect();
        entries.push(entry(SERVICE_SUBJECT, "Service", "service", None));
        entries
    }
}

fn may_have_tokens(peer: Peer, key: Option<&str>, is_emulated: bool) -> bool {
    peer.address.ip().is_loopback() || (is_emulated && key == Some(JWT_SECRET))
}

/// A time in RFC 3339.
pub(super) fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX).to_string()
}

/// A time in RFC 3339, from milliseconds since the Unix epoch.
pub(super) fn rfc3339_of_millis(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_string()
}

/// A duration in whole milliseconds.
pub(super) fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn device_gets_tokens_of_the_stack_alone() {
        let peer = |ip: [u8; 4]| Peer { address: (ip, 1).into(), is_tls: false };
        let (local, device) = (peer([127, 0, 0, 1]), peer([192, 168, 1, 5]));
        for (peer, key, is_emulated, expected) in [
            (local, Some("a secret of the app"), false, true),
            (device, Some(JWT_SECRET), true, true),
            (device, Some(JWT_SECRET), false, false),
            (device, Some("a secret of the app"), true, false),
            (device, None, true, false),
        ] {
            assert_eq!(may_have_tokens(peer, key, is_emulated), expected);
        }
    }

    #[test]
    fn token_is_replaced_after_some_seconds() {
        let variables = BTreeMap::from([("JWT_SECRET".to_owned(), "secret".to_owned())]);
        let mut tokens = SessionTokens::default();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds);
        let first = tokens.get(Some("alice"), &variables, at(0)).token;
        assert_eq!(tokens.get(Some("alice"), &variables, at(4)).token, first);
        let second = tokens.get(Some("alice"), &variables, at(5));
        assert_ne!(second.token, first);
        assert_eq!(second.expires_at, at(5) + SESSION_LIFETIME);
        assert_ne!(tokens.get(None, &variables, at(5)).token, second.token);
    }
}
