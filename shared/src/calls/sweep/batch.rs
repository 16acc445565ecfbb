//! Processes a batch of due calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::calls::clean_up::is_channel_of;
use crate::calls::look::{Look, ParticipantList};
use crate::calls::outcome::{EndedBy, Outcome, PresenceTimeouts, StreamState, StreamView, decide};
use crate::calls::settle::{self, SettledCall};
use crate::calls::sweep::settle::SettleResult;
use crate::calls::sweep::summary::is_overdue;
use crate::calls::sweep::{CloseReport, DueCall, DueEntry, SweepSummary, Sweeper};
use crate::calls::timeouts::{CLEANUP_RECHECK, END_RETRY_INTERVAL, POLL_INTERVAL};
use crate::calls::{
    Call, CallState, EndReason, EndRequest, EndResult, Precondition, SettledFrom, SystemEndReason,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::{CallCid, CallId};
use crate::store::StoreError;
use crate::stream::StreamError;
use crate::stream::ops::{
    CallFilter, ChannelFilter, DeleteChannels, GetCall, QueryCalls, QueryChannels, StreamCall,
    StreamChannel,
};

/// The number of calls that are processed concurrently.
const CONCURRENCY: usize = 16;
/// The number of batch deletions if some channels disappear meanwhile.
const MAX_DELETE_ATTEMPTS: u32 = 3;
/// The longest delay after a failure.
const MAX_BACKOFF: Duration = Duration::from_mins(10);

/// A due call that is over and to be cleaned up.
struct PendingCleanup {
    call: Call,
    /// When the call is due in the index, which conditional writes expect.
    due_at: Timestamp,
    tries: u32,
}

/// The result of deleting channels. A channel that did not exist is in neither set.
#[derive(Default)]
struct DeleteOutcome {
    deleted: BTreeSet<CallId>,
    remaining: BTreeSet<CallId>,
}

/// The result of a completed cleanup.
enum CleanupResult {
    /// The call is `ended` now.
    Cleaned,
    /// The recheck removed a late resource, or found nothing and closed the call.
    Verified,
    /// A later sweep closes the call.
    Postponed,
    /// The call was settled.
    Settled {
        settled: Box<SettledCall>,
        /// Whether the recheck found nothing, and the call has left the index.
        is_closed: bool,
    },
}

/// The end of a call by a sweep.
struct CallEnd {
    reason: SystemEndReason,
    ended_at: Timestamp,
    ended_by: EndedBy,
    /// The version of the presence by which the call is over.
    presence_version: Option<u64>,
}

impl CallEnd {
    fn by_system(reason: SystemEndReason, ended_at: Timestamp) -> Self {
        Self { reason, ended_at, ended_by: EndedBy::System, presence_version: None }
    }
}

/// The result of processing one call.
enum StepResult {
    /// The call needs no work now.
    Done,
    /// The call is still active.
    Active,
    /// The call is over and needs a cleanup. The reason is set if this sweep ended it.
    Ended(PendingCleanup, Option<SystemEndReason>),
    /// The call was rescheduled after an error.
    Failed,
}

impl Sweeper {
    /// Processes these calls. Only an unavailable table stops the batch. An unreadable call is
    /// skipped, and a call that fails is rescheduled.
    pub(super) async fn process_batch(
        &self,
        entries: Vec<DueEntry>,
        deadline: Deadline,
        summary: &mut SweepSummary,
    ) -> Result<(), ApiError> {
        // A call that moves while the index is read can appear twice.
        let ids: BTreeSet<CallId> = entries.into_iter().map(|entry| entry.id).collect();
        let ids: Vec<CallId> = ids.into_iter().collect();
        let now = self.clock.now();
        // The index is eventually consistent, so the call items decide what is due.
        let mut due = self.load_readable(&ids, summary).await?;
        due.retain(|due| due.due_at.is_some_and(|at| at <= now));
        if due.is_empty() {
            return Ok(());
        }
        summary.due += due.len() as u64;
        summary.overdue +=
            due.iter().filter(|due| is_overdue(due, self.timeouts, now)).count() as u64;
        let cids: Vec<CallCid> = due.iter().map(|due| due.call.cid()).collect();
        let stream_calls = match self.query_stream_calls(&cids, deadline).await {
            Ok(stream_calls) => stream_calls,
            // `check_active` sends GetCall before it ends a call.
            Err(error @ (StreamError::InvalidResponse(_) | StreamError::Rejected(_))) => {
                ApiError::from(error)
                    .log("QueryCalls failed, falling back to GetCall", &cids.len());
                BTreeMap::new()
            }
            Err(error) => {
                ApiError::from(error).log("QueryCalls failed, rescheduling the batch", &cids.len());
                self.settle_without_stream(due, now, deadline, summary).await;
                return Ok(());
            }
        };
        let steps = due.into_iter().map(|due| self.process_call(due, &stream_calls, now, deadline));
        let steps: Vec<StepResult> =
            stream::iter(steps).buffer_unordered(CONCURRENCY).collect().await;
        let mut cleanups = Vec::new();
        for step in steps {
            match step {
                StepResult::Done => {}
                StepResult::Active => summary.active += 1,
                StepResult::Failed => summary.failed += 1,
                StepResult::Ended(cleanup, reason) => {
                    if let Some(reason) = reason {
                        *summary.ended.entry(reason.as_str()).or_default() += 1;
                    }
                    cleanups.push(cleanup);
                }
            }
        }
        self.clean_up(cleanups, &stream_calls, deadline, summary).await;
        Ok(())
    }

    /// Settles the calls that have waited for Stream long enough, and reschedules the others.
    async fn settle_without_stream(
        &self,
        due: Vec<DueCall>,
        now: Timestamp,
        deadline: Deadline,
        summary: &mut SweepSummary,
    ) {
        let steps = due.iter().map(async |due| match due.due_at {
            Some(due_at) if due.call.needs_settlement() && settle::gives_up(&due.call, now) => {
                let (call, tries) = (due.call.clone(), due.tries);
                let cleanup = PendingCleanup { call, due_at, tries };
                let next_check = Some(now.plus(backoff(tries)));
                self.settle_or_reschedule(&cleanup, next_check, now, deadline).await
            }
            _ => {
                self.reschedule_failed(due, now).await;
                Err(())
            }
        });
        let results: Vec<_> = stream::iter(steps).buffer_unordered(CONCURRENCY).collect().await;
        for result in results {
            count_cleanup(result, summary);
        }
    }

    /// Reads the call items, and skips malformed ones.
    async fn load_readable(
        &self,
        ids: &[CallId],
        summary: &mut SweepSummary,
    ) -> Result<Vec<DueCall>, StoreError> {
        match self.due_store.load(ids).await {
            Err(StoreError::Internal(_)) => {}
            loaded => return loaded,
        }
        let mut due = Vec::new();
        for id in ids {
            match self.due_store.load(std::slice::from_ref(id)).await {
                Ok(loaded) => due.extend(loaded),
                Err(error @ StoreError::Internal(_)) => {
                    ApiError::from(error).log("skipping malformed call item", id);
                    summary.failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(due)
    }

    /// Lists these calls at Stream. The list is eventually consistent, too.
    async fn query_stream_calls(
        &self,
        cids: &[CallCid],
        deadline: Deadline,
    ) -> Result<BTreeMap<CallCid, StreamCall>, StreamError> {
        let query = QueryCalls { filter: CallFilter::Cids(cids), next: None };
        let response = self.stream.send(&query, deadline).await?;
        let by_cid = |call: StreamCall| Some((call.cid()?, call));
        Ok(response.calls.into_iter().filter_map(|item| by_cid(item.call)).collect())
    }

    /// Evaluates one call and updates its item.
    async fn process_call(
        &self,
        due: DueCall,
        stream_calls: &BTreeMap<CallCid, StreamCall>,
        now: Timestamp,
        deadline: Deadline,
    ) -> StepResult {
        let Some(due_at) = due.due_at else { return StepResult::Done };
        let outcome = match due.call.state {
            CallState::Creating => {
                let end = CallEnd::by_system(EndReason::NOT_CREATED, now);
                self.end_call(&due.call, due_at, end, now).await
            }
            CallState::Active => {
                let listed = stream_calls.get(&due.call.cid());
                self.check_active(&due, due_at, listed, now, deadline).await
            }
            CallState::Ending | CallState::Ended => {
                let DueCall { call, tries, .. } = due;
                return StepResult::Ended(PendingCleanup { call, due_at, tries }, None);
            }
        };
        match outcome {
            Ok(step) => step,
            Err(error) => {
                error.log("processing a due call failed, rescheduling it", &due.call.call_id);
                self.reschedule_failed(&due, now).await;
                StepResult::Failed
            }
        }
    }

    /// Checks an active call by the list, and by `GetCall` if the list differs from the presence or
    /// the call seems to be over.
    async fn check_active(
        &self,
        due: &DueCall,
        due_at: Timestamp,
        listed: Option<&StreamCall>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<StepResult, ApiError> {
        let id = &due.call.call_id;
        let outcome = match self.decide_by_list(&due.call, listed, now) {
            continues @ Outcome::Continues { .. } => continues,
            Outcome::NeedsGetCall | Outcome::Over { .. } => {
                let cid = due.call.cid();
                let look = Look::fetch(&self.stream, &*self.clock, &cid, deadline).await?;
                let current = look.record(&*self.calls, due.call.clone()).await?;
                let is_active = |call: &Call| call.state == CallState::Active;
                let Some(current) = current.filter(is_active) else { return Ok(StepResult::Done) };
                match look.decide(&current, self.timeouts) {
                    Outcome::Over { reason, ended_at, ended_by } => {
                        let presence_version = Some(current.presence.version());
                        let end = CallEnd { reason, ended_at, ended_by, presence_version };
                        return self.end_call(&current, due_at, end, now).await;
                    }
                    continues => continues,
                }
            }
        };
        let next_check = match outcome {
            Outcome::Continues { next_check } => next_check,
            Outcome::NeedsGetCall | Outcome::Over { .. } => now.plus(POLL_INTERVAL),
        };
        if !due.call.is_limit_synced() {
            let inactivity_timeout = self.timeouts.inactivity_timeout;
            self.extender.push_limit(due.call.clone(), inactivity_timeout, deadline).await?;
        }
        self.due_store.reschedule(id, due_at, next_check, 0).await?;
        Ok(StepResult::Active)
    }

    /// Decides by `QueryCalls`, which may be stale: a difference from the presence needs `GetCall`.
    fn decide_by_list(&self, call: &Call, listed: Option<&StreamCall>, now: Timestamp) -> Outcome {
        let participants = listed.map(ParticipantList::from).unwrap_or_default();
        if call.presence.clone().observe_list(&participants.joins) {
            return Outcome::NeedsGetCall;
        }
        let state = listed.map(StreamState::from);
        let facts = call.facts(self.timeouts, StreamView::Listed(state.as_ref()));
        decide(&facts, PresenceTimeouts::from(self.timeouts), now)
    }

    /// Moves an open call to `ending`, unless it has changed since it was read.
    async fn end_call(
        &self,
        call: &Call,
        due_at: Timestamp,
        end: CallEnd,
        now: Timestamp,
    ) -> Result<StepResult, ApiError> {
        let CallEnd { reason, ended_at, ended_by, presence_version } = end;
        let retry_at = now.plus(END_RETRY_INTERVAL);
        let request = EndRequest {
            id: &call.call_id,
            member: None,
            reason: &reason.into(),
            ended_by: &ended_by,
            at: ended_at,
            due_at: retry_at,
            precondition: Some(Precondition::DueAt(due_at)),
            presence_version,
            limit_version: None,
        };
        Ok(match self.calls.end(request).await? {
            EndResult::Ending(call) => {
                StepResult::Ended(PendingCleanup { call, due_at: retry_at, tries: 0 }, Some(reason))
            }
            EndResult::Unchanged(_) | EndResult::Missing => StepResult::Done,
        })
    }

    async fn reschedule_failed(&self, due: &DueCall, now: Timestamp) {
        if let Some(due_at) = due.due_at {
            let ends_at = due.call.ends_at(self.timeouts.max_duration);
            // A call is checked by its limit, also after failures.
            let latest = ends_at
                .filter(|_| due.call.state == CallState::Active)
                .map(|at| at.max(now.plus(backoff(0))));
            let id = &due.call.call_id;
            self.reschedule_with_backoff(id, due_at, due.tries, latest, now).await;
        }
    }

    async fn reschedule_with_backoff(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        tries: u32,
        latest: Option<Timestamp>,
        now: Timestamp,
    ) {
        let retry_at = now.plus(backoff(tries));
        let retry_at = latest.map_or(retry_at, |latest| retry_at.min(latest));
        if let Err(error) =
            self.due_store.reschedule(id, expected_due_at, retry_at, tries.saturating_add(1)).await
        {
            ApiError::from(error).log("rescheduling a due call failed", id);
        }
    }

    /// Cleans up calls that are over: ends the calls one by one, and deletes the channels in one
    /// batch.
    async fn clean_up(
        &self,
        cleanups: Vec<PendingCleanup>,
        stream_calls: &BTreeMap<CallCid, StreamCall>,
        deadline: Deadline,
        summary: &mut SweepSummary,
    ) {
        if cleanups.is_empty() {
            return;
        }
        let calls: Vec<&Call> = cleanups.iter().map(|cleanup| &cleanup.call).collect();
        let ends = calls
            .iter()
            .map(|call| self.end_if_live(call, stream_calls.get(&call.cid()), deadline));
        let end_results: Vec<Result<bool, ApiError>> =
            stream::iter(ends).buffered(CONCURRENCY).collect().await;
        let channel_outcome = self.delete_channels(&calls, deadline).await;
        let completions = cleanups.iter().zip(end_results).map(|(cleanup, end_result)| {
            let id = &cleanup.call.call_id;
            if let Err(error) = &end_result {
                error.log("ending a call at Stream failed, retrying in a later sweep", id);
            }
            let is_clean = end_result.is_ok() && !channel_outcome.remaining.contains(id);
            let was_present = end_result.unwrap_or(false) || channel_outcome.deleted.contains(id);
            self.complete_cleanup(cleanup, is_clean.then_some(was_present), deadline)
        });
        let results: Vec<Result<CleanupResult, ()>> =
            stream::iter(completions).buffered(CONCURRENCY).collect().await;
        for result in results {
            count_cleanup(result, summary);
        }
    }

    /// Ends a call at Stream if it belongs to the item and may be live. Returns whether it was
    /// live.
    async fn end_if_live(
        &self,
        call: &Call,
        listed: Option<&StreamCall>,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        let cid = call.cid();
        match listed {
            Some(stream_call) => self.end_if_owned(call, stream_call, deadline).await,
            // A call that was active may be too new for the list.
            None if call.active_at.is_some() => {
                self.ender.end_at_stream(&cid, deadline).await.map(|()| false)
            }
            // The list may also contain the call as an unreadable entry.
            None => match self.stream.send(&GetCall { cid: &cid }, deadline).await {
                Ok(response) => self.end_if_owned(call, &response.call, deadline).await,
                Err(StreamError::NotFound(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn end_if_owned(
        &self,
        call: &Call,
        stream_call: &StreamCall,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        let is_owned =
            call.active_at.is_some() || call.is_owned_by(stream_call.created_by.as_ref());
        let is_live = is_owned && stream_call.ended_at.is_none();
        if is_live {
            self.ender.end_at_stream(&call.cid(), deadline).await?;
        }
        Ok(is_live)
    }

    /// Deletes the channels of these calls that exist and belong to the items.
    async fn delete_channels(&self, calls: &[&Call], deadline: Deadline) -> DeleteOutcome {
        let mut outcome = DeleteOutcome::default();
        let mut existing = Vec::new();
        for _ in 0..MAX_DELETE_ATTEMPTS {
            existing = match self.find_owned_channels(calls, deadline).await {
                Ok(existing) => existing,
                Err(error) => {
                    ApiError::from(error)
                        .log("QueryChannels failed, retrying in a later sweep", &calls.len());
                    outcome.remaining.extend(calls.iter().map(|call| call.call_id.clone()));
                    return outcome;
                }
            };
            if existing.is_empty() {
                return outcome;
            }
            let request = DeleteChannels { calls: &existing };
            match self.stream.send(&request, deadline).await {
                Ok(response) => {
                    let (deleted, remaining): (BTreeSet<_>, _) =
                        existing.into_iter().partition(|id| response.is_deleted(id));
                    outcome.remaining = remaining;
                    outcome.deleted.extend(deleted);
                    return outcome;
                }
                // A call-end request deleted a channel meanwhile, so list the channels again.
                Err(StreamError::NotFound(_)) => outcome.deleted.extend(existing.clone()),
                Err(error) => {
                    ApiError::from(error)
                        .log("DeleteChannels failed, retrying in a later sweep", &existing.len());
                    outcome.remaining.extend(existing);
                    return outcome;
                }
            }
        }
        // The list and the batch deletion disagree: delete one by one, within the quota.
        for id in existing {
            if let Err(error) = self.ender.delete_channel(&id, deadline).await {
                error.log("DeleteChannel failed, retrying in a later sweep", &id);
                outcome.remaining.insert(id);
            }
        }
        outcome
    }

    async fn find_owned_channels(
        &self,
        calls: &[&Call],
        deadline: Deadline,
    ) -> Result<Vec<CallId>, StreamError> {
        let mut existing = Vec::new();
        for chunk in calls.chunks(QueryChannels::PAGE_SIZE) {
            let ids: Vec<CallId> = chunk.iter().map(|call| call.call_id.clone()).collect();
            let query = QueryChannels { filter: ChannelFilter::ForCalls(&ids) };
            let response = self.stream.send(&query, deadline).await?;
            let has_channel = |call: &&&Call| {
                let id = call.call_id.channel().to_string();
                let is_owned = |channel: &StreamChannel| {
                    let is_owned = || is_channel_of(call, channel, &self.ender.service_user);
                    channel.id == id && (call.active_at.is_some() || is_owned())
                };
                response.readable().any(is_owned)
            };
            existing.extend(chunk.iter().filter(has_channel).map(|call| call.call_id.clone()));
        }
        Ok(existing)
    }

    /// Completes the cleanup of a call. `was_present` is whether the call or channel existed at
    /// Stream, or `None` if the cleanup failed.
    async fn complete_cleanup(
        &self,
        cleanup: &PendingCleanup,
        was_present: Option<bool>,
        deadline: Deadline,
    ) -> Result<CleanupResult, ()> {
        let PendingCleanup { call, due_at, tries } = cleanup;
        let (id, now) = (&call.call_id, self.clock.now());
        let result = match (was_present, call.state) {
            (Some(_), CallState::Ending) => {
                if !call.parallel {
                    self.ender.clear_open_call(&call.members, id, None).await;
                }
                self.ender.store.finish(id, now).await.map(|_| CleanupResult::Cleaned)
            }
            // A late request recreated a resource, and another one may follow.
            (Some(true), _) if call.needs_settlement() && settle::is_due(call, now) => {
                let next_check = Some(now.plus(CLEANUP_RECHECK));
                return self.settle_or_reschedule(cleanup, next_check, now, deadline).await;
            }
            (Some(true), _) => self
                .due_store
                .reschedule(id, *due_at, now.plus(CLEANUP_RECHECK), 0)
                .await
                .map(|()| CleanupResult::Verified),
            (Some(false), _) if call.needs_settlement() => {
                return self.settle_or_reschedule(cleanup, None, now, deadline).await;
            }
            (Some(false), _) => self.close(call, *due_at, deadline).await,
            // The figures do not wait for a cleanup that fails.
            (None, _) if call.needs_settlement() && settle::is_due(call, now) => {
                let next_check = Some(now.plus(backoff(*tries)));
                return self.settle_or_reschedule(cleanup, next_check, now, deadline).await;
            }
            (None, _) => {
                self.reschedule_with_backoff(id, *due_at, *tries, None, now).await;
                return Err(());
            }
        };
        // After an error the call stays due.
        result.map_err(|error| {
            ApiError::from(error).log("saving a completed cleanup failed, the call stays due", id);
        })
    }

    /// Closes a call whose recheck found nothing: removes it from the index, unless another sweep
    /// has done so.
    async fn close(
        &self,
        call: &Call,
        due_at: Timestamp,
        deadline: Deadline,
    ) -> Result<CleanupResult, StoreError> {
        let report = match call.active_at {
            Some(_) => self.observer.prepare(call, deadline).await,
            None => Some(CloseReport::default()),
        };
        let Some(report) = report else { return Ok(CleanupResult::Postponed) };
        let quality = report.quality.as_ref();
        if self.due_store.remove_from_index(&call.call_id, due_at, quality).await? {
            report.complete();
        }
        Ok(CleanupResult::Verified)
    }

    /// Settles a call, if its figures are due. It is then due again at `next_check`, or leaves the
    /// index if that is `None`.
    async fn settle_or_reschedule(
        &self,
        cleanup: &PendingCleanup,
        next_check: Option<Timestamp>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<CleanupResult, ()> {
        let PendingCleanup { call, due_at, tries } = cleanup;
        let id = &call.call_id;
        let wait = async || {
            let settle_by = settle::settle_by(call).max(now);
            let rescheduled = self.due_store.reschedule(id, *due_at, settle_by, 0).await;
            rescheduled.map(|()| CleanupResult::Verified).map_err(|error| {
                ApiError::from(error).log("rescheduling a due call failed", id);
            })
        };
        if !settle::is_due(call, now) {
            return wait().await;
        }
        match self.settle(call, *due_at, next_check, deadline).await {
            Ok(SettleResult::Settled { settled, is_closed }) => {
                Ok(CleanupResult::Settled { settled, is_closed })
            }
            Ok(SettleResult::TooEarly) => wait().await,
            Ok(SettleResult::Changed) => Ok(CleanupResult::Verified),
            Err(error) => {
                error.log("settling a call failed, retrying in a later sweep", id);
                self.reschedule_with_backoff(id, *due_at, *tries, None, now).await;
                Err(())
            }
        }
    }
}

/// Counts the result of a cleanup.
fn count_cleanup(result: Result<CleanupResult, ()>, summary: &mut SweepSummary) {
    match result {
        Ok(CleanupResult::Cleaned) => summary.cleaned += 1,
        Ok(CleanupResult::Verified) => summary.verified += 1,
        Ok(CleanupResult::Settled { settled, is_closed }) => {
            let SettledCall { call, differences } = *settled;
            let source = call.settlement.as_ref().map(|settlement| settlement.settled_from);
            summary.settled += 1;
            summary.settled_from_webhooks += u64::from(source == Some(SettledFrom::Webhooks));
            summary.presence_differences += differences;
            if is_closed {
                summary.verified += 1;
            } else {
                summary.failed += 1;
            }
        }
        Ok(CleanupResult::Postponed) | Err(()) => summary.failed += 1,
    }
}

/// The delay after this number of failed attempts.
fn backoff(tries: u32) -> Duration {
    END_RETRY_INTERVAL.saturating_mul(2_u32.saturating_pow(tries)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_maximum() {
        let seconds: Vec<_> = [0, 1, 2, 3, 4, 5, 40, u32::MAX].map(backoff).to_vec();
        let expected = [30, 60, 120, 240, 480, 600, 600, 600].map(Duration::from_secs);
        assert_eq!(seconds, expected);
    }
}
