//! The handler of a batch of records.

use std::future::Future;

use crate::clock::Deadline;
use crate::error::Code;
use crate::table_stream::StreamRecord;

/// Handles the records of a batch, and returns those that failed.
pub trait RecordHandler: Send + Sync + 'static {
    /// Handles records in the order of the stream, and logs the error of each one that fails. The
    /// result contains those records in the same order.
    fn handle(
        &'static self,
        records: Vec<StreamRecord>,
        deadline: Deadline,
    ) -> impl Future<Output = Vec<FailedRecord>>;
}

/// A record whose handling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// The sequence number.
    pub sequence_number: String,
    /// The code of the error.
    pub code: Code,
}
