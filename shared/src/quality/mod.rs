//! Call quality, merged from samples of the apps, reports and statistics of Stream, and user
//! ratings.
//!
//! Missing data is never estimated. `docs/QUALITY.md` defines the units and the formula.

mod aggregate;
mod assess;
mod batch;
pub mod cause;
pub mod chart;
pub(crate) mod codec;
pub mod dynamo;
pub mod emodel;
mod ingest;
mod mean;
mod merge;
mod metrics;
mod model;
mod recent;
pub mod response;
mod sample;
pub mod score;
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
pub use response::Quality;
pub use sample::{AudioCodec, Direction, QualityLimitationReason, Sample, VideoCodec};
pub use service::QualityService;
pub use store::{
    BatchStore, QualityDataReader, ReportStore, StoreBatchResult, StoredQualityData, StoredRating,
    StoredReport, SummaryInvalidator, SummaryStore, UserQualityEraser,
};
#[cfg(test)]
pub(crate) use stream_stats::ReportStats;
pub use stream_stats::StreamStats;
pub use summary::write_and_invalidate;
