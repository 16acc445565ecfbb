//! Stream's rate limits: a number of requests per minute for each operation. Response headers carry
//! the status, and a request over the limit gets 429. A window is a minute of the emulator's clock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::operation::Operation;
use crate::timestamp::Timestamp;

const WINDOW_SECONDS: i64 = 60;

/// The rate-limit status of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RateLimitStatus {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// The start of the next window, in unix seconds.
    pub(crate) reset: i64,
}

/// The rate-limit windows of all operations.
#[derive(Debug, Default)]
pub(crate) struct RateWindows(BTreeMap<Operation, Window>);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    index: i64,
    used: u64,
    /// The maximum of `used` over all windows.
    peak: u64,
}

impl RateWindows {
    /// Counts a request. Returns whether it is within the limit.
    pub(crate) fn try_acquire(&mut self, operation: Operation, now: Timestamp) -> bool {
        let index = now.as_seconds() / WINDOW_SECONDS;
        let window = self.0.entry(operation).or_default();
        if window.index != index {
            window.index = index;
            window.used = 0;
        }
        window.used += 1;
        window.peak = window.peak.max(window.used);
        window.used <= operation.limit_per_minute()
    }

    pub(crate) fn status(&self, operation: Operation, now: Timestamp) -> RateLimitStatus {
        let index = now.as_seconds() / WINDOW_SECONDS;
        let used = self
            .0
            .get(&operation)
            .filter(|window| window.index == index)
            .map_or(0, |window| window.used);
        let limit = operation.limit_per_minute();
        RateLimitStatus {
            limit,
            remaining: limit.saturating_sub(used),
            reset: (index + 1) * WINDOW_SECONDS,
        }
    }

    /// The maximum number of requests in one window, including rejected ones.
    pub(crate) fn peak(&self, operation: Operation) -> u64 {
        self.0.get(&operation).map_or(0, |window| window.peak)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn timestamp(seconds: u64) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn window_resets_at_the_next_minute() {
        let mut windows = RateWindows::default();
        windows.try_acquire(Operation::DeleteChannel, timestamp(61));
        windows.try_acquire(Operation::DeleteChannel, timestamp(62));
        let status = windows.status(Operation::DeleteChannel, timestamp(63));
        assert_eq!(status, RateLimitStatus { limit: 60, remaining: 58, reset: 120 });
        assert_eq!(windows.status(Operation::DeleteChannel, timestamp(120)).remaining, 60);
        assert_eq!(windows.status(Operation::GetApp, timestamp(63)).remaining, 10_000);
    }

    #[test]
    fn full_window_rejects_until_the_next_minute() {
        let mut windows = RateWindows::default();
        let acquired: Vec<bool> = (0..62)
            .map(|_| windows.try_acquire(Operation::DeleteChannel, timestamp(119)))
            .collect();
        assert_eq!(acquired.iter().filter(|acquired| **acquired).count(), 60);
        assert_eq!(acquired[59..], [true, false, false]);
        assert!(windows.try_acquire(Operation::DeleteChannels, timestamp(119)));
        assert!(windows.try_acquire(Operation::DeleteChannel, timestamp(120)));
    }

    #[test]
    fn peak_is_the_highest_count_of_any_minute() {
        let mut windows = RateWindows::default();
        assert_eq!(windows.peak(Operation::GetApp), 0);
        for second in [0, 59, 60, 61, 119, 120] {
            windows.try_acquire(Operation::GetApp, timestamp(second));
        }
        assert_eq!(windows.peak(Operation::GetApp), 3);
        assert_eq!(windows.peak(Operation::GetCall), 0);
    }
}
