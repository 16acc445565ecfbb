//! Batches of records, with the retries that a mapping and a pipe share.
//!
//! - A failed batch is delivered again, up to the maximum number of retries. Then it goes to the
//!   dead-letter queue.
//! - With bisection, a batch that failed is split in two. A split is not a retry.
//!   <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
//! - If the function reports the first record that failed, the records before it are done. With
//!   bisection this is a split, too. The rest of the batch stays whole: if it fails until the
//!   retries are exhausted, all of it goes to the dead-letter queue.
//!   <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
//! - Records over the maximum age go to the dead-letter queue without another delivery.
//!
//! AWS waits longer before each retry. Here the caller decides when to retry.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::RETENTION;
use super::dead_letters::{Condition, DeadLetters, Discarded};
use super::faults::{StreamConsumer, StreamFaults};
use super::invoke::BoxFuture;
use super::record::StreamRecord;
use crate::clock::StackClock;
use crate::error::TableStreamError;
use crate::template::BatchSettings;

/// The target of a consumer's batches.
pub(super) trait Deliver: Send + Sync {
    /// The consumer, for which a test injects faults.
    fn consumer(&self) -> StreamConsumer;

    /// Delivers a batch once. An error means that the function was not invoked.
    fn deliver<'a>(
        &'a self,
        records: &'a [StreamRecord],
    ) -> BoxFuture<'a, Result<Delivery, TableStreamError>>;

    /// The message for the dead-letter queue.
    fn dead_letter(&self, discarded: &Discarded<'_>) -> Value;
}

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Succeeded,
    /// The function reported the record at this index as the first one that failed.
    FailedFrom(usize),
    Failed(Failure),
}

/// The reason why a whole batch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The function failed, or the target rejected the batch.
    Error,
    /// The function returned a report of failed records.
    Reported,
}

/// The result of a step of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is left to do.
    Idle,
    Advanced,
    /// A delivery failed. A retry may follow.
    Failed,
}

struct Batch {
    records: Vec<StreamRecord>,
    retries: u32,
    /// The number of deliveries, including those of the batch before a split.
    deliveries: u32,
    last_failure: Option<Failure>,
    /// Whether this batch is delivered again after its success.
    is_repeat: bool,
}

/// The batches of one consumer that are not done. They are delivered in the order of the stream.
pub(super) struct BatchRunner {
    settings: BatchSettings,
    target: Box<dyn Deliver>,
    clock: StackClock,
    faults: Arc<StreamFaults>,
    dead_letters: Arc<DeadLetters>,
    pending: VecDeque<Batch>,
}

