//! The decision whether a cached value is refreshed. It is a pure function of the state and the
//! time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Timestamp, time_remaining};

/// The limits for the loads of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshPolicy {
    /// The age at which a value is refreshed.
    pub(crate) max_age: Duration,
    /// The minimum time between two loads after a failed load or an insufficient value, while a
    /// value is cached.
    pub(crate) cooldown: Duration,
    /// The minimum time between two loads while no value is cached.
    pub(crate) retry_interval: Duration,
    /// The maximum duration of a load.
    pub(crate) load_timeout: Duration,
}

/// The cached value and the times of its loads.
pub(super) struct CacheState<T> {
    cached: Option<Cached<T>>,
    /// When the last load failed, or `None` if it succeeded.
    failed_at: Option<Timestamp>,
    /// The time of the last load whose old or new value was insufficient.
    insufficient_at: Option<Timestamp>,
}

struct Cached<T> {
    value: Arc<T>,
    loaded_at: Timestamp,
}

/// The action of a request before it uses the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefreshAction {
    /// Use the cached value.
    None,
    /// Refresh unless another task is refreshing. The cached value is sufficient.
    Optional,
    /// Wait for a refresh. The cached value is missing or insufficient.
    Required,
}

impl<T> Default for CacheState<T> {
    fn default() -> Self {
        Self { cached: None, failed_at: None, insufficient_at: None }
    }
}

impl<T> CacheState<T> {
    pub(super) fn action(
        &self,
        policy: &RefreshPolicy,
        is_sufficient: impl Fn(&T) -> bool,
        now: Timestamp,
    ) -> RefreshAction {
        let is_recent = |since, span| time_remaining(since, span, now).is_some();
        let Some(cached) = &self.cached else {
            let waits = is_recent(self.failed_at, policy.retry_interval);
            return if waits { RefreshAction::None } else { RefreshAction::Required };
        };
        if is_recent(self.failed_at, policy.cooldown) {
            return RefreshAction::None;
        }
        if !is_sufficient(&cached.value) {
            let waits = is_recent(self.insufficient_at, policy.cooldown);
            return if waits { RefreshAction::None } else { RefreshAction::Required };
        }
        let is_fresh = is_recent(Some(cached.loaded_at), policy.max_age);
        if is_fresh { RefreshAction::None } else { RefreshAction::Optional }
    }

    pub(super) fn value(&self) -> Option<Arc<T>> {
        self.cached.as_ref().map(|cached| Arc::clone(&cached.value))
    }

    /// Stores a value that was loaded for a request with the requirement `is_sufficient`.
    pub(super) fn store(
        &mut self,
        value: Arc<T>,
        is_sufficient: impl Fn(&T) -> bool,
        now: Timestamp,
    ) {
        let was_insufficient = self.cached.as_ref().is_some_and(|old| !is_sufficient(&old.value));
        if was_insufficient || !is_sufficient(&value) {
            self.insufficient_at = Some(now);
        }
        self.failed_at = None;
        self.cached = Some(Cached { value, loaded_at: now });
    }

    /// Records a failed load and keeps the cached value.
    pub(super) fn record_failure(&mut self, now: Timestamp) {
        self.failed_at = Some(now);
    }

