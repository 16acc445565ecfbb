//! Changes to the data of a channel, and truncation.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::channels::Channel;
use super::cid::Cid;
use super::messages::MessageRequest;
use super::users::UserRef;
use super::validation::{self, check_max, ensure, parse_field};
use super::{ApiResult, CustomFields, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::v1::is_channel_field;

const MAX_FILTER_TAGS: usize = 10;
/// Fields of Stream that a patch must not store as custom fields.
const NOT_EMULATED_FIELDS: [&str; 3] =
    ["auto_translation_enabled", "auto_translation_language", "cooldown"];

/// The new data of a channel. It replaces the custom fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelUpdate {
    pub(super) frozen: Option<bool>,
    disabled: Option<bool>,
    team: Option<String>,
    filter_tags: Option<Vec<String>>,
    custom: Option<CustomFields>,
}

/// A change to some fields of a channel. Fields that Stream does not define are custom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateChannelPartial {
    set: Option<Map<String, Value>>,
    unset: Option<Vec<String>>,
    user_id: Option<String>,
    user: Option<UserRef>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TruncateChannel {
    message: Option<MessageRequest>,
    /// Only earlier messages are removed.
    truncated_at: Option<String>,
    user_id: Option<String>,
    user: Option<UserRef>,
    /// No message can be restored, so that both kinds of truncation are the same.
    #[serde(rename = "hard_delete")]
    _hard_delete: Option<bool>,
    /// Push notifications are not emulated.
    #[serde(rename = "skip_push")]
    _skip_push: Option<bool>,
}

impl ChannelUpdate {
    pub(super) fn validate(&self) -> Result<(), StreamError> {
        validation::check_size("custom", &self.custom)
    }
}

impl UpdateChannelPartial {
    /// Whether the request sets or unsets a field.
    pub(super) fn changes(&self, field: &str) -> bool {
        self.changed_fields().any(|changed| changed == field)
    }

    /// Whether the request sets or unsets another field.
    pub(super) fn changes_other_than(&self, field: &str) -> bool {
        self.changed_fields().any(|changed| changed != field)
    }

    fn changed_fields(&self) -> impl Iterator<Item = &str> {
        let set = self.set.iter().flat_map(Map::keys);
        set.chain(self.unset.iter().flatten()).map(String::as_str)
    }
}

/// The fields that a patch can change.
struct PatchedFields {
    frozen: bool,
    disabled: bool,
    team: Option<String>,
    filter_tags: Vec<String>,
    custom: CustomFields,
}

impl PatchedFields {
    fn of(channel: &Channel) -> Self {
        Self {
            frozen: channel.frozen,
            disabled: channel.disabled,
            team: channel.team.clone(),
            filter_tags: channel.filter_tags.clone(),
            custom: channel.custom.clone(),
        }
    }

    fn apply(mut self, patch: UpdateChannelPartial) -> Result<Self, StreamError> {
        for (key, value) in patch.set.unwrap_or_default() {
            self.set(key, value)?;
        }
        for key in patch.unset.unwrap_or_default() {
            self.unset(&key)?;
        }
        check_max("filter_tags", self.filter_tags.len(), MAX_FILTER_TAGS)?;
        validation::check_size("custom", &self.custom)?;
        Ok(self)
    }

    fn set(&mut self, key: String, value: Value) -> Result<(), StreamError> {
        match key.as_str() {
            "frozen" => self.frozen = parse_field(&key, value)?,
            "disabled" => self.disabled = parse_field(&key, value)?,
            "team" => self.team = parse_field(&key, value)?,
            "filter_tags" => self.filter_tags = parse_field(&key, value)?,
            "custom" => self.custom.extend(parse_field::<CustomFields>(&key, value)?),
            _ => {
                check_not_read_only(&key)?;
                self.custom.insert(key, value);
            }
        }
        Ok(())
    }

    fn unset(&mut self, key: &str) -> Result<(), StreamError> {
        match key {
            "frozen" => self.frozen = false,
            "disabled" => self.disabled = false,
            "team" => self.team = None,
            "filter_tags" => self.filter_tags.clear(),
            "custom" => self.custom.clear(),
            _ => {
                check_not_read_only(key)?;
                self.custom.remove(key);
            }
        }
        Ok(())
    }
}

fn check_not_read_only(key: &str) -> Result<(), StreamError> {
    ensure(!NOT_EMULATED_FIELDS.contains(&key), || StreamError::not_emulated(key))?;
    // Stream accepts `config_overrides` from servers. The emulator does not implement it.
    ensure(!is_channel_field(key), || {
        StreamError::invalid_input(format!("field {key:?} cannot be updated"))
    })
}