impl BatchRunner {
    pub(super) fn new(
        settings: BatchSettings,
        target: Box<dyn Deliver>,
        clock: StackClock,
        faults: Arc<StreamFaults>,
        dead_letters: Arc<DeadLetters>,
    ) -> Self {
        Self { settings, target, clock, faults, dead_letters, pending: VecDeque::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds the records of one shard as batches.
    pub(super) fn enqueue(&mut self, records: &[StreamRecord]) {
        for records in records.chunks(self.settings.batch_size) {
            self.pending.push_back(Batch {
                records: records.to_vec(),
                retries: 0,
                deliveries: 0,
                last_failure: None,
                is_repeat: false,
            });
        }
    }

    /// Delivers the first batch once. The batch stays pending until its result is known, so that a
    /// cancellation loses no record.
    pub(super) async fn deliver_next(&mut self) -> Result<Step, TableStreamError> {
        if self.discard_expired_records() {
            return Ok(Step::Advanced);
        }
        let Some(batch) = self.pending.front() else { return Ok(Step::Idle) };
        let delivery = if self.faults.fails_invocation(self.target.consumer(), &batch.records) {
            Delivery::Failed(Failure::Error)
        } else {
            self.target.deliver(&batch.records).await?
        };
        if let Some(mut batch) = self.pending.pop_front() {
            batch.deliveries += 1;
            self.apply(delivery, batch);
        }
        Ok(if delivery == Delivery::Succeeded { Step::Advanced } else { Step::Failed })
    }

    fn apply(&mut self, delivery: Delivery, mut batch: Batch) {
        match delivery {
            Delivery::Succeeded => {
                if !batch.is_repeat && self.faults.take_repeat(self.target.consumer()) {
                    batch.is_repeat = true;
                    self.pending.push_front(batch);
                }
            }
            Delivery::FailedFrom(first_failed) => {
                batch.last_failure = Some(Failure::Reported);
                let is_split = first_failed > 0 && self.settings.bisects;
                batch.records.drain(..first_failed.min(batch.records.len()));
                if is_split {
                    self.pending.push_front(batch);
                } else {
                    self.retry_or_discard(batch);
                }
            }
            Delivery::Failed(failure) => {
                batch.last_failure = Some(failure);
                if self.settings.bisects && batch.records.len() > 1 {
                    let second_half = batch.records.split_off(batch.records.len() / 2);
                    self.pending.push_front(Batch { records: second_half, ..batch });
                    self.pending.push_front(batch);
                } else {
                    self.retry_or_discard(batch);
                }
            }
        }
    }

    fn retry_or_discard(&mut self, mut batch: Batch) {
        if batch.retries < self.settings.max_retries {
            batch.retries += 1;
            self.pending.push_front(batch);
        } else {
            self.discard(&batch, Condition::RetryAttemptsExhausted);
        }
    }

    /// Discards the records at the front that are over the maximum age. Returns whether there were
    /// any.
    fn discard_expired_records(&mut self) -> bool {
        let max_age = self.settings.max_age.unwrap_or(RETENTION).min(RETENTION);
        let now = self.clock.now();
        let is_expired = |record: &StreamRecord| {
            now.duration_since(record.created_at()).is_ok_and(|age| age > max_age)
        };
        let Some(mut batch) = self.pending.pop_front() else { return false };
        let expired = batch.records.iter().take_while(|record| is_expired(record)).count();
        let rest = batch.records.split_off(expired);
        if expired == 0 {
            self.pending.push_front(Batch { records: rest, ..batch });
            return false;
        }
        self.discard(&batch, Condition::RecordAgeExceeded);
        if !rest.is_empty() {
            self.pending.push_front(Batch { records: rest, ..batch });
        }
        true
    }

    fn discard(&self, batch: &Batch, condition: Condition) {
        let Some(queue) = &self.settings.dead_letter_queue else { return };
        let message = self.target.dead_letter(&Discarded {
            records: &batch.records,
            condition,
            deliveries: batch.deliveries,
            last_failure: batch.last_failure,
            at: self.clock.now(),
        });
        self.dead_letters.send(queue, message);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::super::faults::{StreamFault, StreamFaultKind};
    use super::super::record::samples::{numbers, records};
    use super::*;
    use crate::sync::lock;

    const QUEUE: &str = "DeadLetters";

    /// Decides the result of a delivery by the sequence numbers of the batch.
    type Decide = Box<dyn Fn(&[u32]) -> Delivery + Send + Sync>;

    struct FakeTarget {
        decide: Decide,
        deliveries: Arc<Mutex<Vec<Vec<u32>>>>,
    }

    impl Deliver for FakeTarget {
        fn consumer(&self) -> StreamConsumer {
            StreamConsumer::Mapping
        }

        fn deliver<'a>(
            &'a self,
            records: &'a [StreamRecord],
        ) -> BoxFuture<'a, Result<Delivery, TableStreamError>> {
            Box::pin(async move {
                let numbers = numbers(records);
                let delivery = (self.decide)(&numbers);
                lock(&self.deliveries).push(numbers);
                Ok(delivery)
            })
        }

        fn dead_letter(&self, discarded: &Discarded<'_>) -> Value {
            json!({
                "records": numbers(discarded.records),
                "condition": discarded.condition.to_string(),
                "deliveries": discarded.deliveries,
            })
        }
    }

    struct Fixture {
        runner: BatchRunner,
        deliveries: Arc<Mutex<Vec<Vec<u32>>>>,
        dead_letters: Arc<DeadLetters>,
        faults: Arc<StreamFaults>,
        clock: StackClock,
    }

    impl Fixture {
        fn new(
            settings: BatchSettings,
            decide: impl Fn(&[u32]) -> Delivery + Send + Sync + 'static,
        ) -> Self {
            let deliveries = Arc::new(Mutex::default());
            let target =
                FakeTarget { decide: Box::new(decide), deliveries: Arc::clone(&deliveries) };
            let dead_letters = Arc::new(DeadLetters::new(&[QUEUE.to_owned()]));
            let (faults, clock) = (Arc::new(StreamFaults::default()), StackClock::default());
            let runner = BatchRunner::new(
                settings,
                Box::new(target),
                clock.clone(),
                Arc::clone(&faults),
                Arc::clone(&dead_letters),
            );
            Self { runner, deliveries, dead_letters, faults, clock }
        }

        /// Delivers records until nothing is pending. Returns the sequence numbers of all
        /// deliveries.
        async fn run(&mut self, numbers: impl IntoIterator<Item = u32>) -> Vec<Vec<u32>> {
            self.runner.enqueue(&records(numbers, self.clock.now()));
            while self.runner.deliver_next().await.unwrap() != Step::Idle {}
            lock(&self.deliveries).clone()
        }

        /// The discarded batches: sequence numbers, condition, number of deliveries.
        fn discarded(&self) -> Vec<Value> {
            let fields = |message: Value| {
                json!([message["records"], message["condition"], message["deliveries"]])
            };
            self.dead_letters.messages(QUEUE).into_iter().map(fields).collect()
        }
    }

    fn settings(batch_size: usize, max_retries: u32, bisects: bool) -> BatchSettings {
        BatchSettings {
            batch_size,
            max_retries,
            max_age: Some(Duration::from_hours(12)),
            bisects,
            dead_letter_queue: Some(QUEUE.to_owned()),
        }
    }

    fn fails_with(poison: u32) -> impl Fn(&[u32]) -> Delivery + Send + Sync + 'static {
        move |numbers| {
            if numbers.contains(&poison) {
                Delivery::Failed(Failure::Error)
            } else {
                Delivery::Succeeded
            }
        }
    }

