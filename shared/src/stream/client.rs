//! The client of Stream's API. It sends an operation, retries it according to the retry policy and
//! parses the response.

use std::any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::error::BoxError;
use crate::random::Random;
use crate::stream::rate_limit::RateLimitTracker;
use crate::stream::retry::{self, AttemptFailure};
use crate::stream::retry_budget::RetryBudget;
use crate::stream::{
    ErrorResponse, Operation, RateLimit, RawResponse, Request, RequestStats, StreamError,
    Transport, TransportError,
};
use crate::sync::lock;

/// A client of Stream's API with the app's credentials. Clones share the retry budget and the
/// recorded rate limits.
#[derive(Clone)]
pub struct StreamClient {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    retry_budget: Arc<Mutex<RetryBudget>>,
    rate_limit_tracker: Arc<Mutex<RateLimitTracker>>,
    /// Whether Stream has rejected the credentials since the last [`Self::take_auth_failure`].
    has_auth_failure: Arc<AtomicBool>,
}

/// A response with its date and latency.
#[derive(Clone, Debug)]
pub struct TimedResponse<T> {
    /// The parsed body.
    pub body: T,
    /// The `Date` header: Stream's clock at the response, in whole seconds.
    pub date: Option<Timestamp>,
    /// The duration of the last attempt.
    pub latency: Duration,
}

