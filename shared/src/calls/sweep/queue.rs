//! Merges the shards of the due index into one queue, the oldest entries first.

use std::collections::VecDeque;

use futures_util::stream::{self, StreamExt as _};

use crate::calls::sweep::{DueEntry, DueStore, Shard};
use crate::clock::Timestamp;
use crate::error::ApiError;
use crate::store::StoreError;

/// The number of entries that one request reads.
const PAGE_SIZE: u16 = 100;
/// The number of shards that are read concurrently.
const CONCURRENCY: usize = 8;

/// The entries that are due at one instant. Further pages are read on demand.
pub(super) struct DueQueue<'a> {
    store: &'a dyn DueStore,
    now: Timestamp,
    cursors: Vec<ShardCursor>,
}

/// The unconsumed entries of a shard.
struct ShardCursor {
    shard: Shard,
    entries: VecDeque<DueEntry>,
    /// The last entry of the page, if more pages follow.
    resume_after: Option<DueEntry>,
}

impl<'a> DueQueue<'a> {
    /// Reads the first page of every shard. A shard that cannot be read is left to the next sweep.
    /// If all shards fail, this returns the error.
    pub(super) async fn load(store: &'a dyn DueStore, now: Timestamp) -> Result<Self, StoreError> {
        let loads = stream::iter(Shard::all().map(|shard| load_page(store, now, shard, None)));
        let results: Vec<_> = loads.buffered(CONCURRENCY).collect().await;
        let (loaded, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let cursors: Vec<ShardCursor> = loaded.into_iter().flatten().collect();
        for error in failed.into_iter().filter_map(Result::err) {
            if cursors.is_empty() {
                return Err(error);
            }
            ApiError::from(error).log("reading a due index shard failed, skipping it", &"due");
        }
        Ok(Self { store, now, cursors })
    }

    /// When the oldest entry became due.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.cursors
            .iter()
            .filter_map(|cursor| cursor.entries.front())
            .map(|entry| entry.due_at)
            .min()
    }

    /// Takes the oldest entries.
    pub(super) async fn next_batch(&mut self, limit: usize) -> Result<Vec<DueEntry>, StoreError> {
        let mut batch = Vec::new();
        while batch.len() < limit {
            let candidates = self.cursors.iter_mut().filter(|cursor| !cursor.entries.is_empty());
            let Some(cursor) = candidates.min_by(|a, b| a.entries.front().cmp(&b.entries.front()))
            else {
                break;
            };
            batch.extend(cursor.entries.pop_front());
            if cursor.entries.is_empty()
                && let Some(last) = cursor.resume_after.take()
            {
                match load_page(self.store, self.now, cursor.shard, Some(&last)).await {
                    Ok(next) => *cursor = next,
                    Err(error) => {
                        ApiError::from(error).log(
                            "reading a due index shard failed, skipping its rest",
                            &cursor.shard,
                        );
                    }
                }
            }
        }
        Ok(batch)
    }
}

async fn load_page(
    store: &dyn DueStore,
    now: Timestamp,
    shard: Shard,
    after: Option<&DueEntry>,
) -> Result<ShardCursor, StoreError> {
    let page = store.list_due(shard, now, after, PAGE_SIZE).await?;
    let resume_after = page.entries.last().cloned().filter(|_| page.has_more);
    Ok(ShardCursor { shard, entries: page.entries.into(), resume_after })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::calls::CallScore;
    use crate::calls::sweep::{DueCall, DuePage, SettleRequest};
    use crate::ids::CallId;

    /// A store of these entries.
    struct FakeDueStore(Vec<DueEntry>);

    #[async_trait]
    impl DueStore for FakeDueStore {
        async fn list_due(
            &self,
            shard: Shard,
            now: Timestamp,
            after: Option<&DueEntry>,
            limit: u16,
        ) -> Result<DuePage, StoreError> {
            let mut entries: Vec<_> = self
                .0
                .iter()
                .filter(|entry| Shard::from_call_id(&entry.id) == shard && entry.due_at <= now)
                .filter(|entry| after.is_none_or(|after| *entry > after))
                .cloned()
                .collect();
            let has_more = entries.len() > usize::from(limit);
            entries.truncate(limit.into());
            Ok(DuePage { entries, has_more })
        }

        async fn load(&self, _: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
            unreachable!()
        }

        async fn reschedule(
            &self,
            _: &CallId,
            _: Timestamp,
            _: Timestamp,
            _: u32,
        ) -> Result<(), StoreError> {
            unreachable!()
        }

        async fn settle(&self, _: SettleRequest<'_>) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn remove_from_index(
            &self,
            _: &CallId,
            _: Timestamp,
            _: Option<&CallScore>,
        ) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn load_checkpoint(&self) -> Result<Option<String>, StoreError> {
            unreachable!()
        }

        async fn store_checkpoint(&self, _: &str) -> Result<(), StoreError> {
            unreachable!()
        }
    }

    #[test]
    fn entries_are_ordered_by_due_time_across_shards_and_pages() {
        let mut expected: Vec<_> = (0..20_000)
            .map(|n| DueEntry {
                due_at: Timestamp::from_secs(n),
                id: CallId::try_from(format!("c{n}")).unwrap(),
            })
            .collect();
        let store = FakeDueStore(expected.clone());
        expected.truncate(15_001);
        let drain = async {
            let mut queue = DueQueue::load(&store, Timestamp::from_secs(15_000)).await.unwrap();
            assert_eq!(queue.oldest(), Some(Timestamp::from_secs(0)));
            let mut entries = Vec::new();
            loop {
                let batch = queue.next_batch(100).await.unwrap();
                if batch.is_empty() {
                    return entries;
                }
                entries.extend(batch);
            }
        };
        assert_eq!(drain.now_or_never().unwrap(), expected);
    }
}
