//! What Stream tells of a call's quality by itself, kept with the call.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::StoreError;
use crate::stream::event::{Rating, Report};

/// The table, as far as such evidence goes. Each method is one request; what is newest stands, so
/// twice is the same as once.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Keeps a session's statistics.
    async fn keep_report(
        &self,
        call: &CallId,
        report: &Report,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Keeps what somebody thinks of a session.
    async fn keep_rating(
        &self,
        call: &CallId,
        rating: &Rating,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
