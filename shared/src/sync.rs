//! Locks that a task never holds across an await point.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also if a panic has poisoned it. A panic cannot leave the data under these locks
/// inconsistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
