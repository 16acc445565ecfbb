//! Locks that are held for a moment only, and never while something is waited for.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, whatever became of its last holder: nothing under these locks can be left halfway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
