//! Everything that the emulator remembers, behind one mutex that is never held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::auth::{Claims, Signature};
use crate::dispatch::dispatch;
use crate::error::StreamFailure;
use crate::faults::{Fault, Script};
use crate::moment::Moment;
use crate::operation::{Counts, Operation};
use crate::rate::Windows;
use crate::request::Ask;
use crate::settings::Settings;
use crate::views::UserToken;
use crate::world::World;

/// The emulated app.
#[derive(Debug)]
pub(crate) struct State {
    settings: Settings,
    inner: Mutex<Inner>,
}

/// What the mutex guards.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) script: Script,
    pub(crate) counts: Counts,
    pub(crate) windows: Windows,
    pub(crate) date_skew: i64,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, inner: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::of((self.settings.now)())
    }

    /// Counts a request as it arrives and asks the script what is to become of it.
    pub(crate) fn arrived(&self, operation: Operation) -> Option<Fault> {
        let now = self.now();
        let mut inner = self.lock();
        inner.counts.add(operation);
        inner.windows.spend(operation, now);
        inner.script.next(operation)
    }

    /// Carries a request out.
    pub(crate) fn perform(&self, ask: &Ask) -> Answer {
        let now = self.now();
        let operation = ask.route.operation();
        let mut inner = self.lock();
        let outcome = self
            .authorize(&inner.world, ask, now)
            .and_then(|()| dispatch(&mut inner, ask, now).map_err(|it| it.during(operation)));
        let answer = match outcome {
            Ok(mut body) => {
                body["duration"] = json!("0.42ms");
                Answer::json(ask.success, &body)
            }
            Err(failure) => Answer::failure(&failure),
        };
        answer.rate_limited(inner.windows.left(operation, now))
    }

    /// Every operation here is a server's.
    fn authorize(&self, world: &World, ask: &Ask, now: Moment) -> Result<(), StreamFailure> {
        let claims = ask.credentials.verify(&self.settings, signature(world), now)?;
        world.app().not_suspended()?;
        let Some(user) = claims.user() else { return Ok(()) };
        world.admits(user, claims.iat)?;
        Err(StreamFailure::forbidden(format!("a token of user {user} may not do this")))
    }

    /// What connecting as a user with this token would come to.
    pub(crate) fn check_user_token(&self, token: &str) -> Result<UserToken, StreamFailure> {
        let now = self.now();
        let inner = self.lock();
        let secret = &self.settings.api_secret;
        let claims = Claims::of(token, secret, signature(&inner.world), now)?;
        inner.world.app().not_suspended()?;
        let user_id = claims
            .user()
            .map(str::to_owned)
            .ok_or_else(|| StreamFailure::unauthenticated(5, "the token is for no user"))?;
        inner.world.admits(&user_id, claims.iat)?;
        let Claims { iat, exp, call_cids, role, .. } = claims;
        Ok(UserToken { user_id, iat, exp, call_cids, role })
    }

    /// The error answer that a fault script asks for.
    pub(crate) fn fail(&self, operation: Operation, failure: &StreamFailure) -> Answer {
        let now = self.now();
        let mut rate = self.lock().windows.left(operation, now);
        if failure.status() == 429 {
            rate.remaining = 0;
        }
        Answer::failure(failure).rate_limited(rate)
    }

    /// The `Date` header's value; tests shift it to play a clock that is wrong.
    pub(crate) fn date(&self) -> String {
        let now = (self.settings.now)();
        let skew = self.lock().date_skew;
        let distance = Duration::from_secs(skew.unsigned_abs());
        let shown = if skew < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        httpdate::fmt_http_date(shown.unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// Everything that the world holds, in an order that does not depend on chance.
    pub(crate) fn snapshot(&self) -> Value {
        serde_json::to_value(&self.lock().world).unwrap_or_default()
    }
}

fn signature(world: &World) -> Signature {
    if world.app().disable_auth_checks { Signature::Ignored } else { Signature::Checked }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_date_can_be_shifted_both_ways() {
        let clock = || UNIX_EPOCH + Duration::from_hours(490_896);
        let state = State::new(Settings::new("k", "s").clock(clock));
        assert_eq!(state.date(), "Thu, 01 Jan 2026 00:00:00 GMT");
        state.lock().date_skew = -60;
        assert_eq!(state.date(), "Wed, 31 Dec 2025 23:59:00 GMT");
        state.lock().date_skew = 61;
        assert_eq!(state.date(), "Thu, 01 Jan 2026 00:01:01 GMT");
    }
}
