//! Stream's own limits, as its answers tell of them. They are watched, so that one that is used up
//! is in the log before anybody asks why calls are refused.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

/// What an answer says of the limit that its operation is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests a window has, where that is said.
    pub limit: Option<i64>,
    /// How many this one has left.
    pub remaining: i64,
    /// When the next one begins, by Stream's clock.
    pub reset: Timestamp,
}

impl RateLimit {
    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.remaining <= 0
    }
}

/// What was last heard of each operation's limit.
#[derive(Debug, Default)]
pub(super) struct RateLimitTracker(BTreeMap<&'static str, TrackedLimit>);

#[derive(Debug)]
struct TrackedLimit {
    latest: RateLimit,
    /// The end of the window that was last said to be used up.
    warned_reset: Option<Timestamp>,
}

impl RateLimitTracker {
    /// Takes note of what an answer says; whether it is news that the window is used up.
    pub(super) fn record(
        &mut self,
        operation: &'static str,
        observed: RateLimit,
        now: Timestamp,
    ) -> bool {
        let tracked = self
            .0
            .entry(operation)
            .or_insert(TrackedLimit { latest: observed, warned_reset: None });
        tracked.latest = observed;
        let is_newly_exhausted = observed.is_exhausted()
            && observed.reset > now
            && tracked.warned_reset != Some(observed.reset);
        if is_newly_exhausted {
            tracked.warned_reset = Some(observed.reset);
        }
        is_newly_exhausted
    }

    /// What was last heard, by operation.
    pub(super) fn latest(&self) -> BTreeMap<&'static str, RateLimit> {
        self.0.iter().map(|(operation, tracked)| (*operation, tracked.latest)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(remaining: i64, reset: i64) -> RateLimit {
        RateLimit { limit: Some(60), remaining, reset: Timestamp::from_secs(reset) }
    }

    #[test]
    fn exhausted_window_is_reported_once() {
        let mut tracker = RateLimitTracker::default();
        for (operation, remaining, reset, now, is_newly_exhausted) in [
            ("A", 1, 60, 1, false),
            ("A", 0, 60, 2, true),
            ("A", 0, 60, 3, false),
            // Another operation has a limit of its own.
            ("B", 0, 60, 4, true),
            ("A", 0, 120, 61, true),
            ("A", 59, 180, 121, false),
            // What is over is no news, whether it was heard of or not.
            ("A", 0, 180, 180, false),
            ("A", -1, 240, 181, true),
        ] {
            let now = Timestamp::from_secs(now);
            assert_eq!(
                tracker.record(operation, limit(remaining, reset), now),
                is_newly_exhausted,
                "{now}"
            );
        }
        let latest = tracker.latest();
        assert_eq!(latest, BTreeMap::from([("A", limit(-1, 240)), ("B", limit(0, 60))]));
    }
}
