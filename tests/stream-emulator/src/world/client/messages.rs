//! The operations on messages that exist.

use super::Client;
use crate::error::StreamError;
use crate::world::ApiResult;
use crate::world::cid::Cid;
use crate::world::grants::Permission;
use crate::world::message_page::MessagePage;
use crate::world::message_updates::{
    DeleteMessage, MessageChange, UpdateMessage, UpdateMessagePartial,
};
use crate::world::reactions::SendReaction;
use crate::world::replies::{PinnedMessages, SearchMessages};

impl Client<'_> {
    pub(crate) fn get_message(&self, id: &str) -> ApiResult {
        self.check_readable(id)?;
        self.world.get_message_for(Some(&self.user.id), id, false)
    }

    pub(crate) fn get_messages(&self, cid: &Cid, ids: &str) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.get_messages(Some(&self.user.id), cid, ids)
    }

    pub(crate) fn get_replies(&self, id: &str, page: &MessagePage) -> ApiResult {
        self.check_readable(id)?;
        self.world.get_replies(Some(&self.user.id), id, page)
    }

    pub(crate) fn get_pinned_messages(&self, cid: &Cid, request: &PinnedMessages) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        self.world.get_pinned_messages(Some(&self.user.id), cid, request, self.now)
    }

    /// Finds messages in the channels that the user can read.
    pub(crate) fn search_messages(&self, request: &SearchMessages) -> ApiResult {
        self.world.search_messages(Some(&self.user.id), request, |cid| self.can_read(cid))
    }

    pub(crate) fn update_message(&mut self, id: &str, request: UpdateMessage) -> ApiResult {
        let change = request.change(self.world.find_message(id)?.1);
        self.check_change(id, change)?;
        self.world.update_message(Some(&self.user.id), id, request, self.now)
    }

    pub(crate) fn update_message_partial(
        &mut self,
        id: &str,
        request: UpdateMessagePartial,
    ) -> ApiResult {
        self.check_change(id, request.change())?;
        self.world.update_message_partial(Some(&self.user.id), id, request, self.now)
    }

    /// Assumed: a client cannot delete for good.
    pub(crate) fn delete_message(&mut self, id: &str, request: DeleteMessage) -> ApiResult {
        self.check_message(id, Permission::DELETE_MESSAGE)?;
        if request.is_hard() {
            let message = "messages can only be hard deleted using server-side auth";
            return Err(StreamError::forbidden(message));
        }
        self.world.delete_message(Some(&self.user.id), id, request, self.now)
    }

    pub(crate) fn send_reaction(&mut self, id: &str, request: SendReaction) -> ApiResult {
        let cid = self.check_readable(id)?;
        self.check_channel(&cid, Permission::CREATE_REACTION)?;
        self.world.check_not_banned(&self.user.id, &cid)?;
        self.world.send_reaction(Some(&self.user.id), id, request, self.now)
    }

    /// A user deletes only the own reactions.
    pub(crate) fn delete_reaction(&mut self, id: &str, kind: &str) -> ApiResult {
        self.check_readable(id)?;
        self.world.delete_reaction(Some(&self.user.id), id, kind, None, self.now)
    }

    pub(crate) fn get_reactions(
        &self,
        id: &str,
        limit: Option<usize>,
        offset: Option<usize>,
    ) -> ApiResult {
        self.check_readable(id)?;
        self.world.get_reactions(id, limit, offset)
    }

    /// Checks that the user can read a message. Returns its channel.
    pub(super) fn check_readable(&self, id: &str) -> Result<Cid, StreamError> {
        let (channel, message) = self.world.find_message(id)?;
        let cid = channel.cid.clone();
        self.check_channel(&cid, Permission::READ_CHANNEL)?;
        if message.is_visible_to(Some(&self.user.id)) {
            return Ok(cid);
        }
        Err(StreamError::not_found(format!("message with id {id} not found")))
    }

    fn check_change(&self, id: &str, change: MessageChange) -> Result<(), StreamError> {
        let cid = self.check_readable(id)?;
        self.world.check_not_banned(&self.user.id, &cid)?;
        if change.changes_content || !change.changes_pin {
            self.check_message(id, Permission::UPDATE_MESSAGE)?;
        }
        if change.changes_pin {
            self.check_channel(&cid, Permission::PIN_MESSAGE)?;
        }
        Ok(())
    }

    fn check_message(&self, id: &str, permission: Permission) -> Result<(), StreamError> {
        self.world.message_access(self.user, id)?.check(permission)
    }
}
