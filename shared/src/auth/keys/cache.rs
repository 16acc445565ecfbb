//! Which keys are held, and when newer ones are asked for: pure, so that a test owns every instant.

use std::sync::Arc;
use std::time::Duration;

use super::jwk::PublicKey;
use super::set::KeySet;
use crate::auth::{Refused, Unauthenticated};
use crate::clock::{Timestamp, rests};

/// Keys of this age are asked for again, so that one that its issuer has withdrawn goes here too.
const MAX_AGE: Duration = Duration::from_mins(10);
/// Anybody can make up a key id: this long nobody is asked for an unknown one again, nor after a
/// failure while there are old keys.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Without any keys nobody is let in, so they are asked for again sooner.
const RETRY: Duration = Duration::from_secs(5);

/// The keys, and what is remembered of asking for them.
#[derive(Default)]
pub(super) struct Cache {
    held: Option<Held>,
    /// When the last fetch failed; nothing once one has not.
    failed: Option<Timestamp>,
    /// When keys were last fetched for an id that was not, or is not, among them.
    searched: Option<Timestamp>,
}

struct Held {
    keys: KeySet,
    since: Timestamp,
}

/// What is due before a key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// Newer keys; the old ones do until they are there.
    Renewal,
    /// Keys: without them the token is refused.
    Keys,
}

impl Cache {
    /// What is due before the key with this id is looked for.
    pub(super) fn due(&self, id: &str, now: Timestamp) -> Due {
        let Some(held) = &self.held else {
            return if rests(self.failed, RETRY, now).is_some() { Due::Nothing } else { Due::Keys };
        };
        if rests(self.failed, COOLDOWN, now).is_some() {
            return Due::Nothing;
        }
        if held.keys.get(id).is_none() {
            let searched = rests(self.searched, COOLDOWN, now).is_some();
            return if searched { Due::Nothing } else { Due::Keys };
        }
        let fresh = rests(Some(held.since), MAX_AGE, now).is_some();
        if fresh { Due::Nothing } else { Due::Renewal }
    }

    /// The key with this id, as far as anybody knows.
    pub(super) fn find(&self, id: &str, now: Timestamp) -> Result<Arc<PublicKey>, Refused> {
        let Some(held) = &self.held else {
            let retry_after = rests(self.failed, RETRY, now).unwrap_or_default();
            return Err(Refused::NoKeys { retry_after });
        };
        held.keys.get(id).cloned().ok_or(Refused::Token(Unauthenticated::UnknownKey))
    }

    /// Takes the keys that were fetched when this id was asked for.
    pub(super) fn fetched(&mut self, id: &str, keys: KeySet, now: Timestamp) {
        let unknown = self.held.as_ref().is_some_and(|held| held.keys.get(id).is_none());
        if unknown || keys.get(id).is_none() {
            self.searched = Some(now);
        }
        self.failed = None;
        self.held = Some(Held { keys, since: now });
    }

    /// Notes that no keys came. Those that are held stay.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::keys::sample::Signer;
    use Step::{Failed, Fetched, Find, Is};

