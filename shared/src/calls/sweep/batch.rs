//! What becomes of a batch of due calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::calls::store::{RETRY_END, SECOND_LOOK};
use crate::calls::sweep::look::{Look, look};
use crate::calls::sweep::summary::is_overdue;
use crate::calls::sweep::{DueCall, DuePlace, LEAST, Summary, Sweeper};
use crate::calls::{Call, CallState, EndReason, EndRequest, Ending, Reason, Seen};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;
use crate::stream::StreamError;
use crate::stream::ops::{
    DeleteChannels, GetCall, LiveCall, LiveChannel, QueryCalls, QueryChannels, WhichCalls,
    WhichChannels,
};

/// How many calls are worked on at the same time.
const AT_ONCE: usize = 16;
/// How many closed calls are said to be so at the same time: all that is kept of one is read.
const TOLD_AT_ONCE: usize = 4;
/// How often channels are deleted of which some are gone meanwhile.
const ROUNDS: u32 = 3;
/// The longest time for which a call that fails is put off.
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);

/// A due call that is over, on its way out.
struct Leaving {
    call: Call,
    /// Where it stands in the index.
    seen: Timestamp,
    tries: u32,
}

/// What became of channels; those that were not there are in neither.
#[derive(Default)]
struct Channels {
    deleted: BTreeSet<CallId>,
    left: BTreeSet<CallId>,
}

/// How a call was let go.
enum LetGo {
    /// It has ended.
    Cleared,
    /// Something was left of it still, or somebody else has let it go.
    Looked,
    /// Nothing is left of it.
    Closed,
}

/// What a step with one call came to.
enum Step {
    /// Nothing is left to do now.
    Done,
    /// It goes on.
    Kept,
    /// It is over.
    Over(Leaving, Option<Reason>),
    /// Something failed.
    Failed,
}

impl Sweeper {
    /// Sees to these calls. Only a table that does not answer stops it; what cannot be read, there
    /// or at Stream, is passed over or put off by itself.
    pub(super) async fn see_to(
        &self,
        places: Vec<DuePlace>,
        deadline: Deadline,
        summary: &mut Summary,
    ) -> Result<(), ApiError> {
        // One that moves while the index is read can stand there twice.
        let ids: BTreeSet<CallId> = places.into_iter().map(|place| place.id).collect();
        let ids: Vec<CallId> = ids.into_iter().collect();
        let now = self.calls.clock.now();
        // The index lags behind; the calls themselves decide.
        let mut due = self.load(&ids, summary).await?;
        due.retain(|due| due.due_at.is_some_and(|at| at <= now));
        if due.is_empty() {
            return Ok(());
        }
        summary.due += due.len() as u64;
        summary.overdue +=
            due.iter().filter(|due| is_overdue(due, self.bounds, now)).count() as u64;
        let ids: Vec<CallId> = due.iter().map(|due| due.call.call_id.clone()).collect();
        let live = match self.live_calls(&ids, deadline).await {
            Ok(live) => live,
            // Then each is asked for by itself, where it matters.
            Err(error @ (StreamError::BadAnswer(_) | StreamError::Refused(_))) => {
                ApiError::from(error).note("Stream's list of calls is of no use", &ids.len());
                BTreeMap::new()
            }
            Err(error) => {
                ApiError::from(error).note("Stream does not tell of calls", &ids.len());
                summary.failed += due.len() as u64;
                let late = due.iter().map(|due| self.put_off(due, now));
                stream::iter(late).buffer_unordered(AT_ONCE).collect::<()>().await;
                return Ok(());
            }
        };
        let steps = due.into_iter().map(|due| self.step(due, &live, now, deadline));
        let steps: Vec<Step> = stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
        let mut leaving = Vec::new();
        for step in steps {
            match step {
                Step::Done => {}
                Step::Kept => summary.kept += 1,
                Step::Failed => summary.failed += 1,
                Step::Over(call, reason) => {
                    if let Some(reason) = reason {
                        *summary.over.entry(reason.as_str()).or_default() += 1;
                    }
                    leaving.push(call);
                }
            }
        }
        self.clear(leaving, &live, deadline, summary).await;
        Ok(())
    }

