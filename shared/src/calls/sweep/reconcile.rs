//! Reconciliation: removes orphaned resources, which have an owner tag at Stream but no call item.
//!
//! The call item is written before the resources at Stream and outlives them. So an orphan exists
//! only if an item was lost, or if Stream left a resource out of a list. The owner tag of a channel
//! is its call's id, and the owner tag of a call is its channel's cid. Resources without an owner
//! tag are never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::CallState;
use crate::calls::sweep::{MIN_REMAINING, Sweeper};
use crate::calls::timeouts::TOMBSTONE_TTL;
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::{CallCid, CallId};
use crate::store::StoreError;
use crate::stream::ops::{
    CallFilter, ChannelFilter, DeleteChannels, QueryCalls, QueryChannels, StreamChannel,
};
use crate::stream::{StreamError, StreamTime};

/// Younger resources are skipped, since an attempt may still be working on them.
const MIN_AGE: Duration = Duration::from_mins(10);

/// The result of a reconciliation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileSummary {
    /// Channels that were checked.
    pub channels: u64,
    /// Calls that were checked.
    pub calls: u64,
    /// Orphaned channels that were deleted.
    pub deleted: u64,
    /// Orphaned calls that were ended.
    pub ended: u64,
    /// Requests that failed. A later reconciliation retries them.
    pub failed: u64,
    /// Whether it stopped early, without time or after a failure. The next one continues there.
    pub truncated: bool,
}

/// The progress of a reconciliation: everything that was created earlier has been checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    channels: Option<Timestamp>,
    calls: Option<Timestamp>,
}

impl Sweeper {
    /// Lists the owned channels and calls at Stream and removes those without a call item. It
    /// continues where the last reconciliation stopped.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. Failures at Stream are counted and left to the next reconciliation.
    pub async fn reconcile(&self, deadline: Deadline) -> Result<ReconcileSummary, ApiError> {
        let stored = self.due_store.load_checkpoint().await?;
        // A checkpoint that cannot be parsed is ignored.
        let checkpoint: Checkpoint =
            stored.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let mut summary = ReconcileSummary::default();
        let cutoff = Timestamp::from_millis(
            self.clock.now().as_millis() - i64::try_from(MIN_AGE.as_millis()).unwrap_or(0),
        );
        let channels =
            self.reconcile_channels(checkpoint.channels, cutoff, deadline, &mut summary).await?;
        let calls = self.reconcile_calls(checkpoint.calls, cutoff, deadline, &mut summary).await?;
        let checkpoint = Checkpoint { channels, calls };
        summary.truncated = checkpoint != Checkpoint::default();
        let json = serde_json::to_string(&checkpoint)
            .map_err(|error| StoreError::Internal(error.into()))?;
        self.due_store.store_checkpoint(&json).await?;
        Ok(summary)
    }

    fn is_out_of_time(&self, deadline: Deadline) -> bool {
        deadline.remaining(self.clock.now()) < MIN_REMAINING
    }

