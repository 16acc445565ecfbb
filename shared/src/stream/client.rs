//! The client: sends one operation, again where the retry policy says so, and reads its answer.

use std::any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::random::Random;
use crate::stream::budget::Budget;
use crate::stream::rate_limit::Watch;
use crate::stream::retry::{self, Outcome};
use crate::stream::{
    Failure, Lost, Operation, RateLimit, RawAnswer, StreamError, Tally, Transport,
};
use crate::sync::lock;

/// Stream's API with our credentials. Clones share what is left of their retries, and what they
/// have heard of Stream's limits.
#[derive(Clone)]
pub struct Stream {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    budget: Arc<Mutex<Budget>>,
    watch: Arc<Mutex<Watch>>,
}

/// An answer, and what its journey tells.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// What the operation answers.
    pub body: T,
    /// Stream's clock when it answered, to the second, where it says.
    pub date: Option<Timestamp>,
    /// How long the last attempt took.
    pub latency: Duration,
}

impl Stream {
    /// A client over this transport.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { transport, clock, random, budget: Arc::default(), watch: Arc::default() }
    }

    /// What Stream has last said of its limits, by the names of our operations.
    #[must_use]
    pub fn rate_limits(&self) -> BTreeMap<&'static str, RateLimit> {
        lock(&self.watch).last()
    }

    /// Sends an operation and reads its answer.
    pub async fn send<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<O::Answer, StreamError> {
        self.send_timed(operation, deadline).await.map(|answered| answered.body)
    }

    /// As [`Stream::send`], with what the journey tells.
    pub async fn send_timed<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<Answered<O::Answer>, StreamError> {
        let request = operation.request();
        let mut attempt = 1;
        loop {
            let started = self.clock.now();
            let time = deadline.remaining(started).min(retry::ATTEMPT);
            if time.is_zero() {
                return Err(StreamError::Unreachable("the invocation's time is up".into()));
            }
            let answer = self.transport.send(&request, time).await;
            let latency = self.clock.now().since(started);
            Tally::note(latency, answer.as_ref().ok().map(|raw| raw.status));
            if let Ok(raw) = &answer {
                self.hear(name_of::<O>(), raw);
            }
            let (outcome, error) = match answer {
                Ok(raw) if (200..=299).contains(&raw.status) => {
                    lock(&self.budget).give_back();
                    return Self::read::<O>(&raw, latency);
                }
                Ok(raw) => Self::refused(&raw),
                Err(Lost::NotSent(source)) => (Outcome::NotSent, StreamError::Unreachable(source)),
                Err(Lost::NoAnswer(source)) => (Outcome::Lost, StreamError::Unreachable(source)),
                Err(Lost::TooLarge) => {
                    return Err(StreamError::BadAnswer("the answer is too large".into()));
                }
            };
            let remaining = deadline.remaining(self.clock.now());
            let jitter = self.random.unit();
            let wait = retry::wait(attempt, outcome, request.repeat, remaining, jitter);
            match wait.filter(|_| lock(&self.budget).take()) {
                Some(span) => self.clock.sleep(span).await,
                None => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Takes note of what an answer says of its limit.
    fn hear(&self, operation: &'static str, raw: &RawAnswer) {
        let Some(told) = raw.rate_limit else { return };
        let now = raw.date.unwrap_or_else(|| self.clock.now());
        if lock(&self.watch).hear(operation, told, now) {
            let RateLimit { limit, reset, .. } = told;
            tracing::warn!(operation, limit, %reset, "Stream's limit is used up");
        }
    }

    fn read<O: Operation>(
        raw: &RawAnswer,
        latency: Duration,
    ) -> Result<Answered<O::Answer>, StreamError> {
        let body = serde_json::from_slice(&raw.body)
            .map_err(|error| StreamError::BadAnswer(error.into()))?;
        Ok(Answered { body, date: raw.date, latency })
    }

    fn refused(raw: &RawAnswer) -> (Outcome, StreamError) {
        let failure = Failure::read(raw.status, &raw.body);
        let outcome = Outcome::Refused {
            status: raw.status,
            unrecoverable: failure.unrecoverable,
            retry_after: raw.retry_after,
        };
        (outcome, StreamError::from_failure(failure, raw.retry_after))
    }
}

/// What an operation is called here, such as `GetApp`.
fn name_of<O: Operation>() -> &'static str {
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
    use crate::stream::ops::{GetApp, GetOrCreateCall};
    use crate::stream::{Repeat, Request};

    /// A clock that moves only when somebody sleeps, and chance that is always the same.
    #[derive(Default)]
    struct Still(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_767_225_600).plus(self.0.lock().unwrap().iter().sum())
        }

        async fn sleep(&self, span: Duration) {
            self.0.lock().unwrap().push(span);
        }
    }

    struct Always;

    impl Random for Always {
        fn uuid_v4(&self) -> Uuid {
            Uuid::from_bytes([0xff; 16])
        }
    }

    /// Gives these answers in this order and keeps what it was sent.
    struct Script {
        answers: Mutex<VecDeque<Result<RawAnswer, Lost>>>,
        sent: Mutex<Vec<(Request, Duration)>>,
    }

    #[async_trait]
    impl Transport for Script {
        async fn send(&self, request: &Request, time: Duration) -> Result<RawAnswer, Lost> {
            self.sent.lock().unwrap().push((request.clone(), time));
            self.answers.lock().unwrap().pop_front().unwrap()
        }
    }

    fn answer(status: u16, body: &'static str) -> Result<RawAnswer, Lost> {
        let body = body.as_bytes().into();
        Ok(RawAnswer { status, retry_after: None, date: None, rate_limit: None, body })
    }

    fn no_answer() -> Result<RawAnswer, Lost> {
        Err(Lost::NoAnswer("reset".into()))
    }

    struct Found {
        sent: usize,
        slept: Vec<Duration>,
        outcome: Result<(), StreamError>,
    }

    fn client(answers: Vec<Result<RawAnswer, Lost>>) -> (Stream, Arc<Script>, Arc<Still>) {
        let script =
            Arc::new(Script { answers: Mutex::new(answers.into()), sent: Mutex::default() });
        let clock = Arc::new(Still::default());
        (Stream::new(script.clone(), clock.clone(), Arc::new(Always)), script, clock)
    }

    fn run<O: Operation>(
        operation: &O,
        budget: Duration,
        answers: Vec<Result<RawAnswer, Lost>>,
    ) -> Found {
        let (stream, script, clock) = client(answers);
        let deadline = Deadline::after(clock.now(), budget);
        let outcome = stream.send(operation, deadline).now_or_never().unwrap();
        let slept = clock.0.lock().unwrap().clone();
        let sent = script.sent.lock().unwrap().len();
        Found { sent, slept, outcome: outcome.map(|_| ()) }
    }

    const APP: &str = r#"{"app": {}}"#;
    const PLENTY: Duration = Duration::from_secs(10);

    #[test]
    fn a_passing_failure_is_overcome() {
        let answers = vec![answer(503, "<html>"), no_answer(), answer(200, APP)];
        let found = run(&GetApp, PLENTY, answers);
        assert!(found.outcome.is_ok());
        assert_eq!(found.sent, 3);
        assert_eq!(found.slept.len(), 2);
        assert!(found.slept[0] < found.slept[1]);
    }

    #[test]
    fn three_attempts_are_enough() {
        let found = run(&GetApp, PLENTY, vec![no_answer(), no_answer(), no_answer()]);
        assert!(matches!(found.outcome, Err(StreamError::Unreachable(_))));
        assert_eq!(found.sent, 3);
    }

    #[test]
    fn what_rings_is_sent_once() {
        let id = crate::ids::CallId::try_from("c1".to_owned()).unwrap();
        let alice = crate::ids::UserId::try_from("alice".to_owned()).unwrap();
        let ring = GetOrCreateCall {
            id: &id,
            created_by: &alice,
            members: &[],
            call_type: crate::calls::CallType::Video,
            ring: true,
            custom: None,
            max_duration: PLENTY,
            inactivity_timeout: PLENTY,
        };
        assert_eq!(ring.request().repeat, Repeat::Unsafe);
        assert_eq!(run(&ring, PLENTY, vec![no_answer()]).sent, 1);
        assert_eq!(run(&ring, PLENTY, vec![answer(500, "{}")]).sent, 1);
        // Without a connection nothing can have rung.
        let refused = Err(Lost::NotSent("refused".into()));
        assert_eq!(
            run(
                &ring,
                PLENTY,
                vec![refused, answer(201, r#"{"call": {"created_by": {"id": "alice"}}}"#)]
            )
            .sent,
            2
        );
    }

    #[test]
    fn nothing_is_sent_when_the_time_is_up() {
        let found = run(&GetApp, Duration::ZERO, vec![]);
        assert!(matches!(found.outcome, Err(StreamError::Unreachable(_))));
        assert_eq!(found.sent, 0);
    }

    #[test]
    fn an_outage_is_not_doubled() {
        let lost = (0..30).map(|_| no_answer());
        let back = [answer(200, APP), no_answer()];
        let (stream, script, clock) = client(lost.chain(back).collect());
        let send = || {
            let deadline = Deadline::after(clock.now(), PLENTY);
            stream.send(&GetApp, deadline).now_or_never().unwrap()
        };
        let asked = || script.sent.lock().unwrap().len();
        // Five requests have two retries each; then there are none left.
        for (requests, attempts) in [(5, 15), (15, 30)] {
            for _ in 0..requests {
                assert!(send().is_err());
            }
            assert_eq!(asked(), attempts);
        }
        // One success does not make a retry yet.
        assert!(send().is_ok() && send().is_err());
        assert_eq!(asked(), 32);
    }

    #[test]
    fn what_stream_says_of_its_limits_is_remembered() {
        let told = |remaining| {
            let reset = Timestamp::from_secs(1_767_225_660);
            RateLimit { limit: Some(60), remaining, reset }
        };
        let said = |status, remaining| {
            answer(status, APP).map(|raw| RawAnswer { rate_limit: Some(told(remaining)), ..raw })
        };
        let (stream, _, clock) = client(vec![said(200, 1), said(400, 0), answer(200, APP)]);
        assert_eq!(stream.rate_limits(), BTreeMap::new());
        for remaining in [1, 0, 0] {
            let deadline = Deadline::after(clock.now(), PLENTY);
            let _ = stream.clone().send(&GetApp, deadline).now_or_never().unwrap();
            assert_eq!(stream.rate_limits(), BTreeMap::from([("GetApp", told(remaining))]));
        }
    }

    #[test]
    fn operations_are_called_what_they_are() {
        assert_eq!(name_of::<GetApp>(), "GetApp");
        assert_eq!(name_of::<GetOrCreateCall<'_>>(), "GetOrCreateCall");
    }

    #[test]
    fn an_answer_that_is_not_the_operations_is_not_repeated() {
        let found = run(&GetApp, PLENTY, vec![answer(200, "<html>")]);
        assert!(matches!(found.outcome, Err(StreamError::BadAnswer(_))));
        assert_eq!(found.sent, 1);
    }
}
