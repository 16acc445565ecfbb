//! Stream's rate limits, read from the headers of its responses. An exhausted limit is logged, so
//! that an operator finds the cause of rejected requests.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

/// The rate limit of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests in a window, if the response contains it.
    pub limit: Option<i64>,
    /// The remaining requests in the current window.
    pub remaining: i64,
    /// The start of the next window, by Stream's clock.
    pub reset: Timestamp,
}

impl RateLimit {
    /// Whether no requests remain.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.remaining <= 0
    }
}

/// The latest rate limit of each operation.
#[derive(Debug, Default)]
pub(super) struct RateLimitTracker(BTreeMap<&'static str, TrackedLimit>);

#[derive(Debug)]
struct TrackedLimit {
    latest: RateLimit,
    /// The end of the last window that was reported as exhausted.
    warned_reset: Option<Timestamp>,
}

impl RateLimitTracker {
    /// Records the rate limit of a response. Returns whether it is the first to report the current
    /// window as exhausted.
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

    /// The latest rate limits by operation.
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
            // Each operation has its own limit.
            ("B", 0, 60, 4, true),
            ("A", 0, 120, 61, true),
            ("A", 59, 180, 121, false),
            // A window that has already ended is not reported.
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
