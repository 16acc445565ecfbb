//! Stream's rate limits: so many requests a minute for each operation, told in headers and, where
//! one is used up, by a 429. The minutes are the clock's own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::moment::Moment;
use crate::operation::Operation;

const WINDOW_SECONDS: i64 = 60;

/// What is left of one operation's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RateLimit {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// When the next window begins, in unix seconds.
    pub(crate) reset: i64,
}

/// The requests of the current minute, and of the fullest one.
#[derive(Debug, Default)]
pub(crate) struct Windows(BTreeMap<Operation, Window>);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    used: u64,
    /// The most that ever came in one window.
    most: u64,
}

impl Windows {
    /// One more request; whether the window had room for it.
    pub(crate) fn spend(&mut self, operation: Operation, now: Moment) -> bool {
        let number = now.seconds() / WINDOW_SECONDS;
        let window = self.0.entry(operation).or_default();
        if window.number != number {
            window.number = number;
            window.used = 0;
        }
        window.used += 1;
        window.most = window.most.max(window.used);
        window.used <= operation.limit_per_minute()
    }

    pub(crate) fn left(&self, operation: Operation, now: Moment) -> RateLimit {
        let number = now.seconds() / WINDOW_SECONDS;
        let used = self
            .0
            .get(&operation)
            .filter(|window| window.number == number)
            .map_or(0, |window| window.used);
        let limit = operation.limit_per_minute();
        RateLimit {
            limit,
            remaining: limit.saturating_sub(used),
            reset: (number + 1) * WINDOW_SECONDS,
        }
    }

    /// The most requests that ever came in one window, refused ones included.
    pub(crate) fn most(&self, operation: Operation) -> u64 {
        self.0.get(&operation).map_or(0, |window| window.most)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::of(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_window_fills_and_starts_again_with_the_minute() {
        let mut windows = Windows::default();
        windows.spend(Operation::DeleteChannel, at(61));
        windows.spend(Operation::DeleteChannel, at(62));
        let left = windows.left(Operation::DeleteChannel, at(63));
        assert_eq!(left, RateLimit { limit: 60, remaining: 58, reset: 120 });
        assert_eq!(windows.left(Operation::DeleteChannel, at(120)).remaining, 60);
        assert_eq!(windows.left(Operation::GetApp, at(63)).remaining, 10_000);
    }

    #[test]
    fn a_full_window_has_no_room_and_the_next_one_has() {
        let mut windows = Windows::default();
        let room: Vec<bool> =
            (0..62).map(|_| windows.spend(Operation::DeleteChannel, at(119))).collect();
        assert_eq!(room.iter().filter(|room| **room).count(), 60);
        assert_eq!(room[59..], [true, false, false]);
        assert!(windows.spend(Operation::DeleteChannels, at(119)));
        assert!(windows.spend(Operation::DeleteChannel, at(120)));
    }

    #[test]
    fn the_fullest_minute_is_remembered() {
        let mut windows = Windows::default();
        assert_eq!(windows.most(Operation::GetApp), 0);
        for second in [0, 59, 60, 61, 119, 120] {
            windows.spend(Operation::GetApp, at(second));
        }
        assert_eq!(windows.most(Operation::GetApp), 3);
        assert_eq!(windows.most(Operation::GetCall), 0);
    }
}
