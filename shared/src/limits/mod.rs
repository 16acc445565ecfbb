//! Our own limits: how many requests of a kind a user may send in a minute.
//!
//! Stream limits what a user sends to it, but not what we send there in a user's name. So some
//! routes count the requests of each user in the table. They do it beside the first request that
//! they make there anyway, so that a limit takes no time of its own; and before Stream hears of
//! anything, so that a refused request costs nothing there.

pub mod dynamo;
mod route;
mod used_up;
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
use used_up::UsedUp;

/// Where the requests are counted.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Counts one more request of a user's, unless there were `most` of them in this window; how
    /// many there are with it, and `None` where it is one too many, which changes nothing.
    async fn count(
        &self,
        route: Route,
        user: &UserId,
        window: Window,
        most: u32,
    ) -> Result<Option<u32>, StoreError>;
}

/// The limit of one route.
pub struct Limit {
    route: Route,
    /// How many requests a minute has for each user; 0 is as many as they like.
    most: u32,
    store: Arc<dyn LimitStore>,
    clock: Arc<dyn Clock>,
    used_up: Mutex<UsedUp>,
}

impl Limit {
    /// Reads the route's own variable.
    pub fn from_env(
        route: Route,
        env: &Env,
        store: Arc<dyn LimitStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Ok(Self { route, most: route.most(env)?, store, clock, used_up: Mutex::default() })
    }

    /// Lets a request in that is still to be counted, or refuses it at once where this process
    /// knows that the user's minute is used up. Services are not limited.
    ///
    /// # Errors
    ///
    /// `too_many_requests`.
    pub fn admission(&self, caller: &Caller) -> Result<Admission<'_>, ApiError> {
        if caller.service || self.most == 0 {
            return Ok(Admission::default());
        }
        let now = self.clock.now();
        let window = Window::of(now);
        if lock(&self.used_up).has(window, &caller.user) {
            return Err(refused(window, now));
        }
        Ok(Admission(Some(Pending { limit: self, user: caller.user.clone(), window })))
    }

    async fn count(&self, user: UserId, window: Window) -> Result<(), ApiError> {
        let counted = self.store.count(self.route, &user, window, self.most).await?;
        self.note(user, window, counted)
    }

    /// Takes note of how many there are now; `None` is one too many.
    fn note(&self, user: UserId, window: Window, counted: Option<u32>) -> Result<(), ApiError> {
        // Whoever takes the last one knows already what the next one would hear.
        if counted.is_none_or(|count| count >= self.most) {
            lock(&self.used_up).add(window, user);
        }
        match counted {
            Some(_) => Ok(()),
            None => Err(refused(window, self.clock.now())),
        }
    }
}

/// How many requests a user may send in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The window.
    pub window: Window,
    /// How many.
    pub most: u32,
}

fn refused(window: Window, now: Timestamp) -> ApiError {
    ApiError::plain(Code::TooManyRequests).with_retry_after(Some(window.left(now)))
}

/// A request that is let in once it is counted. The default is one that nobody counts.
#[derive(Default)]
#[must_use = "a request that is not counted is not limited"]
pub struct Admission<'a>(Option<Pending<'a>>);

struct Pending<'a> {
    limit: &'a Limit,
    user: UserId,
    window: Window,
}