    /// Reconciles the channels. Returns the checkpoint if it did not reach the end.
    async fn reconcile_channels(
        &self,
        from: Option<Timestamp>,
        cutoff: Timestamp,
        deadline: Deadline,
        summary: &mut ReconcileSummary,
    ) -> Result<Option<Timestamp>, ApiError> {
        let mut from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut resume_from, mut offset) = (from, 0);
        let mut skip = Skip::new(cutoff);
        loop {
            if self.is_out_of_time(deadline) {
                return Ok(Some(resume_from));
            }
            let filter = ChannelFilter::Owned { from, until: cutoff, offset };
            let page = match self.stream.send(&QueryChannels { filter }, deadline).await {
                Ok(page) => page,
                Err(error @ StreamError::InvalidResponse(_)) => {
                    summary.record_failure(&error.into(), "skipping unreadable page of channels");
                    let Some(next) = skip.next(resume_from) else { return Ok(None) };
                    (from, resume_from, offset) = (next, next, 0);
                    continue;
                }
                Err(error) => {
                    summary.record_failure(&error.into(), "QueryChannels failed, stopping");
                    return Ok(Some(resume_from));
                }
            };
            skip = Skip::new(cutoff);
            resume_from =
                latest_timestamp(resume_from, page.readable().map(|channel| channel.created_at));
            let call_ids: Vec<CallId> =
                page.readable().filter_map(StreamChannel::owned_call_id).collect();
            summary.channels += call_ids.len() as u64;
            let orphans = self.find_unmapped(&call_ids).await?;
            let page_size = page.channels.len();
            // Deleted channels leave the list, so the offset of the following ones shrinks.
            offset += page_size;
            if !orphans.is_empty() {
                match self.stream.send(&DeleteChannels { calls: &orphans }, deadline).await {
                    Ok(response) => {
                        let deleted = orphans.iter().filter(|id| response.is_deleted(id)).count();
                        let left = orphans.len() - deleted;
                        tracing::warn!(deleted, left, "deleted orphaned channels");
                        summary.deleted += deleted as u64;
                        offset = offset.saturating_sub(deleted);
                    }
                    // Another request deleted one of them. The next reconciliation retries the
                    // others.
                    Err(StreamError::NotFound(_)) => {}
                    Err(error) => {
                        summary.record_failure(&error.into(), "deleting orphaned channels failed");
                    }
                }
            }
            if page_size < QueryChannels::PAGE_SIZE {
                return Ok(None);
            }
            if offset + QueryChannels::PAGE_SIZE > QueryChannels::MAX_OFFSET {
                // Without a readable time in all these pages, they are skipped.
                if resume_from == from {
                    let Some(next) = skip.next(from) else { return Ok(None) };
                    resume_from = next;
                }
                (from, offset) = (resume_from, 0);
            }
        }
    }

    /// Reconciles the calls. Returns the checkpoint if it did not reach the end.
    async fn reconcile_calls(
        &self,
        from: Option<Timestamp>,
        cutoff: Timestamp,
        deadline: Deadline,
        summary: &mut ReconcileSummary,
    ) -> Result<Option<Timestamp>, ApiError> {
        let mut from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut resume_from, mut next_page) = (from, None);
        let mut skip = Skip::new(cutoff);
        loop {
            if self.is_out_of_time(deadline) {
                return Ok(Some(resume_from));
            }
            let filter = CallFilter::NotEnded { from, until: cutoff };
            let query = QueryCalls { filter, next: next_page.as_deref() };
            let page = match self.stream.send(&query, deadline).await {
                Ok(page) => page,
                Err(error @ StreamError::InvalidResponse(_)) => {
                    summary.record_failure(&error.into(), "skipping unreadable page of calls");
                    let Some(next) = skip.next(resume_from) else { return Ok(None) };
                    (from, resume_from, next_page) = (next, next, None);
                    continue;
                }
                Err(error) => {
                    summary.record_failure(&error.into(), "QueryCalls failed, stopping");
                    return Ok(Some(resume_from));
                }
            };
            skip = Skip::new(cutoff);
            let page_end =
                latest_timestamp(resume_from, page.calls.iter().map(|item| item.call.created_at));
            let cids: BTreeMap<CallId, CallCid> = page
                .calls
                .iter()
                .filter_map(|item| item.call.owned_cid())
                .map(|cid| (cid.id.clone(), cid))
                .collect();
            summary.calls += cids.len() as u64;
            let call_ids: Vec<CallId> = cids.keys().cloned().collect();
            for id in self.find_unmapped(&call_ids).await? {
                if self.is_out_of_time(deadline) {
                    return Ok(Some(resume_from));
                }
                let Some(cid) = cids.get(&id) else { continue };
                match self.ender.end_at_stream(cid, deadline).await {
                    Ok(()) => {
                        tracing::warn!(call = %cid, "ended an orphaned call");
                        summary.ended += 1;
                    }
                    Err(error) => {
                        summary.record_failure(&error, "ending an orphaned call failed");
                    }
                }
            }
            resume_from = page_end;
            next_page = page.next.filter(|next| !next.is_empty());
            if next_page.is_none() {
                return Ok(None);
            }
        }
    }

    /// Returns the calls that have no item, or whose item is `ended` and out of the due index.
    async fn find_unmapped(&self, ids: &[CallId]) -> Result<Vec<CallId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mapped = match self.due_store.load(ids).await {
            Ok(mapped) => mapped,
            // A malformed item may belong to any of these calls, so none of them is removed.
            Err(error @ StoreError::Internal(_)) => {
                ApiError::from(error).log("skipping calls with malformed items", &ids.len());
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mapped_ids: BTreeSet<&CallId> = mapped
            .iter()
            .filter(|due| due.call.state != CallState::Ended || due.due_at.is_some())
            .map(|due| &due.call.call_id)
            .collect();
        Ok(ids.iter().filter(|id| !mapped_ids.contains(id)).cloned().collect())
    }
}

/// The skip over a page that cannot be read: an hour, and twice as much with each further page.
struct Skip {
    span: Duration,
    cutoff: Timestamp,
}

impl Skip {
    fn new(cutoff: Timestamp) -> Self {
        Self { span: Duration::from_hours(1), cutoff }
    }

    /// Where to continue, or `None` if nothing is left. The items of calls before twice the
    /// retention of tombstones have expired, so all of these are skipped at once.
    fn next(&mut self, from: Timestamp) -> Option<Timestamp> {
        let retention = i64::try_from((TOMBSTONE_TTL * 2).as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_millis(self.cutoff.as_millis().saturating_sub(retention));
        let next = from.max(oldest).plus(self.span);
        self.span *= 2;
        (next < self.cutoff).then_some(next)
    }
}

impl ReconcileSummary {
    fn record_failure(&mut self, error: &ApiError, message: &'static str) {
        error.log(message, &"reconciliation");
        self.failed += 1;
    }
}

fn latest_timestamp(last: Timestamp, times: impl Iterator<Item = Option<StreamTime>>) -> Timestamp {
    times.flatten().map(|time| time.0).fold(last, Timestamp::max)
}
