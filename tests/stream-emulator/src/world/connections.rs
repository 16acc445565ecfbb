//! Users with open sockets. A connection creates its user or merges details into it, but never
//! changes the role. The sockets themselves are in `realtime`.

use serde_json::{Map, Value, json};

use super::user::User;
use super::{World, validation};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// The `user_details` of a connection. Absent fields do not change the user.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct UserDetails {
    /// The fields with a meaning at Stream.
    fields: Map<String, Value>,
    custom: Map<String, Value>,
}

impl UserDetails {
    /// Details in the shape of v2. A client cannot set other fields, such as the role.
    pub(crate) fn new(mut details: Map<String, Value>) -> Self {
        let custom = match details.remove("custom") {
            Some(Value::Object(custom)) => custom,
            _ => Map::new(),
        };
        details.retain(|key, value| is_user_field(key) && !value.is_null());
        Self { fields: details, custom }
    }

    /// Without what the user has already.
    fn without_current(mut self, user: &User) -> Self {
        let current = user.response();
        self.fields.retain(|key, value| current.get(key) != Some(value));
        self.custom.retain(|key, value| current["custom"].get(key) != Some(value));
        self
    }
}

fn is_user_field(key: &str) -> bool {
    matches!(key, "name" | "image" | "language" | "invisible")
}

impl World {
    /// Creates the user of a connection, or merges the details into it.
    pub(crate) fn connect_user(
        &mut self,
        id: &str,
        details: UserDetails,
        now: Timestamp,
    ) -> Result<(), StreamError> {
        validation::check_user_id(id)?;
        let is_new = !self.users.contains_key(id);
        self.create_user(id, now);
        let user = self.find_user(id)?;
        let UserDetails { fields, custom } = details.without_current(user);
        if fields.is_empty() && custom.is_empty() {
            return Ok(());
        }
        let patch = serde_json::from_value(json!({ "id": id, "set": fields }))
            .map_err(|error| StreamError::invalid_input(error.to_string()))?;
        // A custom field is never taken for a field of Stream, such as the role.
        let patched = user.clone().with_custom(custom).apply_patch(patch, now);
        if is_new && patched.is_err() {
            self.users.remove(id);
        }
        self.users.insert(id.to_owned(), patched?);
        if !is_new {
            self.emit_user("user.updated", id, now, json!({}));
        }
        Ok(())
    }

    /// Sets whether a user has an open socket, and emits `user.presence.changed`. An invisible user
    /// stays offline.
    pub(crate) fn set_online(&mut self, id: &str, is_connected: bool, now: Timestamp) {
        let Some(user) = self.users.get_mut(id) else { return };
        if user.set_online(is_connected, now) {
            self.emit_user("user.presence.changed", id, now, json!({}));
        }
    }

    /// Emits that a user started or stopped watching a channel.
    pub(crate) fn emit_watching(
        &mut self,
        kind: &str,
        cid: &str,
        user_id: &str,
        watcher_count: usize,
        now: Timestamp,
    ) {
        let Ok(cid) = cid.parse() else { return };
        if self.channels.contains_key(&cid) {
            let user = self.user_response(user_id);
            let fields = json!({ "user": user, "watcher_count": watcher_count });
            self.emit_channel(kind, &cid, now, fields);
        }
    }

    /// The ids of the members of a channel, or of the members and the creator of a call.
    pub(crate) fn object_members(&self, cid: &str, kind: ObjectKind) -> Option<Vec<&str>> {
        let cid = cid.parse().ok()?;
        match kind {
            ObjectKind::Channel => {
                let members = &self.channels.get(&cid)?.members;
                Some(members.iter().map(|member| member.user_id.as_str()).collect())
            }
            ObjectKind::Call => {
                let call = self.calls.get(&cid)?;
                Some(call.member_ids().chain([call.created_by.as_str()]).collect())
            }
        }
    }

    /// A channel and one of its members, for the notifications of the member.
    pub(crate) fn notification_fields(&self, cid: &str, user_id: &str) -> Value {
        let channel = cid.parse().ok().and_then(|cid| self.channels.get(&cid));
        let Some(channel) = channel else { return json!({}) };
        let member = channel.members.iter().find(|member| member.user_id == user_id);
        let member = channel.member_responses(member, self).pop();
        let mut channel = channel.response(self);
        if let Value::Object(fields) = &mut channel {
            // Those of a server. The client keeps its own capabilities.
            fields.remove("own_capabilities");
        }
        super::strip_nulls(json!({ "channel": channel, "member": member }))
    }

