//! Everything that the emulator remembers, behind one mutex that is never held across an await.
//!
//! Whoever does or asks something does it through [`State::act`], so that what has fallen due by
//! then has happened first, and what arose from it is told afterwards.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::answer::Answer;
use crate::auth::{Claims, Signature};
use crate::dispatch::dispatch;
use crate::error::StreamFailure;
use crate::faults::{Fault, Script};
use crate::late::Late;
use crate::moment::Moment;
use crate::operation::{Counts, Operation};
use crate::rate::Windows;
use crate::request::Ask;
use crate::settings::Settings;
use crate::views::UserToken;
use crate::webhooks::{Delivery, Parcel, Webhooks};
use crate::world::World;

/// The emulated app.
#[derive(Debug)]
pub(crate) struct State {
    settings: Settings,
    inner: Mutex<Inner>,
    /// A webhook waits to be sent.
    posted: Notify,
    /// A webhook was sent, or given up.
    settled: Notify,
}

/// What the mutex guards.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) script: Script,
    pub(crate) counts: Counts,
    pub(crate) windows: Windows,
    pub(crate) date_skew: i64,
    pub(crate) late: Late,
    pub(crate) webhooks: Webhooks,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, inner: Mutex::default(), posted: Notify::new(), settled: Notify::new() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does something now.
    pub(crate) fn act<T>(&self, action: impl FnOnce(&mut Inner, Moment) -> T) -> T {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let now = Moment::of((self.settings.now)());
        self.catch_up(inner, now);
        inner.post(&self.settings);
        let outcome = action(inner, now);
        inner.post(&self.settings);
        let waiting = inner.webhooks.is_waiting();
        drop(guard);
        if waiting {
            self.posted.notify_one();
        }
        outcome
    }

    /// Lets what has fallen due happen, and nothing else.
    pub(crate) fn tick(&self) {
        self.act(|_, _| ());
    }

    /// Counts a request as it arrives and asks what is to become of it: the script says first, and
    /// then the rate limit.
    pub(crate) fn arrived(&self, operation: Operation) -> Option<Fault> {
        self.act(|inner, now| {
            inner.counts.add(operation);
            let room = inner.windows.spend(operation, now);
            let limited = self.settings.rate_limits && !room;
            let scripted = inner.script.next(operation);
            scripted.or_else(|| limited.then_some(Fault::TooManyRequests { retry_after: None }))
        })
    }

    /// Carries a request out.
    pub(crate) fn perform(&self, ask: &Ask) -> Answer {
        self.act(|inner, now| self.carry_out(inner, ask, now))
    }

    /// Keeps a request until the clock has gone on for so long.
    pub(crate) fn postpone(&self, ask: Ask, span: Duration) {
        self.act(|inner, now| inner.late.add(now.later(span), ask));
    }

    /// What connecting as a user with this token would come to.
    pub(crate) fn check_user_token(&self, token: &str) -> Result<UserToken, StreamFailure> {
        self.act(|inner, now| {
            let secret = &self.settings.api_secret();
            let claims = Claims::of(token, secret, signature(&inner.world), now)?;
            inner.world.app().not_suspended()?;
            let user_id = claims
                .user()
                .map(str::to_owned)
                .ok_or_else(|| StreamFailure::unauthenticated(5, "the token is for no user"))?;
            inner.world.admits(&user_id, claims.iat)?;
            let Claims { iat, exp, call_cids, role, .. } = claims;
            Ok(UserToken { user_id, iat, exp, call_cids, role })
        })
    }

    /// The error answer that a fault script or a rate limit asks for.
    pub(crate) fn fail(&self, operation: Operation, failure: &StreamFailure) -> Answer {
        let mut rate = self.act(|inner, now| inner.windows.left(operation, now));
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
        self.act(|inner, _| serde_json::to_value(&inner.world).unwrap_or_default())
    }

    /// The next webhook that may go out now.
    pub(crate) fn take_parcel(&self) -> Option<Parcel> {
        self.lock().webhooks.take()
    }

    /// Resolves when a webhook may have come to wait.
    pub(crate) async fn posted(&self) {
        self.posted.notified().await;
    }

    /// Remembers what became of one attempt.
    pub(crate) fn log(&self, delivery: Delivery) {
        self.lock().webhooks.log(delivery);
    }

    /// A webhook was sent, or given up.
    pub(crate) fn settle(&self) {
        self.lock().webhooks.settle();
        self.settled.notify_waiters();
    }

    /// Resolves when no webhook waits or is under way.
    pub(crate) async fn webhooks_idle(&self) {
        self.tick();
        loop {
            let mut settled = pin!(self.settled.notified());
            // Listens before it looks, so that nothing settles in between.
            settled.as_mut().enable();
            if self.lock().webhooks.is_idle() {
                return;
            }
            settled.await;
        }
    }

    /// Forgets what was still to happen or to be sent: nobody is there any more to do it.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.late.forget();
        inner.webhooks.close();
        drop(inner);
        self.settled.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything happen that is due by now, in order, and each at its own time.
    fn catch_up(&self, inner: &mut Inner, now: Moment) {
        let by_now = |due: &Moment| *due <= now;
        loop {
            let own = inner.world.due().filter(by_now);
            let late = inner.late.due().filter(by_now);
            if own.is_some_and(|own| late.is_none_or(|late| own <= late)) {
                inner.world.come_due();
            } else if let Some((due, ask)) = late.and_then(|_| inner.late.take()) {
                self.carry_out(inner, &ask, due);
            } else {
                return;
            }
        }
    }

    fn carry_out(&self, inner: &mut Inner, ask: &Ask, now: Moment) -> Answer {
        let operation = ask.route.operation();
        let outcome = self
            .authorize(&inner.world, ask, now)
            .and_then(|()| dispatch(inner, ask, now).map_err(|it| it.during(operation)));
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
}

