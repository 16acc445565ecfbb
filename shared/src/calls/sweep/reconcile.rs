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
use crate::calls::sweep::{LEAST, Sweeper};
use crate::clock::{Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;
use crate::stream::ops::{
    DeleteChannels, LiveChannel, QueryCalls, QueryChannels, WhichCalls, WhichChannels,
};
use crate::stream::{StreamError, StreamTime};

/// What is younger than this is left to those who are at it.
const AGE: Duration = Duration::from_mins(10);

/// What a reconciliation has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
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
    pub unfinished: bool,
}

/// How far a reconciliation has come: everything of ours that was made before is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
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
    pub async fn reconcile(&self, deadline: Deadline) -> Result<Reconciled, ApiError> {
        let text = self.due.bookmark().await?;
        // A bookmark of another form is none.
        let place: Place =
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut done = Reconciled::default();
        let until = Timestamp::from_millis(
            self.calls.clock.now().as_millis() - i64::try_from(AGE.as_millis()).unwrap_or(0),
        );
        let channels = self.reconcile_channels(place.channels, until, deadline, &mut done).await?;
        let calls = self.reconcile_calls(place.calls, until, deadline, &mut done).await?;
        let place = Place { channels, calls };
        done.unfinished = place != Place::default();
        let text =
            serde_json::to_string(&place).map_err(|error| StoreError::Broken(error.into()))?;
        self.due.set_bookmark(&text).await?;
        Ok(done)
    }

    fn is_late(&self, deadline: Deadline) -> bool {
        deadline.remaining(self.calls.clock.now()) < LEAST
    }

    /// The channels; where it stopped, if it did not come to the end.
    async fn reconcile_channels(
        &self,
        from: Option<Timestamp>,
        until: Timestamp,
        deadline: Deadline,
        done: &mut Reconciled,
    ) -> Result<Option<Timestamp>, ApiError> {
        let mut from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut last, mut offset) = (from, 0);
        loop {
            if self.is_late(deadline) {
                return Ok(Some(last));
            }
            let which = WhichChannels::Ours { from, until, offset };
            let page = match self.calls.stream.send(&QueryChannels { which }, deadline).await {
                Ok(answer) => answer.channels,
                Err(error) => {
                    done.note(&error.into(), "a page of channels is not read");
                    return Ok(Some(last));
                }
            };
            last = newest(last, page.iter().map(|answer| answer.channel.created_at));
            let of_calls: Vec<CallId> =
                page.iter().filter_map(|answer| LiveChannel::call(&answer.channel)).collect();
            done.channels += of_calls.len() as u64;
            let orphans = self.unknown(&of_calls).await?;
            // What is deleted leaves the list, and what comes after it moves up.
            offset += page.len();
            if !orphans.is_empty() {
                match self.calls.stream.send(&DeleteChannels { calls: &orphans }, deadline).await {
                    Ok(answer) => {
                        let left = answer.result.values().filter(|one| one.error.is_some()).count();
                        let deleted = orphans.len().saturating_sub(left);
                        tracing::warn!(deleted, left, "channels that no mapping knows");
                        done.deleted += deleted as u64;
                        offset = offset.saturating_sub(deleted);
                    }
                    // One of them has gone by itself: the next time is time enough.
                    Err(StreamError::NotFound(_)) => {}
                    Err(error) => done.note(&error.into(), "channels that no mapping knows stay"),
                }
            }
            if page.len() < QueryChannels::MOST {
                return Ok(None);
            }
            if offset + QueryChannels::MOST > QueryChannels::FARTHEST {
                (from, offset) = (last, 0);
            }
        }
    }

    /// The calls; where it stopped, if it did not come to the end.
    async fn reconcile_calls(
        &self,
        from: Option<Timestamp>,
        until: Timestamp,
        deadline: Deadline,
        done: &mut Reconciled,
    ) -> Result<Option<Timestamp>, ApiError> {
        let from = from.unwrap_or_else(|| Timestamp::from_millis(0));
        let (mut last, mut next) = (from, None);
        loop {
            if self.is_late(deadline) {
                return Ok(Some(last));
            }
            let which = WhichCalls::Unended { from, until };
            let query = QueryCalls { which, next: next.as_deref() };
            let page = match self.calls.stream.send(&query, deadline).await {
                Ok(page) => page,
                Err(error) => {
                    done.note(&error.into(), "a page of calls is not read");
                    return Ok(Some(last));
                }
            };
            let newest = newest(last, page.calls.iter().map(|answer| answer.call.created_at));
            let ours: Vec<CallId> =
                page.calls.iter().filter_map(|answer| answer.call.ours()).collect();
            done.calls += ours.len() as u64;
            for id in self.unknown(&ours).await? {
                if self.is_late(deadline) {
                    return Ok(Some(last));
                }
                match self.calls.mark_ended(&id, deadline).await {
                    Ok(()) => {
                        tracing::warn!(call = %id, "ended a call that no mapping knows");
                        done.ended += 1;
                    }
                    Err(error) => done.note(&error, "a call that no mapping knows goes on"),
                }
            }
            last = newest;
            next = page.next.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    /// Those of these calls that no mapping knows, or only as over and done with.
    async fn unknown(&self, ids: &[CallId]) -> Result<Vec<CallId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let known = match self.due.load(ids).await {
            Ok(known) => known,
            // A mapping that cannot be read is a mapping: what it may know is left alone.
            Err(error @ StoreError::Broken(_)) => {
                ApiError::from(error).note("mappings cannot be read", &ids.len());
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let known: BTreeSet<&CallId> = known
            .iter()
            .filter(|due| due.call.state != CallState::Ended || due.due_at.is_some())
            .map(|due| &due.call.call_id)
            .collect();
        Ok(ids.iter().filter(|id| !known.contains(id)).cloned().collect())
    }
}

impl Reconciled {
    fn note(&mut self, error: &ApiError, what: &'static str) {
        error.note(what, &"reconciliation");
        self.failed += 1;
    }
}

fn newest(last: Timestamp, times: impl Iterator<Item = Option<StreamTime>>) -> Timestamp {
    times.flatten().map(|time| time.0).fold(last, Timestamp::max)
}
