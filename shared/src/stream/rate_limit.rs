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
    pub fn is_used_up(&self) -> bool {
        self.remaining <= 0
    }
}

/// What was last heard of each operation's limit.
#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<&'static str, Heard>);

#[derive(Debug)]
struct Heard {
    last: RateLimit,
    /// The end of the window that was last said to be used up.
    warned: Option<Timestamp>,
}

impl Watch {
    /// Takes note of what an answer says; whether it is news that the window is used up.
    pub(super) fn hear(
        &mut self,
        operation: &'static str,
        told: RateLimit,
        now: Timestamp,
    ) -> bool {
        let heard = self.0.entry(operation).or_insert(Heard { last: told, warned: None });
        heard.last = told;
        let news = told.is_used_up() && told.reset > now && heard.warned != Some(told.reset);
        if news {
            heard.warned = Some(told.reset);
        }
        news
    }

    /// What was last heard, by operation.
    pub(super) fn last(&self) -> BTreeMap<&'static str, RateLimit> {
        self.0.iter().map(|(operation, heard)| (*operation, heard.last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(remaining: i64, reset: i64) -> RateLimit {
        RateLimit { limit: Some(60), remaining, reset: Timestamp::from_secs(reset) }
    }

    #[test]
    fn a_window_that_is_used_up_is_news_once() {
        let mut watch = Watch::default();
        for (operation, remaining, reset, now, news) in [
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
            assert_eq!(watch.hear(operation, told(remaining, reset), now), news, "{now}");
        }
        let last = watch.last();
        assert_eq!(last, BTreeMap::from([("A", told(-1, 240)), ("B", told(0, 60))]));
    }
}
