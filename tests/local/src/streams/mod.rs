//! The table's stream and its consumers: a local DynamoDB Streams, Lambda event source mapping,
//! EventBridge Pipe, event bus, and SQS dead-letter queues.
//!
//! - [`StreamReader`] reads the stream of the table; [`StreamRecord`] is a record of it.
//! - [`Filters`] decides which records a consumer gets.
//! - `batch` forms batches and retries, splits and discards them. `mapping` delivers a batch to a
//!   function, and `pipe` delivers it to an enrichment function and then to the bus.
//! - `bus` archives events, sends them to the queues of rules, and replays them.
//! - `dead_letters` has the queues for discarded batches, with messages in AWS's shapes.
//! - `faults` makes deliveries fail or repeat; `poller` polls in the background; `report` is the
//!   response of `GET /_local/events`.
//!
//! A consumer keeps its position in memory. After a restart with a data directory it reads the last
//! 24 hours again.

mod batch;
mod bus;
mod consumer;
mod dead_letters;
mod faults;
mod filter;
mod invoke;
mod mapping;
mod pipe;
mod poller;
mod reader;
mod record;
mod report;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::StackClock;
use crate::error::TableStreamError;
use crate::template::{BatchSettings, Template};
use batch::{BatchRunner, Deliver, Step};
use bus::Bus;
pub use bus::RuleId;
use consumer::Consumer;
use dead_letters::DeadLetters;
pub use dead_letters::Queue;
use faults::StreamFaults;
pub use faults::{StreamConsumer, StreamFault, StreamFaultKind};
pub use filter::{Filters, Pattern};
pub(crate) use invoke::{FunctionInvoker, Invoke};
use mapping::Mapping;
use pipe::Pipe;
pub(crate) use poller::StreamPoller;
pub use reader::StreamReader;
pub use record::StreamRecord;
pub(crate) use report::EVENTS_PATH;

/// How long DynamoDB keeps a record of a stream.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
const RETENTION: Duration = Duration::from_hours(24);

/// The stream that the consumers read.
pub(crate) struct StreamSource {
    /// The endpoint of DynamoDB. It is the emulator itself, so that the proxy does not count these
    /// requests.
    pub(crate) endpoint: String,
    pub(crate) table: String,
}

/// The consumers of the table's stream, with the bus and the dead-letter queues.
pub(crate) struct Streams {
    consumers: Mutex<Vec<Consumer>>,
    /// `None` if the template has no bus.
    bus: Option<Arc<Bus>>,
    dead_letters: Arc<DeadLetters>,
    faults: Arc<StreamFaults>,
}

impl Streams {
    /// Creates the consumers of the template. Without a source there are no consumers.
    pub(crate) async fn start(
        template: &Template,
        source: Option<StreamSource>,
        clock: &StackClock,
        invoker: &Arc<dyn Invoke>,
    ) -> Result<Self, TableStreamError> {
        let bus = template
            .event_bus
            .as_ref()
            .map(|definition| Arc::new(Bus::new(definition.clone(), clock.clone())));
        let dead_letters = Arc::new(DeadLetters::new(&template.queues));
        let faults = Arc::new(StreamFaults::default());
        let mut consumers = Vec::new();
        if let Some(source) = source {
            let open = |filters: &Filters, settings: &BatchSettings, target: Box<dyn Deliver>| {
                let runner = BatchRunner::new(
                    settings.clone(),
                    target,
                    clock.clone(),
                    Arc::clone(&faults),
                    Arc::clone(&dead_letters),
                );
                Consumer::open(&source, clock, filters.clone(), runner)
            };
            for function in &template.functions {
                for mapping in &function.stream_mappings {
                    let target = Mapping::new(&function.name, mapping, Arc::clone(invoker));
                    let consumer =
                        open(&mapping.filters, &mapping.settings, Box::new(target)).await?;
                    consumers.push(consumer);
                }
            }
            for pipe in &template.pipes {
                let bus = bus.as_ref().ok_or(TableStreamError::NoEventBus)?;
                let target =
                    Pipe::new(pipe, Arc::clone(invoker), Arc::clone(bus), Arc::clone(&faults));
                consumers.push(open(&pipe.filters, &pipe.settings, Box::new(target)).await?);
            }
        }
        Ok(Self { consumers: Mutex::new(consumers), bus, dead_letters, faults })
    }

    /// Runs the consumers until no record is left. A failed batch is retried at once, until it
    /// succeeds or goes to its dead-letter queue.
    pub(crate) async fn drain(&self) -> Result<(), TableStreamError> {
        let mut consumers = self.consumers.lock().await;
        // A consumer may write to the table, and so create records for the others.
        loop {
            let mut has_advanced = false;
            for consumer in consumers.iter_mut() {
                while consumer.step().await? != Step::Idle {
                    has_advanced = true;
                }
            }
            if !has_advanced {
                return Ok(());
            }
        }
    }

    /// Runs each consumer until no record is left or a delivery fails. The next poll retries a
    /// failed batch.
    async fn poll(&self) -> Result<(), TableStreamError> {
        let mut consumers = self.consumers.lock().await;
        for consumer in consumers.iter_mut() {
            while consumer.step().await? == Step::Advanced {}
        }
        Ok(())
    }

    /// The events on the bus in the order of arrival, including replayed ones.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.bus.as_ref().map(|bus| bus.events()).unwrap_or_default()
    }

    /// Puts the archived events of this time range on the bus again. Returns their number.
    pub(crate) fn replay(&self, from: SystemTime, to: SystemTime) -> usize {
        self.bus.as_ref().map_or(0, |bus| bus.replay(from, to))
    }

    pub(crate) fn add_rule(&self, pattern: &Value) -> Result<RuleId, TableStreamError> {
        let bus = self.bus.as_ref().ok_or(TableStreamError::NoEventBus)?;
        Ok(bus.add_rule(Pattern::parse(pattern)?))
    }

    pub(crate) fn rule_queue(&self, rule: RuleId) -> Vec<Value> {
        self.bus.as_ref().map(|bus| bus.rule_queue(rule)).unwrap_or_default()
    }

    pub(crate) fn dead_letters(&self, queue: Queue) -> Vec<Value> {
        self.dead_letters.messages(queue.logical_id())
    }

    pub(crate) fn inject_fault(&self, fault: StreamFault) {
        self.faults.add(fault);
    }

    pub(crate) fn has_pending_faults(&self) -> bool {
        self.faults.is_pending()
    }

    pub(crate) fn clear_faults(&self) {
        self.faults.clear();
    }
}