    /// These calls as they stand now, without those that nobody can read.
    async fn load(
        &self,
        ids: &[CallId],
        summary: &mut Summary,
    ) -> Result<Vec<DueCall>, StoreError> {
        match self.due.load(ids).await {
            Err(StoreError::Broken(_)) => {}
            loaded => return loaded,
        }
        let mut due = Vec::new();
        for id in ids {
            match self.due.load(std::slice::from_ref(id)).await {
                Ok(found) => due.extend(found),
                Err(error @ StoreError::Broken(_)) => {
                    ApiError::from(error).note("a due call cannot be read", id);
                    summary.failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(due)
    }

    /// What Stream shows of these calls. It may lag behind, too.
    async fn live_calls(
        &self,
        ids: &[CallId],
        deadline: Deadline,
    ) -> Result<BTreeMap<CallId, LiveCall>, StreamError> {
        let query = QueryCalls { which: WhichCalls::Of(ids), next: None };
        let found = self.calls.stream.send(&query, deadline).await?;
        let by_id = |call: LiveCall| Some((CallId::try_from(call.id.clone()).ok()?, call));
        Ok(found.calls.into_iter().filter_map(|answer| by_id(answer.call)).collect())
    }

    /// Moves one call on in the table.
    async fn step(
        &self,
        due: DueCall,
        live: &BTreeMap<CallId, LiveCall>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Step {
        let Some(seen) = due.due_at else { return Step::Done };
        let outcome = match due.call.state {
            CallState::Creating => self.end(&due, seen, EndReason::NOT_CREATED, now, now).await,
            CallState::Active => {
                let shown = live.get(&due.call.call_id);
                self.look_at(&due, seen, shown, now, deadline).await
            }
            CallState::Ending | CallState::Ended => {
                let DueCall { call, tries, .. } = due;
                return Step::Over(Leaving { call, seen, tries }, None);
            }
        };
        match outcome {
            Ok(step) => step,
            Err(error) => {
                error.note("a due call is put off", &due.call.call_id);
                self.put_off(&due, now).await;
                Step::Failed
            }
        }
    }

    async fn look_at(
        &self,
        due: &DueCall,
        seen: Timestamp,
        shown: Option<&LiveCall>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Step, ApiError> {
        let id = &due.call.call_id;
        let mut found = look(&due.call, shown, self.bounds, now);
        if matches!(found, Look::Over { .. }) {
            // Nobody's call is ended on the word of a list that may be old.
            let certain = match self.calls.stream.send(&GetCall { id }, deadline).await {
                Ok(found) => Some(found.call),
                Err(StreamError::NotFound(_)) => None,
                Err(error) => return Err(error.into()),
            };
            found = look(&due.call, certain.as_ref(), self.bounds, now);
        }
        match found {
            Look::Again(next) => {
                self.due.put_off(id, seen, next, 0).await?;
                Ok(Step::Kept)
            }
            Look::Over { reason, since } => self.end(due, seen, reason, since, now).await,
        }
    }

    /// Moves an open call to `ending`, unless it has moved since it was seen.
    async fn end(
        &self,
        due: &DueCall,
        seen: Timestamp,
        reason: Reason,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Step, ApiError> {
        let next = now.plus(RETRY_END);
        let request = EndRequest {
            id: &due.call.call_id,
            by: None,
            reason: &reason.into(),
            at: since,
            due: next,
            unless_moved: Some(Seen::Due(seen)),
        };
        Ok(match self.calls.store.end(request).await? {
            Ending::Now(call) => Step::Over(Leaving { call, seen: next, tries: 0 }, Some(reason)),
            Ending::Was(_) | Ending::Missing => Step::Done,
        })
    }

    /// Puts a call off with which something failed.
    async fn put_off(&self, due: &DueCall, now: Timestamp) {
        if let Some(seen) = due.due_at {
            self.back_off(&due.call.call_id, seen, due.tries, now).await;
        }
    }

    async fn back_off(&self, id: &CallId, seen: Timestamp, tries: u32, now: Timestamp) {
        let until = now.plus(backoff(tries));
        if let Err(error) = self.due.put_off(id, seen, until, tries.saturating_add(1)).await {
            ApiError::from(error).note("a due call is not put off", id);
        }
    }

    /// Clears calls away that are over: the calls one by one, the channels all at once.
    async fn clear(
        &self,
        leaving: Vec<Leaving>,
        live: &BTreeMap<CallId, LiveCall>,
        deadline: Deadline,
        summary: &mut Summary,
    ) {
        if leaving.is_empty() {
            return;
        }
        let calls: Vec<&Call> = leaving.iter().map(|leaving| &leaving.call).collect();
        let ended = calls.iter().map(|call| self.end_live(call, live.get(&call.call_id), deadline));
        let ended: Vec<Result<bool, ApiError>> =
            stream::iter(ended).buffered(AT_ONCE).collect().await;
        let channels = self.delete_channels(&calls, deadline).await;
        let ends = leaving.iter().zip(ended).map(|(leaving, ended)| {
            let id = &leaving.call.call_id;
            if let Err(error) = &ended {
                error.note("a call is not ended at Stream yet", id);
            }
            let cleared = ended.is_ok() && !channels.left.contains(id);
            let found = ended.unwrap_or(false) || channels.deleted.contains(id);
            self.let_go(leaving, cleared.then_some(found))
        });
        let ends: Vec<Result<LetGo, ()>> = stream::iter(ends).buffered(AT_ONCE).collect().await;
        let mut closed = Vec::new();
        for (end, leaving) in ends.into_iter().zip(&leaving) {
            match end {
                Ok(LetGo::Cleared) => summary.cleared += 1,
                Ok(LetGo::Looked) => summary.settled += 1,
                Ok(LetGo::Closed) => {
                    summary.settled += 1;
                    closed.push(&leaving.call);
                }
                Err(()) => summary.failed += 1,
            }
        }
        self.say_closed(closed, deadline).await;
    }

    /// Says of which calls nothing is left, now that everything else is done with them.
    async fn say_closed(&self, calls: Vec<&Call>, deadline: Deadline) {
        let calls = calls.into_iter().filter(|call| call.active_at.is_some()).map(async |call| {
            if deadline.remaining(self.calls.clock.now()) < LEAST {
                tracing::warn!(subject = %call.call_id, "no time to say that a call is closed");
            } else {
                self.epilogue.closed(call).await;
            }
        });
        stream::iter(calls).buffer_unordered(TOLD_AT_ONCE).collect::<()>().await;
    }

    /// Ends a call at Stream that is ours, and live for all we know; whether it was.
    async fn end_live(
        &self,
        call: &Call,
        shown: Option<&LiveCall>,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        let live = match shown {
            Some(live) if live.ended_at.is_some() => return Ok(false),
            Some(live) => call.active_at.is_some() || call.is_its(&live.created_by),
            None => false,
        };
        // One that was active, and is not in the list, may be too new for the list.
        if live || (shown.is_none() && call.active_at.is_some()) {
            self.calls.mark_ended(&call.call_id, deadline).await?;
        }
        Ok(live)
    }

    /// Deletes those of the calls' channels that exist and are ours.
    async fn delete_channels(&self, calls: &[&Call], deadline: Deadline) -> Channels {
        let mut channels = Channels::default();
        let mut existing = Vec::new();
        for _ in 0..ROUNDS {
            existing = match self.existing(calls, deadline).await {
                Ok(existing) => existing,
                Err(error) => {
                    ApiError::from(error).note("channels are not found out", &calls.len());
                    channels.left.extend(calls.iter().map(|call| call.call_id.clone()));
                    return channels;
                }
            };
            if existing.is_empty() {
                return channels;
            }
            let request = DeleteChannels { calls: &existing };
            match self.calls.stream.send(&request, deadline).await {
                Ok(answer) => {
                    let refused = |id: &CallId| {
                        answer
                            .result
                            .get(&id.channel().cid())
                            .is_some_and(|one| one.error.is_some())
                    };
                    let (left, deleted) = existing.into_iter().partition(refused);
                    channels.left = left;
                    channels.deleted.extend::<BTreeSet<_>>(deleted);
                    return channels;
                }
                // One of them was deleted just now, by its end: which ones are left?
                Err(StreamError::NotFound(_)) => channels.deleted.extend(existing.clone()),
                Err(error) => {
                    ApiError::from(error).note("channels are not deleted", &existing.len());
                    channels.left.extend(existing);
                    return channels;
                }
            }
        }
        // The list and the deletion do not agree, so one by one, as far as the minute allows.
        for id in existing {
            if let Err(error) = self.calls.delete_channel(&id, deadline).await {
                error.note("a channel is not deleted", &id);
                channels.left.insert(id);
            }
        }
        channels
    }

    async fn existing(
        &self,
        calls: &[&Call],
        deadline: Deadline,
    ) -> Result<Vec<CallId>, StreamError> {
        let mut existing = Vec::new();
        for some in calls.chunks(QueryChannels::MOST) {
            let ids: Vec<CallId> = some.iter().map(|call| call.call_id.clone()).collect();
            let query = QueryChannels { which: WhichChannels::Of(&ids) };
            let found = self.calls.stream.send(&query, deadline).await?;
            let of = |call: &&&Call| {
                let id = call.call_id.channel().to_string();
                let ours = |channel: &LiveChannel| {
                    channel.id == id
                        && (call.active_at.is_some() || call.is_its(&channel.created_by))
                };
                found.channels.iter().any(|answer| ours(&answer.channel))
            };
            existing.extend(some.iter().filter(of).map(|call| call.call_id.clone()));
        }
        Ok(existing)
    }

    /// The last step with a call: `found` says whether anything of it was left at Stream, and is
    /// `None` where something still is.
    async fn let_go(&self, leaving: &Leaving, found: Option<bool>) -> Result<LetGo, ()> {
        let Leaving { call, seen, tries } = leaving;
        let (id, now) = (&call.call_id, self.calls.clock.now());
        let done = match (found, call.state) {
            (Some(_), CallState::Ending) => {
                if !call.parallel {
                    self.calls.unmark(&call.members, id, None).await;
                }
                self.calls.store.finish(id, now).await.map(|_| LetGo::Cleared)
            }
            // Something came late. Perhaps it was not the last.
            (Some(true), _) => {
                self.due.put_off(id, *seen, now.plus(SECOND_LOOK), 0).await.map(|()| LetGo::Looked)
            }
            (Some(false), _) => self
                .due
                .rest(id, *seen)
                .await
                .map(|closed| if closed { LetGo::Closed } else { LetGo::Looked }),
            (None, _) => {
                self.back_off(id, *seen, *tries, now).await;
                return Err(());
            }
        };
        // What fails here is still due.
        done.map_err(|error| {
            ApiError::from(error).note("a call is cleared, but still due", id);
        })
    }
}

/// How long a call is put off after so many tries in vain.
fn backoff(tries: u32) -> Duration {
    RETRY_END.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_put_off_longer_every_time() {
        let seconds: Vec<_> = [0, 1, 2, 3, 4, 5, 40, u32::MAX].map(backoff).to_vec();
        let expected = [30, 60, 120, 240, 480, 600, 600, 600].map(Duration::from_secs);
        assert_eq!(seconds, expected);
    }
}
