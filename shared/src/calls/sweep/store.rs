//! What the sweeper asks of the table.

use std::fmt;

use async_trait::async_trait;
use ring::digest;

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::StoreError;

/// A partition of the index of calls that are due: an even spread, the same every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(u8);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

impl Shard {
    /// How many there are: `docs/DATA.md` has the arithmetic.
    pub const COUNT: u8 = 64;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The one that a call is in.
    #[must_use]
    pub fn from_call_id(id: &CallId) -> Self {
        let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
        Self(digest.as_ref()[0] % Self::COUNT)
    }

    /// Its number, below [`Shard::COUNT`].
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// A place in the index: the oldest come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueEntry {
    /// When the call is due.
    pub due_at: Timestamp,
    /// The call.
    pub id: CallId,
}

/// A page of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The places, the oldest first.
    pub entries: Vec<DueEntry>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// A call with its place in the index, which may lag behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCall {
    /// The call.
    pub call: Call,
    /// When it is due; `None` where it has left the index.
    pub due_at: Option<Timestamp>,
    /// How often something was tried in vain.
    pub tries: u32,
}

/// The table, as far as the sweeper goes. Each method is one request; [`DueStore::load`] is one
/// more where the table leaves calls out of its answer.
#[async_trait]
pub trait DueStore: Send + Sync {
    /// The places of a shard that are due, behind a place, `most` of them at most.
    async fn list_due(
        &self,
        shard: Shard,
        now: Timestamp,
        after: Option<&DueEntry>,
        limit: u16,
    ) -> Result<DuePage, StoreError>;

    /// Reads calls as they stand now, a hundred at most, none of them named twice. Those that do
    /// not exist are left out; what the table leaves out of its answers is an error.
    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError>;

    /// Moves a call within the index, if it still stands where it was seen.
    async fn reschedule(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        due_at: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError>;

    /// Takes a call that has ended out of the index, if it still stands where it was seen; whether
    /// it did, which is so once in a call's life.
    async fn remove_from_index(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Where the last reconciliation stopped.
    async fn load_checkpoint(&self) -> Result<Option<String>, StoreError>;

    /// Remembers where a reconciliation stopped.
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
