//! The observer of calls that the sweeper closes.

use std::fmt;

use async_trait::async_trait;

use crate::calls::{Call, CallScore};
use crate::clock::Deadline;

/// Is notified of every call that was active, some minutes after its end, when late data has
/// arrived.
#[async_trait]
pub trait ClosedCallObserver: Send + Sync {
    /// Prepares the report of a call before the write that closes it. Another sweep may close the
    /// call instead, and the write may fail, so this can happen several times for each call.
    /// Returns `None` if there is no time, or the data cannot be read now. Then a later sweep closes
    /// the call.
    async fn prepare(&self, call: &Call, deadline: Deadline) -> Option<CloseReport>;
}

/// The report of a call that is about to be closed.
#[derive(Default)]
pub struct CloseReport {
    /// The quality of the call, which the closing write stores.
    pub quality: Option<CallScore>,
    /// Runs after the closing write, at most once for each call: if the sweeper dies at that
    /// moment, it does not run.
    pub on_closed: Option<Box<dyn FnOnce() + Send>>,
}

impl CloseReport {
    /// Completes the report of a call that is closed.
    pub(super) fn complete(self) {
        if let Some(on_closed) = self.on_closed {
            on_closed();
        }
    }
}

impl fmt::Debug for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseReport").field("quality", &self.quality).finish_non_exhaustive()
    }
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoopObserver;

#[async_trait]
impl ClosedCallObserver for NoopObserver {
    async fn prepare(&self, _: &Call, _: Deadline) -> Option<CloseReport> {
        Some(CloseReport::default())
    }
}
