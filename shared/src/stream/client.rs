//! The client: sends one operation, again where the retry policy says so, and reads its answer.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::random::Random;
use crate::stream::retry::{self, Outcome};
use crate::stream::{Failure, Lost, Operation, RawAnswer, StreamError, Transport};

/// Stream's API with our credentials.
#[derive(Clone)]
pub struct Stream {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
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
        Self { transport, clock, random }
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
            let (outcome, error) = match self.transport.send(&request, time).await {
                Ok(raw) if (200..=299).contains(&raw.status) => {
                    let latency = self.clock.now().since(started);
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
            match retry::wait(attempt, outcome, request.repeat, remaining, jitter) {
                Some(span) => self.clock.sleep(span).await,
                None => return Err(error),
            }
            attempt += 1;
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
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
        Ok(RawAnswer { status, retry_after: None, date: None, body })
    }

    fn no_answer() -> Result<RawAnswer, Lost> {
        Err(Lost::NoAnswer("reset".into()))
    }

    struct Found {
        sent: usize,
        slept: Vec<Duration>,
        outcome: Result<(), StreamError>,
    }

    fn run<O: Operation>(
        operation: &O,
        budget: Duration,
        answers: Vec<Result<RawAnswer, Lost>>,
    ) -> Found {
        let script =
            Arc::new(Script { answers: Mutex::new(answers.into()), sent: Mutex::default() });
        let clock = Arc::new(Still::default());
        let stream = Stream::new(script.clone(), clock.clone(), Arc::new(Always));
        let deadline = Deadline::after(clock.now(), budget);
        let outcome =
            futures_util::FutureExt::now_or_never(stream.send(operation, deadline)).unwrap();
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
    fn an_answer_that_is_not_the_operations_is_not_repeated() {
        let found = run(&GetApp, PLENTY, vec![answer(200, "<html>")]);
        assert!(matches!(found.outcome, Err(StreamError::BadAnswer(_))));
        assert_eq!(found.sent, 1);
    }
}
