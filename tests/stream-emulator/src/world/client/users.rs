//! The operations on users: a user changes itself, and mutes, blocks and flags others.

use super::Client;
use crate::error::StreamError;
use crate::world::ApiResult;
use crate::world::bans::{BanUser, UnbanUser};
use crate::world::blocks::BlockUser;
use crate::world::flags::Flag;
use crate::world::grants::Permission;
use crate::world::mutes::MuteUsers;
use crate::world::user::UserPatch;
use crate::world::users::{QueryUsers, UpdateUsersPartial, UpsertUsers};
use crate::world::validation::ensure;

impl Client<'_> {
    pub(crate) fn get_app(&self) -> serde_json::Value {
        self.world.get_app_for_client()
    }

    pub(crate) fn query_users(&self, request: &QueryUsers) -> ApiResult {
        self.world.query_users(request)
    }

    /// A user replaces only the own data, and keeps the role and the teams.
    pub(crate) fn upsert_users(&mut self, mut request: UpsertUsers) -> ApiResult {
        self.check_own(request.users.keys().map(String::as_str))?;
        let role = self.world.find_user(&self.user.id)?.role.clone();
        let is_privileged = request.users.values().any(|user| user.changes_privileges(&role));
        ensure(!is_privileged, || self.refuse_user_change("UpdateUserRole"))?;
        let users = std::mem::take(&mut request.users);
        request.users = users.into_iter().map(|(id, user)| (id, user.with_role(&role))).collect();
        self.world.upsert_users(request, self.now)
    }

    pub(crate) fn update_users_partial(&mut self, request: UpdateUsersPartial) -> ApiResult {
        self.check_own(request.users.iter().map(|patch| patch.id.as_str()))?;
        let is_privileged = request.users.iter().any(UserPatch::changes_privileges);
        ensure(!is_privileged, || self.refuse_user_change("UpdateUserRole"))?;
        self.world.update_users_partial(request, self.now)
    }

    pub(crate) fn block_user(&mut self, request: BlockUser) -> ApiResult {
        self.world.block_user(Some(&self.user.id), request, self.now)
    }

    pub(crate) fn unblock_user(&mut self, request: BlockUser) -> ApiResult {
        self.world.unblock_user(Some(&self.user.id), request)
    }

    pub(crate) fn list_blocked_users(&self) -> ApiResult {
        self.world.list_blocked_users(Some(&self.user.id), None)
    }

    pub(crate) fn mute_users(&mut self, request: MuteUsers) -> ApiResult {
        self.world.mute_users(Some(&self.user.id), request, self.now)
    }

    pub(crate) fn unmute_users(&mut self, request: MuteUsers) -> ApiResult {
        self.world.unmute_users(Some(&self.user.id), request, self.now)
    }

    /// A user flags users and the messages of channels that allow it.
    pub(crate) fn flag(&mut self, request: Flag) -> ApiResult {
        if let Some(id) = request.message_id() {
            let cid = self.check_readable(id)?;
            self.check_channel(&cid, Permission::FLAG_MESSAGE)?;
        }
        self.world.flag(Some(&self.user.id), request, self.now)
    }

    /// A moderator bans from a channel. A ban from the app needs a server token.
    pub(crate) fn ban(&mut self, request: BanUser) -> ApiResult {
        self.check_ban(request.channel()?.as_ref())?;
        self.world.ban(request.banned_by(&self.user.id), self.now)
    }

    pub(crate) fn unban(&mut self, request: &UnbanUser) -> ApiResult {
        self.check_ban(request.channel())?;
        self.world.unban(request, self.now)
    }

    fn check_ban(&self, channel: Option<&crate::world::Cid>) -> Result<(), StreamError> {
        let Some(cid) = channel else { return Err(self.refuse_user_change("BanUser")) };
        self.check_existing_channel(cid, Permission::BAN_CHANNEL_MEMBER)
    }

    fn check_own<'a>(&self, mut ids: impl Iterator<Item = &'a str>) -> Result<(), StreamError> {
        ensure(ids.all(|id| id == self.user.id), || self.refuse_user_change("UpdateUser"))
    }

    /// The refusal of an action in the scope of the app, whose text names no scope.
    fn refuse_user_change(&self, action: &str) -> StreamError {
        let role = self.world.find_user(&self.user.id).map_or("user", |user| user.role.as_str());
        StreamError::forbidden(format!(
            "User with role '{role}' is not allowed to perform action {action}"
        ))
    }
}
