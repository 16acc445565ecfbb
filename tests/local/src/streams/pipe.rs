//! An EventBridge Pipe: enriches a batch with a function, and puts the events on the bus.
//!
//! - The enrichment function gets an array of records and returns an array of events. If the array
//!   is empty, the target is not invoked.
//!   <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html>
//! - If the enrichment fails, returns more events than the target takes, or the target rejects an
//!   event, the whole batch is repeated with another enrichment. AWS repeats only the rest of a
//!   batch. But it does not document which records belong to a rejected event, so consumers must
//!   expect each event of the batch again.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::batch::{Deliver, Delivery, Failure};
use super::bus::{Bus, Entry};
use super::dead_letters::{Discarded, pipe_message};
use super::faults::{StreamConsumer, StreamFaults};
use super::invoke::{BoxFuture, Invoke, invoke_function};
use super::record::StreamRecord;
use crate::error::TableStreamError;
use crate::template::{PipeDefinition, PipeTarget};

pub(super) struct Pipe {
    name: String,
    enrichment: String,
    target: PipeTarget,
    invoker: Arc<dyn Invoke>,
    bus: Arc<Bus>,
    faults: Arc<StreamFaults>,
}

impl Pipe {
    pub(super) fn new(
        definition: &PipeDefinition,
        invoker: Arc<dyn Invoke>,
        bus: Arc<Bus>,
        faults: Arc<StreamFaults>,
    ) -> Self {
        Self {
            name: definition.name.clone(),
            enrichment: definition.enrichment.clone(),
            target: definition.target.clone(),
            invoker,
            bus,
            faults,
        }
    }

    async fn execute(&self, records: &[StreamRecord]) -> Result<Delivery, TableStreamError> {
        let records: Vec<&Value> = records.iter().map(StreamRecord::event).collect();
        let payload = Bytes::from(json!(records).to_string());
        let response = invoke_function(&*self.invoker, &self.enrichment, payload).await?;
        let events = response.and_then(|response| read_events(&response));
        let has_succeeded = events.is_some_and(|events| self.put_events(&events));
        Ok(if has_succeeded { Delivery::Succeeded } else { Delivery::Failed(Failure::Error) })
    }

    /// Puts all events on the bus. Returns whether the bus accepted every event.
    fn put_events(&self, events: &[Value]) -> bool {
        if events.is_empty() {
            return true;
        }
        let entries: Option<Vec<Entry>> = events.iter().map(|event| self.entry(event)).collect();
        entries.is_some_and(|entries| {
            let failing_entry = self.faults.take_failing_entry(entries.len());
            let results = self.bus.put_events(&entries, failing_entry);
            results.is_ok_and(|results| results.iter().all(Result::is_ok))
        })
    }

    /// The entry for an event. `None` if a path of the target's parameters does not exist in it.
    fn entry(&self, event: &Value) -> Option<Entry> {
        let time = match &self.target.time {
            None => None,
            Some(time) => Some(time.resolve(event)?.parse::<Timestamp>().ok()?),
        };
        Some(Entry {
            source: self.target.source.resolve(event)?,
            detail_type: self.target.detail_type.resolve(event)?,
            time,
            detail: event.clone(),
        })
    }
}

impl Deliver for Pipe {
    fn consumer(&self) -> StreamConsumer {
        StreamConsumer::Pipe
    }

    fn deliver<'a>(
        &'a self,
        records: &'a [StreamRecord],
    ) -> BoxFuture<'a, Result<Delivery, TableStreamError>> {
        Box::pin(self.execute(records))
    }

    fn dead_letter(&self, discarded: &Discarded<'_>) -> Value {
        pipe_message(&self.name, discarded)
    }
}

