//! The table's change stream: the records of `DynamoDB` Streams, in the form in which Lambda's
//! event source mappings and EventBridge Pipes deliver them.
//!
//! Stream records of one item arrive in the order of its changes, and each at least once.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

mod function;
mod record;

pub use function::{FailedRecord, RecordHandler, serve_enrichment, serve_mapping};
pub use record::{Change, InvalidRecord, ProfileImage, StreamRecord};
