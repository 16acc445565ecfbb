//! Our own limits: how many requests of a kind a user may send in a minute.
//!
//! Stream limits what a user sends to it, but not what we send there in a user's name. So some
//! routes count the requests of each user in the table. They do it beside the first request that
//! they make there anyway, so that a limit takes no time of its own; and before Stream hears of
//! anything, so that a refused request costs nothing there.

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

/// Where the requests are counted.
#[async_trait]
pub trait RateLimitStore: Send + Sync {
    /// Counts one more request of a user's, unless there were `most` of them in this window; how
    /// many there are with it, and `None` where it is one too many, which changes nothing.
    async fn increment(
        &self,
        route: Route,
        user: &UserId,
        window: Window,
        max_requests: u32,
    ) -> Result<Option<u32>, StoreError>;
}

/// The limit of one route.
pub struct RateLimiter {
    route: Route,
    /// How many requests a minute has for each user; 0 is as many as they like.
    max_requests: u32,
    store: Arc<dyn RateLimitStore>,
    clock: Arc<dyn Clock>,
    exhausted: Mutex<ExhaustedUsers>,
}

impl RateLimiter {
    /// Reads the route's own variable.
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

    /// Lets a request in that is still to be counted, or refuses it at once where this process
    /// knows that the user's minute is used up. Services are not limited.
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

    /// Takes note of how many there are now; `None` is one too many.
    fn apply_count(
        &self,
        user: UserId,
        window: Window,
        count: Option<u32>,
    ) -> Result<(), ApiError> {
        // Whoever takes the last one knows already what the next one would hear.
        if count.is_none_or(|count| count >= self.max_requests) {
            lock(&self.exhausted).insert(window, user);
        }
        match count {
            Some(_) => Ok(()),
            None => Err(rate_limited(window, self.clock.now())),
        }
    }
}

/// How many requests a user may send in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The window.
    pub window: Window,
    /// How many.
    pub max_requests: u32,
}

fn rate_limited(window: Window, now: Timestamp) -> ApiError {
    ApiError::from_code(Code::TooManyRequests).with_retry_after(Some(window.remaining(now)))
}

/// A request that is let in once it is counted. The default is one that nobody counts.
#[derive(Default)]
#[must_use = "a request that is not counted is not limited"]
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
            Some(PendingCount { limiter: limit, user, window }) => {
                limit.increment(user, window).await
            }
            None => Ok(()),
        }
    }

    /// What a first step has to keep to that counts the request itself, and then says so with
    /// [`Admission::counted_as`]; nothing where nobody counts.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let PendingCount { limiter: limit, window, .. } = self.0.as_ref()?;
        Some(Quota { window: *window, max_requests: limit.max_requests })
    }

    /// Takes the word of a first step that has counted: how many there are now, and `None` where
    /// it is one too many.
    ///
    /// # Errors
    ///
    /// `too_many_requests`.
    pub fn record_count(self, count: Option<u32>) -> Result<(), ApiError> {
        match self.0 {
            Some(PendingCount { limiter: limit, user, window }) => {
                limit.apply_count(user, window, count)
            }
            None => Ok(()),
        }
    }

    /// Counts the request while its first step is taken. Where it is refused, nobody looks at
    /// what came of that step, which therefore must be one that changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Admission::counted`], and then those of the step.
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

    /// Counts as the table does, and how often it was asked.
    #[derive(Default)]
    struct FakeRateLimitStore {
        counts: Mutex<BTreeMap<(&'static str, String, i64), u32>>,
        request_count: AtomicI64,
        /// Whether nothing is answered until the first step is under way.
        waits_for_operation: bool,
        operation_started: AtomicBool,
    }

    /// Waits for the other side, which never comes where the two take turns.
    async fn wait_until_set(flag: &AtomicBool) -> Result<(), StoreError> {
        for _ in 0..100 {
            if flag.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err(StoreError::Unavailable("the other side never came".into()))
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

    fn caller(name: &str, service: bool) -> Caller {
        let user = UserId::try_from(name.to_owned()).unwrap();
        Caller { user, role: None, is_service: service, issued_at: None }
    }

    /// A limit of so many tokens a minute.
    fn rate_limiter(
        most: &str,
        store: &Arc<FakeRateLimitStore>,
        clock: &Arc<FakeClock>,
    ) -> RateLimiter {
        let env = Env::from([("LIMIT_TOKEN_PER_MINUTE", most)]);
        RateLimiter::from_env(Route::Token, &env, store.clone(), clock.clone()).unwrap()
    }

    /// Whether a request is let in; otherwise when it is worth trying again.
    async fn try_request(limit: &RateLimiter, caller: &Caller) -> Result<(), Option<Duration>> {
        let counted = match limit.check(caller) {
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
        let limit = rate_limiter("2", &store, &clock);
        let (alice, bob) = (caller("alice", false), caller("bob", false));
        assert_eq!(try_request(&limit, &alice).await, Ok(()));
        assert_eq!(try_request(&limit, &alice).await, Ok(()));
        clock.set(START.plus(Duration::from_millis(18_500)));
        assert_eq!(try_request(&limit, &alice).await, Err(Some(Duration::from_millis(41_500))));
        assert_eq!(try_request(&limit, &bob).await, Ok(()));
        clock.set(START.plus(Duration::from_mins(1)));
        assert_eq!(try_request(&limit, &alice).await, Ok(()));
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
        // That one has taken the last, and another process has to find out.
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
        let limit = rate_limiter("1", &store, &Arc::default());
        let alice = caller("alice", false);
        let operation = async {
            store.operation_started.store(true, Ordering::Relaxed);
            // As the count waits for this, so this waits for the count.
            for _ in 0..100 {
                if store.request_count.load(Ordering::Relaxed) > 0 {
                    return Ok::<_, StoreError>("read");
                }
                tokio::task::yield_now().await;
            }
            Err(StoreError::Unavailable("the count never came".into()))
        };
        let result = limit.check(&alice).unwrap().consume_alongside(operation).await;
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
        // The last one is remembered, and so is one too many.
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