    /// What happens to a cache, or what is seen of it.
    enum Step {
        /// This is due before the key with this id is looked for.
        Is(&'static str, Due),
        /// Keys with these ids come when the first id is asked for.
        Fetched(&'static str, &'static [&'static str]),
        /// None come.
        Failed,
        /// A key is there, or this is why not.
        Find(&'static str, Option<Refused>),
    }

    fn set(ids: &[&str]) -> KeySet {
        let keys: Vec<_> = ids.iter().map(|id| Signer::ed25519(id).jwk()).collect();
        KeySet::read(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    const UNKNOWN: Option<Refused> = Some(Refused::Token(Unauthenticated::UnknownKey));

    fn no_keys(seconds: u64) -> Option<Refused> {
        Some(Refused::NoKeys { retry_after: Duration::from_secs(seconds) })
    }

    /// Goes through a history, each step at so many seconds.
    fn follow<const N: usize>(steps: [(i64, Step); N]) {
        let mut cache = Cache::default();
        for (n, (seconds, step)) in steps.into_iter().enumerate() {
            let now = Timestamp::from_secs(1_767_225_600 + seconds);
            match step {
                Is(id, due) => assert_eq!(cache.due(id, now), due, "step {n}"),
                Fetched(id, ids) => cache.fetched(id, set(ids), now),
                Failed => cache.failed(now),
                Find(id, refused) => assert_eq!(cache.find(id, now).err(), refused, "step {n}"),
            }
        }
    }

    #[test]
    fn the_first_request_asks_and_later_ones_do_not() {
        follow([
            (0, Is("a", Due::Keys)),
            (0, Fetched("a", &["a"])),
            (0, Find("a", None)),
            (1, Is("a", Due::Nothing)),
            (599, Is("a", Due::Nothing)),
        ]);
    }

    #[test]
    fn a_new_key_is_asked_for_at_once() {
        follow([
            (0, Fetched("a", &["a"])),
            (1, Is("b", Due::Keys)),
            (1, Fetched("b", &["a", "b"])),
            (1, Find("b", None)),
            (1, Find("a", None)),
        ]);
    }

    #[test]
    fn unknown_keys_are_asked_for_every_half_minute() {
        follow([
            (0, Fetched("a", &["a"])),
            (9, Is("x", Due::Keys)),
            (9, Fetched("x", &["a"])),
            (9, Find("x", UNKNOWN)),
            (38, Is("x", Due::Nothing)),
            (38, Is("y", Due::Nothing)),
            (38, Is("a", Due::Nothing)),
            (39, Is("y", Due::Keys)),
        ]);
    }

    #[test]
    fn an_unknown_key_may_be_the_first_that_is_asked_for() {
        follow([
            (0, Is("x", Due::Keys)),
            (0, Fetched("x", &["a"])),
            (0, Find("x", UNKNOWN)),
            (29, Is("x", Due::Nothing)),
            (30, Is("x", Due::Keys)),
        ]);
    }

    #[test]
    fn a_server_that_shows_other_keys_every_time_is_asked_no_more_often() {
        follow([
            (0, Fetched("a", &["a"])),
            (1, Fetched("b", &["b"])),
            (2, Is("a", Due::Nothing)),
            (2, Find("a", UNKNOWN)),
            (31, Is("a", Due::Keys)),
        ]);
    }

    #[test]
    fn old_keys_are_renewed_and_one_that_was_withdrawn_is_gone() {
        follow([
            (0, Fetched("a", &["a", "b"])),
            (600, Is("a", Due::Renewal)),
            (600, Find("a", None)),
            (601, Fetched("a", &["b"])),
            (601, Find("a", UNKNOWN)),
            (601, Find("b", None)),
            (630, Is("a", Due::Nothing)),
            (631, Is("a", Due::Keys)),
        ]);
    }

    #[test]
    fn old_keys_are_kept_when_no_newer_ones_come() {
        follow([
            (0, Fetched("a", &["a"])),
            (600, Is("a", Due::Renewal)),
            (602, Failed),
            (602, Find("a", None)),
            (602, Find("x", UNKNOWN)),
            (631, Is("a", Due::Nothing)),
            (631, Is("x", Due::Nothing)),
            (632, Is("a", Due::Renewal)),
            (632, Is("x", Due::Keys)),
            (633, Failed),
            (1_000_000, Find("a", None)),
            (1_000_000, Fetched("a", &["a"])),
            (1_000_000, Is("a", Due::Nothing)),
        ]);
    }

    #[test]
    fn without_any_keys_they_are_asked_for_every_five_seconds() {
        follow([
            (0, Find("a", no_keys(0))),
            (0, Failed),
            (0, Find("a", no_keys(5))),
            (4, Is("a", Due::Nothing)),
            (4, Find("a", no_keys(1))),
            (5, Is("a", Due::Keys)),
            (7, Failed),
            (11, Is("a", Due::Nothing)),
            (12, Is("a", Due::Keys)),
            (12, Fetched("a", &["a"])),
            (12, Find("a", None)),
            (13, Is("b", Due::Keys)),
        ]);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        follow([
            (10_000, Fetched("a", &["a"])),
            (10_001, Fetched("x", &["a"])),
            (50, Is("a", Due::Renewal)),
            (50, Is("x", Due::Keys)),
            (52, Failed),
            (10, Is("a", Due::Renewal)),
            (10, Find("a", None)),
        ]);
    }
}
