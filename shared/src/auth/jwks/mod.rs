//! The keys that an issuer publishes (JWKS, RFC 7517), with a refreshing cache.
//!
//! A request waits for a fetch only if its token needs a key that is not cached. A key server that
//! fails, hangs or returns invalid data never removes cached keys. Until a fetch succeeds again, the
//! keys that are not cached are unavailable and not unknown.

mod algorithm;
mod fetch;
mod jwk;
mod key_set;

pub(super) use algorithm::Algorithm;
pub(super) use fetch::HttpJwks;
pub(crate) use fetch::{FetchError, JwksSource};
pub(super) use jwk::key_id;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthError, TokenError};
use crate::clock::{Clock, Deadline};
use crate::error;
use crate::refresh::{Loader, RefreshPolicy, RefreshingCache, TimedOut};
use jwk::PublicKey;
use key_set::KeySet;

const POLICY: RefreshPolicy = RefreshPolicy {
    max_age: Duration::from_mins(10),
    cooldown: Duration::from_secs(30),
    retry_interval: Duration::from_secs(5),
    load_timeout: Duration::from_secs(2),
};

/// The cached keys of an issuer.
pub(super) struct IssuerKeys(RefreshingCache<KeySetLoader>);

struct KeySetLoader(Box<dyn JwksSource>);

impl IssuerKeys {
    pub(super) fn new(source: impl JwksSource + 'static, clock: Arc<dyn Clock>) -> Self {
        Self(RefreshingCache::new(KeySetLoader(Box::new(source)), POLICY, clock))
    }

    /// The key with this id, fetched if it is not cached. `deadline` is that of the request.
    pub(super) async fn get_key(
        &self,
        id: &str,
        deadline: Deadline,
    ) -> Result<Arc<PublicKey>, AuthError> {
        let keys = self.0.get(|keys| keys.get(id).is_some(), deadline).await;
        match keys.as_ref().and_then(|keys| keys.get(id)) {
            Some(key) => Ok(Arc::clone(key)),
            // The set that could not be fetched may contain the key.
            None if keys.is_none() || self.0.has_failed() => {
                Err(AuthError::KeysUnavailable { retry_after: self.0.retry_after() })
            }
            None => Err(AuthError::InvalidToken(TokenError::UnknownKey)),
        }
    }
}

impl Loader for KeySetLoader {
    type Value = KeySet;
    type Error = FetchError;

    async fn load(&self, _: Option<Arc<KeySet>>) -> Result<Arc<KeySet>, FetchError> {
        let keys = KeySet::parse(&self.0.fetch().await?)?;
        keys.log();
        Ok(Arc::new(keys))
    }

    fn log_failure(&self, error: &FetchError) {
        tracing::warn!(cause = error::format_chain(Some(error)), "JWKS fetch failed");
    }
}

impl From<TimedOut> for FetchError {
    fn from(_: TimedOut) -> Self {
        Self::Timeout
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::TokenError;
    use crate::clock::SystemClock;
    use crate::test_support::FakeClock;
    use crate::test_support::jwks::{FakeJwksServer, TestSigner};

    const UNKNOWN: Result<(), AuthError> = Err(AuthError::InvalidToken(TokenError::UnknownKey));
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);

    /// The cached keys of an issuer and their dependencies.
    struct Fixture {
        server: FakeJwksServer,
        clock: Arc<FakeClock>,
        keys: IssuerKeys,
    }

    impl Fixture {
        /// A server that publishes keys with these ids.
        fn new(ids: &[&str]) -> Self {
            let (server, clock) = (FakeJwksServer::default(), Arc::new(FakeClock::default()));
            server.publish(ids);
            let keys = IssuerKeys::new(server.clone(), clock.clone());
            Self { server, clock, keys }
        }

        /// Requests a key with this time left.
        fn find_with_timeout(&self, id: &str, timeout: Duration) -> Result<(), AuthError> {
            let deadline = Deadline::after(self.clock.now(), timeout);
            self.keys.get_key(id, deadline).now_or_never().unwrap().map(|_| ())
        }

        fn find(&self, id: &str) -> Result<(), AuthError> {
            self.find_with_timeout(id, REQUEST_TIMEOUT)
        }

        fn keys_unavailable(seconds: u64) -> Result<(), AuthError> {
            Err(AuthError::KeysUnavailable { retry_after: Duration::from_secs(seconds) })
        }
    }

