//! The calls that are due, the oldest first, whatever shard they are in.

use std::collections::VecDeque;

use futures_util::stream::{self, StreamExt as _};

use crate::calls::sweep::{DuePlace, DueStore, Shard};
use crate::clock::Timestamp;
use crate::error::ApiError;
use crate::store::StoreError;

/// How many places one request reads.
const PAGE: u16 = 100;
/// How many shards are read at the same time.
const AT_ONCE: usize = 8;

/// What is due at one instant. It is read as far as it is taken.
pub(super) struct Queue<'a> {
    store: &'a dyn DueStore,
    now: Timestamp,
    shards: Vec<Part>,
}

/// A shard as far as it has been read.
struct Part {
    shard: Shard,
    places: VecDeque<DuePlace>,
    /// The last place that was read, if there are more behind it.
    more: Option<DuePlace>,
}

impl<'a> Queue<'a> {
    /// Reads the beginning of every shard. One that cannot be read is left to the next sweep,
    /// unless it is all of them.
    pub(super) async fn open(store: &'a dyn DueStore, now: Timestamp) -> Result<Self, StoreError> {
        let parts = stream::iter(Shard::all().map(|shard| read(store, now, shard, None)));
        let parts: Vec<_> = parts.buffered(AT_ONCE).collect().await;
        let (shards, failed): (Vec<_>, Vec<_>) = parts.into_iter().partition(Result::is_ok);
        let shards: Vec<Part> = shards.into_iter().flatten().collect();
        for error in failed.into_iter().filter_map(Result::err) {
            if shards.is_empty() {
                return Err(error);
            }
            ApiError::from(error).note("a part of the index is not read", &"due");
        }
        Ok(Self { store, now, shards })
    }

    /// Since when the oldest has been due.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(|part| part.places.front()).map(|place| place.due_at).min()
    }

    /// Takes the oldest ones.
    pub(super) async fn take(&mut self, most: usize) -> Result<Vec<DuePlace>, StoreError> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let heads = self.shards.iter_mut().filter(|part| !part.places.is_empty());
            let Some(part) = heads.min_by(|a, b| a.places.front().cmp(&b.places.front())) else {
                break;
            };
            taken.extend(part.places.pop_front());
            if part.places.is_empty()
                && let Some(last) = part.more.take()
            {
                match read(self.store, self.now, part.shard, Some(&last)).await {
                    Ok(next) => *part = next,
                    Err(error) => {
                        ApiError::from(error).note("a part of the index is not read", &part.shard);
                    }
                }
            }
        }
        Ok(taken)
    }
}

async fn read(
    store: &dyn DueStore,
    now: Timestamp,
    shard: Shard,
    after: Option<&DuePlace>,
) -> Result<Part, StoreError> {
    let page = store.due(shard, now, after, PAGE).await?;
    let more = page.places.last().cloned().filter(|_| page.more);
    Ok(Part { shard, places: page.places.into(), more })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::calls::sweep::{DueCall, DuePage};
    use crate::ids::CallId;

    /// So many calls, due one second after the other.
    struct Calls(Vec<DuePlace>);

    #[async_trait]
    impl DueStore for Calls {
        async fn due(
            &self,
            shard: Shard,
            now: Timestamp,
            after: Option<&DuePlace>,
            most: u16,
        ) -> Result<DuePage, StoreError> {
            let mut places: Vec<_> = self
                .0
                .iter()
                .filter(|place| Shard::of(&place.id) == shard && place.due_at <= now)
                .filter(|place| after.is_none_or(|after| *place > after))
                .cloned()
                .collect();
            let more = places.len() > usize::from(most);
            places.truncate(most.into());
            Ok(DuePage { places, more })
        }

        async fn load(&self, _: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
            unreachable!()
        }

        async fn put_off(
            &self,
            _: &CallId,
            _: Timestamp,
            _: Timestamp,
            _: u32,
        ) -> Result<(), StoreError> {
            unreachable!()
        }

        async fn rest(&self, _: &CallId, _: Timestamp) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn bookmark(&self) -> Result<Option<String>, StoreError> {
            unreachable!()
        }

        async fn set_bookmark(&self, _: &str) -> Result<(), StoreError> {
            unreachable!()
        }
    }

    #[test]
    fn the_oldest_come_first_over_all_shards_and_pages() {
        let mut places: Vec<_> = (0..20_000)
            .map(|n| DuePlace {
                due_at: Timestamp::from_secs(n),
                id: CallId::try_from(format!("c{n}")).unwrap(),
            })
            .collect();
        let calls = Calls(places.clone());
        places.truncate(15_001);
        let found = async {
            let mut queue = Queue::open(&calls, Timestamp::from_secs(15_000)).await.unwrap();
            assert_eq!(queue.oldest(), Some(Timestamp::from_secs(0)));
            let mut found = Vec::new();
            loop {
                let taken = queue.take(100).await.unwrap();
                if taken.is_empty() {
                    return found;
                }
                found.extend(taken);
            }
        };
        assert_eq!(found.now_or_never().unwrap(), places);
    }
}