impl Channel {
    pub(super) fn replace_data(&mut self, data: ChannelUpdate) {
        self.frozen = data.frozen.unwrap_or(self.frozen);
        self.disabled = data.disabled.unwrap_or(self.disabled);
        self.team = data.team.or(self.team.take());
        if let Some(tags) = data.filter_tags {
            self.filter_tags = tags;
        }
        if let Some(custom) = data.custom {
            self.custom = custom;
        }
    }

    /// Applies all changes of a patch, or none if one of them is not valid.
    fn apply_patch(&mut self, patch: UpdateChannelPartial) -> Result<(), StreamError> {
        let PatchedFields { frozen, disabled, team, filter_tags, custom } =
            PatchedFields::of(self).apply(patch)?;
        self.frozen = frozen;
        self.disabled = disabled;
        self.team = team;
        self.filter_tags = filter_tags;
        self.custom = custom;
        Ok(())
    }
}

impl World {
    pub(crate) fn update_channel_partial(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: UpdateChannelPartial,
        now: Timestamp,
    ) -> ApiResult {
        let named_user = request.user_id.clone().or(request.user.as_ref().map(|it| it.id.clone()));
        let acting_user = token_user.map(str::to_owned).or(named_user);
        let channel = self.find_channel_mut(cid)?;
        channel.apply_patch(request)?;
        channel.updated_at = now;
        self.emit_channel_state("channel.updated", cid, acting_user.as_deref(), now);
        let channel = self.find_channel(cid)?;
        let members = channel.member_responses(&channel.members, self);
        Ok(json!({ "channel": channel.response(self), "members": members }))
    }

    /// Removes all messages, or those before `truncated_at`.
    pub(crate) fn truncate_channel(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: TruncateChannel,
        now: Timestamp,
    ) -> ApiResult {
        let TruncateChannel { message, truncated_at, user_id, user, .. } = request;
        let acting_user = token_user.map(str::to_owned).or(user_id).or(user.map(|it| it.id));
        let before = truncated_at.as_deref().map(parse_truncated_at).transpose()?;
        self.find_channel(cid)?;
        let message = self.new_system_message(cid, message, acting_user.as_deref(), now)?;
        let channel = self.find_channel_mut(cid)?;
        channel.messages.retain(|message| before.is_some_and(|at| message.created_at >= at));
        channel.last_message_at = channel.messages.last().map(|message| message.created_at);
        channel.truncated_at = Some(before.unwrap_or(now));
        for read in channel.reads.values_mut() {
            read.unread = read.unread.min(channel.messages.len());
        }
        self.emit_channel_state("channel.truncated", cid, acting_user.as_deref(), now);
        if let Some(message) = message {
            self.store_message(message, true, now)?;
        }
        Ok(json!({ "channel": self.find_channel(cid)?.response(self) }))
    }

    /// Emits an event with the current state of a channel. Without a user, a server changed it.
    pub(super) fn emit_channel_state(
        &mut self,
        kind: &str,
        cid: &Cid,
        user_id: Option<&str>,
        now: Timestamp,
    ) {
        let Some(channel) = self.channels.get(cid) else { return };
        let fields = strip_nulls(json!({
            "channel": channel.response(self),
            "members": self.event_members(cid),
            "user": user_id.map(|id| self.user_response(id)),
        }));
        self.emit_channel(kind, cid, now, fields);
    }
}

fn parse_truncated_at(text: &str) -> Result<Timestamp, StreamError> {
    Timestamp::parse(text)
        .ok_or_else(|| StreamError::invalid_input("truncated_at is not an RFC 3339 time"))
}

