//! The observer of closed calls.

use async_trait::async_trait;

use crate::calls::Call;

/// Is notified of every call that was active, some minutes after its end, when late data has
/// arrived. Each call is notified at most once: if the sweeper dies at that moment, the
/// notification is lost.
#[async_trait]
pub trait ClosedCallObserver: Send + Sync {
    /// Handles a closed call, whose item is the only resource left.
    async fn on_closed(&self, call: &Call);
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoopObserver;

#[async_trait]
impl ClosedCallObserver for NoopObserver {
    async fn on_closed(&self, _: &Call) {}
}