    #[test]
    fn key_rotation_fails_no_request() {
        let fixture = Fixture::new(&["a"]);
        assert_eq!(fixture.find("a"), Ok(()));
        // The issuer adds a new key, and removes the old one later.
        for (published, requested) in [
            (&["a", "b"][..], &["b", "a"][..]),
            (&["b"], &["b"]),
            (&["b", "c"], &["c", "b"]),
            (&["c"], &["c"]),
        ] {
            fixture.server.publish(published);
            for id in requested {
                assert_eq!(fixture.find(id), Ok(()), "{id} of {published:?}");
            }
            fixture.clock.advance(Duration::from_mins(10));
            for id in published {
                assert_eq!(fixture.find(id), Ok(()), "{id} of {published:?}");
            }
        }
        // A removed key is unknown.
        assert_eq!(fixture.find("a"), UNKNOWN);
    }

    #[test]
    fn hundred_unknown_key_ids_cause_one_fetch() {
        let fixture = Fixture::new(&["a"]);
        assert_eq!(fixture.find("a"), Ok(()));
        for n in 0..100 {
            assert_eq!(fixture.find(&format!("x{n}")), UNKNOWN);
            fixture.clock.advance(Duration::from_millis(290));
        }
        assert_eq!(fixture.server.request_count(), 2);
        fixture.clock.advance(Duration::from_secs(1));
        assert_eq!(fixture.find("x"), UNKNOWN);
        assert_eq!(fixture.server.request_count(), 3);

        // Unknown key ids in the first requests of a process.
        let fixture = Fixture::new(&["a"]);
        for n in 0..100 {
            assert_eq!(fixture.find(&format!("x{n}")), UNKNOWN);
        }
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.server.request_count(), 1);
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_fetch() {
        let (server, clock) = (FakeJwksServer::default(), Arc::new(SystemClock::default()));
        let keys = IssuerKeys::new(server.clone(), clock.clone());
        let deadline = Deadline::after(clock.now(), REQUEST_TIMEOUT);
        for (id, published, expected_requests) in [("a", &["a"][..], 1), ("b", &["a", "b"], 2)] {
            server.publish_slowly(published);
            let results = join_all((0..100).map(|_| keys.get_key(id, deadline))).await;
            assert!(results.iter().all(Result::is_ok), "{id}");
            assert_eq!(server.request_count(), expected_requests);
        }
    }

    /// A fault of the server.
    type Fault = fn(&FakeJwksServer, &Value);

    #[test]
    fn failing_server_does_not_evict_cached_keys() {
        let wrong_use = {
            let mut jwk = TestSigner::generate_p256("b").jwk();
            jwk["use"] = json!("enc");
            jwk
        };
        let too_many_keys: Vec<_> =
            (0..33).map(|n| TestSigner::generate_ed25519(&format!("key-{n}")).jwk()).collect();
        let faults: [(&str, Fault); 3] = [
            ("fails", |server, _| server.fail()),
            ("hangs", |server, _| server.hang()),
            ("responds", |server, set| server.respond_with(&set.to_string())),
        ];
        for (fault_name, fault) in faults {
            for set in [
                json!("<html>"),
                json!({"keys": []}),
                json!({"keys": [wrong_use]}),
                json!({"keys": [{"kty": "oct", "kid": "b", "k": "AAAA"}]}),
                json!({"keys": too_many_keys}),
            ] {
                let fixture = Fixture::new(&["a"]);
                assert_eq!(fixture.find("a"), Ok(()));
                fault(&fixture.server, &set);
                for id in ["b", "key-1"] {
                    let unavailable = Fixture::keys_unavailable(30);
                    assert_eq!(fixture.find(id), unavailable, "{fault_name} {set}");
                }
                for _ in 0..3 {
                    fixture.clock.advance(Duration::from_mins(10));
                    assert_eq!(fixture.find("a"), Ok(()), "{fault_name} {set}");
                }
                // Only one fetch for each time that the keys were old.
                assert_eq!(fixture.server.request_count(), 5, "{fault_name} {set}");
                assert_eq!(fixture.find("a"), Ok(()), "{fault_name} {set}");
                assert_eq!(fixture.server.request_count(), 5, "{fault_name} {set}");

                fixture.server.publish(&["b"]);
                fixture.clock.advance(Duration::from_secs(30));
                assert_eq!(fixture.find("b"), Ok(()), "{fault_name} {set}");
                assert_eq!(fixture.find("a"), UNKNOWN, "{fault_name} {set}");
            }
        }
    }