/// The events of an enrichment's response: the items of an array, or one object. An empty response
/// has no events.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes.html#pipes-enrichment>
fn read_events(response: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice::<Value>(response).ok()? {
        Value::Array(events) => Some(events),
        Value::Object(members) if members.is_empty() => Some(Vec::new()),
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        event @ Value::Object(_) => Some(vec![event]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::faults::{StreamFault, StreamFaultKind};
    use super::super::invoke::fakes::{ScriptedInvoker, function_error};
    use super::super::record::samples::records;
    use super::*;
    use crate::clock::StackClock;
    use crate::error::InvokeError;
    use crate::template::{EventBusDefinition, TargetParameter};

    const FAILED: Delivery = Delivery::Failed(Failure::Error);

    fn event(id: u32) -> Value {
        json!({
            "id": format!("c{id}.call.created"),
            "type": "call.created",
            "source": "stream-functions",
            "time": "2026-01-01T00:00:00.250Z",
            "data": {"callId": format!("c{id}")},
        })
    }

    fn events(ids: impl IntoIterator<Item = u32>) -> Result<String, InvokeError> {
        Ok(Value::Array(ids.into_iter().map(event).collect()).to_string())
    }

    struct Fixture {
        pipe: Pipe,
        invoker: Arc<ScriptedInvoker>,
    }

    impl Fixture {
        fn new(responses: impl IntoIterator<Item = Result<String, InvokeError>>) -> Self {
            let invoker = ScriptedInvoker::new(responses);
            let path = |text: &str| TargetParameter::parse(text).unwrap();
            let pipe = Pipe {
                name: "EventPipe".to_owned(),
                enrichment: "call-events".to_owned(),
                target: PipeTarget {
                    detail_type: path("$.type"),
                    source: path("$.source"),
                    time: Some(path("$.time")),
                },
                invoker: Arc::<ScriptedInvoker>::clone(&invoker),
                bus: Arc::new(Bus::new(EventBusDefinition::default(), StackClock::default())),
                faults: Arc::new(StreamFaults::default()),
            };
            Self { pipe, invoker }
        }

        async fn deliver(&self) -> Delivery {
            self.pipe.deliver(&records([1, 2], SystemTime::now())).await.unwrap()
        }

        /// The ids of the events on the bus.
        fn ids(&self) -> Vec<Value> {
            self.pipe
                .bus
                .events()
                .into_iter()
                .map(|mut event| event["detail"]["id"].take())
                .collect()
        }
    }

    #[tokio::test]
    async fn events_of_the_enrichment_go_to_the_bus() {
        let fixture = Fixture::new([events([1, 2, 3])]);
        assert_eq!(fixture.deliver().await, Delivery::Succeeded);
        let sent = fixture.invoker.events();
        let [records] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(records.as_array().map(Vec::len), Some(2));
        assert_eq!(records[0]["dynamodb"]["SequenceNumber"], "1");

        assert_eq!(fixture.ids(), ["c1.call.created", "c2.call.created", "c3.call.created"]);
        let on_bus = &fixture.pipe.bus.events()[0];
        assert_eq!(on_bus["detail-type"], "call.created");
        assert_eq!(on_bus["source"], "stream-functions");
        assert_eq!(on_bus["time"], "2026-01-01T00:00:00Z");
        assert_eq!(on_bus["detail"], event(1));
    }

    #[tokio::test]
    async fn empty_enrichment_succeeds_without_events() {
        for response in ["[]", "{}", r#""""#] {
            let fixture = Fixture::new([Ok(response.to_owned())]);
            assert_eq!(fixture.deliver().await, Delivery::Succeeded, "{response}");
            assert!(fixture.ids().is_empty());
        }
    }

    #[tokio::test]
    async fn batch_fails_with_its_enrichment_or_target() {
        let incomplete = |member: &str| {
            let mut event = event(1);
            event.as_object_mut().unwrap().remove(member);
            Ok(json!([event]).to_string())
        };
        let mut invalid_time = event(1);
        invalid_time["time"] = json!("yesterday");
        let cases = [
            Err(function_error()),
            Ok("not json".to_owned()),
            Ok("1".to_owned()),
            Ok(r#"["text"]"#.to_owned()),
            // A bus takes at most 10 events in a request.
            events(0..11),
            incomplete("type"),
            incomplete("source"),
            incomplete("time"),
            Ok(json!([invalid_time]).to_string()),
        ];
        for response in cases {
            let message = format!("{response:?}");
            let fixture = Fixture::new([response]);
            assert_eq!(fixture.deliver().await, FAILED, "{message}");
            assert!(fixture.ids().is_empty(), "{message}");
        }
    }

    #[tokio::test]
    async fn ten_events_are_accepted() {
        let fixture = Fixture::new([events(0..10)]);
        assert_eq!(fixture.deliver().await, Delivery::Succeeded);
        assert_eq!(fixture.ids().len(), 10);
    }

    #[tokio::test]
    async fn rejected_event_fails_the_batch_after_the_others_arrived() {
        let fixture = Fixture::new([events([1, 2]), events([1, 2])]);
        let kind = StreamFaultKind::FailEntry(0);
        fixture.pipe.faults.add(StreamFault { consumer: StreamConsumer::Pipe, kind });
        assert_eq!(fixture.deliver().await, FAILED);
        assert_eq!(fixture.ids(), ["c2.call.created"]);
        assert_eq!(fixture.deliver().await, Delivery::Succeeded);
        let expected = ["c2.call.created", "c1.call.created", "c2.call.created"];
        assert_eq!(fixture.ids(), expected);
        assert_eq!(fixture.invoker.events().len(), 2);
    }
}
