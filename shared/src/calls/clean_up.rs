//! Removes a call from Stream: ends the call, deletes its channel, and clears the open-call pointer
//! of its members. A resource that does not exist counts as removed.

use futures_util::future::join;

use crate::calls::{Call, CallEnder, MemberSet};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::ids::{CallCid, CallId, UserId};
use crate::stream::ops::{
    ChannelEnvelope, DeleteChannel, EndCall, GetCall, GetChannel, StreamChannel,
};
use crate::stream::{Operation, StreamError};

impl CallEnder {
    /// Removes a call from Stream, and its open-call pointer from the table.
    pub(super) async fn clean_up(&self, call: &Call, deadline: Deadline) -> Result<(), ApiError> {
        let at_stream = async {
            if call.active_at.is_some() {
                self.clean_up_owned(&call.cid(), deadline).await
            } else {
                self.clean_up_if_owned(call, deadline).await
            }
        };
        let clear_open_call = async {
            if !call.parallel {
                self.clear_open_call(&call.members, &call.call_id, None).await;
            }
        };
        join(at_stream, clear_open_call).await.0
    }

    /// Removes a call and a channel that are known to belong to this call.
    pub(super) async fn clean_up_owned(
        &self,
        cid: &CallCid,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let (ended, deleted) =
            join(self.end_at_stream(cid, deadline), self.delete_channel(&cid.id, deadline)).await;
        ended.and(deleted)
    }

    /// Removes the call and the channel if the call's owner created them. If the call never became
    /// active, another user may have created a resource with the same id.
    async fn clean_up_if_owned(&self, call: &Call, deadline: Deadline) -> Result<(), ApiError> {
        let (id, cid) = (&call.call_id, call.cid());
        let end_call = async {
            match self.stream.send(&GetCall { cid: &cid }, deadline).await {
                Ok(response) if call.is_owned_by(response.call.created_by.as_ref()) => {
                    self.end_at_stream(&cid, deadline).await
                }
                Ok(_) | Err(StreamError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        let delete_channel = async {
            match self.stream.send(&GetChannel { id: &id.channel() }, deadline).await {
                Ok(ChannelEnvelope { channel: Some(channel) })
                    if is_channel_of(call, &channel, &self.service_user) =>
                {
                    self.delete_channel(id, deadline).await
                }
                Ok(_) | Err(StreamError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        let (ended, deleted) = join(end_call, delete_channel).await;
        ended.and(deleted)
    }

    /// Deletes one channel, within the quota of single deletions per minute
    /// (`docs/adr/0011-channel-deletion-quota.md`). The sweeper deletes in batches.
    pub(super) async fn delete_channel(
        &self,
        id: &CallId,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        if !self.store.acquire_delete_quota(self.clock.now()).await? {
            let detail =
                "the channel deletion quota of this minute is exhausted; retry in a minute";
            return Err(ApiError::new(Code::StreamBusy, detail));
        }
        let request = DeleteChannel { id: &id.channel() };
        Ok(self.send_ignoring_not_found(&request, deadline).await?)
    }

    /// Ends the call at Stream. If Stream rejects the request because the call has ended already,
    /// this is a success.
    pub(super) async fn end_at_stream(
        &self,
        cid: &CallCid,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        match self.send_ignoring_not_found(&EndCall { cid }, deadline).await {
            Err(StreamError::Rejected(rejection)) => {
                match self.stream.send(&GetCall { cid }, deadline).await {
                    Ok(response) if response.call.ended_at.is_some() => Ok(()),
                    Err(StreamError::NotFound(_)) => Ok(()),
                    Ok(_) => Err(StreamError::Rejected(rejection).into()),
                    Err(error) => Err(error.into()),
                }
            }
            result => Ok(result?),
        }
    }

    /// Clears the open-call pointer of these members if it points to this call. If `attempt` is
    /// given, clears only a pointer that this attempt has set. Errors are only logged: a stale
    /// pointer costs the next create one read.
    pub(super) async fn clear_open_call(
        &self,
        members: &[UserId],
        id: &CallId,
        attempt: Option<&str>,
    ) {
        let member_set = MemberSet::new(members);
        if let Err(error) = self.store.clear_open_call(&member_set, id, attempt).await {
            ApiError::from(error).log("clearing the open-call pointer failed", id);
        }
    }

    pub(super) async fn send_ignoring_not_found<O: Operation>(
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

/// Whether a channel at Stream belongs to the call: it has the call's owner tag, and its creator is
/// the service user, or the owner (a channel from before there was a service user). A missing creator
/// proves nothing.
pub(super) fn is_channel_of(call: &Call, channel: &StreamChannel, service_user: &UserId) -> bool {
    let is_tagged = channel.owned_call_id().as_ref() == Some(&call.call_id);
    let creator = channel.created_by.as_ref();
    let is_by_service = creator.is_some_and(|user| user.id == service_user.as_str());
    is_tagged && (is_by_service || call.is_owned_by(creator))
}
