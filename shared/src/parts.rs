//! A function's parts: built from its configuration, and again when its secrets have changed.
//!
//! Secrets are part of the configuration, so nothing that is built holds a way to fetch them. They
//! are fetched when the process starts, looked at again after five minutes, and at once where
//! somebody's refusal says that they may be others by now.

use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;

use crate::clock::{Clock, Deadline, Timestamp, rests, within};
use crate::config::Env;
use crate::error::{self, ApiError, Code};
use crate::net;
use crate::secrets::{NoSecrets, SecretSource, SecretsManager, Values, Wanted};
use crate::sync::lock;
use crate::world::{StartError, World};

/// Secrets of this age are looked at again.
const MAX_AGE: Duration = Duration::from_mins(5);
/// This long nobody asks again after a failure or for a refusal, while there are old ones.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Without any nothing works, so they are asked for again sooner.
const RETRY: Duration = Duration::from_secs(5);
/// How long they may take to come.
const LONGEST: Duration = Duration::from_secs(3);

/// A function's parts.
pub(crate) struct Parts<T: 'static> {
    build: Box<dyn Fn(Env) -> Result<T, StartError> + Send + Sync>,
    env: Env,
    clock: Arc<dyn Clock>,
    wanted: Wanted,
    /// Where they are fetched; nowhere where none are wanted.
    source: Option<Box<dyn SecretSource>>,
    state: Mutex<State<T>>,
    /// Held by whoever fetches secrets, so that nobody else does at the same time.
    flight: AsyncMutex<()>,
}

struct State<T: 'static> {
    built: Option<Built<T>>,
    /// When a fetch failed, unless one has succeeded since.
    failed: Option<Timestamp>,
    /// When secrets were last asked for because of a refusal.
    refused: Option<Timestamp>,
}

struct Built<T: 'static> {
    /// As long as the process: a handler may hold on to them. So a change of secrets leaves some
    /// kilobytes behind, and a process sees few of those.
    parts: &'static T,
    values: Values,
    since: Timestamp,
}

/// What is due before the parts are used.
#[derive(PartialEq, Eq)]
enum Due {
    Nothing,
    /// The old ones do until it is done.
    Renewal,
    /// There are none.
    Everything,
}

impl<T: Send + Sync> Parts<T> {
    /// Reads which secrets are wanted, and from where. Nothing is sent or built yet.
    pub(crate) fn open(
        env: Env,
        clock: Arc<dyn Clock>,
        build: impl Fn(&World) -> Result<T, StartError> + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let http = net::client_from_env(&env).map_err(StartError::Client)?;
        let wanted = Wanted::from_env(&env)?;
        let source = if wanted.is_empty() {
            None
        } else {
            let manager = SecretsManager::from_env(&env, http.clone())?;
            Some(Box::new(manager) as Box<dyn SecretSource>)
        };
        let its_clock = Arc::clone(&clock);
        let build = move |env| build(&World::open(env, Arc::clone(&its_clock), http.clone())?);
        Ok(Self::over(env, clock, wanted, source, Box::new(build)))
    }

    fn over(
        env: Env,
        clock: Arc<dyn Clock>,
        wanted: Wanted,
        source: Option<Box<dyn SecretSource>>,
        build: Box<dyn Fn(Env) -> Result<T, StartError> + Send + Sync>,
    ) -> Self {
        let state = Mutex::new(State { built: None, failed: None, refused: None });
        Self { build, env, clock, wanted, source, state, flight: AsyncMutex::new(()) }
    }

    /// Builds them before anything is asked of them. A configuration that cannot be used is an
    /// error; secrets that do not come now are asked for again with the first request.
    pub(crate) async fn start(&self) -> Result<(), StartError> {
        let deadline = Deadline::after(self.clock.now(), LONGEST);
        match self.fetch(deadline).await {
            Err(error @ (StartError::Config(_) | StartError::Client(_))) => Err(error),
            Ok(()) | Err(StartError::Secrets(_)) => Ok(()),
        }
    }

