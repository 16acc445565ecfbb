//! Call quality, merged from samples of the apps, reports and statistics of Stream, and user
//! ratings.
//!
//! Missing data is never estimated. `docs/QUALITY.md` defines the units and the formula.

mod aggregate;
mod batch;
pub mod chart;
pub(crate) mod codec;
pub mod dynamo;
pub mod emodel;
mod ingest;
mod merge;
mod metrics;
mod model;
mod recent;
pub mod response;
mod sample;
mod service;
mod store;
mod stream_stats;
mod summary;
#[cfg(test)]
mod synthetic_calls;
mod timeline;
mod track;
pub mod unit;

pub use batch::{Batch, Platform, Samples, Slot};
pub use ingest::{NewBatch, SampleIngest};
pub use merge::merge;
pub use metrics::CallMetricsEmitter;
pub use model::Medium;
use response::Metrics;
pub use response::Quality;
pub use sample::{AudioCodec, Direction, QualityLimitationReason, Sample, VideoCodec};
pub use service::QualityService;
pub use store::{QualityStore, StoreBatchResult, StoredQualityData, StoredRating, StoredReport};
#[cfg(test)]
pub(crate) use stream_stats::ReportStats;
pub use stream_stats::StreamStats;
pub use summary::write_and_invalidate;

/// The mean; `None` for no values.
fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "at most some thousands of values")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.iter().sum::<f64>() / count)
}
