//! Ending a call: say that it is ending (which is when it is over for everybody), clear it away at
//! Stream, say that it has ended.

use futures_util::future::join;

use crate::auth::Caller;
use crate::calls::{Call, CallState, Calls, EndReason, EndRequest, Ending, not_found};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::ids::CallId;
use crate::stream::ops::{DeleteChannel, EndCall, GetCall, GetChannel};
use crate::stream::{Operation, StreamError};

impl Calls {
    /// Ends the call; what comes back is `ending` or `ended`. Once this answers it is over for
    /// everybody, whatever becomes of Stream.
    ///
    /// # Errors
    ///
    /// `call_not_found` where there is no such call, or not for this caller; `store_unavailable`.
    pub async fn end(
        &self,
        caller: &Caller,
        id: &CallId,
        reason: &EndReason,
        deadline: Deadline,
    ) -> Result<Call, ApiError> {
        let by = (!caller.service).then_some(&caller.user);
        let request = EndRequest { by, ..EndRequest::now(id, reason, self.clock.now()) };
        match self.store.end(request).await? {
            Ending::Was(call) if !call.may_be_ended_by(caller) => Err(not_found()),
            Ending::Was(call) if call.state == CallState::Ended => Ok(call),
            Ending::Now(call) | Ending::Was(call) => Ok(self.close(call, deadline).await),
            Ending::Missing => Err(not_found()),
        }
    }

    /// Clears an `ending` call away. What fails here is left `ending` in the due index, and tried
    /// again from there.
    pub(super) async fn close(&self, call: Call, deadline: Deadline) -> Call {
        if let Err(error) = self.clear(&call, deadline).await {
            error.note("a call is not cleared at Stream yet", &call.call_id);
            return call;
        }
        match self.store.finish(&call.call_id, self.clock.now()).await {
            Ok(ended) => ended.unwrap_or(call),
            Err(error) => {
                ApiError::from(error).note("a call is cleared, but still ending", &call.call_id);
                call
            }
        }
    }

    /// Ends the call at Stream, deletes its channel and takes the members' mark off it. What is not
    /// there is as good as cleared.
    async fn clear(&self, call: &Call, deadline: Deadline) -> Result<(), ApiError> {
        let at_stream = async {
            if call.active_at.is_some() {
                self.clear_own(&call.call_id, deadline).await
            } else {
                self.clear_unsure(call, deadline).await
            }
        };
        let unmark = async {
            if !call.parallel {
                self.unmark(&call.members, &call.call_id, None).await;
            }
        };
        join(at_stream, unmark).await.0
    }

    /// Clears away what is known to be ours.
    pub(super) async fn clear_own(&self, id: &CallId, deadline: Deadline) -> Result<(), ApiError> {
        let (ended, deleted) =
            join(self.mark_ended(id, deadline), self.delete_channel(id, deadline)).await;
        ended.and(deleted)
    }

    /// Clears away what stands under the id of a call that never became active, if it is ours:
    /// nobody has said so yet.
    async fn clear_unsure(&self, call: &Call, deadline: Deadline) -> Result<(), ApiError> {
        let id = &call.call_id;
        let ended = async {
            match self.stream.send(&GetCall { id }, deadline).await {
                Ok(found) if call.is_its(&found.call.created_by) => {
                    self.mark_ended(id, deadline).await
                }
                Ok(_) | Err(StreamError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        let deleted = async {
            match self.stream.send(&GetChannel { id: &id.channel() }, deadline).await {
                Ok(found) if call.is_its(&found.channel.created_by) => {
                    self.delete_channel(id, deadline).await
                }
                Ok(_) | Err(StreamError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        let (ended, deleted) = join(ended, deleted).await;
        ended.and(deleted)
    }

    /// Deletes one channel, if the minute still has a deletion left; the sweeper deletes many at
    /// once.
    pub(super) async fn delete_channel(
        &self,
        id: &CallId,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        if !self.store.take_deletion(self.clock.now()).await? {
            return Err(ApiError::new(Code::StreamBusy, "no deletion is left in this minute"));
        }
        Ok(self.send_to_absent(&DeleteChannel { id: &id.channel() }, deadline).await?)
    }

    pub(super) async fn mark_ended(&self, id: &CallId, deadline: Deadline) -> Result<(), ApiError> {
        match self.send_to_absent(&EndCall { id }, deadline).await {
            // Perhaps because it has ended: what counts is that it has.
            Err(StreamError::Refused(failure)) => {
                match self.stream.send(&GetCall { id }, deadline).await {
                    Ok(answer) if answer.call.ended_at.is_some() => Ok(()),
                    Err(StreamError::NotFound(_)) => Ok(()),
                    Ok(_) => Err(StreamError::Refused(failure).into()),
                    Err(error) => Err(error.into()),
                }
            }
            other => Ok(other?),
        }
    }

    /// Sends what is done already where its object does not exist.
    async fn send_to_absent<O: Operation>(
        &self,
        operation: &O,
        deadline: Deadline,
    ) -> Result<(), StreamError> {
        match self.stream.send(operation, deadline).await {
            Ok(_) | Err(StreamError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