impl StreamClient {
    /// A client with this transport.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            transport,
            clock,
            random,
            retry_budget: Arc::default(),
            rate_limit_tracker: Arc::default(),
            has_auth_failure: Arc::default(),
        }
    }

    /// The latest rate limits in Stream's responses, by the names of the operations.
    #[must_use]
    pub fn rate_limits(&self) -> BTreeMap<&'static str, RateLimit> {
        lock(&self.rate_limit_tracker).latest()
    }

    /// Whether Stream has rejected the credentials (401) since the last call of this method.
    pub(crate) fn take_auth_failure(&self) -> bool {
        self.has_auth_failure.swap(false, Ordering::Relaxed)
    }

    /// Sends an operation and parses its response.
    pub async fn send<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<O::Response, StreamError> {
        self.send_timed(operation, deadline).await.map(|response| response.body)
    }

    /// As [`StreamClient::send`], without retries.
    pub async fn send_once<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<O::Response, StreamError> {
        self.send_attempts(operation, deadline, 1).await.map(|response| response.body)
    }

    /// As [`StreamClient::send`], with the date and latency of the response.
    pub async fn send_timed<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<TimedResponse<O::Response>, StreamError> {
        self.send_attempts(operation, deadline, retry::MAX_ATTEMPTS).await
    }

    async fn send_attempts<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
        max_attempts: u32,
    ) -> Result<TimedResponse<O::Response>, StreamError> {
        let name = operation_name::<O>();
        let exchange = self.exchange(name, operation.request(), deadline, max_attempts);
        let (response, latency) = exchange.await?;
        Self::parse_response(operation, &response, latency)
    }

    /// Sends a request, with retries. Returns the successful response and the latency of its
    /// attempt. Not generic, so that a program contains it once.
    async fn exchange(
        &self,
        operation: &'static str,
        request: Request,
        deadline: Deadline,
        max_attempts: u32,
    ) -> Result<(RawResponse, Duration), StreamError> {
        let mut attempt = 1;
        loop {
            let started = self.clock.now();
            let timeout = deadline.remaining(started).min(retry::ATTEMPT_TIMEOUT);
            if timeout.is_zero() {
                return Err(StreamError::Unreachable("the deadline has passed".into()));
            }
            let response = self.transport.send(&request, timeout).await;
            let latency = self.clock.now().since(started);
            RequestStats::record(latency, response.as_ref().ok().map(|raw| raw.status));
            if let Ok(raw) = &response {
                if raw.status == 401 {
                    self.has_auth_failure.store(true, Ordering::Relaxed);
                }
                self.record_rate_limit(operation, raw);
            }
            let (failure, error) = match response {
                Ok(raw) if (200..=299).contains(&raw.status) => {
                    lock(&self.retry_budget).refund();
                    return Ok((raw, latency));
                }
                Ok(raw) => Self::parse_error(&raw),
                Err(TransportError::NotSent(source)) => {
                    (AttemptFailure::NotSent, StreamError::Unreachable(source))
                }
                Err(TransportError::NoResponse(source)) => {
                    (AttemptFailure::NoResponse, StreamError::Unreachable(source))
                }
                Err(TransportError::ResponseTooLarge) => {
                    return Err(StreamError::InvalidResponse("the response is too large".into()));
                }
            };
            if attempt >= max_attempts {
                return Err(error);
            }
            let remaining = deadline.remaining(self.clock.now());
            let jitter = self.random.unit_f64();
            let delay = retry::delay(attempt, failure, request.idempotency, remaining, jitter);
            match delay.filter(|_| lock(&self.retry_budget).try_acquire()) {
                Some(delay) => self.clock.sleep(delay).await,
                None => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Records the rate limit of a response and logs a newly exhausted one.
    fn record_rate_limit(&self, operation: &'static str, raw: &RawResponse) {
        let Some(rate_limit) = raw.rate_limit else { return };
        let now = raw.date.unwrap_or_else(|| self.clock.now());
        if lock(&self.rate_limit_tracker).record(operation, rate_limit, now) {
            let RateLimit { limit, reset, .. } = rate_limit;
            tracing::warn!(operation, limit, %reset, "Stream rate limit exhausted");
        }
    }

    fn parse_response<O: Operation>(
        operation: &O,
        raw: &RawResponse,
        latency: Duration,
    ) -> Result<TimedResponse<O::Response>, StreamError> {
        let invalid = |source: BoxError| Err(StreamError::InvalidResponse(source));
        // A struct would also be read from a list, by position.
        if !raw.body.trim_ascii_start().starts_with(b"{") {
            return invalid("the body is not a JSON object".into());
        }
        let body = match serde_json::from_slice(&raw.body) {
            Ok(body) => body,
            Err(error) => return invalid(ParseError::from(&error).into()),
        };
        if !operation.is_answered_by(&body) {
            return invalid("the body does not answer the request".into());
        }
        Ok(TimedResponse { body, date: raw.date, latency })
    }

    fn parse_error(raw: &RawResponse) -> (AttemptFailure, StreamError) {
        let response = ErrorResponse::parse(raw.status, &raw.body);
        let failure = AttemptFailure::ErrorStatus {
            status: raw.status,
            unrecoverable: response.unrecoverable,
            retry_after: raw.retry_after,
        };
        (failure, StreamError::from_response(response, raw.retry_after))
    }
}

/// The position of a parse error in a response. It omits the text, which may contain personal data.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
struct ParseError {
    line: usize,
    column: usize,
}

impl From<&serde_json::Error> for ParseError {
    fn from(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

/// The name of an operation's type, such as `GetApp`.
fn operation_name<O: Operation>() -> &'static str {
    let path = any::type_name::<O>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;
    use crate::ids::CallCid;
    use crate::stream::Idempotency;
    use crate::stream::ops::{EndCall, GetApp, GetOrCreateCall, SettingsOverride};
    use crate::test_support::FakeClock;

    struct FixedRandom;

    impl Random for FixedRandom {
        fn uuid_v4(&self) -> Uuid {
            Uuid::from_bytes([0xff; 16])
        }
    }

    /// Returns the given responses in order and records the requests.
    struct ScriptedTransport {
        responses: Mutex<VecDeque<Result<RawResponse, TransportError>>>,
        sent: Mutex<Vec<(Request, Duration)>>,
    }

    #[async_trait]
    impl Transport for ScriptedTransport {
        async fn send(
            &self,
            request: &Request,
            timeout: Duration,
        ) -> Result<RawResponse, TransportError> {
            self.sent.lock().unwrap().push((request.clone(), timeout));
            self.responses.lock().unwrap().pop_front().unwrap()
        }
    }

    fn response(status: u16, body: &'static str) -> Result<RawResponse, TransportError> {
        let body = body.as_bytes().into();
        Ok(RawResponse { status, retry_after: None, date: None, rate_limit: None, body })
    }

    fn no_response() -> Result<RawResponse, TransportError> {
        Err(TransportError::NoResponse("reset".into()))
    }

    struct RunResult {
        attempts: usize,
        delays: Vec<Duration>,
        outcome: Result<(), StreamError>,
    }

    fn client(
        responses: Vec<Result<RawResponse, TransportError>>,
    ) -> (StreamClient, Arc<ScriptedTransport>, Arc<FakeClock>) {
        let script = Arc::new(ScriptedTransport {
            responses: Mutex::new(responses.into()),
            sent: Mutex::default(),
        });
        let clock = Arc::new(FakeClock::default());
        (StreamClient::new(script.clone(), clock.clone(), Arc::new(FixedRandom)), script, clock)
    }

    fn run<O: Operation>(
        operation: &O,
        timeout: Duration,
        responses: Vec<Result<RawResponse, TransportError>>,
    ) -> RunResult {
        let (stream, script, clock) = client(responses);
        let deadline = Deadline::after(clock.now(), timeout);
        let outcome = stream.send(operation, deadline).now_or_never().unwrap();
        let delays = clock.sleeps();
        let attempts = script.sent.lock().unwrap().len();
        RunResult { attempts, delays, outcome: outcome.map(|_| ()) }
    }

    const APP_RESPONSE: &str = r#"{"app": {"suspended": false, "disable_auth_checks": false,
        "disable_permissions_checks": false}}"#;
    const LONG_TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn transient_failures_are_retried() {
        let responses = vec![response(503, "<html>"), no_response(), response(200, APP_RESPONSE)];
        let result = run(&GetApp, LONG_TIMEOUT, responses);
        assert!(result.outcome.is_ok());
        assert_eq!(result.attempts, 3);
        assert_eq!(result.delays.len(), 2);
        assert!(result.delays[0] < result.delays[1]);
    }

    #[test]
    fn request_fails_after_three_attempts() {
        let result = run(&GetApp, LONG_TIMEOUT, vec![no_response(), no_response(), no_response()]);
        assert!(matches!(result.outcome, Err(StreamError::Unreachable(_))));
        assert_eq!(result.attempts, 3);
    }

    #[test]
    fn ringing_call_is_retried_only_if_not_sent() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let alice = crate::ids::UserId::try_from("alice".to_owned()).unwrap();
        let ring = GetOrCreateCall {
            cid: &cid,
            created_by: &alice,
            members: &[],
            settings: SettingsOverride::default(),
            ring: true,
            custom: None,
            max_duration: LONG_TIMEOUT,
            inactivity_timeout: LONG_TIMEOUT,
        };
        assert_eq!(ring.request().idempotency, Idempotency::NonIdempotent);
        assert_eq!(run(&ring, LONG_TIMEOUT, vec![no_response()]).attempts, 1);
        assert_eq!(run(&ring, LONG_TIMEOUT, vec![response(500, "{}")]).attempts, 1);
        // Without a connection, no phone can have rung.
        let connection_refused = Err(TransportError::NotSent("refused".into()));
        assert_eq!(
            run(
                &ring,
                LONG_TIMEOUT,
                vec![
                    connection_refused,
                    response(201, r#"{"call": {"id": "c1", "type": "default", "created_by": {"id": "alice"}}}"#)
                ]
            )
            .attempts,
            2
        );
    }

    #[test]
    fn nothing_is_sent_after_the_deadline() {
        let result = run(&GetApp, Duration::ZERO, vec![]);
        assert!(matches!(result.outcome, Err(StreamError::Unreachable(_))));
        assert_eq!(result.attempts, 0);
    }

    #[test]
    fn retries_stop_when_the_budget_is_exhausted() {
        let outage = (0..30).map(|_| no_response());
        let recovery = [response(200, APP_RESPONSE), no_response()];
        let (stream, script, clock) = client(outage.chain(recovery).collect());
        let send = || {
            let deadline = Deadline::after(clock.now(), LONG_TIMEOUT);
            stream.send(&GetApp, deadline).now_or_never().unwrap()
        };
        let total_attempts = || script.sent.lock().unwrap().len();
        // The budget allows ten retries: two for each of five requests.
        for (requests, attempts) in [(5, 15), (15, 30)] {
            for _ in 0..requests {
                assert!(send().is_err());
            }
            assert_eq!(total_attempts(), attempts);
        }
        // A single success refunds less than a retry.
        assert!(send().is_ok() && send().is_err());
        assert_eq!(total_attempts(), 32);
    }

    #[test]
    fn latest_rate_limits_are_recorded_per_operation() {
        let limit = |remaining| {
            let reset = Timestamp::from_secs(1_767_225_660);
            RateLimit { limit: Some(60), remaining, reset }
        };
        let response_with_limit = |status, remaining| {
            response(status, APP_RESPONSE)
                .map(|raw| RawResponse { rate_limit: Some(limit(remaining)), ..raw })
        };
        let (stream, _, clock) = client(vec![
            response_with_limit(200, 1),
            response_with_limit(400, 0),
            response(200, APP_RESPONSE),
        ]);
        assert_eq!(stream.rate_limits(), BTreeMap::new());
        for remaining in [1, 0, 0] {
            let deadline = Deadline::after(clock.now(), LONG_TIMEOUT);
            let _ = stream.clone().send(&GetApp, deadline).now_or_never().unwrap();
            assert_eq!(stream.rate_limits(), BTreeMap::from([("GetApp", limit(remaining))]));
        }
    }

    #[test]
    fn operation_name_is_the_type_name() {
        assert_eq!(operation_name::<GetApp>(), "GetApp");
        assert_eq!(operation_name::<GetOrCreateCall<'_>>(), "GetOrCreateCall");
    }

    #[test]
    fn invalid_response_is_not_retried() {
        for body in ["<html>", "", "[]", "[{}]", "null", "{}"] {
            let result = run(&GetApp, LONG_TIMEOUT, vec![response(200, body)]);
            assert!(matches!(result.outcome, Err(StreamError::InvalidResponse(_))), "{body}");
            assert_eq!(result.attempts, 1);
        }
    }

    #[test]
    fn write_is_done_only_if_the_response_shows_it() {
        let cid = CallCid::try_from("default:c1").unwrap();
        for (body, is_done) in [
            (r#"{"duration":"1ms"}"#, true),
            ("{}", false),
            ("[]", false),
            (r#"["1ms"]"#, false),
            (r#"{"hello":["world"]}"#, false),
        ] {
            let result = run(&EndCall { cid: &cid }, LONG_TIMEOUT, vec![response(201, body)]);
            assert_eq!(result.outcome.is_ok(), is_done, "{body}");
        }
    }
}
