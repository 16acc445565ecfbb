//! The sweeper: ends and cleans up calls that no request has closed.
//!
//! Every call is in the due index until none of its resources is left at Stream. A sweep processes
//! the due calls in batches of 100, the oldest first. It lists a batch at Stream with one request,
//! and updates each call with the same conditional writes as the other functions. So concurrent
//! sweeps are safe. If a sweep dies, the next one continues, since unprocessed calls stay due.

mod batch;
mod observer;
mod open_calls;
mod queue;
mod reconcile;
mod settle;
mod store;
mod summary;

pub use observer::{CloseReport, ClosedCallObserver, NoopObserver};
pub use open_calls::OpenCallCounter;
pub use reconcile::ReconcileSummary;
pub use store::{DueCall, DueEntry, DuePage, DueStore, SettleRequest, Shard};
pub use summary::SweepSummary;

use std::sync::Arc;
use std::time::Duration;

use crate::calls::{CallEnder, CallEventStore, CallExtender, CallTimeouts};
use crate::clock::{Clock, Deadline};
use crate::error::ApiError;
use crate::stream::StreamClient;
use queue::DueQueue;

/// The number of calls in a batch: the page size of `QueryCalls`.
const BATCH_SIZE: usize = 100;
/// A sweep stops if less time than this remains.
pub(crate) const MIN_REMAINING: Duration = Duration::from_secs(8);

/// Closes due calls and reconciles the table with Stream.
#[derive(Clone)]
pub struct Sweeper {
    /// The call items.
    pub calls: Arc<dyn CallEventStore>,
    /// Ends calls and cleans them up.
    pub ender: CallEnder,
    /// Pushes the maximum durations that Stream has not confirmed.
    pub extender: CallExtender,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The due index.
    pub due_store: Arc<dyn DueStore>,
    /// The timeouts for the evaluation of active calls.
    pub timeouts: CallTimeouts,
    /// The observer of closed calls.
    pub observer: Arc<dyn ClosedCallObserver>,
}

impl Sweeper {
    /// Processes the due calls until none is left or the time runs out.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. If Stream or a single call fails, the call is rescheduled and counted.
    pub async fn sweep(&self, deadline: Deadline) -> Result<SweepSummary, ApiError> {
        let started_at = self.clock.now();
        let mut summary = SweepSummary::default();
        let mut queue = DueQueue::load(&*self.due_store, started_at).await?;
        summary.oldest_due_seconds =
            queue.oldest().map_or(0, |oldest| started_at.since(oldest).as_secs());
        loop {
            if deadline.remaining(self.clock.now()) < MIN_REMAINING {
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
