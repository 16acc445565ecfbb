//! Counts the open calls for the metrics.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::calls::dynamo::DynamoCallStore;
use crate::calls::sweep::Shard;
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::store::StoreError;

/// The number of shards that are counted concurrently.
const CONCURRENCY: usize = 8;
/// The timeout of a count, which delays the end of the sweep.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// Counts the calls in the due index: all calls that are open or not cleaned up yet.
#[derive(Clone)]
pub struct OpenCallCounter {
    store: DynamoCallStore,
    clock: Arc<dyn Clock>,
}

impl OpenCallCounter {
    /// A counter of the calls in this store.
    #[must_use]
    pub fn new(store: DynamoCallStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Counts the open calls. Returns `None` if the table fails or the count times out.
    pub async fn count(&self, deadline: Deadline) -> Option<u64> {
        let counts = stream::iter(Shard::all().map(|shard| self.store.count(shard)));
        let total =
            counts.buffer_unordered(CONCURRENCY).try_fold(0, async |sum, count| Ok(sum + count));
        let timeout = deadline.remaining(self.clock.now()).min(COUNT_TIMEOUT);
        let result = match tokio::time::timeout(timeout, total).await {
            Ok(result) => result,
            Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
        };
        result.map_err(|error| ApiError::from(error).log("counting open calls failed", &"due")).ok()
    }
}
