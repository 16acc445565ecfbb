//! A value that is loaded from a remote source, cached, and refreshed when it is old or when it
//! lacks what a request needs: secrets, and an issuer's keys.
//!
//! One task refreshes at a time (single flight). Meanwhile the others use the cached value, and
//! wait only if it does not suffice. A failed refresh never removes the cached value.

mod state;

pub(crate) use state::RefreshPolicy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;

use crate::clock::{Clock, Deadline, timeout};
use crate::sync::lock;
use state::{CacheState, RefreshAction};

/// A load did not finish in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedOut;

/// Loads the value of a [`RefreshingCache`].
pub(crate) trait Loader: Send + Sync {
    /// The value.
    type Value: Send + Sync;
    /// Why a load failed.
    type Error: From<TimedOut> + Send;

    /// Loads the value. `cached` is the current one, which is returned again if it is unchanged.
    fn load(
        &self,
        cached: Option<Arc<Self::Value>>,
    ) -> impl Future<Output = Result<Arc<Self::Value>, Self::Error>> + Send;

    /// Logs a failed refresh.
    fn log_failure(&self, error: &Self::Error);
}

/// A cached value with its loader.
pub(crate) struct RefreshingCache<L: Loader> {
    loader: L,
    policy: RefreshPolicy,
    clock: Arc<dyn Clock>,
    state: Mutex<CacheState<L::Value>>,
    /// Held while the value is loaded, so that one task at a time does it.
    refresh_lock: AsyncMutex<()>,
}

impl<L: Loader> RefreshingCache<L> {
    /// An empty cache.
    pub(crate) fn new(loader: L, policy: RefreshPolicy, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(CacheState::default());
        Self { loader, policy, clock, state, refresh_lock: AsyncMutex::new(()) }
    }

    /// The value, refreshed first if it is missing, old or does not suffice, as far as `deadline`
    /// and the policy allow. `None` if there is no value yet. The caller checks whether the
    /// returned value suffices.
    pub(crate) async fn get(
        &self,
        is_sufficient: impl Fn(&L::Value) -> bool + Send + Sync,
        deadline: Deadline,
    ) -> Option<Arc<L::Value>> {
        let guard = match self.action(&is_sufficient) {
            RefreshAction::None => None,
            // Without time left a refresh would only count as a failure.
            _ if self.remaining(deadline).is_zero() => None,
            RefreshAction::Optional => self.refresh_lock.try_lock(),
            RefreshAction::Required => {
                timeout(&*self.clock, self.remaining(deadline), self.refresh_lock.lock()).await
            }
        };
        // Another task may have refreshed while this one waited.
        if guard.is_some()
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

    /// When a missing value is loaded again.
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
    /// Holds the lock, as a task does that is loading.
    pub(crate) fn hold_refresh_lock(&self) -> futures_util::lock::MutexGuard<'_, ()> {
        self.refresh_lock.try_lock().expect("no task is loading")
    }
}
