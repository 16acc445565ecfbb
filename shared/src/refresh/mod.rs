//! A cache for a value that is loaded from a remote source: the secrets, and the keys of an issuer.
//! It refreshes the value when it is old or insufficient for a request.
//!
//! One task refreshes at a time (single flight). Other tasks use the cached value meanwhile, and
//! wait only if it is insufficient. A failed refresh never removes the cached value.

mod state;

pub(crate) use state::RefreshPolicy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;

use crate::clock::{Clock, Deadline, timeout};
use crate::sync::lock;
use state::{CacheState, RefreshAction};

/// A load that did not finish in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedOut;

/// Loads the value of a [`RefreshingCache`].
pub(crate) trait Loader: Send + Sync {
    /// The type of the value.
    type Value: Send + Sync;
    /// The error of a failed load.
    type Error: From<TimedOut> + Send;

    /// Loads the value. Returns `cached` again if the value has not changed.
    fn load(
        &self,
        cached: Option<Arc<Self::Value>>,
    ) -> impl Future<Output = Result<Arc<Self::Value>, Self::Error>> + Send;

    /// Logs a failed refresh.
    fn log_failure(&self, error: &Self::Error);
}

/// A cached value and its loader.
pub(crate) struct RefreshingCache<L: Loader> {
    loader: L,
    policy: RefreshPolicy,
    clock: Arc<dyn Clock>,
    state: Mutex<CacheState<L::Value>>,
    /// Held during a load, so that one task loads at a time.
    refresh_lock: AsyncMutex<()>,
}

impl<L: Loader> RefreshingCache<L> {
    /// An empty cache.
    pub(crate) fn new(loader: L, policy: RefreshPolicy, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(CacheState::default());
        Self { loader, policy, clock, state, refresh_lock: AsyncMutex::new(()) }
    }

    /// The value, refreshed first if it is missing, old or insufficient, and if `deadline` and the
    /// policy allow it. Returns `None` if no load has succeeded yet. The caller checks whether the
    /// returned value is sufficient.
    pub(crate) async fn get(
        &self,
        is_sufficient: impl Fn(&L::Value) -> bool + Send + Sync,
        deadline: Deadline,
    ) -> Option<Arc<L::Value>> {
        let guard = match self.action(&is_sufficient) {
            RefreshAction::None => None,
            // A refresh without remaining time would fail and start the cooldown.
            _ if self.remaining(deadline).is_zero() => None,
            RefreshAction::Optional => self.refresh_lock.try_lock(),
            RefreshAction::Required => {
                timeout(&*self.clock, self.remaining(deadline), self.refresh_lock.lock()).await
            }
        };
        // Another task may have refreshed while this one waited.
        if guard.is_some()
            && !self.remaining(deadline).is_zero()
            && self.action(&is_sufficient) != RefreshAction::None
            && let Err(error) = self.load(&is_sufficient, deadline).await
        {
            self.loader.log_failure(&error);
        }
        drop(guard);
        lock(&self.state).value()
    }

    /// Loads the value now. The caller logs a failure.
    pub(crate) async fn refresh(&self, deadline: Deadline) -> Result<(), L::Error> {
        let _guard = self.refresh_lock.lock().await;
        self.load(|_| true, deadline).await
    }

    /// Whether the last load failed.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.state).has_failed()
    }

    /// The time until a load may follow a failed one.
    pub(crate) fn retry_after(&self) -> Duration {
        let now = self.clock.now();
        lock(&self.state).retry_after(&self.policy, now)
    }

    async fn load(
        &self,
        is_sufficient: impl Fn(&L::Value) -> bool + Send + Sync,
        deadline: Deadline,
    ) -> Result<(), L::Error> {
        let time = self.remaining(deadline).min(self.policy.load_timeout);
        let cached = lock(&self.state).value();
        let loaded = timeout(&*self.clock, time, self.loader.load(cached)).await;
        let loaded = loaded.unwrap_or_else(|| Err(TimedOut.into()));
        let now = self.clock.now();
        match loaded {
            Ok(value) => {
                lock(&self.state).store(value, is_sufficient, now);
                Ok(())
            }
            Err(error) => {
                lock(&self.state).record_failure(now);
                Err(error)
            }
        }
    }

    fn action(&self, is_sufficient: impl Fn(&L::Value) -> bool) -> RefreshAction {
        let now = self.clock.now();
        lock(&self.state).action(&self.policy, is_sufficient, now)
    }

    fn remaining(&self, deadline: Deadline) -> Duration {
        deadline.remaining(self.clock.now())
    }
}

#[cfg(test)]
impl<L: Loader> RefreshingCache<L> {
    /// Holds the refresh lock, like a task that loads.
    pub(crate) fn hold_refresh_lock(&self) -> futures_util::lock::MutexGuard<'_, ()> {
        self.refresh_lock.try_lock().expect("no other task holds the refresh lock")
    }
}
