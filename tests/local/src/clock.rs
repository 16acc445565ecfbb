//! The clock of a stack: the machine's clock plus an offset that a test can increase.
//!
//! The Stream emulator and API Gateway read this clock. A function's process gets the offset when
//! it starts. After the offset has changed, the process is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

/// The clock of one stack. All clones share the offset.
#[derive(Clone)]
pub(crate) struct StackClock {
    /// Whole seconds, since a process gets its offset in seconds.
    offset_seconds: Arc<AtomicU64>,
    /// Notified when the offset has changed.
    advanced: watch::Sender<()>,
}

impl Default for StackClock {
    fn default() -> Self {
        Self { offset_seconds: Arc::default(), advanced: watch::Sender::new(()) }
    }
}

impl StackClock {
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now() + self.offset()
    }

    /// The offset from the machine's clock.
    pub(crate) fn offset(&self) -> Duration {
        Duration::from_secs(self.offset_seconds.load(Ordering::Relaxed))
    }

    /// Increases the offset by this duration, rounded up to whole seconds.
    pub(crate) fn advance(&self, by: Duration) {
        let seconds = by.as_secs() + u64::from(by.subsec_nanos() > 0);
        self.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
        self.advanced.send_replace(());
    }

    /// A receiver that is notified when the offset has changed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.advanced.subscribe()
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
