//! Reconciliation: what is ours at Stream, and no mapping knows.
//!
//! The mapping is written before anything exists at Stream and outlives it, so there is nothing to
//! find unless an item was lost, or Stream left something out of a list. What is ours carries our
//! mark: a channel the id of its call, a call the cid of its channel. What somebody else made is
//! never touched, whatever it is called.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::CallState;
use crate::calls::sweep::{MIN_REMAINING, Sweeper};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;
use crate::stream::ops::{
    CallFilter, ChannelFilter, DeleteChannels, QueryCalls, QueryChannels, StreamChannel,
};
use crate::stream::{StreamError, StreamTime};

/// What is younger than this is left to those who are at it.
const MIN_AGE: Duration = Duration::from_mins(10);

/// What a reconciliation has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileSummary {
    /// Channels that were looked at.
    pub channels: u64,
    /// Calls that were looked at.
    pub calls: u64,
    /// Channels that no mapping knew, and that are deleted.
    pub deleted: u64,
    /// Calls that no mapping knew, and that are ended.
    pub ended: u64,
    /// Requests that failed: the next one comes by here again.
    pub failed: u64,
    /// Whether time ran out, or Stream did not answer: the next one goes on from here.
    pub truncated: bool,
}

/// How far a reconciliation has come: everything of ours that was made before is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    channels: Option<Timestamp>,
    calls: Option<Timestamp>,
}

impl Sweeper {
    /// Goes through the channels and the calls of ours at Stream, and removes those that no
    /// mapping knows. It starts where the last one ran out of time.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. What fails at Stream is counted and left to the next one.
    pub async fn reconcile(&self, deadline: Deadline) -> Result<ReconcileSummary, ApiError> {
        let stored = self.due_store.load_checkpoint().await?;
        // A bookmark of another form is none.
        let checkpoint: Checkpoint =
            stored.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let mut summary = ReconcileSummary::default();
        let cutoff = Timestamp::from_millis(
            self.calls.clock.now().as_millis() - i64::try_from(MIN_AGE.as_millis()).unwrap_or(0),
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
        deadline.remaining(self.calls.clock.now()) < MIN_REMAINING
    }

    /// The channels; where it stopped, if it did not come to the end.
    async fn reconcile_channels(
        &self,
        from: Option<Timestamp>,
        cutoff: Timestamp,
        deadline: Deadline,
        summary: &mut ReconcileSummary,
    ) -> Result<Option<Timestamp>, ApiError> {
        let mut from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut resume_from, mut offset) = (from, 0);
        loop {
            if self.is_out_of_time(deadline) {
                return Ok(Some(resume_from));
            }
            let filter = ChannelFilter::Owned { from, until: cutoff, offset };
            let page = match self.calls.stream.send(&QueryChannels { filter }, deadline).await {
                Ok(response) => response.channels,
                Err(error) => {
                    summary.record_failure(&error.into(), "a page of channels is not read");
                    return Ok(Some(resume_from));
                }
            };
            resume_from =
                latest_timestamp(resume_from, page.iter().map(|item| item.channel.created_at));
            let call_ids: Vec<CallId> = page
                .iter()
                .filter_map(|item| StreamChannel::owned_call_id(&item.channel))
                .collect();
            summary.channels += call_ids.len() as u64;
            let orphans = self.find_unmapped(&call_ids).await?;
            // What is deleted leaves the list, and what comes after it moves up.
            offset += page.len();
            if !orphans.is_empty() {
                match self.calls.stream.send(&DeleteChannels { calls: &orphans }, deadline).await {
                    Ok(response) => {
                        let left = response
                            .result
                            .values()
                            .filter(|result| result.error.is_some())
                            .count();
                        let deleted = orphans.len().saturating_sub(left);
                        tracing::warn!(deleted, left, "channels that no mapping knows");
                        summary.deleted += deleted as u64;
                        offset = offset.saturating_sub(deleted);
                    }
                    // One of them has gone by itself: the next time is time enough.
                    Err(StreamError::NotFound(_)) => {}
                    Err(error) => {
                        summary
                            .record_failure(&error.into(), "channels that no mapping knows stay");
                    }
                }
            }
            if page.len() < QueryChannels::PAGE_SIZE {
                return Ok(None);
            }
            if offset + QueryChannels::PAGE_SIZE > QueryChannels::MAX_OFFSET {
                (from, offset) = (resume_from, 0);
            }
        }
    }

    /// The calls; where it stopped, if it did not come to the end.
    async fn reconcile_calls(
        &self,
        from: Option<Timestamp>,
        cutoff: Timestamp,
        deadline: Deadline,
        summary: &mut ReconcileSummary,
    ) -> Result<Option<Timestamp>, ApiError> {
        let from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut resume_from, mut next_page) = (from, None);
        loop {
            if self.is_out_of_time(deadline) {
                return Ok(Some(resume_from));
            }
            let filter = CallFilter::NotEnded { from, until: cutoff };
            let query = QueryCalls { filter, next: next_page.as_deref() };
            let page = match self.calls.stream.send(&query, deadline).await {
                Ok(page) => page,
                Err(error) => {
                    summary.record_failure(&error.into(), "a page of calls is not read");
                    return Ok(Some(resume_from));
                }
            };
            let page_end =
                latest_timestamp(resume_from, page.calls.iter().map(|item| item.call.created_at));
            let call_ids: Vec<CallId> =
                page.calls.iter().filter_map(|item| item.call.owned_call_id()).collect();
            summary.calls += call_ids.len() as u64;
            for id in self.find_unmapped(&call_ids).await? {
                if self.is_out_of_time(deadline) {
                    return Ok(Some(resume_from));
                }
                match self.calls.end_at_stream(&id, deadline).await {
                    Ok(()) => {
                        tracing::warn!(call = %id, "ended a call that no mapping knows");
                        summary.ended += 1;
                    }
                    Err(error) => {
                        summary.record_failure(&error, "a call that no mapping knows goes on");
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

    /// Those of these calls that no mapping knows, or only as over and done with.
    async fn find_unmapped(&self, ids: &[CallId]) -> Result<Vec<CallId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mapped = match self.due_store.load(ids).await {
            Ok(mapped) => mapped,
            // A mapping that cannot be read is a mapping: what it may know is left alone.
            Err(error @ StoreError::Internal(_)) => {
                ApiError::from(error).log("mappings cannot be read", &ids.len());
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

impl ReconcileSummary {
    fn record_failure(&mut self, error: &ApiError, message: &'static str) {
        error.log(message, &"reconciliation");
        self.failed += 1;
    }
}

fn latest_timestamp(last: Timestamp, times: impl Iterator<Item = Option<StreamTime>>) -> Timestamp {
    times.flatten().map(|time| time.0).fold(last, Timestamp::max)
}
