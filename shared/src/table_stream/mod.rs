//! The table's change stream: the records of `DynamoDB` Streams, in the form in which Lambda's
//! event source mappings and EventBridge Pipes deliver them.
//!
//! Stream records of one item arrive in the order of its changes, and each at least once.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

mod handler;
mod record;

pub use handler::{FailedRecord, RecordHandler};
pub use record::{Change, InvalidRecord, ProfileImage, StreamRecord};