    fn reports_from(poison: u32) -> impl Fn(&[u32]) -> Delivery + Send + Sync + 'static {
        move |numbers| {
            let position = numbers.iter().position(|&number| number == poison);
            position.map_or(Delivery::Succeeded, Delivery::FailedFrom)
        }
    }

    #[tokio::test]
    async fn records_are_delivered_in_batches() {
        let mut fixture = Fixture::new(settings(2, 0, false), |_| Delivery::Succeeded);
        assert_eq!(fixture.run(1..=5).await, [vec![1, 2], vec![3, 4], vec![5]]);
        assert!(fixture.runner.is_idle());
    }

    #[tokio::test]
    async fn failed_batch_is_retried_then_discarded() {
        let mut fixture = Fixture::new(settings(2, 2, false), fails_with(1));
        let deliveries = fixture.run(1..=3).await;
        assert_eq!(deliveries, [vec![1, 2], vec![1, 2], vec![1, 2], vec![3]]);
        assert_eq!(fixture.discarded(), [json!([[1, 2], "RetryAttemptsExhausted", 3])]);
    }

    #[tokio::test]
    async fn bisection_isolates_a_record_and_is_not_a_retry() {
        let mut fixture = Fixture::new(settings(4, 1, true), fails_with(3));
        let deliveries = fixture.run(1..=4).await;
        let expected = [vec![1, 2, 3, 4], vec![1, 2], vec![3, 4], vec![3], vec![3], vec![4]];
        assert_eq!(deliveries, expected);
        assert_eq!(fixture.discarded(), [json!([[3], "RetryAttemptsExhausted", 4])]);
    }

    #[tokio::test]
    async fn reported_batch_continues_at_the_failed_record() {
        let mut fixture = Fixture::new(settings(4, 1, false), reports_from(3));
        // The continuation is the only retry.
        assert_eq!(fixture.run(1..=4).await, [vec![1, 2, 3, 4], vec![3, 4]]);
        assert_eq!(fixture.discarded(), [json!([[3, 4], "RetryAttemptsExhausted", 2])]);

        let mut fixture = Fixture::new(settings(4, 1, true), reports_from(3));
        // With bisection, the continuation is a split.
        assert_eq!(fixture.run(1..=4).await, [vec![1, 2, 3, 4], vec![3, 4], vec![3, 4]]);
        assert_eq!(fixture.discarded(), [json!([[3, 4], "RetryAttemptsExhausted", 3])]);
    }

    #[tokio::test]
    async fn expired_records_are_discarded_without_a_delivery() {
        let mut fixture = Fixture::new(settings(4, 2, false), |_| Delivery::Succeeded);
        fixture.runner.enqueue(&records([1, 2], fixture.clock.now()));
        fixture.clock.advance(Duration::from_hours(12) + Duration::from_secs(2));
        assert_eq!(fixture.run([3]).await, [vec![3]]);
        assert_eq!(fixture.discarded(), [json!([[1, 2], "RecordAgeExceeded", 0])]);
    }

    #[tokio::test]
    async fn batch_expires_between_retries() {
        let mut fixture =
            Fixture::new(settings(4, 100, false), |_| Delivery::Failed(Failure::Error));
        fixture.runner.enqueue(&records([1], fixture.clock.now()));
        assert_eq!(fixture.runner.deliver_next().await.unwrap(), Step::Failed);
        fixture.clock.advance(Duration::from_hours(13));
        assert_eq!(fixture.runner.deliver_next().await.unwrap(), Step::Advanced);
        assert_eq!(fixture.runner.deliver_next().await.unwrap(), Step::Idle);
        assert_eq!(fixture.discarded(), [json!([[1], "RecordAgeExceeded", 1])]);
    }

    #[tokio::test]
    async fn young_records_of_a_batch_are_delivered() {
        let mut fixture = Fixture::new(settings(4, 0, false), |_| Delivery::Succeeded);
        let now = SystemTime::now();
        let mut batch = records([1], now - Duration::from_hours(13));
        batch.extend(records([2], now));
        fixture.runner.enqueue(&batch);
        assert_eq!(fixture.run([]).await, [vec![2]]);
        assert_eq!(fixture.discarded(), [json!([[1], "RecordAgeExceeded", 0])]);
    }

    #[tokio::test]
    async fn batch_without_a_queue_is_dropped() {
        let settings = BatchSettings { dead_letter_queue: None, ..settings(1, 0, false) };
        let mut fixture = Fixture::new(settings, fails_with(1));
        assert_eq!(fixture.run(1..=2).await, [vec![1], vec![2]]);
        assert!(fixture.discarded().is_empty());
    }

    #[tokio::test]
    async fn faults_fail_and_repeat_deliveries() {
        let mut fixture = Fixture::new(settings(2, 3, false), |_| Delivery::Succeeded);
        for kind in [StreamFaultKind::FailInvocations(2), StreamFaultKind::RepeatBatch] {
            fixture.faults.add(StreamFault { consumer: StreamConsumer::Mapping, kind });
        }
        // The failed invocations do not reach the target.
        assert_eq!(fixture.run(1..=3).await, [vec![1, 2], vec![1, 2], vec![3]]);
        assert!(fixture.discarded().is_empty());
    }
}
