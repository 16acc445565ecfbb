//! The sweeper: closes what nobody else does.
//!
//! Every call is in the index of what is due until nothing of it is left at Stream. A sweep takes
//! what is due, the oldest first, asks Stream about a hundred calls at once, and moves each one on
//! by the same conditional writes as everybody else. So two sweeps at once do no harm, and one that
//! dies is carried on by the next: what it did not get to is still due.

mod batch;
mod epilogue;
mod look;
mod open;
mod queue;
mod reconcile;
mod store;
mod summary;

pub use epilogue::{Epilogue, NoEpilogue};
pub use look::Bounds;
pub(super) use look::{Look, look};
pub use open::OpenCalls;
pub use reconcile::Reconciled;
pub use store::{DueCall, DuePage, DuePlace, DueStore, Shard};
pub use summary::Summary;

use std::sync::Arc;
use std::time::Duration;

use crate::calls::Calls;
use crate::calls::limits;
use crate::clock::Deadline;
use crate::config::{ConfigError, Env};
use crate::error::ApiError;
use queue::Queue;

/// How many calls are seen to at once: as many as Stream tells of in one answer.
const BATCH: usize = 100;
/// A batch that has less time than this is left to the next sweep.
const LEAST: Duration = Duration::from_secs(8);

/// The sweeper.
#[derive(Clone)]
pub struct Sweeper {
    /// The calls.
    pub calls: Calls,
    /// What is due.
    pub due: Arc<dyn DueStore>,
    /// What calls are held to.
    pub bounds: Bounds,
    /// Who hears of the calls of which nothing is left.
    pub epilogue: Arc<dyn Epilogue>,
}

impl Bounds {
    /// Reads `CALL_MAX_DURATION_SECONDS` and `CALL_RING_TIMEOUT_SECONDS`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            max_duration: limits::max_duration(env)?,
            ring_timeout: limits::ring_timeout(env)?,
        })
    }
}

impl Sweeper {
    /// Sees to everything that is due, as far as time allows.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. What fails at Stream, or with one call, is put off and counted.
    pub async fn sweep(&self, deadline: Deadline) -> Result<Summary, ApiError> {
        let started = self.calls.clock.now();
        let mut summary = Summary::default();
        let mut queue = Queue::open(&*self.due, started).await?;
        summary.oldest_due_seconds =
            queue.oldest().map_or(0, |oldest| started.since(oldest).as_secs());
        loop {
            if deadline.remaining(self.calls.clock.now()) < LEAST {
                summary.unfinished = queue.oldest().is_some();
                return Ok(summary);
            }
            let places = queue.take(BATCH).await?;
            if places.is_empty() {
                return Ok(summary);
            }
            self.see_to(places, deadline, &mut summary).await?;
        }
    }
}
