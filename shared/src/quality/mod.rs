//! How good a call was: what its sources say, put together; nothing that no source says.
//!
//! The sources are the samples that the apps send, Stream's reports and statistics, and what the
//! people think of the call. `docs/QUALITY.md` has the units, the formula and its limits.

pub mod answer;
mod batch;
pub mod dynamo;
pub mod emodel;
mod evidence;
mod merge;
mod metrics;
pub mod picture;
mod read;
mod report;
mod sample;
mod stream;
mod timeline;
mod track;
pub mod unit;

use answer::Metrics;
pub use answer::Quality;
pub use batch::{Batch, Platform, Samples, Slot};
pub use evidence::{Evidence, EvidenceStore, Kept, KeptRating, KeptReport};
pub use merge::merge;
pub use metrics::CallMetrics;
pub use read::Readings;
pub use report::{Reports, SampleReport};
pub use sample::{Direction, Limitation, Sample};
pub use stream::Live;

/// The mean of these, if there are any.
fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands at most")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.iter().sum::<f64>() / count)
}
