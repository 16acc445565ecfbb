//! Changes to messages: updates, soft and hard deletion, and its undoing.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Message, REGULAR_KIND};
use super::message_pin::PinChange;
use super::messages::{MessageRequest, check_text};
use super::users::UserRef;
use super::validation::{self, ensure, parse_field, require};
use super::{ApiResult, World};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;
use crate::v1::is_message_field;

/// The new content of a message. It replaces the text, the attachments and the custom fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMessage {
    message: MessageRequest,
    /// Push notifications and previews of links are not emulated.
    #[serde(rename = "skip_push")]
    _skip_push: Option<bool>,
    #[serde(rename = "skip_enrich_url")]
    _skip_enrich_url: Option<bool>,
}

/// A change to some fields of a message. Fields that Stream does not define are custom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMessagePartial {
    set: Option<Map<String, Value>>,
    unset: Option<Vec<String>>,
    user_id: Option<String>,
    user: Option<UserRef>,
    #[serde(rename = "skip_enrich_url")]
    _skip_enrich_url: Option<bool>,
}

/// The parameters of a deletion, which are in the query.
#[derive(Debug)]
pub(crate) struct DeleteMessage {
    hard: bool,
    deleted_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndeleteMessage {
    undeleted_by: Option<String>,
}

impl DeleteMessage {
    pub(crate) fn from_query(query: &Query) -> Result<Self, StreamError> {
        if query.get_bool("delete_for_me")? == Some(true) {
            return Err(StreamError::not_emulated("delete_for_me"));
        }
        let hard = query.get_bool("hard")?.unwrap_or_default();
        Ok(Self { hard, deleted_by: query.get_owned("deleted_by") })
    }

    pub(super) const fn is_hard(&self) -> bool {
        self.hard
    }
}

/// What a request changes, since a pin has a permission of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageChange {
    pub(super) changes_content: bool,
    pub(super) changes_pin: bool,
}

impl UpdateMessage {
    /// The change to a message.
    pub(super) fn change(&self, message: &Message) -> MessageChange {
        let has_pin = message.pin.is_some();
        let changes_pin = self.message.pinned.is_some_and(|is_pinned| is_pinned != has_pin)
            || self.message.pin_expires.is_some();
        MessageChange { changes_content: true, changes_pin }
    }
}

impl UpdateMessagePartial {
    pub(super) fn change(&self) -> MessageChange {
        let keys = self.set.iter().flat_map(Map::keys).chain(self.unset.iter().flatten());
        let (pins, others): (Vec<&String>, Vec<&String>) =
            keys.partition(|key| matches!(key.as_str(), "pinned" | "pinned_at" | "pin_expires"));
        MessageChange { changes_content: !others.is_empty(), changes_pin: !pins.is_empty() }
    }
}

impl Message {
    fn replace_content(
        &mut self,
        request: MessageRequest,
        acting_user: &str,
        now: Timestamp,
    ) -> Result<(), StreamError> {
        self.change_pin(&PinChange::of_message(&request)?, acting_user, now)?;
        self.set_text(request.text.unwrap_or_default(), now);
        self.attachments = request.attachments.unwrap_or_default();
        self.mentioned_users = request.mentioned_users.unwrap_or_default();
        self.custom = request.custom.unwrap_or_default();
        if let Some(ids) = request.restricted_visibility {
            self.restricted_visibility = ids;
        }
        self.quoted_message_id = request.quoted_message_id.or(self.quoted_message_id.take());
        self.silent = request.silent.unwrap_or(self.silent);
        self.show_in_channel = request.show_in_channel.unwrap_or(self.show_in_channel);
        Ok(())
    }

    fn set_text(&mut self, text: String, now: Timestamp) {
        if self.text != text {
            self.text = text;
            self.text_updated_at = Some(now);
        }
    }

    fn set_field(&mut self, key: String, value: Value, now: Timestamp) -> Result<(), StreamError> {
        match key.as_str() {
            "text" => {
                let text: String = parse_field(&key, value)?;
                check_text(&text)?;
                self.set_text(text, now);
            }
            "attachments" => self.attachments = parse_field(&key, value)?,
            "mentioned_users" => self.mentioned_users = parse_field(&key, value)?,
            "restricted_visibility" => self.restricted_visibility = parse_field(&key, value)?,
            "silent" => self.silent = parse_field(&key, value)?,
            "show_in_channel" => self.show_in_channel = parse_field(&key, value)?,
            "custom" => {
                let custom: Map<String, Value> = parse_field(&key, value)?;
                self.custom.extend(custom);
            }
            _ => {
                check_not_reserved(&key)?;
                self.custom.insert(key, value);
            }
        }
        Ok(())
    }

    fn unset_field(&mut self, key: &str, now: Timestamp) -> Result<(), StreamError> {
        match key {
            "text" => self.set_text(String::new(), now),
            "attachments" => self.attachments.clear(),
            "mentioned_users" => self.mentioned_users.clear(),
            "restricted_visibility" => self.restricted_visibility.clear(),
            "silent" => self.silent = false,
            "show_in_channel" => self.show_in_channel = false,
            "custom" => self.custom.clear(),
            _ => {
                check_not_reserved(key)?;
                self.custom.remove(key);
            }
        }
        Ok(())
    }

