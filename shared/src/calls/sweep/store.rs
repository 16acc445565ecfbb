//! The store of due calls.

use std::fmt;

use async_trait::async_trait;
use ring::digest;

use crate::calls::{Call, CallScore};
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::StoreError;

/// A partition of the due index. A hash of the call id selects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(u8);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

impl Shard {
    /// The number of shards (see `docs/DATA.md`).
    pub const COUNT: u8 = 64;

    /// All shards.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The shard of a call.
    #[must_use]
    pub fn from_call_id(id: &CallId) -> Self {
        let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
        Self(digest.as_ref()[0] % Self::COUNT)
    }

    /// The number of the shard, below [`Shard::COUNT`].
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// An entry of the due index. The order is by due time, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueEntry {
    /// When the call is due.
    pub due_at: Timestamp,
    /// The id of the call.
    pub id: CallId,
}

/// A page of the due index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The entries, the oldest first.
    pub entries: Vec<DueEntry>,
    /// Whether another page follows.
    pub has_more: bool,
}

/// A call item with its attributes of the due index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCall {
    /// The call.
    pub call: Call,
    /// When the call is due; `None` if it has left the due index.
    pub due_at: Option<Timestamp>,
    /// The number of failed attempts.
    pub tries: u32,
}

/// The final figures of a call that is over.
#[derive(Clone, Copy, Debug)]
pub struct SettleRequest<'a> {
    /// The settled call.
    pub call: &'a Call,
    /// The version of the presence from which the call was settled.
    pub expected_version: u64,
    /// When the call is due.
    pub expected_due_at: Timestamp,
    /// When the call is due again. `None` removes it from the due index.
    pub next_check: Option<Timestamp>,
}

/// The store of due calls. Each method sends one request. [`DueStore::load`] sends a second one if
/// the table leaves keys unprocessed.
#[async_trait]
pub trait DueStore: Send + Sync {
    /// Lists at most `limit` due entries of a shard that follow the entry `after`.
    async fn list_due(
        &self,
        shard: Shard,
        now: Timestamp,
        after: Option<&DueEntry>,
        limit: u16,
    ) -> Result<DuePage, StoreError>;

    /// Reads at most 100 calls with strong consistency. The ids must be unique. Calls that do not
    /// exist are left out. If keys stay unprocessed, this returns an error.
    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError>;

    /// Changes when a call is due, if it is still due at `expected_due_at`.
    async fn reschedule(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        due_at: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError>;

    /// Stores the settlement of a call, which happens once for each call. Returns whether it was
    /// stored: the call must be over and not settled, with this due time and presence.
    async fn settle(&self, request: SettleRequest<'_>) -> Result<bool, StoreError>;

    /// Removes an ended call from the due index, if it is still due at `expected_due_at`, and stores
    /// its quality. Returns whether it was removed, which happens once for each call.
    async fn remove_from_index(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        quality: Option<&CallScore>,
    ) -> Result<bool, StoreError>;

    /// Reads the checkpoint of the last reconciliation.
    async fn load_checkpoint(&self) -> Result<Option<String>, StoreError>;

    /// Stores the checkpoint of a reconciliation.
    async fn store_checkpoint(&self, checkpoint: &str) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_over_all_shards() {
        let mut counts = [0_u32; Shard::COUNT as usize];
        for n in 0..6_400 {
            let id = CallId::try_from(format!("call-{n}")).unwrap();
            counts[usize::from(Shard::from_call_id(&id).number())] += 1;
        }
        assert!(counts.iter().all(|count| (50..=160).contains(count)), "{counts:?}");
    }
}
