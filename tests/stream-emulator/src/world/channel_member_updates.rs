//! Changes to the members of a channel: additions, removals, roles, invites and member data.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::channel_members::{DEFAULT_ROLE, Member, MemberRequest};
use super::channel_updates::ChannelUpdate;
use super::cid::Cid;
use super::messages::MessageRequest;
use super::users::UserRef;
use super::validation::{self, check_max, ensure, parse_field, require};
use super::{ApiResult, CustomFields, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::v1::is_member_field;

const MAX_BATCH_SIZE: usize = 100;
const MODERATOR_ROLE: &str = "channel_moderator";

/// A change to a channel. An unknown field fails the request, so that no change is lost silently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateChannel {
    add_members: Option<Vec<MemberRequest>>,
    remove_members: Option<Vec<String>>,
    invites: Option<Vec<MemberRequest>>,
    add_moderators: Option<Vec<String>>,
    demote_moderators: Option<Vec<String>>,
    assign_roles: Option<Vec<MemberRequest>>,
    accept_invite: Option<bool>,
    reject_invite: Option<bool>,
    add_filter_tags: Option<Vec<String>>,
    remove_filter_tags: Option<Vec<String>>,
    data: Option<ChannelUpdate>,
    message: Option<MessageRequest>,
    /// Whether the added members see no earlier messages.
    hide_history: Option<bool>,
    user_id: Option<String>,
    user: Option<UserRef>,
    /// Push notifications are not emulated.
    #[serde(rename = "skip_push")]
    _skip_push: Option<bool>,
}

/// A change to some fields of a member. Fields that Stream does not define are custom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMemberPartial {
    set: Option<Map<String, Value>>,
    unset: Option<Vec<String>>,
}

impl UpdateChannel {
    pub(super) fn added_ids(&self) -> impl Iterator<Item = &str> {
        let added = self.add_members.iter().chain(&self.invites).flatten();
        added.map(MemberRequest::user_id)
    }

    pub(super) fn removed_ids(&self) -> impl Iterator<Item = &str> {
        self.remove_members.iter().flatten().map(String::as_str)
    }

    /// Whether the request sets the role of a member, which has a permission of its own.
    pub(super) fn changes_roles(&self) -> bool {
        let moderators = self.add_moderators.iter().chain(&self.demote_moderators).flatten();
        let has_roles = self.assign_roles.iter().flatten().next().is_some();
        let mut added = self.add_members.iter().chain(&self.invites).flatten();
        moderators.count() > 0 || has_roles || added.any(MemberRequest::has_role)
    }

    /// Whether the request changes the channel or its members.
    pub(super) fn has_changes(&self) -> bool {
        self.added_ids().chain(self.removed_ids()).next().is_some()
            || self.changes_roles()
            || self.has_data()
            || self.responds_to_invite()
    }

    pub(super) fn has_data(&self) -> bool {
        let tags = self.add_filter_tags.iter().chain(&self.remove_filter_tags);
        self.data.is_some() || tags.flatten().next().is_some()
    }

    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    pub(super) fn changes_frozen(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.frozen.is_some())
    }

    pub(super) fn responds_to_invite(&self) -> bool {
        self.accept_invite == Some(true) || self.reject_invite == Some(true)
    }

    fn validate(&self) -> Result<(), StreamError> {
        let count = |members: &Option<Vec<MemberRequest>>| members.as_ref().map_or(0, Vec::len);
        check_max("add_members", count(&self.add_members), MAX_BATCH_SIZE)?;
        check_max("invites", count(&self.invites), MAX_BATCH_SIZE)?;
        check_max("remove_members", self.removed_ids().count(), MAX_BATCH_SIZE)?;
        self.data.as_ref().map_or(Ok(()), ChannelUpdate::validate)
    }

    /// The new roles, by user.
    fn roles(&self) -> Vec<(String, String)> {
        let moderators = self.add_moderators.iter().flatten();
        let moderators = moderators.map(|id| (id.clone(), MODERATOR_ROLE.to_owned()));
        let members = self.demote_moderators.iter().flatten();
        let members = members.map(|id| (id.clone(), DEFAULT_ROLE.to_owned()));
        let assigned = self.assign_roles.iter().flatten();
        let assigned = assigned.map(|it| {
            let role = it.channel_role().unwrap_or(DEFAULT_ROLE);
            (it.user_id().to_owned(), role.to_owned())
        });
        moderators.chain(members).chain(assigned).collect()
    }
}

