//! Storage of quality data: Stream's reports, user ratings and the apps' samples.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::quality::batch::{Batch, Slot};
use crate::store::StoreError;
use crate::stream::event::{Rating, StatsReport};

/// The stored quality data of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredQualityData {
    /// Batches of samples, unordered.
    pub batches: Vec<Batch>,
    /// Stream's statistics of each session, the newest last.
    pub reports: Vec<StoredReport>,
    /// The user ratings.
    pub ratings: Vec<StoredRating>,
    /// Whether the data exceeds the read limit of one call.
    pub truncated: bool,
}

/// The stored statistics of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// The time of Stream's event.
    pub at: Timestamp,
    /// Stream's session id.
    pub session: String,
    /// The statistics as JSON, if the event includes them.
    pub stats_json: Option<String>,
}

/// A stored rating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRating {
    /// The user who rated the call.
    pub user: UserId,
    /// 1, the worst, to 5.
    pub rating: u8,
    /// The user's reason, as free text.
    pub reason: Option<String>,
}

/// The result of [`BatchStore::store_batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreBatchResult {
    /// The batch is stored.
    Stored,
    /// A batch with this id is already stored and stays unchanged.
    Duplicate,
    /// Another batch occupies the slot.
    SlotTaken,
}

/// Deletes summaries whose data changes.
#[async_trait]
pub trait SummaryInvalidator: Send + Sync {
    /// Deletes the summary of a call, because its data changes at this time.
    async fn invalidate_summary(&self, call: &CallId, at: Timestamp) -> Result<(), StoreError>;
}

/// Stores Stream's statistics and the ratings of users. Writes are idempotent: the newest statistics
/// of a session win, and the newest rating of a user.
#[async_trait]
pub trait ReportStore: SummaryInvalidator {
    /// Stores a session's statistics.
    async fn store_report(
        &self,
        call: &CallId,
        report: &StatsReport,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores a user's rating of a session.
    async fn store_rating(
        &self,
        call: &CallId,
        rating: &Rating,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Stores batches of samples. Writes are idempotent: the first batch with an id wins.
#[async_trait]
pub trait BatchStore: SummaryInvalidator {
    /// Stores a batch in a slot of its user, unless the slot is taken. Sends one request.
    async fn store_batch(
        &self,
        call: &CallId,
        batch: &Batch,
        slot: Slot,
    ) -> Result<StoreBatchResult, StoreError>;
}

/// Deletes the quality data of a user. Deleting it again changes nothing.
#[async_trait]
pub trait UserQualityEraser: SummaryInvalidator {
    /// Deletes a user's batches and ratings of a call, and Stream's statistics, which include all
    /// participants. The summary includes them, too: the caller then invalidates it.
    async fn delete_user_data(&self, call: &CallId, user: &UserId) -> Result<(), StoreError>;
}

/// Reads the quality data of calls.
#[async_trait]
pub trait QualityDataReader: Send + Sync {
    /// Reads the quality data of a call without the summary, up to 16 MB and 150,000 samples.
    async fn load_data(&self, call: &CallId) -> Result<StoredQualityData, StoreError>;
}

/// The store of summaries.
#[async_trait]
pub trait SummaryStore: QualityDataReader {
    /// Reads the content of a call's summary. `None` if there is none or it was invalidated.
    async fn load_summary(&self, call: &CallId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores the content of a summary whose data was read after `at`. Changes nothing if a newer
    /// summary exists, or if an invalidation may concern the data.
    async fn store_summary(
        &self,
        call: &CallId,
        content: Vec<u8>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// The maximum pages of 1 MB to read per call. They hold all batches that two members can store:
/// 997 batches each, at most 6.5 KB a batch.
pub(super) const MAX_PAGES: usize = 16;
/// The maximum samples to read per call, which bounds the memory: a sample has about 400 bytes, and
/// its bytes in the table depend on its values. All batches of two members have fewer samples.
pub(super) const MAX_SAMPLES: usize = 150_000;
