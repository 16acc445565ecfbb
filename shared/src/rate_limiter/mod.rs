//! Rate limits: the number of requests that a user may send to a route in a minute.
//!
//! Stream limits the requests of a user, but not those that the functions send on behalf of a user.
//! So some routes count the requests of each user in the table. The count runs concurrently with
//! the first read of the table, so it adds no latency. It completes before any request to Stream,
//! so a rejected request costs nothing there.

pub mod dynamo;
mod exhausted_users;
mod route;
mod window;

pub use route::Route;
pub use window::Window;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::join;

use crate::auth::Caller;
use crate::clock::{Clock, Timestamp};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::store::StoreError;
use crate::sync::lock;
use exhausted_users::ExhaustedUsers;

/// The store of counters.
#[async_trait]
pub trait RateLimitStore: Send + Sync {
    /// Increments the counter of a user and returns it. If it has reached `max_requests` in this
    /// window, returns `None` and changes nothing.
    async fn increment(
        &self,
        route: Route,
        user: &UserId,
        window: Window,
        max_requests: u32,
    ) -> Result<Option<u32>, StoreError>;
}

/// The rate limiter of one route.
pub struct RateLimiter {
    route: Route,
    /// The maximum number of requests per user and minute; 0 disables the limit.
    max_requests: u32,
    store: Arc<dyn RateLimitStore>,
    clock: Arc<dyn Clock>,
    exhausted: Mutex<ExhaustedUsers>,
}

impl RateLimiter {
    /// Reads the variable of the route.
    pub fn from_env(
        route: Route,
        env: &Env,
        store: Arc<dyn RateLimitStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            route,
            max_requests: route.max_requests(env)?,
            store,
            clock,
            exhausted: Mutex::default(),
        })
    }

    /// Returns a permit, which still has to be consumed. Rejects the request if the cache shows
    /// that the user's quota is exhausted. Services are not limited.
    ///
    /// # Errors
    ///
    /// `too_many_requests`.
    pub fn check(&self, caller: &Caller) -> Result<Permit<'_>, ApiError> {
        if caller.is_service || self.max_requests == 0 {
            return Ok(Permit::default());
        }
        let now = self.clock.now();
        let window = Window::from_timestamp(now);
        if lock(&self.exhausted).contains(window, &caller.user) {
            return Err(rate_limited(window, now));
        }
        Ok(Permit(Some(PendingCount { limiter: self, user: caller.user.clone(), window })))
    }

    async fn increment(&self, user: UserId, window: Window) -> Result<(), ApiError> {
        let counted = self.store.increment(self.route, &user, window, self.max_requests).await?;
        self.apply_count(user, window, counted)
    }

    /// Applies the new count; `None` means that the limit is exceeded.
    fn apply_count(
        &self,
        user: UserId,
        window: Window,
        count: Option<u32>,
    ) -> Result<(), ApiError> {
        // The request that exhausts the quota is enough to reject the next one.
        if count.is_none_or(|count| count >= self.max_requests) {
            lock(&self.exhausted).insert(window, user);
        }
        match count {
            Some(_) => Ok(()),
            None => Err(rate_limited(window, self.clock.now())),
        }
    }
}

/// The maximum number of requests of a user in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The window.
    pub window: Window,
    /// The maximum number of requests.
    pub max_requests: u32,
}

fn rate_limited(window: Window, now: Timestamp) -> ApiError {
    ApiError::from_code(Code::TooManyRequests).with_retry_after(Some(window.remaining(now)))
}

/// The right to process a request once it is counted. The default permit is not counted.
#[derive(Default)]
#[must_use = "a request is not limited until its permit is consumed"]
pub struct Permit<'a>(Option<PendingCount<'a>>);

struct PendingCount<'a> {
    limiter: &'a RateLimiter,
    user: UserId,
    window: Window,
}

