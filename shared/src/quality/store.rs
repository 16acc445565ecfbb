//! What is kept with a call of its quality: what Stream tells of it, and what the apps measure.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::quality::batch::{Batch, Slot};
use crate::store::StoreError;
use crate::stream::event::{Rating, StatsReport};

/// All that is kept with a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredQualityData {
    /// Batches of samples, in no order.
    pub batches: Vec<Batch>,
    /// Stream's statistics of each session, the newest last.
    pub reports: Vec<StoredReport>,
    /// What people think of it.
    pub ratings: Vec<StoredRating>,
    /// Whether there was more than is read of one call.
    pub truncated: bool,
}

/// A session's statistics as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// When Stream told of them.
    pub at: Timestamp,
    /// The session, as Stream names it.
    pub session: String,
    /// The statistics as JSON, where Stream sent them along.
    pub stats_json: Option<String>,
}

/// A rating as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRating {
    /// Who rates.
    pub user: UserId,
    /// From 1, the worst, to 5.
    pub rating: u8,
    /// Why, in the user's own words.
    pub reason: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreBatchResult {
    /// It is kept now.
    Stored,
    /// It was kept already, with whatever samples it had then.
    Duplicate,
    /// Another batch is in its place.
    SlotTaken,
}

/// The table, as far as such evidence goes. What is newest stands of a report or a rating, and
/// what was first of a batch, so twice is the same as once.
#[async_trait]
pub trait QualityStore: Send + Sync {
    /// Keeps a session's statistics.
    async fn store_report(
        &self,
        call: &CallId,
        report: &StatsReport,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Keeps what somebody thinks of a session.
    async fn store_rating(
        &self,
        call: &CallId,
        rating: &Rating,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Keeps a batch in a place of its user's, unless there is another one. One request.
    async fn store_batch(
        &self,
        call: &CallId,
        batch: &Batch,
        slot: Slot,
    ) -> Result<StoreBatchResult, StoreError>;

    /// Takes away what is kept of a user with a call: batches, ratings, and Stream's statistics,
    /// which name everybody.
    async fn delete_user_data(&self, call: &CallId, user: &UserId) -> Result<(), StoreError>;

    /// Reads all that is kept with a call, up to 16 MB of it.
    async fn load(&self, call: &CallId) -> Result<StoredQualityData, StoreError>;
}

/// How much is read of one call, in pages of the table's (1 MB each): all that two people can have
/// kept (997 batches of at most 6.5 KB each), and of more people what they usually have.
pub(super) const MAX_PAGES: usize = 16;
