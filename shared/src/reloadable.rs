//! The state of a function. It is built from the environment and the secrets, and rebuilt when the
//! secrets change.
//!
//! Secrets are part of the configuration, so clients and services receive their values and never
//! fetch them. They are fetched at init, again when they are five minutes old, and at once when
//! credentials are rejected (`docs/adr/0021-secrets-manager-and-reload.md`).

use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Deadline};
use crate::config::Env;
use crate::context::{AppContext, StartError};
use crate::error::{self, ApiError, Code};
use crate::net::{self, Connections, Preconnect};
use crate::refresh::{Loader, RefreshPolicy, RefreshingCache, TimedOut};
use crate::secrets::{ResolvedSecrets, SecretRefs, SecretSource, SecretsError, SecretsManager};
use crate::stream::StreamClient;

const POLICY: RefreshPolicy = RefreshPolicy {
    max_age: Duration::from_mins(5),
    cooldown: Duration::from_secs(30),
    retry_interval: Duration::from_secs(5),
    load_timeout: Duration::from_secs(3),
};

/// The state of a function, reloaded when its secrets change.
pub(crate) struct Reloadable<S: Send + Sync + 'static> {
    cache: RefreshingCache<StateLoader<S>>,
    clock: Arc<dyn Clock>,
    /// Whether the configuration names secrets to fetch. If not, the state never changes.
    has_secrets: bool,
    /// `None` in tests.
    preconnect: Option<Preconnect>,
}

/// The state of a function and the Stream client that it uses.
pub(crate) struct LoadedState<S> {
    pub(crate) state: S,
    pub(crate) stream: Option<StreamClient>,
}

impl<S> LoadedState<S> {
    /// Whether Stream has rejected the credentials of this state since the last call of this
    /// method.
    pub(crate) fn take_auth_failure(&self) -> bool {
        self.stream.as_ref().is_some_and(StreamClient::take_auth_failure)
    }
}

type Build<S> = Box<dyn Fn(Env) -> Result<LoadedState<S>, StartError> + Send + Sync>;

struct StateLoader<S: 'static> {
    env: Env,
    secret_refs: SecretRefs,
    /// `None` if the configuration names no secrets to fetch.
    source: Option<Box<dyn SecretSource>>,
    build: Build<S>,
}

struct Loaded<S: 'static> {
    /// Leaked, so that a handler may hold it while the state is replaced. Each change of secrets
    /// leaks a few kilobytes, and changes are rare within the life of a process.
    state: &'static LoadedState<S>,
    secrets: ResolvedSecrets,
}

impl<S: Send + Sync> Reloadable<S> {
    /// Reads which secrets to fetch. Sends no request and builds no state.
    pub(crate) fn new(
        env: Env,
        clock: Arc<dyn Clock>,
        connections: Connections,
        build: impl Fn(&AppContext) -> Result<S, StartError> + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let http = net::client_from_env(&env).map_err(StartError::Client)?;
        let secret_refs = SecretRefs::from_env(&env)?;
        let source = if secret_refs.is_empty() {
            None
        } else {
            let manager = SecretsManager::from_env(&env, http.clone())?;
            Some(Box::new(manager) as Box<dyn SecretSource>)
        };
        let preconnect = Some(Preconnect::new(connections, &env, http.clone()));
        let context_clock = Arc::clone(&clock);
        let build = move |env| {
            let context = AppContext::new(env, Arc::clone(&context_clock), http.clone())?;
            let stream = context.stream.as_ref().map(|stream| stream.client.clone());
            Ok(LoadedState { state: build(&context)?, stream })
        };
        let reloadable = Self::with_source(env, clock, secret_refs, source, Box::new(build));
        Ok(Self { preconnect, ..reloadable })
    }

    fn with_source(
        env: Env,
        clock: Arc<dyn Clock>,
        secret_refs: SecretRefs,
        source: Option<Box<dyn SecretSource>>,
        build: Build<S>,
    ) -> Self {
        let has_secrets = source.is_some();
        let max_age = if has_secrets { POLICY.max_age } else { Duration::MAX };
        let loader = StateLoader { env, secret_refs, source, build };
        let policy = RefreshPolicy { max_age, ..POLICY };
        let cache = RefreshingCache::new(loader, policy, Arc::clone(&clock));
        Self { cache, clock, has_secrets, preconnect: None }
    }

