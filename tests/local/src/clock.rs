//! The time that a stack believes in: the machine's, moved ahead on demand.
//!
//! So a test sees what an hour does without waiting for it. The Stream emulator and API Gateway
//! read this clock. A function's process cannot: it is told how far ahead it is when it starts, and
//! is of no more use after the next move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The clock of one stack. Clones are moved together.
#[derive(Clone, Default)]
pub(crate) struct StackClock {
    /// Whole seconds, because that is what a function can be told.
    offset_seconds: Arc<AtomicU64>,
}

impl StackClock {
    /// What time it is.
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now() + self.offset()
    }

    /// How far it is ahead of the machine's.
    pub(crate) fn offset(&self) -> Duration {
        Duration::from_secs(self.offset_seconds.load(Ordering::Relaxed))
    }

    /// Moves it, by a part of a second as by a whole one.
    pub(crate) fn advance(&self, by: Duration) {
        let seconds = by.as_secs() + u64::from(by.subsec_nanos() > 0);
        self.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances_accumulate_across_clones() {
        let clock = StackClock::default();
        let clone = clock.clone();
        assert_eq!(clone.offset(), Duration::ZERO);
        clock.advance(Duration::from_mins(1));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clone.offset(), Duration::from_secs(62));

        let system_now = SystemTime::now();
        assert!(clone.now() >= system_now + Duration::from_secs(62));
        assert!(clone.now() < system_now + Duration::from_mins(2));
    }
}
