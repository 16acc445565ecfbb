//! How good a call was: what its sources say, put together; nothing that no source says.
//!
//! The sources are the samples that the apps send, Stream's reports and statistics, and what the
//! people think of the call. `docs/QUALITY.md` has the units, the formula and its limits.

mod batch;
pub mod chart;
pub mod dynamo;
pub mod emodel;
mod ingest;
mod merge;
mod metrics;
pub mod response;
mod sample;
mod service;
mod store;
mod stream_stats;
mod timeline;
mod track;
pub mod unit;

pub use batch::{Batch, Platform, Samples, Slot};
pub use ingest::{NewBatch, SampleIngest};
pub use merge::merge;
pub use metrics::CallMetricsEmitter;
use response::Metrics;
pub use response::Quality;
pub use sample::{Direction, QualityLimitationReason, Sample};
pub use service::QualityService;
pub use store::{QualityStore, StoreBatchResult, StoredQualityData, StoredRating, StoredReport};
pub use stream_stats::StreamStats;

/// The mean of these, if there are any.
fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands at most")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.iter().sum::<f64>() / count)
}
