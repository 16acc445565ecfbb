//! What is said of a call when nothing is left of it.

use async_trait::async_trait;

use crate::calls::Call;

/// Hears of every call that was active, once, some minutes after its end: what comes late has come
/// by then. If the sweeper dies at that very moment it does not hear of the call.
#[async_trait]
pub trait ClosedCallObserver: Send + Sync {
    /// Nothing is left of this call but its record.
    async fn on_closed(&self, call: &Call);
}

/// Nobody who hears of it.
#[derive(Clone, Copy, Debug)]
pub struct NoopObserver;

#[async_trait]
impl ClosedCallObserver for NoopObserver {
    async fn on_closed(&self, _: &Call) {}
}
