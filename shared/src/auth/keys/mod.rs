//! The keys that an issuer publishes, held in memory and asked for again when they are old or when
//! a token names one that is not among them.
//!
//! A request waits for them only where it cannot do without, and no key server, however slow, wrong
//! or hostile, takes away keys that are held.

mod algorithm;
mod cache;
mod fetch;
mod jwk;
#[cfg(test)]
pub(super) mod sample;
mod set;

pub(super) use algorithm::Algorithm;
pub(super) use fetch::WebKeys;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;
use serde_json::Value;

use crate::auth::Refused;
use crate::clock::{Clock, Deadline, within};
use crate::error;
use cache::{Cache, Due};
use fetch::{KeySource, NotFetched};
use jwk::PublicKey;
use set::KeySet;

/// How long keys may take to come.
const LONGEST: Duration = Duration::from_secs(2);

/// A key id, of a key or of a token: a text of 1 to 256 bytes.
pub(super) fn key_id(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|id| (1..=256).contains(&id.len()))
}

/// An issuer's keys.
pub(super) struct IssuerKeys {
    source: Box<dyn KeySource>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
    /// Held by whoever fetches keys, so that nobody else does at the same time.
    flight: AsyncMutex<()>,
}

impl IssuerKeys {
    pub(super) fn new(source: impl KeySource + 'static, clock: Arc<dyn Clock>) -> Self {
        let (cache, flight) = (Mutex::default(), AsyncMutex::new(()));
        Self { source: Box::new(source), clock, cache, flight }
    }

    /// The key with this id; `deadline` is that of the request that needs it.
    pub(super) async fn key(
        &self,
        id: &str,
        deadline: Deadline,
    ) -> Result<Arc<PublicKey>, Refused> {
        let flight = match self.due(id) {
            Due::Nothing => None,
            // Nothing is begun that has no time.
            _ if self.left(deadline).is_zero() => None,
            // If somebody does it already, the old ones are good meanwhile.
            Due::Renewal => self.flight.try_lock(),
            Due::Keys => within(&*self.clock, self.left(deadline), self.flight.lock()).await,
        };
        // Whoever was in flight before may have brought what is asked for here.
        if flight.is_some() && self.due(id) != Due::Nothing {
            self.fetch(id, deadline).await;
        }
        drop(flight);
        let now = self.clock.now();
        self.cache().find(id, now)
    }

    async fn fetch(&self, id: &str, deadline: Deadline) {
        let time = self.left(deadline).min(LONGEST);
        let answer = within(&*self.clock, time, self.source.fetch()).await;
        let keys = answer.unwrap_or(Err(NotFetched::Late));
        let keys = keys.and_then(|text| KeySet::read(&text).map_err(NotFetched::from));
        let now = self.clock.now();
        match keys {
            Ok(keys) => {
                keys.note();
                self.cache().fetched(id, keys, now);
            }
            Err(error) => {
                let cause = error::chain(Some(&error));
                tracing::warn!(cause, "the issuer's keys could not be fetched");
                self.cache().failed(now);
            }
        }
    }

    fn due(&self, id: &str) -> Due {
        let now = self.clock.now();
        self.cache().due(id, now)
    }

    fn left(&self, deadline: Deadline) -> Duration {
        deadline.remaining(self.clock.now())
    }

    /// The cache, for a moment. Nothing in it can be left halfway.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use serde_json::json;

    use super::sample::{Server, Signer, Still};
    use super::*;
    use crate::auth::Unauthenticated;
    use crate::clock::SystemClock;

    const UNKNOWN: Result<(), Refused> = Err(Refused::Token(Unauthenticated::UnknownKey));
    const PLENTY: Duration = Duration::from_secs(7);

    /// An issuer's keys, and what they hang on.
    struct Scene {
        server: Server,
        clock: Arc<Still>,
        keys: IssuerKeys,
    }