    /// Whether the last load failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed_at.is_some()
    }

    /// The time until a load may follow a failed one.
    pub(super) fn retry_after(&self, policy: &RefreshPolicy, now: Timestamp) -> Duration {
        let interval = if self.cached.is_some() { policy.cooldown } else { policy.retry_interval };
        time_remaining(self.failed_at, interval, now).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use Lookup::{Found, Unavailable, Unknown};
    use RefreshAction::{None, Optional, Required};
    use Step::{Action, Find, Load, LoadFailed};

    const POLICY: RefreshPolicy = RefreshPolicy {
        max_age: Duration::from_mins(10),
        cooldown: Duration::from_secs(30),
        retry_interval: Duration::from_secs(5),
        load_timeout: Duration::from_secs(2),
    };

    type Keys = BTreeSet<&'static str>;

    /// A change of the cache, or an expectation.
    enum Step {
        /// Expects this action for a request that needs this key.
        Action(&'static str, RefreshAction),
        /// A request that needs the first key loads keys with these ids.
        Load(&'static str, &'static [&'static str]),
        /// A load fails.
        LoadFailed,
        /// Expects this result of a lookup.
        Find(&'static str, Lookup),
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Lookup {
        Found,
        Unknown,
        /// No keys are loaded, or the last load failed. Contains the seconds until the next load.
        Unavailable(u64),
    }

    fn find(state: &CacheState<Keys>, id: &str, now: Timestamp) -> Lookup {
        match state.value() {
            Some(keys) if keys.contains(id) => Found,
            Some(_) if !state.has_failed() => Unknown,
            _ => Unavailable(state.retry_after(&POLICY, now).as_secs()),
        }
    }

    /// Runs the steps, each at its number of seconds after the start.
    fn follow<const N: usize>(steps: [(i64, Step); N]) {
        let mut state = CacheState::<Keys>::default();
        for (n, (seconds, step)) in steps.into_iter().enumerate() {
            let now = Timestamp::from_secs(1_767_225_600 + seconds);
            match step {
                Action(id, expected) => {
                    let action = state.action(&POLICY, |keys| keys.contains(id), now);
                    assert_eq!(action, expected, "step {n}");
                }
                Load(id, ids) => {
                    let keys = Arc::new(ids.iter().copied().collect());
                    state.store(keys, |keys: &Keys| keys.contains(id), now);
                }
                LoadFailed => state.record_failure(now),
                Find(id, expected) => assert_eq!(find(&state, id, now), expected, "step {n}"),
            }
        }
    }

    #[test]
    fn first_request_loads_and_later_ones_use_the_cache() {
        follow([
            (0, Action("a", Required)),
            (0, Load("a", &["a"])),
            (0, Find("a", Found)),
            (1, Action("a", None)),
            (599, Action("a", None)),
        ]);
    }

    #[test]
    fn unknown_key_is_loaded_at_once() {
        follow([
            (0, Load("a", &["a"])),
            (1, Action("b", Required)),
            (1, Load("b", &["a", "b"])),
            (1, Find("b", Found)),
            (1, Find("a", Found)),
        ]);
    }

    #[test]
    fn unknown_keys_load_at_most_every_half_minute() {
        follow([
            (0, Load("a", &["a"])),
            (9, Action("x", Required)),
            (9, Load("x", &["a"])),
            (9, Find("x", Unknown)),
            (38, Action("x", None)),
            (38, Action("y", None)),
            (38, Action("a", None)),
            (39, Action("y", Required)),
        ]);
    }

    #[test]
    fn unknown_key_of_the_first_request_starts_the_cooldown() {
        follow([
            (0, Action("x", Required)),
            (0, Load("x", &["a"])),
            (0, Find("x", Unknown)),
            (29, Action("x", None)),
            (30, Action("x", Required)),
        ]);
    }

    #[test]
    fn source_with_other_keys_each_time_is_loaded_no_more_often() {
        follow([
            (0, Load("a", &["a"])),
            (1, Load("b", &["b"])),
            (2, Action("a", None)),
            (2, Find("a", Unknown)),
            (31, Action("a", Required)),
        ]);
    }

    #[test]
    fn old_value_is_refreshed_and_a_withdrawn_key_is_gone() {
        follow([
            (0, Load("a", &["a", "b"])),
            (600, Action("a", Optional)),
            (600, Find("a", Found)),
            (601, Load("a", &["b"])),
            (601, Find("a", Unknown)),
            (601, Find("b", Found)),
            (630, Action("a", None)),
            (631, Action("a", Required)),
        ]);
    }

    #[test]
    fn cached_value_survives_failed_loads() {
        follow([
            (0, Load("a", &["a"])),
            (600, Action("a", Optional)),
            (602, LoadFailed),
            (602, Find("a", Found)),
            (602, Find("x", Unavailable(30))),
            (631, Action("a", None)),
            (631, Action("x", None)),
            (631, Find("x", Unavailable(1))),
            (632, Action("a", Optional)),
            (632, Action("x", Required)),
            (633, LoadFailed),
            (1_000_000, Find("a", Found)),
            (1_000_000, Find("x", Unavailable(0))),
            (1_000_000, Load("a", &["a"])),
            (1_000_000, Action("a", None)),
            (1_000_000, Find("x", Unknown)),
        ]);
    }

    #[test]
    fn missing_value_is_loaded_every_five_seconds() {
        follow([
            (0, Find("a", Unavailable(0))),
            (0, LoadFailed),
            (0, Find("a", Unavailable(5))),
            (4, Action("a", None)),
            (4, Find("a", Unavailable(1))),
            (5, Action("a", Required)),
            (7, LoadFailed),
            (11, Action("a", None)),
            (12, Action("a", Required)),
            (12, Load("a", &["a"])),
            (12, Find("a", Found)),
            (13, Action("b", Required)),
        ]);
    }

    #[test]
    fn clock_set_back_delays_no_load() {
        follow([
            (10_000, Load("a", &["a"])),
            (10_001, Load("x", &["a"])),
            (50, Action("a", Optional)),
            (50, Action("x", Required)),
            (52, LoadFailed),
            (10, Action("a", Optional)),
            (10, Find("a", Found)),
        ]);
    }
}