impl Member {
    fn set_field(&mut self, key: String, value: Value, now: Timestamp) -> Result<(), StreamError> {
        match key.as_str() {
            "pinned" => self.pinned_at = parse_field::<bool>(&key, value)?.then_some(now),
            "archived" => self.archived_at = parse_field::<bool>(&key, value)?.then_some(now),
            "custom" => self.custom.extend(parse_field::<CustomFields>(&key, value)?),
            _ => {
                check_not_reserved(&key)?;
                self.custom.insert(key, value);
            }
        }
        Ok(())
    }

    fn unset_field(&mut self, key: &str) -> Result<(), StreamError> {
        match key {
            "pinned" => self.pinned_at = None,
            "archived" => self.archived_at = None,
            _ => {
                check_not_reserved(key)?;
                self.custom.remove(key);
            }
        }
        Ok(())
    }
}

fn check_not_reserved(key: &str) -> Result<(), StreamError> {
    ensure(!is_member_field(key), || {
        StreamError::invalid_input(format!("field {key:?} is reserved"))
    })
}

impl World {
    pub(crate) fn update_channel(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: UpdateChannel,
        now: Timestamp,
    ) -> ApiResult {
        request.validate()?;
        self.find_channel(cid)?;
        self.check_users_exist_for("channel update", request.added_ids())?;
        let named_user = request.user_id.clone().or(request.user.as_ref().map(|it| it.id.clone()));
        let acting_user = token_user.map(str::to_owned).or(named_user);
        let roles = request.roles();
        let channel = self.find_channel(cid)?;
        for (id, _) in &roles {
            ensure(channel.member(id).is_some() || request.added_ids().any(|it| it == id), || {
                StreamError::invalid_input(format!("user {id:?} is not a member of the channel"))
            })?;
        }
        if request.responds_to_invite() {
            let user = acting_user.as_deref();
            let member = user.and_then(|user| channel.member(user));
            let is_invited = member.is_some_and(|member| member.invite.is_some());
            require(is_invited, "the user has no invite to the channel")?;
        }
        let answer = (request.accept_invite, request.reject_invite);
        let data = request.data;
        let message = self.new_system_message(cid, request.message, acting_user.as_deref(), now)?;
        let mut changes = MemberChanges { acting_user: acting_user.as_deref(), cid, now };
        changes.add(self, request.add_members, request.hide_history == Some(true));
        changes.invite(self, request.invites);
        changes.set_roles(self, roles);
        changes.remove(self, request.remove_members);
        changes.respond_to_invite(self, answer);
        let channel = self.find_channel_mut(cid)?;
        channel.updated_at = now;
        let added_tags = request.add_filter_tags.unwrap_or_default();
        let removed_tags = request.remove_filter_tags.unwrap_or_default();
        let changes_tags = !added_tags.is_empty() || !removed_tags.is_empty();
        channel.filter_tags.retain(|tag| !removed_tags.contains(tag));
        channel.filter_tags.extend(added_tags);
        if let Some(data) = data {
            channel.replace_data(data);
            self.emit_channel_state("channel.updated", cid, acting_user.as_deref(), now);
        } else if changes_tags {
            self.emit_channel_state("channel.updated", cid, acting_user.as_deref(), now);
        }
        if let Some(message) = message {
            self.store_message(message, true, now)?;
        }
        let channel = self.find_channel(cid)?;
        let members = channel.member_responses(&channel.members, self);
        Ok(json!({ "channel": channel.response(self), "members": members }))
    }

    pub(crate) fn update_member_partial(
        &mut self,
        cid: &Cid,
        user_id: &str,
        request: UpdateMemberPartial,
        now: Timestamp,
    ) -> ApiResult {
        let channel = self.find_channel_mut(cid)?;
        let stored = channel.member_mut(user_id).ok_or_else(|| {
            StreamError::not_found(format!("user {user_id:?} is not a member of the channel"))
        })?;
        // A rejected request changes nothing.
        let mut member = stored.clone();
        for (key, value) in request.set.unwrap_or_default() {
            member.set_field(key, value, now)?;
        }
        for key in request.unset.unwrap_or_default() {
            member.unset_field(&key)?;
        }
        validation::check_size("custom", &member.custom)?;
        member.updated_at = now;
        *stored = member;
        self.emit_member("member.updated", cid, user_id, now);
        let member = self.find_channel(cid)?.membership_response(user_id, self);
        Ok(json!({ "channel_member": member }))
    }

