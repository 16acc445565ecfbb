//! What erasures ask of the table.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::store::StoreError;

/// A user on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub started_at: Timestamp,
    /// Where the list of the user's calls is gone on with.
    pub next_page: Option<String>,
    /// The task in which Stream deletes the user.
    pub task_id: Option<String>,
}

/// What came of beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginErasureResult {
    /// It is begun, now or before.
    InProgress(Erasure),
    /// It was done before.
    AlreadyErased,
    /// There is no such user.
    UserNotFound,
}

/// The table, as far as erasures go.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// Takes the user's profile away, leaves a stone in its place that keeps the id from coming
    /// back, and remembers what is left to do. Two writes; if the second one fails the first one
    /// stands, and the next attempt makes up for it.
    async fn begin(&self, user: &UserId, at: Timestamp) -> Result<BeginErasureResult, StoreError>;

    /// Erasures that are not done, as many as one request tells of.
    async fn list_pending(&self) -> Result<Vec<Erasure>, StoreError>;

    /// Remembers how far an erasure is.
    async fn save(&self, erasure: &Erasure) -> Result<(), StoreError>;

    /// Remembers that an erasure is done.
    async fn finish(&self, user: &UserId, at: Timestamp) -> Result<(), StoreError>;
}
