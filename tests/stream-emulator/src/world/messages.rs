//! Messages. The id is the client's idempotency key. It is unique in the whole app, including the
//! ids of deleted messages.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::channels::Channel;
use super::cid::Cid;
use super::permissions::TokenUser;
use super::users::UserRef;
use super::validation::{self, check_max, ensure, require};
use super::{ApiResult, CustomFields, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::MessageView;

/// The maximum length of a text, in characters.
pub(super) const MAX_TEXT_CHARS: usize = 5_000;
const MAX_ID_BYTES: usize = 255;
pub(super) const REGULAR_KIND: &str = "regular";
const DELETED_KIND: &str = "deleted";

#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) cid: Cid,
    pub(super) user_id: String,
    pub(super) text: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    custom: CustomFields,
    attachments: Vec<Value>,
    mentioned_users: Vec<String>,
    restricted_visibility: Vec<String>,
    parent_id: Option<String>,
    quoted_message_id: Option<String>,
    silent: bool,
    pub(super) created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SendMessage {
    message: MessageRequest,
}

#[derive(Debug, Deserialize)]
struct MessageRequest {
    id: Option<String>,
    text: Option<String>,
    user_id: Option<String>,
    user: Option<UserRef>,
    #[serde(rename = "type")]
    kind: Option<String>,
    attachments: Option<Vec<Value>>,
    mentioned_users: Option<Vec<String>>,
    restricted_visibility: Option<Vec<String>>,
    parent_id: Option<String>,
    quoted_message_id: Option<String>,
    silent: Option<bool>,
    custom: Option<CustomFields>,
}

impl MessageRequest {
    fn validate(&self) -> Result<(), StreamError> {
        if let Some(id) = &self.id {
            let is_valid = (1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains([',', '%']);
            require(is_valid, "message id must be 1 to 255 bytes without comma or percent sign")?;
        }
        let length = self.text.as_ref().map_or(0, |text| text.chars().count());
        ensure(length <= MAX_TEXT_CHARS, || {
            StreamError::new(
                400,
                20,
                format!("message text is too long: {length} > {MAX_TEXT_CHARS}"),
            )
        })?;
        let kind = self.kind.as_deref().unwrap_or_default();
        require(matches!(kind, "" | "regular" | "system"), "message type is not valid")?;
        check_max("attachments", self.attachments.as_ref().map_or(0, Vec::len), 30)?;
        check_max("mentioned_users", self.mentioned_users.as_ref().map_or(0, Vec::len), 100)?;
        let restricted = self.restricted_visibility.as_ref().map_or(0, Vec::len);
        check_max("restricted_visibility", restricted, 10)?;
        validation::check_size("attachments", &self.attachments)?;
        validation::check_size("custom", &self.custom)
    }

    fn into_message(self, id: String, cid: &Cid, user_id: String, now: Timestamp) -> Message {
        let kind = self.kind.filter(|kind| !kind.is_empty());
        Message {
            id,
            cid: cid.clone(),
            user_id,
            text: self.text.unwrap_or_default(),
            kind: kind.unwrap_or_else(|| REGULAR_KIND.to_owned()),
            custom: self.custom.unwrap_or_default(),
            attachments: self.attachments.unwrap_or_default(),
            mentioned_users: self.mentioned_users.unwrap_or_default(),
            restricted_visibility: self.restricted_visibility.unwrap_or_default(),
            parent_id: self.parent_id,
            quoted_message_id: self.quoted_message_id,
            silent: self.silent.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }
}

impl Message {
    pub(super) fn response(&self, world: &World) -> Value {
        let mentioned: Vec<Value> =
            self.mentioned_users.iter().map(|id| world.user_response(id)).collect();
        let message = json!({
            "id": self.id,
            "cid": self.cid,
            "text": self.text,
            "html": render_html(&self.text),
            "type": self.kind,
            "user": world.user_response(&self.user_id),
            "custom": self.custom,
            "attachments": self.attachments,
            "mentioned_users": mentioned,
            "restricted_visibility": self.restricted_visibility,
            "parent_id": self.parent_id,
            "quoted_message_id": self.quoted_message_id,
            "silent": self.silent,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "deleted_at": self.deleted_at,
        });
        let defaults = json!({
            "deleted_reply_count": 0,
            "latest_reactions": [],
            "mentioned_channel": false,
            "mentioned_here": false,
            "own_reactions": [],
            "pinned": false,
            "reaction_counts": {},
            "reaction_scores": {},
            "reply_count": 0,
            "shadowed": false,
        });
        strip_nulls(merge(message, defaults))
    }

    fn view(&self) -> MessageView {
        MessageView {
            id: self.id.clone(),
            cid: self.cid.to_string(),
            user_id: self.user_id.clone(),
            text: self.text.clone(),
            kind: self.kind.clone(),
            custom: self.custom.clone(),
            created_at: self.created_at.as_nanos(),
        }
    }
}

impl Channel {
    /// Deletes the messages of a user. A soft delete keeps them in the list, marked as deleted; a
    /// hard delete removes them.
    pub(super) fn delete_messages_of(&mut self, user_id: &str, hard: bool, now: Timestamp) {
        if hard {
            self.messages.retain(|message| message.user_id != user_id);
            return;
        }
        for message in self.messages.iter_mut().filter(|message| message.user_id == user_id) {
            DELETED_KIND.clone_into(&mut message.kind);
            message.deleted_at.get_or_insert(now);
        }
    }
}

impl SendMessage {
    pub(super) fn is_system(&self) -> bool {
        self.message.kind.as_deref() == Some("system")
    }
}

impl World {
    pub(crate) fn send_message(
        &mut self,
        cid: &Cid,
        request: SendMessage,
        now: Timestamp,
    ) -> ApiResult {
        self.send_message_as(None, cid, request, now)
    }

    /// Sends a message from the user of a token. Without one, the request names the sender.
    pub(super) fn send_message_as(
        &mut self,
        user: Option<&TokenUser>,
        cid: &Cid,
        request: SendMessage,
        now: Timestamp,
    ) -> ApiResult {
        self.find_channel(cid)?;
        let mut request = request.message;
        request.validate()?;
        let embedded_id = request.user.take().map(|user| user.id);
        let named_id = request.user_id.take().or(embedded_id);
        let user_id = user.map(|user| user.id.clone()).or(named_id).ok_or_else(|| {
            StreamError::invalid_input(
                "either message.user or message.user_id must be provided when using server side \
                 auth.",
            )
        })?;
        self.check_users_exist_for("message create", [user_id.as_str()])?;
        let id = request.id.take().unwrap_or_else(|| self.next_id("message"));
        ensure(!self.message_ids.contains(&id), || {
            StreamError::invalid_input(format!("a message with ID {id} already exists"))
        })?;
        let message = request.into_message(id.clone(), cid, user_id, now);
        if let Some(response) = self.intercept_message(&message, user, now)? {
            return Ok(json!({ "message": response }));
        }
        let response = message.response(self);
        let channel = self.find_channel_mut(cid)?;
        channel.messages.push(message);
        channel.last_message_at = Some(now);
        let fields = json!({
            "message_id": id,
            "message": response,
            "user": response["user"],
            "members": self.event_members(cid),
            "watcher_count": 0,
        });
        self.emit_channel("message.new", cid, now, fields);
        self.message_ids.insert(id);
        Ok(json!({ "message": response }))
    }

    pub(crate) fn get_message(&self, id: &str, include_deleted: bool) -> ApiResult {
        let (channel, message) = self
            .channels
            .values()
            .find_map(|channel| {
                let message = channel.messages.iter().find(|message| message.id == id)?;
                Some((channel, message))
            })
            .filter(|(_, message)| include_deleted || message.deleted_at.is_none())
            .ok_or_else(|| StreamError::not_found(format!("message with id {id} not found")))?;
        let channel = json!({ "channel": channel.response(self) });
        Ok(json!({ "message": merge(message.response(self), channel) }))
    }

    pub(crate) fn message_views(&self, cid: &str) -> Vec<MessageView> {
        cid.parse()
            .ok()
            .and_then(|cid: Cid| self.channels.get(&cid))
            .map(|channel| channel.messages.iter().map(Message::view).collect())
            .unwrap_or_default()
    }
}

pub(super) fn render_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{escaped}</p>\n")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, expect_error, from_json, messaging_cid, send_message, world_with_users,
    };
    use super::*;

    fn world_with_channel() -> World {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        world
    }

    fn send_json(world: &mut World, message: &Value) -> ApiResult {
        let request = json!({ "message": message });
        world.send_message(&messaging_cid("c"), from_json(request), at(3))
    }

    #[test]
    fn duplicate_message_id_is_rejected() {
        let mut world = world_with_channel();
        let response = send_message(&mut world, "m1").expect("a message");
        assert_eq!(response["message"]["html"], json!("<p>hello</p>\n"));
        let duplicate = expect_error(send_message(&mut world, "m1"));
        assert_eq!(duplicate, (400, 4, "a message with ID m1 already exists".to_owned()));
        assert_eq!(world.message_views("messaging:c").len(), 1);
    }

    #[test]
    fn message_id_stays_taken_after_channel_deletion() {
        let mut world = world_with_channel();
        send_message(&mut world, "m1").expect("a message");
        world.delete_channel(&messaging_cid("c"), at(4)).expect("deleted");
        create_channel(&mut world, &["alice"]).expect("a channel");
        assert_eq!(expect_error(send_message(&mut world, "m1")).1, 4);
        assert_eq!(expect_error(world.get_message("m1", true)).1, 16);
        assert!(world.message_views("messaging:c").is_empty());
    }

    #[test]
    fn invalid_message_is_rejected() {
        let mut world = world_with_channel();
        let long = "x".repeat(5_001);
        for (message, status, code) in [
            (json!({ "text": "a" }), 400, 4),
            (json!({ "text": "a", "user_id": "bob" }), 400, 4),
            (json!({ "text": long, "user_id": "alice" }), 400, 20),
            (json!({ "id": "a,b", "user_id": "alice" }), 400, 4),
            (json!({ "type": "error", "user_id": "alice" }), 400, 4),
        ] {
            let (actual_status, actual_code, _) = expect_error(send_json(&mut world, &message));
            assert_eq!((actual_status, actual_code), (status, code));
        }
        let umlauts = json!({ "text": "ü".repeat(5_000), "user_id": "alice" });
        send_json(&mut world, &umlauts).expect("a message");
        world.delete_channel(&messaging_cid("c"), at(4)).expect("deleted");
        assert_eq!(expect_error(send_message(&mut world, "m1")).1, 16);
    }

    #[test]
    fn get_message_includes_the_channel() {
        let mut world = world_with_channel();
        let message = json!({ "text": "<b>", "user_id": "alice" });
        send_json(&mut world, &message).expect("a message");
        let id = world.message_views("messaging:c")[0].id.clone();
        let response = world.get_message(&id, false).expect("the message");
        assert_eq!(response["message"]["channel"]["cid"], json!("messaging:c"));
        assert_eq!(response["message"]["html"], json!("<p>&lt;b&gt;</p>\n"));
        assert_eq!(expect_error(world.get_message("nothing", false)).1, 16);
    }

    #[test]
    fn soft_deleted_message_stays_in_the_list() {
        let mut world = world_with_channel();
        send_message(&mut world, "m1").expect("a message");
        let request = from_json(json!({ "mark_messages_deleted": true }));
        world.deactivate_user("alice", &request, at(5)).expect("deactivated");
        assert_eq!(world.message_views("messaging:c")[0].kind, "deleted");
        assert_eq!(expect_error(world.get_message("m1", false)).1, 16);
        assert!(world.get_message("m1", true).is_ok());
    }
}