    impl Scene {
        /// The server shows these keys.
        fn new(ids: &[&str]) -> Self {
            let (server, clock) = (Server::default(), Arc::new(Still::default()));
            server.shows(ids);
            let keys = IssuerKeys::new(server.clone(), clock.clone());
            Self { server, clock, keys }
        }

        /// Looks for a key, as a request with so much time.
        fn find_within(&self, id: &str, time: Duration) -> Result<(), Refused> {
            let deadline = Deadline::after(self.clock.now(), time);
            self.keys.key(id, deadline).now_or_never().unwrap().map(|_| ())
        }

        fn find(&self, id: &str) -> Result<(), Refused> {
            self.find_within(id, PLENTY)
        }

        fn no_keys(seconds: u64) -> Result<(), Refused> {
            Err(Refused::NoKeys { retry_after: Duration::from_secs(seconds) })
        }
    }

    #[test]
    fn keys_change_without_a_failed_request() {
        let scene = Scene::new(&["a"]);
        assert_eq!(scene.find("a"), Ok(()));
        // A new key beside the old one; then without it.
        for (shown, used) in [
            (&["a", "b"][..], &["b", "a"][..]),
            (&["b"], &["b"]),
            (&["b", "c"], &["c", "b"]),
            (&["c"], &["c"]),
        ] {
            scene.server.shows(shown);
            for id in used {
                assert_eq!(scene.find(id), Ok(()), "{id} of {shown:?}");
            }
            scene.clock.pass(Duration::from_mins(10));
            for id in shown {
                assert_eq!(scene.find(id), Ok(()), "{id} of {shown:?}");
            }
        }
        // What was withdrawn opens nothing any more.
        assert_eq!(scene.find("a"), UNKNOWN);
    }

    #[test]
    fn a_hundred_unknown_keys_are_one_fetch() {
        let scene = Scene::new(&["a"]);
        assert_eq!(scene.find("a"), Ok(()));
        for n in 0..100 {
            assert_eq!(scene.find(&format!("x{n}")), UNKNOWN);
            scene.clock.pass(Duration::from_millis(290));
        }
        assert_eq!(scene.server.asked(), 2);
        scene.clock.pass(Duration::from_secs(1));
        assert_eq!(scene.find("x"), UNKNOWN);
        assert_eq!(scene.server.asked(), 3);

        // As many that are the first of a process.
        let scene = Scene::new(&["a"]);
        for n in 0..100 {
            assert_eq!(scene.find(&format!("x{n}")), UNKNOWN);
        }
        assert_eq!(scene.find("a"), Ok(()));
        assert_eq!(scene.server.asked(), 1);
    }

    #[tokio::test]
    async fn many_at_once_are_one_fetch() {
        let (server, clock) = (Server::default(), Arc::new(SystemClock::default()));
        let keys = IssuerKeys::new(server.clone(), clock.clone());
        let deadline = Deadline::after(clock.now(), PLENTY);
        for (id, shown, asked) in [("a", &["a"][..], 1), ("b", &["a", "b"], 2)] {
            server.shows_slowly(shown);
            let found = join_all((0..100).map(|_| keys.key(id, deadline))).await;
            assert!(found.iter().all(Result::is_ok), "{id}");
            assert_eq!(server.asked(), asked);
        }
    }

    /// What a server does instead of telling its keys.
    type Fault = fn(&Server, &Value);