#[cfg(test)]
mod tests {
    use super::super::channels::ChannelStateOptions;
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, send_message,
        world_with_users,
    };
    use super::*;
    use crate::request::Query;

    fn world_with_channel() -> World {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        world.take_events();
        world
    }

    fn patch(world: &mut World, request: Value) -> ApiResult {
        world.update_channel_partial(None, &messaging_cid("c"), from_json(request), at(5))
    }

    #[test]
    fn patch_sets_and_unsets_fields() {
        let mut world = world_with_channel();
        let set = json!({ "frozen": true, "color": "red", "custom": { "size": 2 } });
        let response = patch(&mut world, json!({ "set": set })).expect("updated");
        assert_eq!(response["channel"]["frozen"], json!(true));
        assert_eq!(response["channel"]["custom"], json!({ "color": "red", "size": 2 }));
        assert_eq!(response["members"][0]["user_id"], json!("alice"));
        let response = patch(&mut world, json!({ "unset": ["color"] })).expect("updated");
        assert_eq!(response["channel"]["custom"], json!({ "size": 2 }));
        assert_eq!(event_types(&world.take_events()), ["channel.updated"; 2]);
        for invalid in [
            json!({ "set": { "frozen": 1 } }),
            json!({ "set": { "custom": 1 } }),
            json!({ "set": { "cid": "messaging:d" } }),
            json!({ "unset": ["created_by"] }),
            json!({ "set": { "config_overrides": {} } }),
        ] {
            assert_eq!(expect_error(patch(&mut world, invalid)).1, 4);
        }
        world.delete_channel(&messaging_cid("c"), at(6)).expect("deleted");
        assert_eq!(expect_error(patch(&mut world, json!({}))).1, 16);
    }

    #[test]
    fn patch_sets_and_unsets_fields_of_stream() {
        let mut world = world_with_channel();
        let set = json!({ "team": "red", "filter_tags": ["a"], "frozen": true });
        let channel = patch(&mut world, json!({ "set": set })).expect("updated")["channel"].clone();
        assert_eq!((&channel["team"], &channel["filter_tags"]), (&json!("red"), &json!(["a"])));
        assert_eq!(channel["custom"], json!({}));
        let unset = json!({ "unset": ["team", "filter_tags", "frozen"] });
        let channel = patch(&mut world, unset).expect("updated")["channel"].clone();
        assert_eq!((channel.get("team"), &channel["filter_tags"]), (None, &json!([])));
        assert_eq!(channel["frozen"], json!(false));
    }

    #[test]
    fn rejected_request_changes_nothing() {
        let mut world = world_with_channel();
        send_message(&mut world, "m1").expect("a message");
        world.take_events();
        let options = ChannelStateOptions::from_query(&Query::default()).expect("options");
        let state = |world: &World| {
            world.get_channel(None, &messaging_cid("c"), &options, at(9)).expect("the channel")
        };
        let before = state(&world);
        for set in [
            json!({ "color": "red", "frozen": 1 }),
            json!({ "color": "red", "member_count": 5 }),
            json!({ "color": "red", "own_capabilities": [] }),
            json!({ "color": "x".repeat(6_000) }),
        ] {
            assert_eq!(expect_error(patch(&mut world, json!({ "set": set }))).1, 4);
        }
        let slow = json!({ "set": { "cooldown": 5 } });
        assert_eq!(expect_error(patch(&mut world, slow)).0, 501);
        let message = json!({ "id": "m1", "text": "x", "user_id": "alice" });
        let truncate = from_json(json!({ "message": message }));
        let outcome = world.truncate_channel(None, &messaging_cid("c"), truncate, at(6));
        assert_eq!(expect_error(outcome).1, 4);
        let update = json!({ "remove_members": ["alice"], "message": message });
        let outcome = world.update_channel(None, &messaging_cid("c"), from_json(update), at(6));
        assert_eq!(expect_error(outcome).1, 4);
        assert_eq!(state(&world), before);
        assert!(world.take_events().is_empty());
    }

    #[test]
    fn update_replaces_the_custom_fields() {
        let mut world = world_with_channel();
        patch(&mut world, json!({ "set": { "color": "red" } })).expect("updated");
        world.take_events();
        let data = json!({ "custom": { "size": 2 }, "frozen": true });
        let request = from_json(json!({ "data": data }));
        let response =
            world.update_channel(None, &messaging_cid("c"), request, at(6)).expect("updated");
        assert_eq!(response["channel"]["custom"], json!({ "size": 2 }));
        assert_eq!(response["channel"]["frozen"], json!(true));
        assert_eq!(event_types(&world.take_events()), ["channel.updated"]);
    }

    #[test]
    fn truncation_removes_messages_but_not_their_ids() {
        let mut world = world_with_channel();
        send_message(&mut world, "m1").expect("a message");
        let response = world
            .truncate_channel(None, &messaging_cid("c"), TruncateChannel::default(), at(6))
            .expect("truncated");
        assert_eq!(response["channel"]["message_count"], json!(0));
        assert_eq!(response["channel"]["truncated_at"], json!(at(6)));
        assert!(world.message_views("messaging:c").is_empty());
        assert_eq!(expect_error(send_message(&mut world, "m1")).1, 4);
        assert_eq!(event_types(&world.take_events()), ["message.new", "channel.truncated"]);
    }
}
