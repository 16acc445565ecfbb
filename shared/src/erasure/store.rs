//! The store of erasures.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::store::StoreError;

/// An erasure in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The id of the user.
    pub user: UserId,
    /// When the erasure began.
    pub started_at: Timestamp,
    /// The cursor of the next page of the user's calls.
    pub next_page: Option<String>,
    /// The id of Stream's deletion task.
    pub task_id: Option<String>,
}

/// The result of [`ErasureStore::begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginErasureResult {
    /// The erasure is in progress, begun now or before.
    InProgress(Erasure),
    /// The erasure was completed before.
    AlreadyErased,
    /// The user does not exist.
    UserNotFound,
}

/// The store of erasures.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// Replaces the user's profile by a tombstone, which blocks the id, and inserts the erasure.
    /// These are two writes. If the second one fails, the next attempt repeats both.
    async fn begin(&self, user: &UserId, at: Timestamp) -> Result<BeginErasureResult, StoreError>;

    /// Lists the erasures in progress: the first page of the query.
    async fn list_pending(&self) -> Result<Vec<Erasure>, StoreError>;

    /// Stores the progress of an erasure.
    async fn save(&self, erasure: &Erasure) -> Result<(), StoreError>;

    /// Completes an erasure: deletes the pointer to the call that the user joined last and the
    /// user's history, stores the time in the tombstone and deletes the erasure.
    async fn finish(&self, user: &UserId, at: Timestamp) -> Result<(), StoreError>;
}
