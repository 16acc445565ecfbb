//! What tasks share: a signal to stop, and locks that are held for a moment only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Takes a lock, whatever became of its last holder: nothing under these locks can be left halfway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end that says when to stop. Dropping it says so too.
pub(crate) struct ShutdownTrigger(watch::Sender<bool>);

/// The end that is told when to stop.
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

    /// Waits until it is time to stop.
    pub(crate) async fn triggered(&mut self) {
        // The only error is that the other end is gone, which means the same.
        let _ = self.0.wait_for(|is_triggered| *is_triggered).await;
    }
}
