//! Synchronization of tasks: a shutdown signal, and locks that are held only briefly.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Locks a mutex, even if it is poisoned: no update under these locks can be incomplete.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sender of the shutdown signal. Dropping it triggers the signal.
pub(crate) struct ShutdownTrigger(watch::Sender<bool>);

/// The receiver of the shutdown signal.
#[derive(Clone)]
pub(crate) struct ShutdownSignal(watch::Receiver<bool>);

impl ShutdownTrigger {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn trigger(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn subscribe(&self) -> ShutdownSignal {
        ShutdownSignal(self.0.subscribe())
    }
}

impl ShutdownSignal {
    pub(crate) fn is_triggered(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal.
    pub(crate) async fn triggered(&mut self) {
        // An error means that the sender was dropped, which is also a reason to stop.
        let _ = self.0.wait_for(|is_triggered| *is_triggered).await;
    }
}
