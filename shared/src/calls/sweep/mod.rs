//! The sweeper: closes what nobody else does.
//!
//! Every call is in the index of what is due until nothing of it is left at Stream. A sweep takes
//! what is due, the oldest first, asks Stream about a hundred calls at once, and moves each one on
//! by the same conditional writes as everybody else. So two sweeps at once do no harm, and one that
//! dies is carried on by the next: what it did not get to is still due.

mod batch;
mod observer;
mod open_calls;
mod queue;
mod reconcile;
mod store;
mod summary;

pub use observer::{ClosedCallObserver, NoopObserver};
pub use open_calls::OpenCallCounter;
pub use reconcile::ReconcileSummary;
pub use store::{DueCall, DueEntry, DuePage, DueStore, Shard};
pub use summary::SweepSummary;

use std::sync::Arc;
use std::time::Duration;

use crate::calls::{CallService, CallTimeouts};
use crate::clock::Deadline;
use crate::error::ApiError;
use queue::DueQueue;

/// How many calls are seen to at once: as many as Stream tells of in one answer.
const BATCH_SIZE: usize = 100;
/// A batch that has less time than this is left to the next sweep.
const MIN_REMAINING: Duration = Duration::from_secs(8);

/// The sweeper.
#[derive(Clone)]
pub struct Sweeper {
    /// The calls.
    pub calls: CallService,
    /// What is due.
    pub due_store: Arc<dyn DueStore>,
    /// What calls are held to.
    pub timeouts: CallTimeouts,
    /// Who hears of the calls of which nothing is left.
    pub observer: Arc<dyn ClosedCallObserver>,
}

impl Sweeper {
    /// Sees to everything that is due, as far as time allows.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. What fails at Stream, or with one call, is put off and counted.
    pub async fn sweep(&self, deadline: Deadline) -> Result<SweepSummary, ApiError> {
        let started_at = self.calls.clock.now();
        let mut summary = SweepSummary::default();
        let mut queue = DueQueue::load(&*self.due_store, started_at).await?;
        summary.oldest_due_seconds =
            queue.oldest().map_or(0, |oldest| started_at.since(oldest).as_secs());
        loop {
            if deadline.remaining(self.calls.clock.now()) < MIN_REMAINING {
                summary.truncated = queue.oldest().is_some();
                return Ok(summary);
            }
            let entries = queue.next_batch(BATCH_SIZE).await?;
            if entries.is_empty() {
                return Ok(summary);
            }
            self.process_batch(entries, deadline, &mut summary).await?;
        }
    }
}
