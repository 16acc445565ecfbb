//! How many calls are open, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::calls::dynamo::DynamoCalls;
use crate::calls::sweep::Shard;
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::store::StoreError;

/// How many shards are counted at the same time.
const AT_ONCE: usize = 8;
/// How long it may take: nothing waits for it but the end of the sweep.
const PATIENCE: Duration = Duration::from_secs(3);

/// Counts the calls of which something is still to be closed: all that are in the index of what is
/// due, now or later.
#[derive(Clone)]
pub struct OpenCalls {
    calls: DynamoCalls,
    clock: Arc<dyn Clock>,
}

impl OpenCalls {
    /// Over the mappings of a table.
    #[must_use]
    pub fn new(calls: DynamoCalls, clock: Arc<dyn Clock>) -> Self {
        Self { calls, clock }
    }

    /// How many there are; `None` where the table does not say, or not in time.
    pub async fn count(&self, deadline: Deadline) -> Option<u64> {
        let shards = stream::iter(Shard::all().map(|shard| self.calls.count(shard)));
        let sum = shards.buffer_unordered(AT_ONCE).try_fold(0, async |sum, count| Ok(sum + count));
        let time = deadline.remaining(self.clock.now()).min(PATIENCE);
        let counted = match tokio::time::timeout(time, sum).await {
            Ok(counted) => counted,
            Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
        };
        counted
            .map_err(|error| ApiError::from(error).note("open calls are not counted", &"due"))
            .ok()
    }
}