impl Permit<'_> {
    /// Counts the request.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `store_unavailable`.
    pub async fn consume(self) -> Result<(), ApiError> {
        match self.0 {
            Some(PendingCount { limiter, user, window }) => limiter.increment(user, window).await,
            None => Ok(()),
        }
    }

    /// The quota for an operation that counts the request itself and reports the result to
    /// [`Permit::record_count`]. `None` if the request is not counted.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let PendingCount { limiter, window, .. } = self.0.as_ref()?;
        Some(Quota { window: *window, max_requests: limiter.max_requests })
    }

    /// Records the count of an operation that counted the request itself. `None` means that the
    /// limit is exceeded.
    ///
    /// # Errors
    ///
    /// `too_many_requests`.
    pub fn record_count(self, count: Option<u32>) -> Result<(), ApiError> {
        match self.0 {
            Some(PendingCount { limiter, user, window }) => {
                limiter.apply_count(user, window, count)
            }
            None => Ok(()),
        }
    }

    /// Counts the request concurrently with an operation. If the request is rejected, the result of
    /// the operation is discarded, so the operation must only read.
    ///
    /// # Errors
    ///
    /// Those of [`Permit::consume`], then those of the operation.
    pub async fn consume_alongside<T, E>(
        self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError>
    where
        ApiError: From<E>,
    {
        let (counted, result) = join(self.consume(), operation).await;
        counted?;
        Ok(result?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::test_support::{FakeClock, START};

    /// A store in memory that also counts its requests.
    #[derive(Default)]
    struct FakeRateLimitStore {
        counts: Mutex<BTreeMap<(&'static str, String, i64), u32>>,
        request_count: AtomicI64,
        /// Whether a response waits until the operation has started.
        waits_for_operation: bool,
        operation_started: AtomicBool,
    }

    /// Waits for the concurrent task. Fails if the two tasks run one after the other.
    async fn wait_until_set(flag: &AtomicBool) -> Result<(), StoreError> {
        for _ in 0..100 {
            if flag.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err(StoreError::Unavailable("the other task has not started".into()))
    }

    #[async_trait]
    impl RateLimitStore for FakeRateLimitStore {
        async fn increment(
            &self,
            route: Route,
            user: &UserId,
            window: Window,
            max_requests: u32,
        ) -> Result<Option<u32>, StoreError> {
            self.request_count.fetch_add(1, Ordering::Relaxed);
            if self.waits_for_operation {
                wait_until_set(&self.operation_started).await?;
            }
            let mut counts = self.counts.lock().unwrap();
            let key = (route.name(), user.as_str().to_owned(), window.number());
            let count = counts.entry(key).or_default();
            if *count >= max_requests {
                return Ok(None);
            }
            *count += 1;
            Ok(Some(*count))
        }
    }

    fn caller(name: &str, is_service: bool) -> Caller {
        let user = UserId::try_from(name.to_owned()).unwrap();
        Caller { user, role: None, is_service, session_started_at: None }
    }

    fn rate_limiter(
        max_requests: &str,
        store: &Arc<FakeRateLimitStore>,
        clock: &Arc<FakeClock>,
    ) -> RateLimiter {
        let env = Env::from([("LIMIT_TOKEN_PER_MINUTE", max_requests)]);
        RateLimiter::from_env(Route::Token, &env, store.clone(), clock.clone()).unwrap()
    }

    /// Sends a request. If it is rejected, returns its `Retry-After`.
    async fn try_request(limiter: &RateLimiter, caller: &Caller) -> Result<(), Option<Duration>> {
        let counted = match limiter.check(caller) {
            Ok(permit) => permit.consume().await,
            Err(error) => Err(error),
        };
        counted.map_err(|error| {
            assert_eq!(error.code(), Code::TooManyRequests);
            error.retry_after()
        })
    }

    #[tokio::test]
    async fn requests_over_the_limit_are_rejected_until_the_next_minute() {
        let (store, clock) = (Arc::<FakeRateLimitStore>::default(), Arc::<FakeClock>::default());
        let limiter = rate_limiter("2", &store, &clock);
        let (alice, bob) = (caller("alice", false), caller("bob", false));
        assert_eq!(try_request(&limiter, &alice).await, Ok(()));
        assert_eq!(try_request(&limiter, &alice).await, Ok(()));
        clock.set(START.plus(Duration::from_millis(18_500)));
        assert_eq!(try_request(&limiter, &alice).await, Err(Some(Duration::from_millis(41_500))));
        assert_eq!(try_request(&limiter, &bob).await, Ok(()));
        clock.set(START.plus(Duration::from_mins(1)));
        assert_eq!(try_request(&limiter, &alice).await, Ok(()));
    }

    #[tokio::test]
    async fn exhausted_user_is_rejected_without_a_store_request() {
        let (store, clock) = (Arc::<FakeRateLimitStore>::default(), Arc::<FakeClock>::default());
        let (first_process, second_process) =
            (rate_limiter("2", &store, &clock), rate_limiter("2", &store, &clock));
        let alice = caller("alice", false);
        let request_count = || store.request_count.load(Ordering::Relaxed);
        assert!(
            try_request(&first_process, &alice).await.is_ok()
                && try_request(&first_process, &alice).await.is_ok()
        );
        // The first process has exhausted the quota; the second one needs a store request.
        assert!(try_request(&first_process, &alice).await.is_err());
        assert_eq!(request_count(), 2);
        assert!(
            try_request(&second_process, &alice).await.is_err()
                && try_request(&second_process, &alice).await.is_err()
        );
        assert_eq!(request_count(), 3);
    }

    #[tokio::test]
    async fn services_and_a_limit_of_zero_are_unlimited() {
        let (store, clock) = (Arc::<FakeRateLimitStore>::default(), Arc::<FakeClock>::default());
        let (limited, unlimited) =
            (rate_limiter("1", &store, &clock), rate_limiter("0", &store, &clock));
        for _ in 0..5 {
            assert!(try_request(&limited, &caller("billing", true)).await.is_ok());
            assert!(try_request(&unlimited, &caller("alice", false)).await.is_ok());
        }
        assert_eq!(store.request_count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn counting_runs_concurrently_with_the_operation() {
        let store = Arc::new(FakeRateLimitStore {
            waits_for_operation: true,
            ..FakeRateLimitStore::default()
        });
        let limiter = rate_limiter("1", &store, &Arc::default());
        let alice = caller("alice", false);
        let operation = async {
            store.operation_started.store(true, Ordering::Relaxed);
            // The count waits for this operation, and this operation waits for the count.
            for _ in 0..100 {
                if store.request_count.load(Ordering::Relaxed) > 0 {
                    return Ok::<_, StoreError>("read");
                }
                tokio::task::yield_now().await;
            }
            Err(StoreError::Unavailable("the count has not started".into()))
        };
        let result = limiter.check(&alice).unwrap().consume_alongside(operation).await;
        assert_eq!(result.unwrap(), "read");
    }

    #[tokio::test]
    async fn operation_may_record_its_own_count() {
        let (store, clock) = (Arc::<FakeRateLimitStore>::default(), Arc::<FakeClock>::default());
        let (limited, unlimited) =
            (rate_limiter("2", &store, &clock), rate_limiter("0", &store, &clock));
        let alice = caller("alice", false);
        let quota = Quota { window: Window::from_timestamp(clock.now()), max_requests: 2 };
        assert_eq!(limited.check(&alice).unwrap().quota(), Some(quota));
        assert_eq!(unlimited.check(&alice).unwrap().quota(), None);
        assert_eq!(limited.check(&caller("billing", true)).unwrap().quota(), None);
        assert!(limited.check(&alice).unwrap().record_count(Some(1)).is_ok());
        // Both the last allowed request and a rejected one exhaust the quota.
        assert!(limited.check(&alice).unwrap().record_count(Some(2)).is_ok());
        assert!(limited.check(&alice).is_err());
        let bob = caller("bob", false);
        let error = limited.check(&bob).unwrap().record_count(None).unwrap_err();
        assert_eq!(error.code(), Code::TooManyRequests);
        assert!(limited.check(&bob).is_err());
        assert_eq!(store.request_count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn rate_limit_error_takes_precedence_over_the_operation_error() {
        let (store, clock) = (Arc::<FakeRateLimitStore>::default(), Arc::<FakeClock>::default());
        let (first_process, second_process) =
            (rate_limiter("1", &store, &clock), rate_limiter("1", &store, &clock));
        let alice = caller("alice", false);
        let permit = second_process.check(&alice).unwrap();
        assert!(try_request(&first_process, &alice).await.is_ok());
        let operation = async { Err::<(), _>(ApiError::from_code(Code::CallNotFound)) };
        let error = permit.consume_alongside(operation).await.unwrap_err();
        assert_eq!(error.code(), Code::TooManyRequests);
    }
}
