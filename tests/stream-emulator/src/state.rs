//! The state of the emulator, behind one mutex that is never held across an await.
//!
//! Every operation runs through [`State::with_inner`]. It first runs the timeouts and delayed
//! requests that are due, and afterwards publishes the new events to sockets and webhooks.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::auth::{Claims, SignatureCheck};
use crate::delayed::DelayedRequests;
use crate::dispatch::{Caller, dispatch};
use crate::error::StreamError;
use crate::event_log::EventLog;
use crate::faults::{Fault, FaultScript};
use crate::operation::{Operation, RequestCounts};
use crate::rate_limit::RateWindows;
use crate::realtime::{Realtime, WatchRequest, is_webhook_event};
use crate::request::ApiRequest;
use crate::response::ApiResponse;
use crate::route::Route;
use crate::settings::Settings;
use crate::timestamp::Timestamp;
use crate::views::UserToken;
use crate::webhooks::{DeliveryAttempt, PendingDelivery, Webhooks};
use crate::world::{TokenUser, World};

/// The emulated app.
#[derive(Debug)]
pub(crate) struct State {
    settings: Settings,
    inner: Mutex<Inner>,
    /// Notified when a webhook is queued.
    delivery_queued: Notify,
    /// Notified when a webhook was delivered or abandoned.
    delivery_finished: Notify,
}

/// Why a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// By a fault rule.
    Injected(Fault),
    /// By an exceeded rate limit.
    RateLimited(Fault),
}