    /// Opens connections in the background, and builds the state before the first event. An invalid
    /// configuration is an error. If the secrets cannot be fetched, the first event fetches them
    /// again.
    pub(crate) async fn init(&self) -> Result<(), StartError> {
        if let Some(preconnect) = &self.preconnect {
            preconnect.start();
        }
        let deadline = Deadline::after(self.clock.now(), POLICY.load_timeout);
        match self.cache.refresh(deadline).await {
            Err(error @ StartError::Secrets(_)) => {
                log_failure(&error);
                Ok(())
            }
            // The process logs any other error and exits.
            result => result,
        }
    }

    /// The current state. If the secrets are older than five minutes, they are fetched first, and
    /// the state is rebuilt if they have changed.
    pub(crate) async fn current(
        &self,
        deadline: Deadline,
    ) -> Result<&'static LoadedState<S>, ApiError> {
        let loaded = self.cache.get(|_| true, deadline).await;
        loaded.map(|loaded| loaded.state).ok_or_else(|| {
            let retry_after = Some(self.cache.retry_after());
            ApiError::from_code(Code::SecretsUnavailable).with_retry_after(retry_after)
        })
    }

    /// The state with changed secrets after Stream has rejected those of `rejected`. Returns `None`
    /// if the secrets have not changed.
    pub(crate) async fn reload_after_auth_failure(
        &self,
        rejected: &'static LoadedState<S>,
        deadline: Deadline,
    ) -> Option<&'static LoadedState<S>> {
        if !self.has_secrets {
            return None;
        }
        let is_other = |loaded: &Loaded<S>| !ptr::eq(loaded.state, rejected);
        let loaded = self.cache.get(is_other, deadline).await?;
        is_other(&loaded).then_some(loaded.state)
    }
}

impl<S: Send + Sync> Loader for StateLoader<S> {
    type Value = Loaded<S>;
    type Error = StartError;

    async fn load(&self, cached: Option<Arc<Loaded<S>>>) -> Result<Arc<Loaded<S>>, StartError> {
        let secrets = match &self.source {
            Some(source) => self.secret_refs.fetch(&**source).await?,
            None => ResolvedSecrets::default(),
        };
        if let Some(cached) = &cached
            && cached.secrets.has_same_values(&secrets)
        {
            return Ok(Arc::clone(cached));
        }
        let state = (self.build)(secrets.apply_to(&self.env))?;
        if cached.is_some() {
            tracing::info!("secrets changed, function state rebuilt");
        }
        Ok(Arc::new(Loaded { state: Box::leak(Box::new(state)), secrets }))
    }

    fn log_failure(&self, error: &StartError) {
        log_failure(error);
    }
}

fn log_failure(error: &StartError) {
    tracing::error!(cause = error::format_chain(Some(error)), "loading the function state failed");
}

impl From<SecretsError> for StartError {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Invalid(error) => Self::Config(error),
            error => Self::Secrets(error.into()),
        }
    }
}

