//! A consumer of the table's stream: reads the stream, filters the records, and delivers batches.

use super::StreamSource;
use super::batch::{BatchRunner, Step};
use super::filter::Filters;
use super::reader::StreamReader;
use crate::clock::StackClock;
use crate::error::TableStreamError;

pub(super) struct Consumer {
    reader: StreamReader,
    filters: Filters,
    runner: BatchRunner,
}

impl Consumer {
    /// Opens the stream at its oldest record, the starting position `TRIM_HORIZON`.
    pub(super) async fn open(
        source: &StreamSource,
        clock: &StackClock,
        filters: Filters,
        runner: BatchRunner,
    ) -> Result<Self, TableStreamError> {
        let StreamSource { endpoint, table } = source;
        let reader = StreamReader::open_with_clock(endpoint, table, clock.clone()).await?;
        Ok(Self { reader, filters, runner })
    }

    /// Delivers the first pending batch, or reads the next records. Records that match no filter
    /// only advance the position.
    pub(super) async fn step(&mut self) -> Result<Step, TableStreamError> {
        if !self.runner.is_idle() {
            return self.runner.deliver_next().await;
        }
        let mut records = self.reader.next_records().await?;
        if records.is_empty() {
            return Ok(Step::Idle);
        }
        records.retain(|record| self.filters.matches(record.event()));
        self.runner.enqueue(&records);
        Ok(Step::Advanced)
    }
}
