//! Provisions a reserved call at Stream: its channel, then the call itself.
//!
//! The channel comes first: if a member does not exist at Stream, the request fails before a phone
//! rings.

use crate::calls::clean_up::is_channel_of;
use crate::calls::{Call, CallService, CallTimeouts, CreateCall, NewCall};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::stream::StreamError;
use crate::stream::ops::{GetOrCreateCall, GetOrCreateChannel, UpsertUsers, UserData};

impl CallService {
    /// Creates the channel and the call, or reuses those that an earlier attempt created.
    pub(super) async fn provision(
        &self,
        command: &CreateCall,
        new_call: &NewCall,
        timeouts: CallTimeouts,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        self.provision_channel(new_call, deadline).await?;
        self.provision_call(command, new_call, timeouts, deadline).await
    }

    async fn provision_channel(
        &self,
        new_call: &NewCall,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let id = new_call.id.channel();
        let request = GetOrCreateChannel {
            id: &id,
            created_by: &self.service_user,
            members: &new_call.members,
        };
        let response = match self.stream.send(&request, deadline).await {
            Err(StreamError::Rejected(error)) if error.names_unknown_user(&self.service_user) => {
                self.create_service_user(deadline).await?;
                self.stream.send(&request, deadline).await
            }
            result => result,
        };
        let channel = response.map_err(|error| self.map_member_error(error))?.channel;
        let channel = channel.filter(|channel| channel.created_by.is_some());
        let channel = channel.ok_or_else(missing_creator)?;
        if is_channel_of(&Call::new(new_call), &channel, &self.service_user) {
            return Ok(());
        }
        // Another user created a channel with this id: it is neither used nor deleted.
        self.cancel_reservation(new_call).await;
        Err(ApiError::from_code(Code::CallIdReused))
    }

    /// Creates the service user. This happens once for each app at Stream.
    async fn create_service_user(&self, deadline: Deadline) -> Result<(), ApiError> {
        let users = [(&self.service_user, UserData::without_profile())];
        self.stream.send(&UpsertUsers { users: &users }, deadline).await?;
        Ok(())
    }

    async fn provision_call(
        &self,
        command: &CreateCall,
        new_call: &NewCall,
        timeouts: CallTimeouts,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let request = GetOrCreateCall {
            cid: &new_call.cid(),
            created_by: &new_call.owner,
            members: &new_call.members,
            settings: new_call.call_type.settings().into(),
            ring: command.ring,
            custom: command.custom.as_ref(),
            max_duration: new_call.max_duration(timeouts.max_duration),
            inactivity_timeout: timeouts.inactivity_timeout,
        };
        let stream_call = self
            .stream
            .send(&request, deadline)
            .await
            .map_err(|error| self.map_member_error(error))?
            .call;
        let creator = stream_call.created_by.ok_or_else(missing_creator)?;
        if creator.id != new_call.owner.as_str() {
            // Another user created a call with this id. The channel belongs to this call, so the
            // reservation stays until the channel is deleted.
            match self.ender().delete_channel(&new_call.id, deadline).await {
                Ok(()) => self.cancel_reservation(new_call).await,
                Err(error) => error.log("DeleteChannel failed after a call conflict", &new_call.id),
            }
            return Err(ApiError::from_code(Code::CallIdReused));
        }
        if stream_call.ended_at.is_some() {
            // An ended call cannot become active again.
            self.record_ended(new_call, deadline).await;
            return Err(ApiError::from_code(Code::CallEnded));
        }
        Ok(())
    }
}

impl CallService {
    /// All members are in the table at this point. If Stream rejects one, it was deleted there.
    fn map_member_error(&self, error: StreamError) -> ApiError {
        let is_unknown_member = match &error {
            StreamError::Rejected(response) => response.is_user_unknown(),
            StreamError::NotFound(response) => response.is_user_deleted(),
            _ => false,
        };
        let names_service_user = match &error {
            StreamError::Rejected(response) | StreamError::NotFound(response) => {
                response.names_user(&self.service_user)
            }
            _ => false,
        };
        if names_service_user {
            // Without the service user no call can be created, and no member can change that.
            ApiError::from_code(Code::StreamRefused).with_source(error)
        } else if is_unknown_member {
            let detail = "upsert all members first: a member does not exist at Stream";
            ApiError::new(Code::UserNotFound, detail).with_source(error)
        } else {
            error.into()
        }
    }
}

/// A missing creator proves neither that the resource belongs to this call nor that it does not.
fn missing_creator() -> StreamError {
    StreamError::InvalidResponse("the channel or the call has no creator".into())
}