    /// Whether a block hides a channel from a user.
    pub(crate) fn is_hidden_by_block(&self, cid: &str, user_id: &str) -> bool {
        let channel = cid.parse().ok().and_then(|cid| self.channels.get(&cid));
        channel.is_some_and(|channel| self.is_blocked_for(user_id, channel))
    }

    pub(crate) fn is_channel_member(&self, cid: &str, user_id: &str) -> bool {
        let channel = cid.parse().ok().and_then(|cid| self.channels.get(&cid));
        channel.is_some_and(|channel| channel.member_role(user_id).is_some())
    }
}

/// What a `cid` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Channel,
    Call,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, event_types, expect_error, world_with_users};
    use super::*;

    fn details(details: Value) -> UserDetails {
        UserDetails::new(serde_json::from_value(details).expect("an object"))
    }

    #[test]
    fn connection_merges_details_and_keeps_the_role() {
        let mut world = world_with_users(&[]);
        let given =
            details(json!({ "name": "Alice", "custom": { "plan": "pro" }, "role": "admin" }));
        world.connect_user("alice", given, at(1)).expect("connected");
        assert!(world.take_events().is_empty());
        let custom = json!({ "seat": 1, "role": "admin" });
        let given = details(json!({ "custom": custom, "image": "http://i/" }));
        world.connect_user("alice", given, at(2)).expect("connected");
        let alice = world.user_view("alice").expect("alice");
        assert_eq!((alice.name.as_deref(), alice.role.as_str()), (Some("Alice"), "user"));
        assert_eq!(json!(alice.custom), json!({ "plan": "pro", "seat": 1, "role": "admin" }));
        assert_eq!(event_types(&world.take_events()), ["user.updated"]);
        let unchanged = details(json!({ "name": "Alice", "image": null, "custom": { "seat": 1 } }));
        world.connect_user("alice", unchanged, at(3)).expect("connected");
        assert!(world.take_events().is_empty());
        assert_eq!(world.user_view("alice").expect("alice").updated_at, at(2).as_nanos());
    }

    #[test]
    fn invalid_details_create_no_user() {
        let mut world = world_with_users(&[]);
        let given = details(json!({ "name": 1 }));
        assert_eq!(expect_error(world.connect_user("alice", given, at(1))).1, 4);
        assert_eq!(world.user_view("alice"), None);
        let outcome = world.connect_user("a b", UserDetails::default(), at(1));
        assert_eq!(expect_error(outcome).1, 4);
    }

    #[test]
    fn own_user_has_every_field_of_a_first_frame() {
        let mut world = world_with_users(&["alice"]);
        world.set_online("alice", true, at(1));
        let me = world.own_user("alice").expect("alice");
        for field in [
            "id",
            "role",
            "language",
            "banned",
            "shadow_banned",
            "invisible",
            "teams",
            "teams_role",
            "devices",
            "mutes",
            "channel_mutes",
            "blocked_user_ids",
            "unread_count",
            "total_unread_count",
            "unread_channels",
            "unread_threads",
            "created_at",
            "updated_at",
            "last_active",
        ] {
            assert!(me.get(field).is_some(), "{field}");
        }
        assert_eq!(me["online"], json!(true));
    }

    #[test]
    fn channel_of_a_notification_has_no_capabilities() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        let fields = world.notification_fields("messaging:c", "bob");
        assert_eq!(fields["channel"]["cid"], json!("messaging:c"));
        assert_eq!(fields["channel"].get("own_capabilities"), None);
        assert_eq!(fields["member"]["user_id"], json!("bob"));
    }

    #[test]
    fn presence_changes_once_and_not_for_an_invisible_user() {
        let mut world = world_with_users(&["alice", "bob"]);
        let invisible = details(json!({ "invisible": true }));
        world.connect_user("bob", invisible, at(1)).expect("connected");
        world.take_events();
        world.set_online("bob", true, at(1));
        world.set_online("alice", true, at(1));
        world.set_online("alice", true, at(2));
        world.set_online("alice", false, at(3));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["user.presence.changed"; 2]);
        assert_eq!(events[0]["user"]["online"], json!(true));
        assert_eq!(events[1]["user"]["online"], json!(false));
        assert_eq!(events[1]["user"]["last_active"], json!("2026-01-01T00:00:03.000000000Z"));
    }
}