    /// Checks that an update names the kind and the thread of the message, which cannot change.
    fn check_identity(&self, request: &MessageRequest) -> Result<(), StreamError> {
        let kind = request.kind.as_deref().filter(|kind| !kind.is_empty());
        require(kind.is_none_or(|kind| kind == self.kind), "message.type cannot be updated")?;
        let parent_id = request.parent_id.as_deref();
        require(
            parent_id.is_none_or(|id| self.parent_id.as_deref() == Some(id)),
            "message.parent_id cannot be updated",
        )
    }
}

fn check_not_reserved(key: &str) -> Result<(), StreamError> {
    ensure(!is_message_field(key), || {
        StreamError::invalid_input(format!("field {key:?} is reserved"))
    })
}

impl World {
    /// Without a user token, the sender of the message is taken for the acting user if the request
    /// names none.
    pub(crate) fn update_message(
        &mut self,
        token_user: Option<&str>,
        id: &str,
        request: UpdateMessage,
        now: Timestamp,
    ) -> ApiResult {
        let mut request = request.message;
        request.validate()?;
        let has_same_id = request.id.as_deref().is_none_or(|named| named == id);
        require(has_same_id, "message.id differs from the id in the path")?;
        let named = request.user_id.take().or(request.user.take().map(|user| user.id));
        let stored = self.find_message_mut(id)?;
        require(stored.deleted_at.is_none(), "the message is deleted")?;
        stored.check_identity(&request)?;
        let acting_user = acting_user(token_user, named, stored);
        // A rejected request changes nothing.
        let mut message = stored.clone();
        message.replace_content(request, &acting_user, now)?;
        message.updated_at = now;
        *stored = message;
        self.emit_message("message.updated", id, &acting_user, json!({}), now)
    }

    pub(crate) fn update_message_partial(
        &mut self,
        token_user: Option<&str>,
        id: &str,
        request: UpdateMessagePartial,
        now: Timestamp,
    ) -> ApiResult {
        let named = request.user_id.or(request.user.map(|user| user.id));
        let stored = self.find_message_mut(id)?;
        require(stored.deleted_at.is_none(), "the message is deleted")?;
        let acting_user = acting_user(token_user, named, stored);
        let (mut set, mut unset) =
            (request.set.unwrap_or_default(), request.unset.unwrap_or_default());
        // A rejected request changes nothing.
        let mut message = stored.clone();
        message.change_pin(&PinChange::take(&mut set, &mut unset)?, &acting_user, now)?;
        for (key, value) in set {
            message.set_field(key, value, now)?;
        }
        for key in unset {
            message.unset_field(&key, now)?;
        }
        validation::check_size("custom", &message.custom)?;
        message.updated_at = now;
        *stored = message;
        self.emit_message("message.updated", id, &acting_user, json!({}), now)
    }

    pub(crate) fn delete_message(
        &mut self,
        token_user: Option<&str>,
        id: &str,
        request: DeleteMessage,
        now: Timestamp,
    ) -> ApiResult {
        let message = self.find_message_mut(id)?;
        let acting_user = acting_user(token_user, request.deleted_by, message);
        let was_deleted = message.deleted_at.is_some();
        message.delete_softly(now);
        let parent_id = message.parent_id.clone().filter(|_| !was_deleted);
        if let Some(parent) = parent_id.and_then(|id| self.find_message_mut(&id).ok()) {
            parent.reply_count = parent.reply_count.saturating_sub(1);
            parent.deleted_reply_count += 1;
        }
        let details = json!({ "hard_delete": request.hard });
        let response = self.emit_message("message.deleted", id, &acting_user, details, now)?;
        if request.hard {
            for channel in self.channels.values_mut() {
                channel.messages.retain(|message| message.id != id);
            }
        }
        Ok(response)
    }

    pub(crate) fn undelete_message(
        &mut self,
        id: &str,
        request: UndeleteMessage,
        now: Timestamp,
    ) -> ApiResult {
        let message = self.find_message_mut(id)?;
        ensure(message.deleted_at.is_some(), || {
            StreamError::invalid_input(format!("message {id:?} is not deleted"))
        })?;
        message.deleted_at = None;
        REGULAR_KIND.clone_into(&mut message.kind);
        message.updated_at = now;
        let acting_user = acting_user(None, request.undeleted_by, message);
        self.emit_message("message.undeleted", id, &acting_user, json!({}), now)
    }

    /// Emits an event of a message. Returns the message as the acting user gets it.
    fn emit_message(
        &mut self,
        kind: &str,
        id: &str,
        acting_user: &str,
        details: Value,
        now: Timestamp,
    ) -> ApiResult {
        let (channel, message) = self.find_message(id)?;
        let cid = channel.cid.clone();
        let fields = json!({
            "message_id": id,
            "message": message.response(self),
            "user": self.user_response(acting_user),
            "members": self.event_members(&cid),
        });
        let response = json!({ "message": message.response_for(Some(acting_user), self) });
        self.emit_channel(kind, &cid, now, super::merge(fields, details));
        Ok(response)
    }
}

