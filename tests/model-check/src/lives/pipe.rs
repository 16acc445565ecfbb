//! The pipe from the change stream to the bus of events. It delivers each change at least once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use shared::calls::Call;
use shared::events::{EventSource, EventType, derive};
use shared::table_stream::StreamRecord;

/// The number of records of a batch, as in the template.
const BATCH_SIZE: usize = 1;

/// A record of the pipe.
struct PipeRecord {
    change: usize,
    /// Whether an operator has requested the events again.
    is_reemission: bool,
    record: StreamRecord,
}

/// The first delivery of an event.
struct Delivered {
    kind: EventType,
    change: usize,
    json: String,
}

/// The pipe and its bus.
pub(super) struct Pipe {
    source: EventSource,
    records: Vec<PipeRecord>,
    /// The first record that is not delivered.
    next: usize,
    /// The events on the bus, by id.
    bus: BTreeMap<String, Delivered>,
    /// The number of repeated events.
    pub(super) repeats: u64,
}

impl Pipe {
    pub(super) fn new(source: EventSource) -> Self {
        Self { source, records: Vec::new(), next: 0, bus: BTreeMap::new(), repeats: 0 }
    }

    pub(super) fn push(&mut self, change: usize, images: &[Call; 2], record: StreamRecord) {
        let is_reemission = images[1].reemits > images[0].reemits;
        self.records.push(PipeRecord { change, is_reemission, record });
    }

    pub(super) fn has_records(&self) -> bool {
        self.next < self.records.len()
    }

    /// Delivers the events of the next batch. If `is_repeated`, the pipe delivers the batch again
    /// later. Returns a violation, if any.
    pub(super) fn deliver(&mut self, is_repeated: bool) -> Option<String> {
        let end = (self.next + BATCH_SIZE).min(self.records.len());
        let mut violation = None;
        for index in self.next..end {
            violation = violation.or(self.deliver_record(index));
        }
        if !is_repeated {
            self.next = end;
        }
        violation
    }

    fn deliver_record(&mut self, index: usize) -> Option<String> {
        let PipeRecord { change, is_reemission, record } = &self.records[index];
        let parsed = match record.clone().change() {
            Ok(parsed) => parsed,
            Err(error) => return Some(error.to_string()),
        };
        for event in derive(&parsed, &self.source) {
            let json = match serde_json::to_string(&event) {
                Ok(json) => json,
                Err(error) => return Some(error.to_string()),
            };
            let delivered = Delivered { kind: event.kind(), change: *change, json };
            match self.bus.entry(event.id().to_owned()) {
                Entry::Vacant(entry) => {
                    entry.insert(delivered);
                }
                Entry::Occupied(entry) => {
                    let (id, first) = (entry.key(), entry.get());
                    self.repeats += 1;
                    if first.change != delivered.change && !is_reemission {
                        return Some(format!("{id} is the event of two changes"));
                    }
                    // The figures of a repeated end are those of the settlement.
                    let may_differ = *is_reemission && first.kind == EventType::CallEnded;
                    if first.json != delivered.json && !may_differ {
                        let (first, second) = (&first.json, &delivered.json);
                        return Some(format!("{id} has two contents: {first} and {second}"));
                    }
                }
            }
        }
        None
    }

    /// The JSON of the event of this type, if it was delivered.
    pub(super) fn event(&self, kind: EventType) -> Option<&str> {
        let mut events = self.bus.values().filter(|delivered| delivered.kind == kind);
        events.next().map(|delivered| delivered.json.as_str())
    }

    /// How many events of this type were delivered, without repeats.
    pub(super) fn count(&self, kind: EventType) -> usize {
        self.bus.values().filter(|delivered| delivered.kind == kind).count()
    }
}
