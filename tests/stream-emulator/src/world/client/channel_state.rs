//! The operations on the user's own view of channels: reads, events, members, mutes and lists.

use super::Client;
use crate::error::StreamError;
use crate::world::ApiResult;
use crate::world::channel_events::SendEvent;
use crate::world::channel_member_updates::UpdateMemberPartial;
use crate::world::channel_members::QueryMembers;
use crate::world::channel_visibility::HideChannel;
use crate::world::cid::Cid;
use crate::world::grants::Permission;
use crate::world::mutes::MuteChannels;
use crate::world::reads::{MarkChannelsRead, MarkRead, MarkUnread};
use crate::world::validation::ensure;

impl Client<'_> {
    pub(crate) fn mark_read(&mut self, cid: &Cid, request: MarkRead) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.mark_read(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn mark_unread(&mut self, cid: &Cid, request: MarkUnread) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.mark_unread(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn mark_channels_read(&mut self, request: MarkChannelsRead) -> ApiResult {
        self.world.mark_channels_read(Some(&self.user.id), request, self.now)
    }

    pub(crate) fn get_unread(&self) -> ApiResult {
        self.world.get_unread(Some(&self.user.id), None)
    }

    /// The permission to read a channel includes typing. Custom events have their own, and a ban
    /// forbids them.
    pub(crate) fn send_event(&mut self, cid: &Cid, request: SendEvent) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        if request.is_custom() {
            self.check_channel(cid, Permission::SEND_CUSTOM_EVENT)?;
            self.world.check_not_banned(&self.user.id, cid)?;
        }
        self.world.send_event(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn hide_channel(&mut self, cid: &Cid, request: HideChannel) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.hide_channel(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn show_channel(&mut self, cid: &Cid, request: HideChannel) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.show_channel(Some(&self.user.id), cid, request, self.now)
    }

    /// The subscription belongs to the socket of the request, and the world has none.
    pub(crate) fn stop_watching(&self, cid: &Cid) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        Ok(serde_json::json!({}))
    }

    pub(crate) fn query_members(&self, request: &QueryMembers) -> ApiResult {
        self.check_existing_channel(&request.cid(), Permission::READ_CHANNEL_MEMBERS)?;
        self.world.query_members(request)
    }

    /// A user changes only the own membership.
    pub(crate) fn update_member_partial(
        &mut self,
        cid: &Cid,
        user_id: Option<&str>,
        request: UpdateMemberPartial,
    ) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        ensure(user_id.is_none_or(|id| id == self.user.id), || {
            StreamError::forbidden("other members can only be updated using server-side auth")
        })?;
        self.world.update_member_partial(cid, &self.user.id, request, self.now)
    }

    pub(crate) fn mute_channels(&mut self, request: MuteChannels) -> ApiResult {
        self.check_channel_mute(&request)?;
        self.world.mute_channels(Some(&self.user.id), request, self.now)
    }

    pub(crate) fn unmute_channels(&mut self, request: MuteChannels) -> ApiResult {
        self.check_channel_mute(&request)?;
        self.world.unmute_channels(Some(&self.user.id), request, self.now)
    }

    fn check_channel_mute(&self, request: &MuteChannels) -> Result<(), StreamError> {
        request.cids().try_for_each(|cid| {
            let Ok(cid) = cid.parse() else { return Ok(()) };
            self.check_existing_channel(&cid, Permission::MUTE_CHANNEL)
        })
    }
}