fn acting_user(token_user: Option<&str>, named: Option<String>, message: &Message) -> String {
    token_user.map(str::to_owned).or(named).unwrap_or_else(|| message.user_id.clone())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, send_message, world_with_users,
    };
    use super::*;

    fn world_with_message() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send_message(&mut world, "m1").expect("a message");
        world.take_events();
        world
    }

    fn patch(world: &mut World, request: Value) -> ApiResult {
        world.update_message_partial(None, "m1", from_json(request), at(5))
    }

    fn delete(world: &mut World, hard: bool) -> ApiResult {
        world.delete_message(None, "m1", DeleteMessage { hard, deleted_by: None }, at(6))
    }

    #[test]
    fn update_replaces_the_content() {
        let mut world = world_with_message();
        patch(&mut world, json!({ "set": { "mood": "good" } })).expect("updated");
        let message = json!({ "id": "m1", "text": "edited", "pinned": true });
        let request = from_json(json!({ "message": message }));
        let response = world.update_message(None, "m1", request, at(5)).expect("updated");
        let message = &response["message"];
        assert_eq!((&message["text"], &message["custom"]), (&json!("edited"), &json!({})));
        assert_eq!(message["pinned_by"]["id"], json!("alice"));
        assert_eq!(message["message_text_updated_at"], json!(at(5)));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["message.updated"; 2]);
        assert_eq!(events[1]["message"]["text"], json!("edited"));
        let request = from_json(json!({ "message": { "id": "m2", "text": "x" } }));
        assert_eq!(expect_error(world.update_message(None, "m1", request, at(5))).1, 4);
    }

    #[test]
    fn patch_sets_and_unsets_fields() {
        let mut world = world_with_message();
        let set = json!({ "text": "e2", "mood": "good", "pinned": true, "custom": { "a": 1 } });
        let response = patch(&mut world, json!({ "set": set })).expect("updated");
        assert_eq!(response["message"]["custom"], json!({ "mood": "good", "a": 1 }));
        let unset = json!({ "unset": ["mood", "pinned"] });
        let response = patch(&mut world, unset).expect("updated");
        assert_eq!(response["message"]["custom"], json!({ "a": 1 }));
        assert_eq!(response["message"]["pinned"], json!(false));
        for invalid in [json!({ "id": "m2" }), json!({ "text": 1 }), json!({ "user": {} })] {
            assert_eq!(expect_error(patch(&mut world, json!({ "set": invalid }))).1, 4);
        }
    }

    #[test]
    fn unset_resets_fields_of_stream() {
        let mut world = world_with_message();
        let set = json!({
            "silent": true,
            "show_in_channel": true,
            "restricted_visibility": ["bob"],
        });
        patch(&mut world, json!({ "set": set })).expect("updated");
        let unset = json!({ "unset": ["silent", "show_in_channel", "restricted_visibility"] });
        let message = patch(&mut world, unset).expect("updated")["message"].clone();
        assert_eq!(message["silent"], json!(false));
        assert_eq!(message.get("show_in_channel"), None);
        assert_eq!(message["restricted_visibility"], json!([]));
        assert_eq!(expect_error(patch(&mut world, json!({ "unset": ["reply_count"] }))).1, 4);
    }

    #[test]
    fn rejected_update_changes_nothing() {
        let mut world = world_with_message();
        let stored = world.get_message("m1", false);
        for set in [
            json!({ "text": "edited", "type": "system" }),
            json!({ "attachments": [], "a": 1, "silent": "no" }),
            json!({ "custom": { "a": "x".repeat(6_000) } }),
        ] {
            assert_eq!(expect_error(patch(&mut world, json!({ "set": set }))).1, 4);
        }
        for message in [
            json!({ "text": "edited", "type": "system" }),
            json!({ "text": "edited", "parent_id": "m0" }),
        ] {
            let request = from_json(json!({ "message": message }));
            assert_eq!(expect_error(world.update_message(None, "m1", request, at(5))).1, 4);
        }
        assert_eq!(world.get_message("m1", false), stored);
        assert!(world.take_events().is_empty());
    }

    #[test]
    fn soft_deletion_is_undone_and_hard_deletion_is_not() {
        let mut world = world_with_message();
        let response = delete(&mut world, false).expect("deleted");
        assert_eq!(response["message"]["type"], json!("deleted"));
        assert_eq!(expect_error(patch(&mut world, json!({}))).1, 4);
        world.undelete_message("m1", from_json(json!({})), at(7)).expect("undeleted");
        delete(&mut world, true).expect("deleted");
        assert!(world.message_views("messaging:c").is_empty());
        assert_eq!(expect_error(delete(&mut world, true)).1, 16);
        let events = world.take_events();
        let types = ["message.deleted", "message.undeleted", "message.deleted"];
        assert_eq!(event_types(&events), types);
        assert_eq!(events[0]["hard_delete"], json!(false));
        assert_eq!(events[2]["hard_delete"], json!(true));
    }
}
