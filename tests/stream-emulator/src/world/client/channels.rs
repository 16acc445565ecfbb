//! The operations on channels.

use serde_json::{Value, json};

use super::Client;
use crate::error::StreamError;
use crate::world::ApiResult;
use crate::world::channel_member_updates::UpdateChannel;
use crate::world::channel_query::QueryChannels;
use crate::world::channel_updates::{TruncateChannel, UpdateChannelPartial};
use crate::world::channels::{ChannelStateOptions, GetOrCreateChannel};
use crate::world::cid::Cid;
use crate::world::grants::Permission;
use crate::world::messages::SendMessage;
use crate::world::validation::{check_channel_cid, check_channel_type, ensure};

impl Client<'_> {
    /// The creator of a new channel is the user of the token.
    pub(crate) fn get_or_create_channel(
        &mut self,
        cid: &Cid,
        request: GetOrCreateChannel,
    ) -> ApiResult {
        if !self.world.channels.contains_key(cid) {
            check_channel_cid(cid)?;
        }
        self.get_or_create_checked(cid, request)
    }

    /// The members determine the id of the channel.
    pub(crate) fn get_or_create_distinct_channel(
        &mut self,
        kind: &str,
        request: GetOrCreateChannel,
    ) -> ApiResult {
        let cid = request.distinct_cid(kind)?;
        check_channel_type(kind)?;
        self.get_or_create_checked(&cid, request)
    }

    fn get_or_create_checked(&mut self, cid: &Cid, request: GetOrCreateChannel) -> ApiResult {
        let exists = self.world.channels.contains_key(cid);
        let permission = if exists { Permission::READ_CHANNEL } else { Permission::CREATE_CHANNEL };
        self.check_channel(cid, permission)?;
        if !exists && request.sets_roles() {
            self.check_role_change(cid)?;
        }
        let request = request.created_by(&self.user.id);
        let viewer = Some(self.user.id.as_str());
        let response = self.world.get_or_create_channel_for(viewer, cid, request, self.now)?;
        self.with_channel_capabilities(cid, response)
    }

    pub(crate) fn get_channel(&self, cid: &Cid, options: &ChannelStateOptions) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        let response = self.world.get_channel(Some(&self.user.id), cid, options, self.now)?;
        self.with_channel_capabilities(cid, response)
    }

    /// A query for channels of the user, or for given channels, omits channels that the user cannot
    /// read. Another query fails, unless the user can read every channel.
    pub(crate) fn query_channels(&self, request: &QueryChannels) -> ApiResult {
        let access = self.world.other_channels_access(self.user)?;
        if !request.selects_member(&self.user.id) && !request.selects_cids() {
            access.check(Permission::READ_CHANNEL)?;
        }
        let viewer = Some(self.user.id.as_str());
        let can_read = |cid: &Cid| self.can_read(cid);
        let mut response = self.world.query_channels_where(viewer, request, self.now, can_read)?;
        for entry in response["channels"].as_array_mut().into_iter().flatten() {
            let cid = entry["channel"]["cid"].as_str().and_then(|cid| cid.parse().ok());
            let Some(cid) = cid else { continue };
            *entry = self.with_channel_capabilities(&cid, entry.take())?;
        }
        Ok(response)
    }

    pub(crate) fn update_channel(&mut self, cid: &Cid, request: UpdateChannel) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        let own = Permission::ADD_OWN_CHANNEL_MEMBERSHIP;
        self.check_member_change(cid, request.added_ids(), own)?;
        let own = Permission::REMOVE_OWN_CHANNEL_MEMBERSHIP;
        self.check_member_change(cid, request.removed_ids(), own)?;
        if request.changes_roles() {
            self.check_channel(cid, Permission::UPDATE_CHANNEL_MEMBERS)?;
            self.check_role_change(cid)?;
        }
        let has_message = request.has_message();
        if request.has_data() || (!request.has_changes() && !has_message) {
            self.check_channel(cid, Permission::UPDATE_CHANNEL)?;
        }
        if has_message {
            // A permitted change announces itself with a system message.
            let permission = if request.has_changes() {
                Permission::CREATE_MESSAGE
            } else {
                Permission::CREATE_SYSTEM_MESSAGE
            };
            self.check_channel(cid, permission)?;
            self.world.check_not_banned(&self.user.id, cid)?;
        }
        if request.changes_frozen() {
            self.check_channel(cid, Permission::UPDATE_CHANNEL_FROZEN)?;
        }
        let response = self.world.update_channel(Some(&self.user.id), cid, request, self.now)?;
        self.with_channel_capabilities(cid, response)
    }

    pub(crate) fn update_channel_partial(
        &mut self,
        cid: &Cid,
        request: UpdateChannelPartial,
    ) -> ApiResult {
        self.check_existing_channel(cid, Permission::READ_CHANNEL)?;
        if request.changes("config_overrides") {
            let message = "config_overrides can only be updated using server-side auth";
            return Err(StreamError::forbidden(message));
        }
        let changes_frozen = request.changes("frozen");
        if changes_frozen {
            self.check_channel(cid, Permission::UPDATE_CHANNEL_FROZEN)?;
        }
        if !changes_frozen || request.changes_other_than("frozen") {
            self.check_channel(cid, Permission::UPDATE_CHANNEL)?;
        }
        let user_id = Some(self.user.id.as_str());
        let response = self.world.update_channel_partial(user_id, cid, request, self.now)?;
        self.with_channel_capabilities(cid, response)
    }

    pub(crate) fn truncate_channel(&mut self, cid: &Cid, request: TruncateChannel) -> ApiResult {
        self.check_existing_channel(cid, Permission::TRUNCATE_CHANNEL)?;
        let response = self.world.truncate_channel(Some(&self.user.id), cid, request, self.now)?;
        self.with_channel_capabilities(cid, response)
    }

    pub(crate) fn delete_channel(&mut self, cid: &Cid) -> ApiResult {
        self.check_existing_channel(cid, Permission::DELETE_CHANNEL)?;
        self.world.delete_channel(cid, self.now)
    }

    /// The sender is the user of the token.
    pub(crate) fn send_message(&mut self, cid: &Cid, request: SendMessage) -> ApiResult {
        self.check_existing_channel(cid, Permission::CREATE_MESSAGE)?;
        if request.is_system() {
            self.check_channel(cid, Permission::CREATE_SYSTEM_MESSAGE)?;
        }
        if request.is_reply() {
            self.check_channel(cid, Permission::CREATE_REPLY)?;
        }
        if request.is_pinned() {
            self.check_channel(cid, Permission::PIN_MESSAGE)?;
        }
        if self.world.find_channel(cid)?.frozen {
            self.check_channel(cid, Permission::USE_FROZEN_CHANNEL)?;
        }
        self.world.check_not_banned(&self.user.id, cid)?;
        self.world.send_message_as(Some(self.user), cid, request, self.now)
    }

    /// Checks a change of members. A user's own membership has a permission of its own.
    fn check_member_change<'a>(
        &self,
        cid: &Cid,
        ids: impl IntoIterator<Item = &'a str>,
        own: Permission,
    ) -> Result<(), StreamError> {
        let ids: Vec<&str> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let access = self.world.channel_access(self.user, cid)?;
        let is_own = ids.iter().all(|id| *id == self.user.id);
        let any = Permission::UPDATE_CHANNEL_MEMBERS;
        access.check(if is_own && !access.permits(any) { own } else { any })
    }

    /// Only a user who may ban members gives another role than the default one.
    fn check_role_change(&self, cid: &Cid) -> Result<(), StreamError> {
        let access = self.world.channel_access(self.user, cid)?;
        ensure(access.permits(Permission::BAN_CHANNEL_MEMBER), || {
            StreamError::forbidden("roles of members can only be updated using server-side auth")
        })
    }

    /// The response to a request for the state of a channel, with the user's own capabilities.
    fn with_channel_capabilities(&self, cid: &Cid, mut response: Value) -> ApiResult {
        let capabilities = self.world.channel_access(self.user, cid)?.channel_capabilities();
        response["channel"]["own_capabilities"] = json!(capabilities);
        Ok(response)
    }

    pub(super) fn check_existing_channel(
        &self,
        cid: &Cid,
        permission: Permission,
    ) -> Result<(), StreamError> {
        self.world.find_channel(cid)?;
        self.check_channel(cid, permission)
    }

    pub(super) fn check_channel(
        &self,
        cid: &Cid,
        permission: Permission,
    ) -> Result<(), StreamError> {
        self.world.channel_access(self.user, cid)?.check(permission)
    }

    /// Whether the user can read the channel with this cid.
    pub(crate) fn can_read_channel(&self, cid: &str) -> bool {
        let cid = cid.parse::<Cid>().ok();
        cid.is_some_and(|cid| self.world.channels.contains_key(&cid) && self.can_read(&cid))
    }

    pub(super) fn can_read(&self, cid: &Cid) -> bool {
        let access = self.world.channel_access(self.user, cid);
        access.is_ok_and(|access| access.permits(Permission::READ_CHANNEL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use crate::world::permissions::TokenUser;
    use crate::world::testing::{at, expect_error, from_json, messaging_cid, world_with_users};

    /// Alice created the channel and is no member. Bob is a member, mia a moderator of the channel,
    /// carol has nothing to do with it, and root is an admin.
    fn world_with_channel() -> World {
        let mut world = world_with_users(&["alice", "bob", "carol", "dave", "mia", "root"]);
        let admin = json!({ "users": [{ "id": "root", "set": { "role": "admin" } }] });
        world.update_users_partial(from_json(admin), at(1)).expect("a user");
        let members = json!(["bob", { "user_id": "mia", "channel_role": "channel_moderator" }]);
        let data = json!({ "created_by_id": "alice", "members": members });
        let request = from_json(json!({ "data": data }));
        world.get_or_create_channel(&messaging_cid("c"), request, at(2)).expect("a channel");
        world
    }

    fn user(id: &str) -> TokenUser {
        TokenUser::new(id.to_owned(), None, &[])
    }

    fn send(client: &mut Client<'_>, message: &Value) -> ApiResult {
        client.send_message(&messaging_cid("c"), from_json(json!({ "message": message })))
    }

    fn attempt(client: &mut Client<'_>, operation: &str) -> ApiResult {
        let cid = messaging_cid("c");
        let own_id = client.user.id.clone();
        let mut update = |request: Value| client.update_channel(&cid, from_json(request));
        match operation {
            "empty update" => update(json!({})),
            "message only" => update(json!({ "message": { "text": "hello" } })),
            "invite as moderator" => {
                let invite = json!({ "user_id": "dave", "channel_role": "channel_moderator" });
                update(json!({ "invites": [invite] }))
            }
            "add moderator" => {
                let member = json!({ "user_id": "dave", "channel_role": "channel_moderator" });
                update(json!({ "add_members": [member] }))
            }
            "add with message" => {
                update(json!({ "add_members": ["dave"], "message": { "text": "hello" } }))
            }
            "update" => update(json!({ "data": { "custom": { "a": 1 } } })),
            "freeze" => update(json!({ "data": { "frozen": true } })),
            "add member" => update(json!({ "add_members": ["dave"] })),
            "join" => update(json!({ "add_members": [own_id] })),
            "remove member" => update(json!({ "remove_members": ["bob", "mia"] })),
            "leave" => update(json!({ "remove_members": [own_id] })),
            "read" => client.get_or_create_channel(&cid, from_json(json!({}))),
            "create" => client.get_or_create_channel(&messaging_cid("new"), from_json(json!({}))),
            "create with moderator" => {
                let member = json!({ "user_id": "dave", "channel_role": "channel_moderator" });
                let request = from_json(json!({ "data": { "members": [member] } }));
                client.get_or_create_channel(&messaging_cid("new"), request)
            }
            "send" => send(client, &json!({ "text": "hello" })),
            "send system" => send(client, &json!({ "text": "hello", "type": "system" })),
            "ban" => send(client, &json!({ "text": "/ban @dave" })),
            "mute" => send(client, &json!({ "text": "/mute @dave" })),
            "empty patch" => client.update_channel_partial(&cid, from_json(json!({}))),
            "patch" => client.update_channel_partial(&cid, from_json(json!({ "set": { "a": 1 } }))),
            "patch frozen" => {
                client.update_channel_partial(&cid, from_json(json!({ "set": { "frozen": true } })))
            }
            "override" => {
                let set = json!({ "config_overrides": {} });
                client.update_channel_partial(&cid, from_json(json!({ "set": set })))
            }
            "truncate" => client.truncate_channel(&cid, TruncateChannel::default()),
            "delete" => client.delete_channel(&cid),
            _ => panic!("unknown operation {operation}"),
        }
    }

    fn is_permitted(user_id: &str, operation: &str) -> bool {
        let mut world = world_with_channel();
        let user = user(user_id);
        let outcome = attempt(&mut world.client(&user, at(5)), operation);
        match outcome {
            Ok(_) => true,
            Err(error) if error.status() == 403 => false,
            Err(error) => panic!("{user_id}: {operation}: {error:?}"),
        }
    }

    #[test]
    fn role_and_ownership_decide_what_a_user_may_do() {
        // The creator, a member, a moderator, a user who is no member, and an admin.
        for (operation, expected) in [
            ("read", [true, true, true, false, true]),
            ("create", [true, true, true, true, true]),
            ("create with moderator", [false, false, false, false, true]),
            ("send", [true, true, true, false, true]),
            ("send system", [false, false, true, false, true]),
            ("ban", [false, false, true, false, true]),
            ("mute", [true, true, true, false, true]),
            ("empty update", [true, false, true, false, true]),
            ("empty patch", [true, false, true, false, true]),
            ("message only", [false, false, true, false, true]),
            ("add with message", [true, false, true, false, true]),
            ("add moderator", [false, false, true, false, true]),
            ("invite as moderator", [false, false, true, false, true]),
            ("update", [true, false, true, false, true]),
            ("freeze", [false, false, true, false, true]),
            ("patch", [true, false, true, false, true]),
            ("patch frozen", [false, false, true, false, true]),
            ("override", [false, false, false, false, false]),
            ("add member", [true, false, true, false, true]),
            ("join", [true, false, true, false, true]),
            ("remove member", [true, false, true, false, true]),
            ("leave", [true, true, true, false, true]),
            ("truncate", [true, false, false, false, true]),
            ("delete", [true, false, false, false, true]),
        ] {
            let actual =
                ["alice", "bob", "mia", "carol", "root"].map(|user| is_permitted(user, operation));
            assert_eq!(actual, expected, "{operation}");
        }
    }

    #[test]
    fn refusal_names_the_roles_and_the_action() {
        let mut world = world_with_channel();
        let (bob, carol) = (user("bob"), user("carol"));
        let text = "User 'carol' with role 'user' is not allowed to perform action \
                    CreateMessage in scope 'messaging'";
        let outcome = send(&mut world.client(&carol, at(5)), &json!({ "text": "hello" }));
        assert_eq!(expect_error(outcome), (403, 17, text.to_owned()));
        let text = "User 'bob' with roles ['user', 'channel_member'] is not allowed to perform \
                    action AddOwnChannelMembership in scope 'messaging'";
        let outcome = attempt(&mut world.client(&bob, at(5)), "join");
        assert_eq!(expect_error(outcome), (403, 17, text.to_owned()));
        world.app_mut().disable_permissions_checks = true;
        assert!(attempt(&mut world.client(&carol, at(5)), "delete").is_ok());
        assert_eq!(expect_error(attempt(&mut world.client(&carol, at(5)), "send")).1, 16);
    }

    #[test]
    fn response_to_a_change_has_the_own_capabilities() {
        for operation in ["update", "patch", "truncate"] {
            let mut world = world_with_channel();
            let alice = user("alice");
            let mut client = world.client(&alice, at(5));
            let mut capabilities = |operation: &str| {
                let response = attempt(&mut client, operation).expect("a response");
                response["channel"]["own_capabilities"].clone()
            };
            assert_eq!(capabilities(operation), capabilities("read"), "{operation}");
        }
    }

    #[test]
    fn sender_is_the_user_of_the_token() {
        let mut world = world_with_channel();
        let bob = user("bob");
        let message = json!({ "text": "hello", "user_id": "alice" });
        send(&mut world.client(&bob, at(5)), &message).expect("a message");
        assert_eq!(world.message_views("messaging:c")[0].user_id, "bob");
    }

    #[test]
    fn banned_user_reads_but_does_not_send() {
        let in_channel = json!({ "target_user_id": "bob", "channel_cid": "messaging:c" });
        for request in [json!({ "target_user_id": "bob" }), in_channel] {
            let mut world = world_with_channel();
            let bob = user("bob");
            world.ban(from_json(request), at(3)).expect("banned");
            let mut client = world.client(&bob, at(5));
            assert!(attempt(&mut client, "read").is_ok());
            let (status, code, message) = expect_error(attempt(&mut client, "send"));
            assert_eq!((status, code), (403, 17));
            assert_eq!(
                message,
                "Sorry, you do not have access to this feature. Your account is currently \
                 suspended from chat."
            );
        }
    }

    #[test]
    fn frozen_channel_is_read_only() {
        let mut world = world_with_channel();
        let (bob, mia) = (user("bob"), user("mia"));
        attempt(&mut world.client(&mia, at(4)), "freeze").expect("frozen");
        let mut client = world.client(&bob, at(5));
        assert!(attempt(&mut client, "read").is_ok());
        let (_, code, message) = expect_error(attempt(&mut client, "send"));
        assert_eq!(code, 17);
        assert!(message.contains("UseFrozenChannel"), "{message}");
    }

    #[test]
    fn blocked_word_does_not_block_a_moderator() {
        let mut world = world_with_channel();
        world.add_blocked_word("hello");
        for (id, kind) in [("bob", "error"), ("mia", "regular")] {
            let user = user(id);
            let response = attempt(&mut world.client(&user, at(5)), "send").expect("a response");
            assert_eq!(response["message"]["type"], json!(kind), "{id}");
        }
    }

    #[test]
    fn query_requires_own_membership_or_cids() {
        let mut world = world_with_channel();
        let request = from_json(json!({ "data": { "created_by_id": "carol" } }));
        world.get_or_create_channel(&messaging_cid("d"), request, at(3)).expect("a channel");
        let (bob, root) = (user("bob"), user("root"));
        let query = |filter: Value| from_json(json!({ "filter_conditions": filter }));
        let cids = |response: ApiResult| {
            let channels = response.expect("channels")["channels"].clone();
            let channels = channels.as_array().cloned().unwrap_or_default();
            channels.iter().map(|it| it["channel"]["cid"].clone()).collect::<Vec<_>>()
        };
        let client = world.client(&bob, at(5));
        let own = json!({ "members": { "$in": ["bob"] } });
        assert_eq!(cids(client.query_channels(&query(own))), ["messaging:c"]);
        let by_cid = json!({ "cid": { "$in": ["messaging:c", "messaging:d"] } });
        assert_eq!(cids(client.query_channels(&query(by_cid))), ["messaging:c"]);
        for filter in [json!({}), json!({ "members": { "$in": ["carol"] } })] {
            let (status, code, message) = expect_error(client.query_channels(&query(filter)));
            assert_eq!((status, code), (403, 17));
            assert!(message.contains("ReadChannel"), "{message}");
        }
        let client = world.client(&root, at(5));
        assert_eq!(cids(client.query_channels(&query(json!({})))).len(), 2);
    }
}
