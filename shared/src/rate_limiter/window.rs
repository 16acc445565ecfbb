//! The time window in which requests are counted.

use std::time::Duration;

use crate::clock::Timestamp;

/// A minute of the clock, the same for all users. A limit bounds the requests in a window; it does
/// not spread them evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(i64);

/// The length of a window in seconds.
const WINDOW_SECS: i64 = 60;
/// How long counters are stored after the window, to tolerate clock skew and late requests.
const RETENTION: Duration = Duration::from_mins(2);

impl Window {
    /// The window that contains an instant.
    #[must_use]
    pub const fn from_timestamp(at: Timestamp) -> Self {
        Self(at.as_secs().div_euclid(WINDOW_SECS))
    }

    /// The number of the window since the Unix epoch.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// When the next window begins.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_secs(self.0.saturating_add(1).saturating_mul(WINDOW_SECS))
    }

    /// The remaining time of the window.
    #[must_use]
    pub fn remaining(self, now: Timestamp) -> Duration {
        self.end().since(now)
    }

    /// When the counters of the window expire.
    #[must_use]
    pub fn expires_at(self) -> Timestamp {
        self.end().plus(RETENTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_minute_of_the_clock() {
        let minute = 29_453_760;
        let start = minute * 60_000;
        for (millis, number, remaining) in [
            (start - 1, minute - 1, 1),
            (start, minute, 60_000),
            (start + 1, minute, 59_999),
            (start + 59_001, minute, 999),
            (start + 59_999, minute, 1),
            (start + 60_000, minute + 1, 60_000),
            // Times before 1970 round down, too.
            (-1, -1, 1),
            (0, 0, 60_000),
        ] {
            let at = Timestamp::from_millis(millis);
            let window = Window::from_timestamp(at);
            assert_eq!(window.number(), number, "{millis}");
            assert_eq!(window.remaining(at), Duration::from_millis(remaining), "{millis}");
        }
    }

    #[test]
    fn elapsed_window_has_no_time_remaining() {
        let window = Window::from_timestamp(Timestamp::from_secs(90));
        assert_eq!(window.end(), Timestamp::from_secs(120));
        assert_eq!(window.remaining(Timestamp::from_secs(121)), Duration::ZERO);
    }

    #[test]
    fn counters_expire_two_minutes_after_the_window() {
        let window = Window::from_timestamp(Timestamp::from_secs(119));
        assert_eq!(window.expires_at(), Timestamp::from_secs(240));
    }
}