    /// The parts, built from secrets that are not older than they may be, where those can be had.
    pub(crate) async fn current(&self, deadline: Deadline) -> Result<&'static T, ApiError> {
        let flight = match self.due() {
            Due::Nothing => None,
            // It would only pass for a failure, and keep others from asking.
            _ if self.left(deadline).is_zero() => None,
            // If somebody does it already, the old ones are good meanwhile.
            Due::Renewal => self.flight.try_lock(),
            Due::Everything => within(&*self.clock, self.left(deadline), self.flight.lock()).await,
        };
        // Whoever was in flight before may have done it.
        if flight.is_some() && self.due() != Due::Nothing {
            // It is in the log.
            let _ = self.fetch(deadline).await;
        }
        let now = self.clock.now();
        let state = lock(&self.state);
        state.built.as_ref().map(|built| built.parts).ok_or_else(|| {
            let rest = rests(state.failed, RETRY, now).unwrap_or_default();
            ApiError::plain(Code::SecretsUnavailable).with_retry_after(Some(rest))
        })
    }

    /// Other parts than those that met a refusal, if the secrets have changed since.
    pub(crate) async fn after_refusal(
        &self,
        of: &'static T,
        deadline: Deadline,
    ) -> Option<&'static T> {
        self.source.as_ref()?;
        let _flight = within(&*self.clock, self.left(deadline), self.flight.lock()).await?;
        let others = || {
            let state = lock(&self.state);
            let parts = state.built.as_ref().map(|built| built.parts);
            parts.filter(|parts| !ptr::eq(*parts, of))
        };
        if let Some(others) = others() {
            return Some(others);
        }
        let now = self.clock.now();
        if self.left(deadline).is_zero() {
            return None;
        }
        {
            let mut state = lock(&self.state);
            if rests(state.refused, COOLDOWN, now).is_some() {
                return None;
            }
            state.refused = Some(now);
        }
        self.fetch(deadline).await.ok().and_then(|()| others())
    }

    fn due(&self) -> Due {
        let now = self.clock.now();
        let state = lock(&self.state);
        let Some(built) = &state.built else {
            let rests = rests(state.failed, RETRY, now).is_some();
            return if rests { Due::Nothing } else { Due::Everything };
        };
        let fresh = self.source.is_none()
            || rests(Some(built.since), MAX_AGE, now).is_some()
            || rests(state.failed, COOLDOWN, now).is_some();
        if fresh { Due::Nothing } else { Due::Renewal }
    }

    fn left(&self, deadline: Deadline) -> Duration {
        deadline.remaining(self.clock.now())
    }

    /// Fetches the secrets and builds what is built from them, unless they are what they were. A
    /// failure is in the log, and changes nothing of what is there.
    async fn fetch(&self, deadline: Deadline) -> Result<(), StartError> {
        let fetched = self.fetched(deadline).await;
        let now = self.clock.now();
        let taken = fetched.and_then(|values| self.take(values, now));
        let mut state = lock(&self.state);
        match taken {
            Ok(()) => {
                state.failed = None;
                Ok(())
            }
            Err(error) => {
                state.failed = Some(now);
                let cause = error::chain(Some(&error));
                tracing::error!(cause, "the secrets could not be taken over");
                Err(error)
            }
        }
    }

    async fn fetched(&self, deadline: Deadline) -> Result<Values, StartError> {
        let Some(source) = &self.source else { return Ok(Values::default()) };
        let time = self.left(deadline).min(LONGEST);
        let fetched = within(&*self.clock, time, self.wanted.fetch(&**source)).await;
        fetched.unwrap_or(Err(NoSecrets::Late)).map_err(|error| match error {
            NoSecrets::Unusable(error) => StartError::Config(error),
            error => StartError::Secrets(error.into()),
        })
    }

    fn take(&self, values: Values, now: Timestamp) -> Result<(), StartError> {
        let held = |state: &mut State<T>| {
            let same = state.built.as_mut().filter(|built| built.values.same_as(&values));
            same.map(|built| built.since = now).is_some()
        };
        if held(&mut lock(&self.state)) {
            return Ok(());
        }
        let parts = (self.build)(values.placed_in(&self.env))?;
        let parts: &'static T = Box::leak(Box::new(parts));
        let changed = lock(&self.state).built.replace(Built { parts, values, since: now });
        if changed.is_some() {
            tracing::info!("the secrets have changed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::config::ConfigError;
    use crate::error::Source;
    use crate::secret::Secret;

    /// A clock that stands until somebody sleeps or moves it.
    #[derive(Default)]
    struct Still(Mutex<Duration>);

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_767_225_600).plus(*lock(&self.0))
        }

        async fn sleep(&self, span: Duration) {
            *lock(&self.0) += span;
        }
    }

    /// What a source does.
    #[derive(Clone, Copy)]
    enum Does {
        Says(&'static str),
        Fails,
        Hangs,
    }

    #[derive(Clone)]
    struct Kept(Arc<Mutex<(Does, u32)>>);

    #[async_trait]
    impl SecretSource for Kept {
        async fn fetch(&self, _: &str) -> Result<Secret, Source> {
            let does = {
                let mut kept = lock(&self.0);
                kept.1 += 1;
                kept.0
            };
            match does {
                Does::Says(text) => Ok(Secret::new(text)),
                Does::Fails => Err("away".into()),
                Does::Hangs => std::future::pending().await,
            }
        }
    }

    struct Scene {
        kept: Kept,
        clock: Arc<Still>,
        parts: Parts<String>,
    }

    const OLD: Does = Does::Says(r#"{"secret":"old"}"#);
    const NEW: Does = Does::Says(r#"{"secret":"new"}"#);
    const BAD: Does = Does::Says(r#"{"secret":"bad"}"#);

    impl Scene {
        fn new(env: Env, does: Does) -> Self {
            let kept = Kept(Arc::new(Mutex::new((does, 0))));
            let clock = Arc::new(Still::default());
            let build = |env: Env| match env.get("STREAM_API_SECRET") {
                Some("bad") => Err(ConfigError::invalid("STREAM_API_SECRET", "is bad").into()),
                secret => Ok(secret.unwrap_or("none").to_owned()),
            };
            let wanted = Wanted::from_env(&env).unwrap();
            let source = (!wanted.is_empty()).then(|| Box::new(kept.clone()) as Box<_>);
            let parts = Parts::over(env, clock.clone(), wanted, source, Box::new(build));
            Self { kept, clock, parts }
        }

        fn fetching(does: Does) -> Self {
            Self::new(Env::from([("STREAM_SECRET_ARN", "arn")]), does)
        }

        fn started(does: Does) -> Self {
            let scene = Self::fetching(does);
            assert!(scene.start().is_ok());
            scene
        }

        fn does(&self, does: Does) {
            lock(&self.kept.0).0 = does;
        }

        fn asked(&self) -> u32 {
            lock(&self.kept.0).1
        }

        fn pass(&self, secs: u64) {
            *lock(&self.clock.0) += Duration::from_secs(secs);
        }

        fn deadline(&self) -> Deadline {
            Deadline::after(self.clock.now(), Duration::from_secs(10))
        }

        fn start(&self) -> Result<(), StartError> {
            self.parts.start().now_or_never().unwrap()
        }

        fn current(&self) -> Result<&'static String, ApiError> {
            self.parts.current(self.deadline()).now_or_never().unwrap()
        }

        fn secret(&self) -> Result<&'static str, Code> {
            self.current().map(String::as_str).map_err(|error| error.code())
        }

        fn after_refusal(&self, of: &'static String) -> Option<&'static str> {
            let refused = self.parts.after_refusal(of, self.deadline());
            refused.now_or_never().unwrap().map(String::as_str)
        }
    }

    #[test]
    fn without_secrets_to_fetch_nobody_is_asked() {
        let scene = Scene::new(Env::from([("STREAM_API_SECRET", "plain")]), Does::Fails);
        assert!(scene.start().is_ok());
        scene.pass(3_600);
        let parts = scene.current().unwrap();
        assert_eq!((parts.as_str(), scene.after_refusal(parts)), ("plain", None));
        assert_eq!(scene.asked(), 0);
    }

    #[test]
    fn secrets_are_looked_at_again_after_five_minutes() {
        let scene = Scene::started(OLD);
        scene.does(NEW);
        scene.pass(299);
        assert_eq!((scene.secret(), scene.asked()), (Ok("old"), 1));
        scene.pass(1);
        assert_eq!((scene.secret(), scene.asked()), (Ok("new"), 2));
        scene.pass(299);
        assert_eq!((scene.secret(), scene.asked()), (Ok("new"), 2));
    }

    #[test]
    fn what_has_not_changed_is_not_built_again() {
        let scene = Scene::started(OLD);
        let first = scene.current().unwrap();
        scene.pass(300);
        assert!(ptr::eq(first, scene.current().unwrap()));
        assert_eq!(scene.asked(), 2);
    }

    #[test]
    fn old_ones_are_kept_when_no_newer_ones_come() {
        for (does, least) in [(Does::Fails, 0), (Does::Hangs, 3), (BAD, 0)] {
            let scene = Scene::started(OLD);
            scene.does(does);
            scene.pass(300);
            let began = scene.clock.now();
            assert_eq!((scene.secret(), scene.asked()), (Ok("old"), 2));
            assert_eq!(scene.clock.now().since(began).as_secs(), least);
            scene.pass(29);
            assert_eq!((scene.secret(), scene.asked()), (Ok("old"), 2));
            scene.does(NEW);
            scene.pass(1);
            assert_eq!((scene.secret(), scene.asked()), (Ok("new"), 3));
        }
    }

    #[test]
    fn without_any_nothing_works_until_they_come() {
        for does in [Does::Fails, Does::Hangs] {
            let scene = Scene::started(does);
            for _ in 0..10 {
                let refused = scene.current().unwrap_err();
                assert_eq!(refused.code(), Code::SecretsUnavailable);
                assert_eq!(refused.retry_after(), Some(RETRY));
            }
            assert_eq!(scene.asked(), 1);
            scene.does(OLD);
            scene.pass(5);
            assert_eq!((scene.secret(), scene.asked()), (Ok("old"), 2));
        }
    }

    #[test]
    fn what_cannot_be_used_keeps_a_process_from_starting() {
        for does in [BAD, Does::Says("no JSON")] {
            assert!(matches!(Scene::fetching(does).start(), Err(StartError::Config(_))));
        }
    }

    #[test]
    fn a_refusal_has_them_looked_at_once() {
        let scene = Scene::started(OLD);
        let old = scene.current().unwrap();
        scene.does(NEW);
        assert_eq!((scene.after_refusal(old), scene.asked()), (Some("new"), 2));
        // Whoever still had the old ones asks nobody.
        assert_eq!((scene.after_refusal(old), scene.asked()), (Some("new"), 2));
        let new = scene.current().unwrap();
        assert_eq!((scene.after_refusal(new), scene.asked()), (None, 2));
        scene.pass(30);
        assert_eq!((scene.after_refusal(new), scene.asked()), (None, 3));
        scene.does(Does::Fails);
        scene.pass(30);
        assert_eq!((scene.after_refusal(new), scene.asked()), (None, 4));
        assert_eq!(scene.secret(), Ok("new"));
    }

    #[test]
    fn whoever_has_no_time_left_asks_nobody() {
        let scene = Scene::started(OLD);
        scene.does(NEW);
        scene.pass(300);
        let over = Deadline::after(scene.clock.now(), Duration::ZERO);
        let old = scene.parts.current(over).now_or_never().unwrap().unwrap();
        assert_eq!((old.as_str(), scene.asked()), ("old", 1));
        assert_eq!(scene.parts.after_refusal(old, over).now_or_never(), Some(None));
        // And whoever has some is not kept from it.
        assert_eq!((scene.secret(), scene.asked()), (Ok("new"), 2));
    }

    #[test]
    fn while_somebody_fetches_the_old_ones_do() {
        let scene = Scene::started(OLD);
        scene.does(NEW);
        scene.pass(300);
        let flight = scene.parts.flight.try_lock().unwrap();
        assert_eq!((scene.secret(), scene.asked()), (Ok("old"), 1));
        drop(flight);
        assert_eq!((scene.secret(), scene.asked()), (Ok("new"), 2));
    }
}
