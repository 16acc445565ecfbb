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
use crate::sync::lock;
use crate::tokens::{self, Holder, SERVICE_SUBJECT, SESSION_LIFETIME};

/// The session tokens of the page. A token is replaced after half of its lifetime.
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
            remaining > SESSION_LIFETIME / 2
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
            "users": self.users(now),
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
    fn token_is_kept_for_half_of_its_lifetime() {
        let variables = BTreeMap::from([("JWT_SECRET".to_owned(), "secret".to_owned())]);
        let mut tokens = SessionTokens::default();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds);
        let half = SESSION_LIFETIME.as_secs() / 2;
        let first = tokens.get(Some("alice"), &variables, at(0)).token;
        assert_eq!(tokens.get(Some("alice"), &variables, at(half - 1)).token, first);
        let second = tokens.get(Some("alice"), &variables, at(half));
        assert_ne!(second.token, first);
        assert_eq!(second.expires_at, at(half) + SESSION_LIFETIME);
        assert_ne!(tokens.get(None, &variables, at(half)).token, second.token);
    }
}