impl Inner {
    /// Hands the events that arose to the webhooks.
    fn post(&mut self, settings: &Settings) {
        for event in self.world.take_events() {
            self.webhooks.arose(event, self.world.app(), settings);
        }
    }
}

fn signature(world: &World) -> Signature {
    if world.app().disable_auth_checks { Signature::Ignored } else { Signature::Checked }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use bytes::Bytes;
    use http::Request;

    use super::*;

    const NOW: u64 = 1_767_225_600;
    const SERVER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                          PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";

    /// A state whose clock is moved by hand, in seconds.
    fn state() -> (State, Arc<AtomicU64>) {
        let clock = Arc::new(AtomicU64::new(NOW));
        let time = Arc::clone(&clock);
        let settings = Settings::new("testkey123", "test-secret-0123456789abcdef0123456789abcdef")
            .clock(move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::SeqCst)));
        (State::new(settings), clock)
    }

    fn post(path: &str, body: &Value) -> Ask {
        let (head, ()) = Request::post(format!("/api/v2/{path}?api_key=testkey123"))
            .header("stream-auth-type", "jwt")
            .header("authorization", SERVER)
            .body(())
            .expect("a request")
            .into_parts();
        Ask::new(&head, Bytes::from(body.to_string()))
    }

    fn called() -> (State, Arc<AtomicU64>) {
        let (state, clock) = state();
        state.perform(&post("users", &json!({ "users": { "alice": { "id": "alice" } } })));
        let settings = json!({ "session": { "inactivity_timeout_seconds": 10 } });
        let data = json!({ "created_by_id": "alice", "settings_override": settings });
        state.perform(&post("video/call/default/c", &json!({ "data": data })));
        state.act(|inner, now| inner.world.join("default:c", "alice", now)).expect("a join");
        (state, clock)
    }

    #[test]
    fn the_date_can_be_shifted_both_ways() {
        let clock = || UNIX_EPOCH + Duration::from_hours(490_896);
        let state = State::new(Settings::new("k", "s").clock(clock));
        assert_eq!(state.date(), "Thu, 01 Jan 2026 00:00:00 GMT");
        state.act(|inner, _| inner.date_skew = -60);
        assert_eq!(state.date(), "Wed, 31 Dec 2025 23:59:00 GMT");
        state.act(|inner, _| inner.date_skew = 61);
        assert_eq!(state.date(), "Thu, 01 Jan 2026 00:01:01 GMT");
    }

    #[test]
    fn what_was_postponed_happens_at_its_time_and_in_order() {
        let (state, clock) = called();
        // The session is left at once, and would end after ten seconds; the call ends before that,
        // and a user comes after it.
        state.act(|inner, now| inner.world.leave("default:c", None, now));
        let carol = json!({ "users": { "carol": { "id": "carol" } } });
        state.postpone(post("users", &carol), Duration::from_secs(30));
        let end = post("video/call/default/c/mark_ended", &json!({}));
        state.postpone(end, Duration::from_secs(5));
        clock.fetch_add(4, Ordering::SeqCst);
        let call = || state.act(|inner, _| inner.world.call_view("default:c")).expect("the call");
        assert_eq!(call().ended_at, None);
        clock.fetch_add(60, Ordering::SeqCst);
        let after =
            |seconds: u64| Moment::of(UNIX_EPOCH + Duration::from_secs(NOW + seconds)).nanos();
        assert_eq!(call().ended_at, Some(after(5)));
        assert_eq!(call().session_ended_at, Some(after(5)));
        let carol = state.act(|inner, _| inner.world.user_view("carol")).expect("carol");
        assert_eq!(carol.created_at, after(30));
    }

    #[test]
    fn what_happens_by_itself_comes_before_a_later_request() {
        let (state, clock) = called();
        state.act(|inner, now| inner.world.leave("default:c", None, now));
        let end = post("video/call/default/c/mark_ended", &json!({}));
        state.postpone(end, Duration::from_secs(15));
        clock.fetch_add(60, Ordering::SeqCst);
        let call = state.act(|inner, _| inner.world.call_view("default:c")).expect("the call");
        let lasted = |end: Option<i64>| {
            Moment::from_nanos(end.expect("an end"))
                .seconds_since(Moment::of(UNIX_EPOCH + Duration::from_secs(NOW)))
        };
        assert_eq!(lasted(call.session_ended_at), 10);
        assert_eq!(lasted(call.ended_at), 15);
    }

    #[test]
    fn a_closed_state_forgets_what_was_to_come() {
        let (state, clock) = called();
        let end = post("video/call/default/c/mark_ended", &json!({}));
        state.postpone(end, Duration::from_secs(5));
        state.close();
        clock.fetch_add(60, Ordering::SeqCst);
        let call = state.act(|inner, _| inner.world.call_view("default:c")).expect("the call");
        assert_eq!(call.ended_at, None);
    }

    #[test]
    fn a_full_minute_refuses_unless_limits_are_off() {
        for (enforced, expected) in [(true, 60), (false, 70)] {
            let settings = Settings::new("k", "s").clock(|| UNIX_EPOCH).rate_limits(enforced);
            let state = State::new(settings);
            let outcomes = (0..70).map(|_| state.arrived(Operation::DeleteChannel));
            assert_eq!(outcomes.filter(Option::is_none).count(), expected);
            state.act(|inner, _| {
                assert_eq!(inner.counts.get(Operation::DeleteChannel), 70);
                assert_eq!(inner.windows.most(Operation::DeleteChannel), 70);
            });
        }
    }
}