    #[test]
    fn no_server_takes_away_what_is_held() {
        let wrong_use = {
            let mut jwk = Signer::p256("b").jwk();
            jwk["use"] = json!("enc");
            jwk
        };
        let grown: Vec<_> = (0..33).map(|n| Signer::ed25519(&format!("key-{n}")).jwk()).collect();
        let faults: [(&str, Fault); 3] = [
            ("refuses", |server, _| server.refuses()),
            ("hangs", |server, _| server.hangs()),
            ("says", |server, set| server.says(&set.to_string())),
        ];
        for (what, fault) in faults {
            for set in [
                json!("<html>"),
                json!({"keys": []}),
                json!({"keys": [wrong_use]}),
                json!({"keys": [{"kty": "oct", "kid": "b", "k": "AAAA"}]}),
                json!({"keys": grown}),
            ] {
                let scene = Scene::new(&["a"]);
                assert_eq!(scene.find("a"), Ok(()));
                fault(&scene.server, &set);
                for id in ["b", "key-1"] {
                    assert_eq!(scene.find(id), UNKNOWN, "{what} {set}");
                }
                for _ in 0..3 {
                    scene.clock.pass(Duration::from_mins(10));
                    assert_eq!(scene.find("a"), Ok(()), "{what} {set}");
                }
                // One for each time that the keys were old, and no more.
                assert_eq!(scene.server.asked(), 5, "{what} {set}");
                assert_eq!(scene.find("a"), Ok(()), "{what} {set}");
                assert_eq!(scene.server.asked(), 5, "{what} {set}");

                scene.server.shows(&["b"]);
                scene.clock.pass(Duration::from_secs(30));
                assert_eq!(scene.find("b"), Ok(()), "{what} {set}");
                assert_eq!(scene.find("a"), UNKNOWN, "{what} {set}");
            }
        }
    }

    #[test]
    fn without_keys_nobody_is_let_in_until_they_come() {
        let scene = Scene::new(&["a"]);
        scene.server.refuses();
        for _ in 0..10 {
            assert_eq!(scene.find("a"), Scene::no_keys(5));
        }
        assert_eq!(scene.server.asked(), 1);
        scene.server.shows(&["a"]);
        scene.clock.pass(Duration::from_secs(4));
        assert_eq!(scene.find("a"), Scene::no_keys(1));
        scene.clock.pass(Duration::from_secs(1));
        assert_eq!(scene.find("a"), Ok(()));
        assert_eq!(scene.server.asked(), 2);
    }

    #[test]
    fn a_server_that_hangs_holds_a_request_up_for_two_seconds_at_most() {
        for (time, waited) in [(PLENTY, 2_000), (Duration::from_millis(700), 700)] {
            let scene = Scene::new(&["a"]);
            scene.server.hangs();
            let began = scene.clock.now();
            assert_eq!(scene.find_within("a", time), Scene::no_keys(5));
            let past = |scene: &Scene| scene.clock.now().since(began).as_millis();
            assert_eq!(past(&scene), waited);
            // The next one does not wait.
            assert_eq!(scene.find_within("a", time), Scene::no_keys(5));
            assert_eq!(past(&scene), waited);
        }
        let scene = Scene::new(&["a"]);
        assert_eq!(scene.find_within("a", Duration::ZERO), Scene::no_keys(0));
        assert_eq!(scene.server.asked(), 0);
    }

    #[test]
    fn while_somebody_fetches_old_keys_do_and_new_ones_are_waited_for() {
        let scene = Scene::new(&["a"]);
        assert_eq!(scene.find("a"), Ok(()));
        scene.clock.pass(Duration::from_mins(10));
        let began = scene.clock.now();
        let flight = scene.keys.flight.try_lock().unwrap();
        assert_eq!(scene.find("a"), Ok(()));
        assert_eq!(scene.clock.now(), began);
        assert_eq!(scene.find_within("b", Duration::from_secs(3)), UNKNOWN);
        assert_eq!(scene.clock.now().since(began), Duration::from_secs(3));
        assert_eq!(scene.server.asked(), 1);
        drop(flight);
        assert_eq!(scene.find("a"), Ok(()));
        assert_eq!(scene.server.asked(), 2);
    }

    #[test]
    fn ids_have_1_to_256_bytes() {
        for (value, good) in [
            (json!("a"), true),
            (json!("x".repeat(256)), true),
            (json!("x".repeat(257)), false),
            (json!(""), false),
            (json!(1), false),
            (json!(["a"]), false),
            (Value::Null, false),
        ] {
            assert_eq!(key_id(Some(&value)).is_some(), good, "{value}");
        }
        assert_eq!(key_id(None), None);
    }
}