/// The state behind the mutex.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) faults: FaultScript,
    pub(crate) request_counts: RequestCounts,
    pub(crate) rate_windows: RateWindows,
    pub(crate) date_skew: i64,
    pub(crate) delayed: DelayedRequests,
    pub(crate) events: EventLog,
    pub(crate) realtime: Realtime,
    pub(crate) webhooks: Webhooks,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut inner = Inner::default();
        inner.world.set_join_mode(settings.join_mode);
        Self {
            settings,
            inner: Mutex::new(inner),
            delivery_queued: Notify::new(),
            delivery_finished: Notify::new(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs the timeouts and delayed requests that are due, and then the action at the current
    /// time. Publishes all new events.
    pub(crate) fn with_inner<T>(&self, action: impl FnOnce(&mut Inner, Timestamp) -> T) -> T {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let now = self.now();
        self.run_due(inner, now);
        inner.close_unauthorized_sockets(now);
        inner.publish(&self.settings, now);
        let outcome = action(inner, now);
        inner.close_unauthorized_sockets(now);
        inner.publish(&self.settings, now);
        let has_queued = inner.webhooks.has_queued();
        drop(guard);
        if has_queued {
            self.delivery_queued.notify_one();
        }
        outcome
    }

    /// Runs the timeouts and delayed requests that are due.
    pub(crate) fn tick(&self) {
        self.with_inner(|_, _| ());
    }

    /// Counts an arriving request and returns the fault to apply: that of a fault rule or else that
    /// of an exceeded rate limit.
    pub(crate) fn record_request(&self, operation: Operation) -> Option<RequestFault> {
        self.with_inner(|inner, now| {
            inner.request_counts.increment(operation);
            let is_within_limit = inner.rate_windows.try_acquire(operation, now);
            let is_rate_limited = self.settings.enforce_rate_limits && !is_within_limit;
            let scripted = inner.faults.next_fault(operation);
            let limited = Fault::TooManyRequests { retry_after: None };
            scripted
                .map(RequestFault::Injected)
                .or_else(|| is_rate_limited.then_some(RequestFault::RateLimited(limited)))
        })
    }

    /// Executes a request now.
    pub(crate) fn handle(&self, request: &ApiRequest) -> ApiResponse {
        self.with_inner(|inner, now| self.handle_at(inner, request, now))
    }

    /// Schedules a request for when the clock has advanced by the delay.
    pub(crate) fn schedule_request(&self, request: ApiRequest, delay: Duration) {
        self.with_inner(|inner, now| inner.delayed.push(now.plus(delay), request));
    }

    /// The result of a connection with this user token.
    pub(crate) fn check_user_token(&self, token: &str) -> Result<UserToken, StreamError> {
        self.with_inner(|inner, now| {
            let secret = &self.settings.api_secret();
            let claims = Claims::from_token(token, secret, signature_check(&inner.world), now)?;
            inner.world.app().ensure_not_suspended()?;
            let user_id = claims
                .user()
                .map(str::to_owned)
                .ok_or_else(|| StreamError::unauthenticated(5, "the token has no user_id"))?;
            inner.world.check_can_connect(&user_id, claims.iat)?;
            let Claims { iat, exp, call_cids, role, .. } = claims;
            Ok(UserToken { user_id, iat, exp, call_cids, role })
        })
    }

    /// The error response of a fault or an exceeded rate limit.
    pub(crate) fn error_response(&self, operation: Operation, error: &StreamError) -> ApiResponse {
        let mut rate = self.with_inner(|inner, now| inner.rate_windows.status(operation, now));
        if error.status() == 429 {
            rate.remaining = 0;
        }
        ApiResponse::from_error(error).with_rate_limit(rate)
    }

    /// The value of the `Date` header, shifted by the skew that a test sets.
    pub(crate) fn date_header(&self) -> String {
        let now = (self.settings.now)();
        let skew = self.lock().date_skew;
        let offset = Duration::from_secs(skew.unsigned_abs());
        let shifted = if skew < 0 { now.checked_sub(offset) } else { now.checked_add(offset) };
        httpdate::fmt_http_date(shifted.unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// The whole world as JSON, in a deterministic order.
    pub(crate) fn snapshot(&self) -> Value {
        self.with_inner(|inner, _| serde_json::to_value(&inner.world).unwrap_or_default())
    }

    /// The next webhook to send, to a hook that has not reached the concurrency limit.
    pub(crate) fn next_delivery(&self) -> Option<PendingDelivery> {
        self.lock().webhooks.next_delivery()
    }

    /// Resolves when a webhook may have been queued.
    pub(crate) async fn wait_for_delivery(&self) {
        self.delivery_queued.notified().await;
    }

    pub(crate) fn begin_attempt(&self, delivery: &PendingDelivery) {
        let now = self.now();
        self.lock().webhooks.begin_attempt(delivery.webhook_id(), delivery.copy(), now);
    }

    pub(crate) fn record_attempt(&self, attempt: DeliveryAttempt, backoff: Option<Duration>) {
        let now = self.now();
        self.lock().webhooks.record_attempt(attempt, backoff, now);
    }

    /// Marks a webhook as delivered or abandoned.
    pub(crate) fn finish_delivery(&self, url: &str) {
        self.lock().webhooks.finish_delivery(url);
        self.delivery_finished.notify_waiters();
    }

    /// Resolves when no webhook is queued or in flight.
    pub(crate) async fn webhooks_idle(&self) {
        self.tick();
        loop {
            let mut finished = pin!(self.delivery_finished.notified());
            // Registers before the check, so that no notification is missed in between.
            finished.as_mut().enable();
            if self.lock().webhooks.is_idle() {
                return;
            }
            finished.await;
        }
    }

    /// Discards delayed requests and pending webhooks, since no task remains to run them.
    pub(crate) fn shut_down(&self) {
        let mut inner = self.lock();
        inner.delayed.clear();
        inner.webhooks.close();
        drop(inner);
        self.delivery_finished.notify_waiters();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_system_time((self.settings.now)())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs all timeouts and delayed requests that are due, in order and each at its own due time.
    /// Publishes the events of each before the next one changes the world.
    fn run_due(&self, inner: &mut Inner, now: Timestamp) {
        let is_due = |due: &Timestamp| *due <= now;
        loop {
            let timeout_at = inner.world.next_timeout_at().filter(is_due);
            let delayed_at = inner.delayed.next_due().filter(is_due);
            let next_timeout_at = timeout_at
                .filter(|timeout_at| delayed_at.is_none_or(|delayed_at| *timeout_at <= delayed_at));
            let due_at = if let Some(timeout_at) = next_timeout_at {
                inner.world.run_next_timeout();
                timeout_at
            } else if let Some((due_at, request)) = delayed_at.and_then(|_| inner.delayed.pop()) {
                self.handle_at(inner, &request, due_at);
                due_at
            } else {
                return;
            };
            inner.close_unauthorized_sockets(due_at);
            inner.publish(&self.settings, due_at);
        }
    }

    fn handle_at(&self, inner: &mut Inner, request: &ApiRequest, now: Timestamp) -> ApiResponse {
        let operation = request.route.operation();
        let outcome = self.authorize(&inner.world, request, now).and_then(|caller| {
            self.execute(inner, request, &caller, now)
                .map_err(|error| error.with_operation(operation))
        });
        let response = match outcome {
            Ok(mut body) => {
                body["duration"] = response_duration(operation);
                request.format_response(&mut body);
                ApiResponse::json(request.success_status, &body)
            }
            Err(error) => ApiResponse::from_error(&error),
        };
        response.with_rate_limit(inner.rate_windows.status(operation, now))
    }

    /// Executes an operation, and subscribes the socket that the request names.
    fn execute(
        &self,
        inner: &mut Inner,
        request: &ApiRequest,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Value, StreamError> {
        let Caller::User(user) = caller else { return dispatch(inner, request, caller, now) };
        let watch = WatchRequest::from_request(request)?;
        if let Some(watch) = &watch {
            inner.check_watch(watch, user.id())?;
        }
        let mut body = dispatch(inner, request, caller, now)?;
        if let Some(watch) = &watch {
            inner.start_watching(watch, &mut body, &self.settings, now);
        }
        Ok(body)
    }

    /// Verifies the token of a request. What it permits depends on the operation.
    fn authorize(
        &self,
        world: &World,
        request: &ApiRequest,
        now: Timestamp,
    ) -> Result<Caller, StreamError> {
        // The video client reports its connection before it has a token.
        if request.route == Route::ReportClientEvents && request.credentials.is_anonymous() {
            return Ok(Caller::Anonymous);
        }
        let claims = request.credentials.verify(&self.settings, signature_check(world), now)?;
        world.app().ensure_not_suspended()?;
        let Some(user_id) = claims.user().map(str::to_owned) else { return Ok(Caller::Server) };
        world.check_can_connect(&user_id, claims.iat)?;
        Ok(Caller::User(TokenUser::new(user_id, claims.role, &claims.call_cids)))
    }
}

impl Inner {
    /// Queues the new events for sockets and webhooks, in the same order.
    pub(crate) fn publish(&mut self, settings: &Settings, now: Timestamp) {
        loop {
            let events = self.world.take_events();
            if events.is_empty() {
                return;
            }
            for event in events {
                self.realtime.deliver(&event, &self.world);
                if is_webhook_event(event["type"].as_str().unwrap_or_default()) {
                    self.webhooks.handle_event(&event, self.world.app(), settings, now);
                }
                self.events.push(event, now);
            }
            // The end of a socket can emit more events.
            self.close_overflowed_sockets(now);
        }
    }

    pub(crate) fn signature_check(&self) -> SignatureCheck {
        signature_check(&self.world)
    }
}

/// The `duration` of a response. One operation returns a number of milliseconds, the others a text.
fn response_duration(operation: Operation) -> Value {
    if operation == Operation::QueryCallParticipantSessions { json!(1) } else { json!("0.42ms") }
}

fn signature_check(world: &World) -> SignatureCheck {
    if world.app().disable_auth_checks { SignatureCheck::Disabled } else { SignatureCheck::Enabled }
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
    const SERVER_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                          PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";

    /// A state and its manual clock, in unix seconds.
    fn state_with_clock() -> (State, Arc<AtomicU64>) {
        let clock = Arc::new(AtomicU64::new(NOW));
        let time = Arc::clone(&clock);
        let settings = Settings::new("testkey123", "test-secret-0123456789abcdef0123456789abcdef")
            .with_clock(move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::SeqCst)));
        (State::new(settings), clock)
    }

    fn post_request(path: &str, body: &Value) -> ApiRequest {
        let (head, ()) = Request::post(format!("/api/v2/{path}?api_key=testkey123"))
            .header("stream-auth-type", "jwt")
            .header("authorization", SERVER_TOKEN)
            .body(())
            .expect("a request")
            .into_parts();
        ApiRequest::new(&head, Bytes::from(body.to_string()))
    }

    fn state_with_joined_call() -> (State, Arc<AtomicU64>) {
        let (state, clock) = state_with_clock();
        state.handle(&post_request("users", &json!({ "users": { "alice": { "id": "alice" } } })));
        let settings = json!({ "session": { "inactivity_timeout_seconds": 10 } });
        let data = json!({ "created_by_id": "alice", "settings_override": settings });
        state.handle(&post_request("video/call/default/c", &json!({ "data": data })));
        state.with_inner(|inner, now| inner.world.join("default:c", "alice", now)).expect("a join");
        (state, clock)
    }

    #[test]
    fn date_header_can_be_skewed_both_ways() {
        let clock = || UNIX_EPOCH + Duration::from_hours(490_896);
        let state = State::new(Settings::new("k", "s").with_clock(clock));
        assert_eq!(state.date_header(), "Thu, 01 Jan 2026 00:00:00 GMT");
        state.with_inner(|inner, _| inner.date_skew = -60);
        assert_eq!(state.date_header(), "Wed, 31 Dec 2025 23:59:00 GMT");
        state.with_inner(|inner, _| inner.date_skew = 61);
        assert_eq!(state.date_header(), "Thu, 01 Jan 2026 00:01:01 GMT");
    }

    #[test]
    fn delayed_requests_take_effect_at_their_due_times_in_order() {
        let (state, clock) = state_with_joined_call();
        // The empty session would end after 10 s. The call ends after 5 s, and carol is created
        // after 30 s.
        state.with_inner(|inner, now| inner.world.leave("default:c", None, now));
        let carol = json!({ "users": { "carol": { "id": "carol" } } });
        state.schedule_request(post_request("users", &carol), Duration::from_secs(30));
        let end = post_request("video/call/default/c/mark_ended", &json!({}));
        state.schedule_request(end, Duration::from_secs(5));
        clock.fetch_add(4, Ordering::SeqCst);
        let call =
            || state.with_inner(|inner, _| inner.world.call_view("default:c")).expect("the call");
        assert_eq!(call().ended_at, None);
        clock.fetch_add(60, Ordering::SeqCst);
        let nanos_after_start = |seconds: u64| {
            Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(NOW + seconds)).as_nanos()
        };
        assert_eq!(call().ended_at, Some(nanos_after_start(5)));
        assert_eq!(call().session_ended_at, Some(nanos_after_start(5)));
        let carol = state.with_inner(|inner, _| inner.world.user_view("carol")).expect("carol");
        assert_eq!(carol.created_at, nanos_after_start(30));
    }

    #[test]
    fn timeout_runs_before_a_later_delayed_request() {
        let (state, clock) = state_with_joined_call();
        state.with_inner(|inner, now| inner.world.leave("default:c", None, now));
        let end = post_request("video/call/default/c/mark_ended", &json!({}));
        state.schedule_request(end, Duration::from_secs(15));
        clock.fetch_add(60, Ordering::SeqCst);
        let call =
            state.with_inner(|inner, _| inner.world.call_view("default:c")).expect("the call");
        let seconds_after_start = |end: Option<i64>| {
            Timestamp::from_nanos(end.expect("an end time"))
                .seconds_since(Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(NOW)))
        };
        assert_eq!(seconds_after_start(call.session_ended_at), 10);
        assert_eq!(seconds_after_start(call.ended_at), 15);
    }

    #[test]
    fn due_operations_are_logged_at_their_due_times() {
        let (state, clock) = state_with_joined_call();
        state.with_inner(|inner, now| inner.world.leave("default:c", None, now));
        let end = post_request("video/call/default/c/mark_ended", &json!({}));
        state.schedule_request(end, Duration::from_secs(15));
        clock.fetch_add(60, Ordering::SeqCst);
        let start = Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(NOW));
        let logged: Vec<_> = state.with_inner(|inner, _| {
            let events = inner.events.of_cid_after("default:c", start);
            events
                .map(|it| (it.event["type"].clone(), it.emitted_at.seconds_since(start)))
                .collect()
        });
        let expected = [("call.session_ended", 10), ("call.ended", 15)];
        assert_eq!(logged, expected.map(|(kind, seconds)| (json!(kind), seconds)));
    }

    #[test]
    fn shutdown_discards_delayed_requests() {
        let (state, clock) = state_with_joined_call();
        let end = post_request("video/call/default/c/mark_ended", &json!({}));
        state.schedule_request(end, Duration::from_secs(5));
        state.shut_down();
        clock.fetch_add(60, Ordering::SeqCst);
        let call =
            state.with_inner(|inner, _| inner.world.call_view("default:c")).expect("the call");
        assert_eq!(call.ended_at, None);
    }

    #[test]
    fn exhausted_rate_limit_rejects_only_when_enforced() {
        for (enforced, expected) in [(true, 60), (false, 70)] {
            let settings = Settings::new("k", "s")
                .with_clock(|| UNIX_EPOCH)
                .with_rate_limits_enforced(enforced);
            let state = State::new(settings);
            let outcomes = (0..70).map(|_| state.record_request(Operation::DeleteChannel));
            assert_eq!(outcomes.filter(Option::is_none).count(), expected);
            state.with_inner(|inner, _| {
                assert_eq!(inner.request_counts.get(Operation::DeleteChannel), 70);
                assert_eq!(inner.rate_windows.peak(Operation::DeleteChannel), 70);
            });
        }
    }
}