impl From<TimedOut> for StartError {
    fn from(_: TimedOut) -> Self {
        SecretsError::Timeout.into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::FutureExt as _;
    use secrecy::SecretString;

    use super::*;
    use crate::config::ConfigError;
    use crate::error::BoxError;
    use crate::sync::lock;
    use crate::test_support::FakeClock;

    /// The behavior of a fake source.
    #[derive(Clone, Copy)]
    enum SourceBehavior {
        Returns(&'static str),
        Fails,
        Hangs,
    }

    #[derive(Clone)]
    struct FakeSource(Arc<Mutex<(SourceBehavior, u32)>>);

    #[async_trait]
    impl SecretSource for FakeSource {
        async fn fetch(&self, _: &str) -> Result<SecretString, BoxError> {
            let behavior = {
                let mut state = lock(&self.0);
                state.1 += 1;
                state.0
            };
            match behavior {
                SourceBehavior::Returns(text) => Ok(SecretString::from(text)),
                SourceBehavior::Fails => Err("unavailable".into()),
                SourceBehavior::Hangs => std::future::pending().await,
            }
        }
    }

    struct Fixture {
        source: FakeSource,
        clock: Arc<FakeClock>,
        reloadable: Reloadable<String>,
    }

    const OLD: SourceBehavior = SourceBehavior::Returns(r#"{"secret":"old"}"#);
    const NEW: SourceBehavior = SourceBehavior::Returns(r#"{"secret":"new"}"#);
    const BAD: SourceBehavior = SourceBehavior::Returns(r#"{"secret":"bad"}"#);

    impl Fixture {
        fn new(env: Env, behavior: SourceBehavior) -> Self {
            let fake_source = FakeSource(Arc::new(Mutex::new((behavior, 0))));
            let clock = Arc::new(FakeClock::default());
            let build = |env: Env| match env.get("STREAM_API_SECRET") {
                Some("bad") => Err(ConfigError::invalid("STREAM_API_SECRET", "is bad").into()),
                secret => {
                    Ok(LoadedState { state: secret.unwrap_or("none").to_owned(), stream: None })
                }
            };
            let secret_refs = SecretRefs::from_env(&env).unwrap();
            let source = (!secret_refs.is_empty()).then(|| Box::new(fake_source.clone()) as Box<_>);
            let reloadable =
                Reloadable::with_source(env, clock.clone(), secret_refs, source, Box::new(build));
            Self { source: fake_source, clock, reloadable }
        }

        fn with_secret_arn(behavior: SourceBehavior) -> Self {
            Self::new(Env::from([("STREAM_SECRET_ARN", "arn")]), behavior)
        }

        fn started(behavior: SourceBehavior) -> Self {
            let fixture = Self::with_secret_arn(behavior);
            assert!(fixture.init().is_ok());
            fixture
        }

        fn set_behavior(&self, behavior: SourceBehavior) {
            lock(&self.source.0).0 = behavior;
        }

        fn fetch_count(&self) -> u32 {
            lock(&self.source.0).1
        }

        fn advance(&self, secs: u64) {
            self.clock.advance(Duration::from_secs(secs));
        }

        fn deadline(&self) -> Deadline {
            Deadline::after(self.clock.now(), Duration::from_secs(10))
        }

        fn init(&self) -> Result<(), StartError> {
            self.reloadable.init().now_or_never().unwrap()
        }

        fn current(&self) -> Result<&'static LoadedState<String>, ApiError> {
            self.reloadable.current(self.deadline()).now_or_never().unwrap()
        }

        fn secret(&self) -> Result<&'static str, Code> {
            self.current().map(|loaded| loaded.state.as_str()).map_err(|error| error.code())
        }

        fn reload_after_auth_failure(
            &self,
            stale: &'static LoadedState<String>,
        ) -> Option<&'static str> {
            let reloaded = self.reloadable.reload_after_auth_failure(stale, self.deadline());
            reloaded.now_or_never().unwrap().map(|loaded| loaded.state.as_str())
        }
    }

    #[test]
    fn no_fetch_without_secret_refs() {
        let fixture =
            Fixture::new(Env::from([("STREAM_API_SECRET", "plain")]), SourceBehavior::Fails);
        assert!(fixture.init().is_ok());
        fixture.advance(3_600);
        let value = fixture.current().unwrap();
        assert_eq!(
            (value.state.as_str(), fixture.reload_after_auth_failure(value)),
            ("plain", None)
        );
        assert_eq!(fixture.fetch_count(), 0);
    }

    #[test]
    fn secrets_are_refreshed_after_five_minutes() {
        let fixture = Fixture::started(OLD);
        fixture.set_behavior(NEW);
        fixture.advance(299);
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("old"), 1));
        fixture.advance(1);
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("new"), 2));
        fixture.advance(299);
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("new"), 2));
    }

    #[test]
    fn unchanged_secrets_do_not_rebuild() {
        let fixture = Fixture::started(OLD);
        let first = fixture.current().unwrap();
        fixture.advance(300);
        assert!(ptr::eq(first, fixture.current().unwrap()));
        assert_eq!(fixture.fetch_count(), 2);
    }

    #[test]
    fn cached_value_is_used_when_refresh_fails() {
        for (behavior, expected_secs) in
            [(SourceBehavior::Fails, 0), (SourceBehavior::Hangs, 3), (BAD, 0)]
        {
            let fixture = Fixture::started(OLD);
            fixture.set_behavior(behavior);
            fixture.advance(300);
            let started_at = fixture.clock.now();
            assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("old"), 2));
            assert_eq!(fixture.clock.now().since(started_at).as_secs(), expected_secs);
            fixture.advance(29);
            assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("old"), 2));
            fixture.set_behavior(NEW);
            fixture.advance(1);
            assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("new"), 3));
        }
    }

    #[test]
    fn secrets_are_unavailable_until_a_fetch_succeeds() {
        for behavior in [SourceBehavior::Fails, SourceBehavior::Hangs] {
            let fixture = Fixture::started(behavior);
            for _ in 0..10 {
                let error = fixture.current().err().unwrap();
                assert_eq!(error.code(), Code::SecretsUnavailable);
                assert_eq!(error.retry_after(), Some(POLICY.retry_interval));
            }
            assert_eq!(fixture.fetch_count(), 1);
            fixture.set_behavior(OLD);
            fixture.advance(5);
            assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("old"), 2));
        }
    }

    #[test]
    fn invalid_secrets_fail_init() {
        for behavior in [BAD, SourceBehavior::Returns("no JSON")] {
            assert!(matches!(
                Fixture::with_secret_arn(behavior).init(),
                Err(StartError::Config(_))
            ));
        }
    }

    #[test]
    fn auth_failure_reloads_secrets_once_per_cooldown() {
        let fixture = Fixture::started(OLD);
        let old = fixture.current().unwrap();
        fixture.set_behavior(NEW);
        assert_eq!(
            (fixture.reload_after_auth_failure(old), fixture.fetch_count()),
            (Some("new"), 2)
        );
        // Another request with the old state gets the new one without a fetch.
        assert_eq!(
            (fixture.reload_after_auth_failure(old), fixture.fetch_count()),
            (Some("new"), 2)
        );
        let new = fixture.current().unwrap();
        assert_eq!((fixture.reload_after_auth_failure(new), fixture.fetch_count()), (None, 2));
        fixture.advance(30);
        assert_eq!((fixture.reload_after_auth_failure(new), fixture.fetch_count()), (None, 3));
        fixture.set_behavior(SourceBehavior::Fails);
        fixture.advance(30);
        assert_eq!((fixture.reload_after_auth_failure(new), fixture.fetch_count()), (None, 4));
        assert_eq!(fixture.secret(), Ok("new"));
    }

    #[test]
    fn expired_deadline_skips_the_fetch() {
        let fixture = Fixture::started(OLD);
        fixture.set_behavior(NEW);
        fixture.advance(300);
        let expired = Deadline::after(fixture.clock.now(), Duration::ZERO);
        let old = fixture.reloadable.current(expired).now_or_never().unwrap().unwrap();
        assert_eq!((old.state.as_str(), fixture.fetch_count()), ("old", 1));
        let reloaded = fixture.reloadable.reload_after_auth_failure(old, expired).now_or_never();
        assert!(reloaded.unwrap().is_none());
        // A request with time left still fetches the secrets.
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("new"), 2));
    }

    #[test]
    fn cached_value_is_used_during_a_refresh() {
        let fixture = Fixture::started(OLD);
        fixture.set_behavior(NEW);
        fixture.advance(300);
        let guard = fixture.reloadable.cache.hold_refresh_lock();
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("old"), 1));
        drop(guard);
        assert_eq!((fixture.secret(), fixture.fetch_count()), (Ok("new"), 2));
    }
}