impl Admission<'_> {
    /// Counts the request.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `store_unavailable`.
    pub async fn counted(self) -> Result<(), ApiError> {
        match self.0 {
            Some(Pending { limit, user, window }) => limit.count(user, window).await,
            None => Ok(()),
        }
    }

    /// What a first step has to keep to that counts the request itself, and then says so with
    /// [`Admission::counted_as`]; nothing where nobody counts.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let Pending { limit, window, .. } = self.0.as_ref()?;
        Some(Quota { window: *window, most: limit.most })
    }

    /// Takes the word of a first step that has counted: how many there are now, and `None` where
    /// it is one too many.
    ///
    /// # Errors
    ///
    /// `too_many_requests`.
    pub fn counted_as(self, counted: Option<u32>) -> Result<(), ApiError> {
        match self.0 {
            Some(Pending { limit, user, window }) => limit.note(user, window, counted),
            None => Ok(()),
        }
    }

    /// Counts the request while its first step is taken. Where it is refused, nobody looks at
    /// what came of that step, which therefore must be one that changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Admission::counted`], and then those of the step.
    pub async fn beside<T, E>(
        self,
        first: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError>
    where
        ApiError: From<E>,
    {
        let (counted, first) = join(self.counted(), first).await;
        counted?;
        Ok(first?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;

    /// A clock that stands where it is put, in milliseconds after the beginning of a minute.
    #[derive(Default)]
    struct Still(AtomicI64);

    const MINUTE: i64 = 1_767_225_600_000;

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(MINUTE + self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, _: Duration) {}
    }

    /// Counts as the table does, and how often it was asked.
    #[derive(Default)]
    struct Counters {
        counts: Mutex<BTreeMap<(&'static str, String, i64), u32>>,
        asked: AtomicI64,
        /// Whether nothing is answered until the first step is under way.
        patient: bool,
        under_way: AtomicBool,
    }

    /// Waits for the other side, which never comes where the two take turns.
    async fn wait_for(other: &AtomicBool) -> Result<(), StoreError> {
        for _ in 0..100 {
            if other.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err(StoreError::Unavailable("the other side never came".into()))
    }

    #[async_trait]
    impl LimitStore for Counters {
        async fn count(
            &self,
            route: Route,
            user: &UserId,
            window: Window,
            most: u32,
        ) -> Result<Option<u32>, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.patient {
                wait_for(&self.under_way).await?;
            }
            let mut counts = self.counts.lock().unwrap();
            let key = (route.name(), user.as_str().to_owned(), window.number());
            let count = counts.entry(key).or_default();
            if *count >= most {
                return Ok(None);
            }
            *count += 1;
            Ok(Some(*count))
        }
    }

    fn caller(name: &str, service: bool) -> Caller {
        let user = UserId::try_from(name.to_owned()).unwrap();
        Caller { user, role: None, service, issued_at: None }
    }

    /// A limit of so many tokens a minute.
    fn limit(most: &str, store: &Arc<Counters>, clock: &Arc<Still>) -> Limit {
        let env = Env::from([("LIMIT_TOKEN_PER_MINUTE", most)]);
        Limit::from_env(Route::Token, &env, store.clone(), clock.clone()).unwrap()
    }

    /// Whether a request is let in; otherwise when it is worth trying again.
    async fn ask(limit: &Limit, caller: &Caller) -> Result<(), Option<Duration>> {
        let counted = match limit.admission(caller) {
            Ok(admission) => admission.counted().await,
            Err(error) => Err(error),
        };
        counted.map_err(|error| {
            assert_eq!(error.code(), Code::TooManyRequests);
            error.retry_after()
        })
    }

    #[tokio::test]
    async fn a_user_has_so_many_a_minute_and_no_more() {
        let (store, clock) = (Arc::<Counters>::default(), Arc::<Still>::default());
        let limit = limit("2", &store, &clock);
        let (alice, bob) = (caller("alice", false), caller("bob", false));
        assert_eq!(ask(&limit, &alice).await, Ok(()));
        assert_eq!(ask(&limit, &alice).await, Ok(()));
        clock.0.store(18_500, Ordering::Relaxed);
        assert_eq!(ask(&limit, &alice).await, Err(Some(Duration::from_millis(41_500))));
        assert_eq!(ask(&limit, &bob).await, Ok(()));
        clock.0.store(60_000, Ordering::Relaxed);
        assert_eq!(ask(&limit, &alice).await, Ok(()));
    }

    #[tokio::test]
    async fn who_is_known_to_have_used_a_minute_up_costs_nothing() {
        let (store, clock) = (Arc::<Counters>::default(), Arc::<Still>::default());
        let (one, other) = (limit("2", &store, &clock), limit("2", &store, &clock));
        let alice = caller("alice", false);
        let asked = || store.asked.load(Ordering::Relaxed);
        assert!(ask(&one, &alice).await.is_ok() && ask(&one, &alice).await.is_ok());
        // That one has taken the last, and another process has to find out.
        assert!(ask(&one, &alice).await.is_err());
        assert_eq!(asked(), 2);
        assert!(ask(&other, &alice).await.is_err() && ask(&other, &alice).await.is_err());
        assert_eq!(asked(), 3);
    }

    #[tokio::test]
    async fn services_and_zero_are_without_limit() {
        let (store, clock) = (Arc::<Counters>::default(), Arc::<Still>::default());
        let (one, none) = (limit("1", &store, &clock), limit("0", &store, &clock));
        for _ in 0..5 {
            assert!(ask(&one, &caller("billing", true)).await.is_ok());
            assert!(ask(&none, &caller("alice", false)).await.is_ok());
        }
        assert_eq!(store.asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn counting_and_the_first_step_go_on_at_the_same_time() {
        let store = Arc::new(Counters { patient: true, ..Counters::default() });
        let limit = limit("1", &store, &Arc::default());
        let alice = caller("alice", false);
        let step = async {
            store.under_way.store(true, Ordering::Relaxed);
            // As the count waits for this, so this waits for the count.
            for _ in 0..100 {
                if store.asked.load(Ordering::Relaxed) > 0 {
                    return Ok::<_, StoreError>("read");
                }
                tokio::task::yield_now().await;
            }
            Err(StoreError::Unavailable("the count never came".into()))
        };
        let found = limit.admission(&alice).unwrap().beside(step).await;
        assert_eq!(found.unwrap(), "read");
    }

    #[tokio::test]
    async fn a_step_may_count_by_itself() {
        let (store, clock) = (Arc::<Counters>::default(), Arc::<Still>::default());
        let (one, none) = (limit("2", &store, &clock), limit("0", &store, &clock));
        let alice = caller("alice", false);
        let quota = Quota { window: Window::of(clock.now()), most: 2 };
        assert_eq!(one.admission(&alice).unwrap().quota(), Some(quota));
        assert_eq!(none.admission(&alice).unwrap().quota(), None);
        assert_eq!(one.admission(&caller("billing", true)).unwrap().quota(), None);
        assert!(one.admission(&alice).unwrap().counted_as(Some(1)).is_ok());
        // The last one is remembered, and so is one too many.
        assert!(one.admission(&alice).unwrap().counted_as(Some(2)).is_ok());
        assert!(one.admission(&alice).is_err());
        let bob = caller("bob", false);
        let refused = one.admission(&bob).unwrap().counted_as(None).unwrap_err();
        assert_eq!(refused.code(), Code::TooManyRequests);
        assert!(one.admission(&bob).is_err());
        assert_eq!(store.asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_refusal_goes_before_whatever_the_first_step_says() {
        let (store, clock) = (Arc::<Counters>::default(), Arc::<Still>::default());
        let (one, other) = (limit("1", &store, &clock), limit("1", &store, &clock));
        let alice = caller("alice", false);
        let admission = other.admission(&alice).unwrap();
        assert!(ask(&one, &alice).await.is_ok());
        let step = async { Err::<(), _>(ApiError::plain(Code::CallNotFound)) };
        let refused = admission.beside(step).await.unwrap_err();
        assert_eq!(refused.code(), Code::TooManyRequests);
    }
}