    #[test]
    fn unknown_key_is_unavailable_until_a_fetch_succeeds() {
        let fixture = Fixture::new(&["a"]);
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.find("b"), UNKNOWN);
        fixture.clock.advance(Duration::from_secs(30));
        fixture.server.fail();
        assert_eq!(fixture.find("b"), Fixture::keys_unavailable(30));
        fixture.clock.advance(Duration::from_secs(20));
        assert_eq!(fixture.find("b"), Fixture::keys_unavailable(10));
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.server.request_count(), 3);
        // The next fetch fails too.
        fixture.clock.advance(Duration::from_secs(10));
        assert_eq!(fixture.find("b"), Fixture::keys_unavailable(30));
        assert_eq!(fixture.server.request_count(), 4);
        fixture.server.publish(&["a"]);
        fixture.clock.advance(Duration::from_secs(30));
        assert_eq!(fixture.find("b"), UNKNOWN);
        assert_eq!(fixture.server.request_count(), 5);
    }

    #[test]
    fn requests_are_rejected_until_keys_are_fetched() {
        let fixture = Fixture::new(&["a"]);
        fixture.server.fail();
        for _ in 0..10 {
            assert_eq!(fixture.find("a"), Fixture::keys_unavailable(5));
        }
        assert_eq!(fixture.server.request_count(), 1);
        fixture.server.publish(&["a"]);
        fixture.clock.advance(Duration::from_secs(4));
        assert_eq!(fixture.find("a"), Fixture::keys_unavailable(1));
        fixture.clock.advance(Duration::from_secs(1));
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.server.request_count(), 2);
    }

    #[test]
    fn hanging_server_delays_a_request_by_at_most_two_seconds() {
        for (timeout, expected_wait) in
            [(REQUEST_TIMEOUT, 2_000), (Duration::from_millis(700), 700)]
        {
            let fixture = Fixture::new(&["a"]);
            fixture.server.hang();
            let started_at = fixture.clock.now();
            assert_eq!(fixture.find_with_timeout("a", timeout), Fixture::keys_unavailable(5));
            let elapsed_millis =
                |fixture: &Fixture| fixture.clock.now().since(started_at).as_millis();
            assert_eq!(elapsed_millis(&fixture), expected_wait);
            // The next request does not wait.
            assert_eq!(fixture.find_with_timeout("a", timeout), Fixture::keys_unavailable(5));
            assert_eq!(elapsed_millis(&fixture), expected_wait);
        }
        let fixture = Fixture::new(&["a"]);
        assert_eq!(fixture.find_with_timeout("a", Duration::ZERO), Fixture::keys_unavailable(0));
        assert_eq!(fixture.server.request_count(), 0);
    }

    #[test]
    fn ongoing_fetch_serves_cached_keys_and_blocks_unknown_ones() {
        let fixture = Fixture::new(&["a"]);
        assert_eq!(fixture.find("a"), Ok(()));
        fixture.clock.advance(Duration::from_mins(10));
        let started_at = fixture.clock.now();
        let guard = fixture.keys.0.hold_refresh_lock();
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.clock.now(), started_at);
        assert_eq!(fixture.find_with_timeout("b", Duration::from_secs(3)), UNKNOWN);
        assert_eq!(fixture.clock.now().since(started_at), Duration::from_secs(3));
        assert_eq!(fixture.server.request_count(), 1);
        drop(guard);
        assert_eq!(fixture.find("a"), Ok(()));
        assert_eq!(fixture.server.request_count(), 2);
    }

    #[test]
    fn key_id_must_have_1_to_256_bytes() {
        for (value, is_valid) in [
            (json!("a"), true),
            (json!("x".repeat(256)), true),
            (json!("x".repeat(257)), false),
            (json!(""), false),
            (json!(1), false),
            (json!(["a"]), false),
            (Value::Null, false),
        ] {
            assert_eq!(key_id(Some(&value)).is_some(), is_valid, "{value}");
        }
        assert_eq!(key_id(None), None);
    }
}
