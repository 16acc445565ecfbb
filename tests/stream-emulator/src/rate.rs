//! The numbers of Stream's rate limit headers: a window of one minute per
//! operation. They are only told, never enforced: a test asks for a 429 with a fault script.

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

/// The requests of the current minute.
#[derive(Debug, Default)]
pub(crate) struct Windows(BTreeMap<Operation, Window>);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    used: u64,
}

impl Windows {
    /// One more request.
    pub(crate) fn spend(&mut self, operation: Operation, now: Moment) {
        let number = now.seconds() / WINDOW_SECONDS;
        let window = self.0.entry(operation).or_default();
        if window.number != number {
            *window = Window { number, used: 0 };
        }
        window.used += 1;
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
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_window_fills_and_starts_again_with_the_minute() {
        let at = |seconds| Moment::of(UNIX_EPOCH + Duration::from_secs(seconds));
        let mut windows = Windows::default();
        windows.spend(Operation::DeleteChannel, at(61));
        windows.spend(Operation::DeleteChannel, at(62));
        let left = windows.left(Operation::DeleteChannel, at(63));
        assert_eq!(left, RateLimit { limit: 60, remaining: 58, reset: 120 });
        assert_eq!(windows.left(Operation::DeleteChannel, at(120)).remaining, 60);
        assert_eq!(windows.left(Operation::GetApp, at(63)).remaining, 10_000);
    }
}
