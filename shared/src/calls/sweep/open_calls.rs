//! How many calls are open, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::calls::dynamo::DynamoCallStore;
use crate::calls::sweep::Shard;
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::store::StoreError;

/// How many shards are counted at the same time.
const CONCURRENCY: usize = 8;
/// How long it may take: nothing waits for it but the end of the sweep.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// Counts the calls of which something is still to be closed: all that are in the index of what is
/// due, now or later.
#[derive(Clone)]
pub struct OpenCallCounter {
    store: DynamoCallStore,
    clock: Arc<dyn Clock>,
}

impl OpenCallCounter {
    /// Over the mappings of a table.
    #[must_use]
    pub fn new(store: DynamoCallStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// How many there are; `None` where the table does not say, or not in time.
    pub async fn count(&self, deadline: Deadline) -> Option<u64> {
        let counts = stream::iter(Shard::all().map(|shard| self.store.count(shard)));
        let total =
            counts.buffer_unordered(CONCURRENCY).try_fold(0, async |sum, count| Ok(sum + count));
        let timeout = deadline.remaining(self.clock.now()).min(COUNT_TIMEOUT);
        let result = match tokio::time::timeout(timeout, total).await {
            Ok(result) => result,
            Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
        };
        result.map_err(|error| ApiError::from(error).log("open calls are not counted", &"due")).ok()
    }
}