    /// Emits an event of a member with the member's current state.
    fn emit_member(&mut self, kind: &str, cid: &Cid, user_id: &str, now: Timestamp) {
        let Some(channel) = self.channels.get(cid) else { return };
        let fields = json!({
            "member": channel.membership_response(user_id, self),
            "user": self.user_response(user_id),
            "channel": channel.response(self),
        });
        self.emit_channel(kind, cid, now, fields);
    }
}

/// The changes of one request to the members of a channel. Each emits its event.
struct MemberChanges<'a> {
    acting_user: Option<&'a str>,
    cid: &'a Cid,
    now: Timestamp,
}

impl MemberChanges<'_> {
    /// The members to add. Stream ignores a user who has blocked the acting user.
    fn addable(&self, world: &World, members: Option<Vec<MemberRequest>>) -> Vec<MemberRequest> {
        let has_blocked = |request: &MemberRequest| {
            self.acting_user.is_some_and(|user| world.has_blocked(request.user_id(), user))
        };
        let members = members.into_iter().flatten();
        members.filter(|request| !has_blocked(request)).collect()
    }

    fn add(&self, world: &mut World, members: Option<Vec<MemberRequest>>, hides_history: bool) {
        for request in self.addable(world, members) {
            let id = request.user_id().to_owned();
            let Some(channel) = world.channels.get_mut(self.cid) else { return };
            if !channel.add_member(request, self.now) {
                continue;
            }
            if hides_history {
                channel.clear_history_of(&id, self.now);
            }
            world.emit_member("member.added", self.cid, &id, self.now);
        }
    }

    fn invite(&self, world: &mut World, members: Option<Vec<MemberRequest>>) {
        for request in self.addable(world, members) {
            let id = request.user_id().to_owned();
            let channel = world.channels.get_mut(self.cid);
            if channel.is_some_and(|channel| channel.invite(request, self.now)) {
                world.emit_member("notification.invited", self.cid, &id, self.now);
            }
        }
    }

    fn set_roles(&self, world: &mut World, roles: Vec<(String, String)>) {
        for (id, role) in roles {
            let channel = world.channels.get_mut(self.cid);
            let member = channel.and_then(|channel| channel.member_mut(&id));
            if let Some(member) = member.filter(|member| member.role != role) {
                member.role = role;
                member.updated_at = self.now;
                world.emit_member("member.updated", self.cid, &id, self.now);
            }
        }
    }

    fn remove(&self, world: &mut World, ids: Option<Vec<String>>) {
        for id in ids.unwrap_or_default() {
            let member = world.channels.get(self.cid);
            let member = member.and_then(|channel| channel.membership_response(&id, world));
            let channel = world.channels.get_mut(self.cid);
            if channel.is_some_and(|channel| channel.remove_member(&id)) {
                let channel = world.channels.get(self.cid).map(|channel| channel.response(world));
                let user = world.user_response(&id);
                let fields = json!({ "member": member, "user": user, "channel": channel });
                world.emit_channel("member.removed", self.cid, self.now, fields);
            }
        }
    }

    fn respond_to_invite(&mut self, world: &mut World, answer: (Option<bool>, Option<bool>)) {
        let Some(user_id) = self.acting_user else { return };
        let channel = world.channels.get_mut(self.cid);
        let invite = channel
            .and_then(|channel| channel.member_mut(user_id))
            .and_then(|member| member.invite.as_mut());
        let Some(invite) = invite else { return };
        let kind = match answer {
            (Some(true), _) => {
                invite.accepted_at = Some(self.now);
                "notification.invite_accepted"
            }
            (_, Some(true)) => {
                invite.rejected_at = Some(self.now);
                "notification.invite_rejected"
            }
            _ => return,
        };
        world.emit_member(kind, self.cid, user_id, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, world_with_users,
    };
    use super::*;

    fn update(world: &mut World, request: Value) -> ApiResult {
        world.update_channel(None, &messaging_cid("c"), from_json(request), at(5))
    }

    #[test]
    fn members_are_added_once_and_removed() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice", "bob", "alice"]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "bob" }, { "user_id": "carol" }] });
        update(&mut world, add).expect("updated");
        update(&mut world, json!({ "remove_members": ["bob", "unknown"] })).expect("updated");
        let channel = world.channel_view("messaging:c").expect("the channel");
        assert_eq!(channel.members, ["alice", "carol"]);
    }

    #[test]
    fn user_who_blocked_the_acting_user_is_not_added() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        let block = from_json(json!({ "blocked_user_id": "alice" }));
        world.block_user(Some("bob"), block, at(3)).expect("blocked");
        world.take_events();
        for request in [json!({ "add_members": ["bob"] }), json!({ "invites": ["bob"] })] {
            let request = from_json(request);
            let outcome = world.update_channel(Some("alice"), &messaging_cid("c"), request, at(5));
            assert_eq!(outcome.expect("a response")["members"].as_array().map(Vec::len), Some(1));
        }
        assert!(world.take_events().is_empty());
        // A block has one direction, and a request without an acting user ignores it.
        for (user, id, count) in [(Some("alice"), "carol", 2), (None, "bob", 3)] {
            let request = from_json(json!({ "add_members": [id] }));
            let outcome = world.update_channel(user, &messaging_cid("c"), request, at(5));
            let members = outcome.expect("a response")["members"].clone();
            assert_eq!(members.as_array().map(Vec::len), Some(count));
        }
    }

    #[test]
    fn member_can_be_an_id() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &[]).expect("a channel");
        let add = json!({ "add_members": ["alice", { "user_id": "bob", "channel_role": "x" }] });
        update(&mut world, add).expect("updated");
        let channel = world.channel_view("messaging:c").expect("the channel");
        assert_eq!(channel.members, ["alice", "bob"]);
        let add = from_json(json!({ "add_members": ["carol"] }));
        assert_eq!(expect_error(world.update_channel(None, &messaging_cid("c"), add, at(6))).1, 4);
    }

    #[test]
    fn add_members_requires_existing_users_and_channel() {
        let mut world = world_with_users(&["alice"]);
        let add = json!({ "add_members": [{ "user_id": "alice" }] });
        assert_eq!(expect_error(update(&mut world, add)).1, 16);
        create_channel(&mut world, &[]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "alice" }, { "user_id": "bob" }] });
        assert_eq!(expect_error(update(&mut world, add)).1, 4);
        assert!(world.channel_view("messaging:c").expect("the channel").members.is_empty());
    }

    #[test]
    fn members_change_by_events() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        world.take_events();
        let add = json!({ "add_members": ["alice", "bob"], "add_moderators": ["bob"] });
        update(&mut world, add).expect("updated");
        update(&mut world, json!({ "remove_members": ["bob", "carol"] })).expect("updated");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["member.added", "member.updated", "member.removed"]);
        for event in &events {
            assert_eq!(event["member"]["user_id"], json!("bob"));
            assert_eq!(event["user"]["id"], json!("bob"));
        }
        assert_eq!(events[1]["member"]["channel_role"], json!("channel_moderator"));
        let role = json!({ "add_moderators": ["carol"] });
        assert_eq!(expect_error(update(&mut world, role)).1, 4);
    }

    #[test]
    fn unknown_field_fails_the_update() {
        for request in [json!({ "cooldown": 5 }), json!({ "data": { "color": "red" } })] {
            let error = serde_json::from_value::<UpdateChannel>(request).expect_err("an error");
            assert!(error.to_string().contains("unknown field `co"), "{error}");
        }
    }

    #[test]
    fn invite_is_accepted_by_its_user() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        update(&mut world, json!({ "invites": ["bob"] })).expect("invited");
        world.take_events();
        let accept = |user: &str| json!({ "accept_invite": true, "user_id": user });
        assert_eq!(expect_error(update(&mut world, accept("alice"))).1, 4);
        let response = update(&mut world, accept("bob")).expect("accepted");
        assert_eq!(response["members"][1]["invite_accepted_at"], json!(at(5)));
        assert_eq!(event_types(&world.take_events()), ["notification.invite_accepted"]);
    }

    #[test]
    fn member_patch_sets_and_unsets_fields() {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        let mut patch = |request: Value| {
            let cid = messaging_cid("c");
            world.update_member_partial(&cid, "alice", from_json(request), at(5))
        };
        let set = json!({ "set": { "pinned": true, "seat": 1 } });
        let member = patch(set).expect("updated")["channel_member"].clone();
        assert_eq!(
            (&member["pinned_at"], &member["custom"]),
            (&json!(at(5)), &json!({ "seat": 1 }))
        );
        let member = patch(json!({ "unset": ["pinned", "seat"] })).expect("updated");
        assert_eq!(member["channel_member"].get("pinned_at"), None);
        for rejected in [
            json!({ "set": { "user_id": "bob" } }),
            json!({ "set": { "seat": 2, "status": "member" } }),
            json!({ "set": { "seat": 2, "pinned": 1 } }),
            json!({ "unset": ["channel_role"] }),
        ] {
            assert_eq!(expect_error(patch(rejected)).1, 4);
        }
        let members = &world.channels[&messaging_cid("c")].members;
        assert!(members[0].custom.is_empty(), "a rejected request changes nothing");
    }
}
