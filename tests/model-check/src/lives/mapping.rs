//! The event source mapping of the history's consumer: batches of records in order, each until it
//! has succeeded. A repeated batch may run beside the first one.

use std::ops::Range;

use shared::calls::Call;
use shared::table_stream::StreamRecord;

use super::rng::Rng;

/// The largest number of records of a batch.
const MAX_BATCH: usize = 5;

/// The mapping.
#[derive(Default)]
pub(super) struct Mapping {
    records: Vec<StreamRecord>,
    /// The number of the record with the settlement.
    settlement: Option<usize>,
    /// The first record that has not succeeded.
    next: usize,
    /// The end of the records that an invocation has got.
    started: usize,
    /// Whether the mapping waits for an invocation.
    pub(super) is_waiting: bool,
    /// The number of invocations for which the mapping does not wait.
    pub(super) zombies: u32,
    /// Whether such an invocation has failed between its writes.
    pub(super) has_lost_zombie: bool,
}

impl Mapping {
    pub(super) fn push(&mut self, images: &[Call; 2], record: StreamRecord) {
        if images[0].settlement.is_none() && images[1].settlement.is_some() {
            self.settlement = Some(self.records.len());
        }
        self.records.push(record);
    }

    pub(super) fn has_records(&self) -> bool {
        self.next < self.records.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.is_waiting && self.zombies == 0
    }

    /// Whether an invocation has got the record with the settlement, whose rows are the last ones.
    pub(super) fn has_started_settlement(&self) -> bool {
        self.settlement.is_some_and(|settlement| settlement < self.started)
    }

    /// The next batch, cut at any point. It may repeat earlier records.
    pub(super) fn next_batch(&mut self, rng: &mut Rng) -> Range<usize> {
        let available = (self.records.len() - self.next).min(MAX_BATCH);
        let end = self.next + 1 + rng.index(available);
        let repeated = if rng.one_in(6) { rng.index(self.next.min(3) + 1) } else { 0 };
        self.started = self.started.max(end);
        self.next - repeated..end
    }

    /// All records that have not succeeded.
    pub(super) fn rest(&mut self) -> Range<usize> {
        self.started = self.records.len();
        self.next..self.records.len()
    }

    pub(super) fn records(&self, batch: Range<usize>) -> Vec<StreamRecord> {
        self.records[batch].to_vec()
    }

    /// Continues after a batch, or from its first failed record.
    pub(super) fn complete(&mut self, batch: Range<usize>, failed: &[String]) {
        let position = |number: &String| {
            self.records.iter().position(|record| record.sequence_number() == number)
        };
        self.next = failed.first().and_then(position).unwrap_or(batch.end.max(self.next));
    }
}
