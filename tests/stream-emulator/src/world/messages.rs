//! Messages. The id is the client's idempotency key. It is unique in the whole app, including the
//! ids of deleted messages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::channels::Channel;
use super::cid::Cid;
use super::message::{Message, Pin, REGULAR_KIND};
use super::message_pin::{EXPIRY_WITHOUT_PIN, parse_pin_time};
use super::permissions::TokenUser;
use super::users::UserRef;
use super::validation::{self, check_max, ensure, require};
use super::{ApiResult, CustomFields, World, merge};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::MessageView;

/// The maximum length of a text, in characters.
pub(super) const MAX_TEXT_CHARS: usize = 5_000;
const MAX_ID_BYTES: usize = 255;
const MAX_BATCH_SIZE: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    message: MessageRequest,
    /// Push notifications and previews of links are not emulated.
    #[serde(rename = "skip_push")]
    _skip_push: Option<bool>,
    #[serde(rename = "skip_enrich_url")]
    _skip_enrich_url: Option<bool>,
    keep_channel_hidden: Option<bool>,
}

/// A message in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRequest {
    pub(super) id: Option<String>,
    pub(super) text: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) user: Option<UserRef>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) attachments: Option<Vec<Value>>,
    pub(super) mentioned_users: Option<Vec<String>>,
    pub(super) restricted_visibility: Option<Vec<String>>,
    pub(super) parent_id: Option<String>,
    pub(super) show_in_channel: Option<bool>,
    pub(super) quoted_message_id: Option<String>,
    pub(super) silent: Option<bool>,
    pub(super) pinned: Option<bool>,
    pub(super) pin_expires: Option<String>,
    pub(super) custom: Option<CustomFields>,
    /// The value is ignored.
    #[serde(rename = "html")]
    _html: Option<Value>,
}

impl MessageRequest {
    pub(super) fn validate(&self) -> Result<(), StreamError> {
        if let Some(id) = &self.id {
            let is_valid = (1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains([',', '%']);
            require(is_valid, "message id must be 1 to 255 bytes without comma or percent sign")?;
        }
        check_text(self.text.as_deref().unwrap_or_default())?;
        let kind = self.kind.as_deref().unwrap_or_default();
        require(matches!(kind, "" | "regular" | "system"), "message type is not valid")?;
        check_max("attachments", self.attachments.as_ref().map_or(0, Vec::len), 30)?;
        check_max("mentioned_users", self.mentioned_users.as_ref().map_or(0, Vec::len), 100)?;
        let restricted = self.restricted_visibility.as_ref().map_or(0, Vec::len);
        check_max("restricted_visibility", restricted, 10)?;
        validation::check_size("attachments", &self.attachments)?;
        validation::check_size("custom", &self.custom)
    }

    /// The sender: the user of the token or, without one, the user that the request names.
    pub(super) fn take_user(&mut self, user: Option<&TokenUser>) -> Result<String, StreamError> {
        let named = ActingUser::new(self.user_id.take(), self.user.take());
        named.resolve("message", user.map(|user| user.id.as_str()))
    }

    pub(super) fn pin_expires_at(&self) -> Result<Option<Timestamp>, StreamError> {
        let text = self.pin_expires.as_deref();
        text.map(|text| parse_pin_time("pin_expires", text)).transpose()
    }

    fn into_message(
        self,
        id: String,
        cid: &Cid,
        user_id: String,
        now: Timestamp,
    ) -> Result<Message, StreamError> {
        let expires_at = self.pin_expires_at()?;
        let is_pinned = self.pinned == Some(true);
        require(is_pinned || expires_at.is_none(), EXPIRY_WITHOUT_PIN)?;
        let pin = is_pinned.then(|| Pin { by: user_id.clone(), at: now, expires_at });
        let kind = self.kind.filter(|kind| !kind.is_empty());
        Ok(Message {
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
            show_in_channel: self.show_in_channel.unwrap_or_default(),
            quoted_message_id: self.quoted_message_id,
            silent: self.silent.unwrap_or_default(),
            shadowed: false,
            pin,
            reactions: Vec::new(),
            thread_participants: Vec::new(),
            reply_count: 0,
            deleted_reply_count: 0,
            created_at: now,
            updated_at: now,
            text_updated_at: None,
            deleted_at: None,
        })
    }
}

pub(super) fn check_text(text: &str) -> Result<(), StreamError> {
    let length = text.chars().count();
    ensure(length <= MAX_TEXT_CHARS, || {
        let message = format!("message text is too long: {length} > {MAX_TEXT_CHARS}");
        StreamError::new(400, 20, message)
    })
}

impl SendMessage {
    pub(super) fn is_system(&self) -> bool {
        self.message.kind.as_deref() == Some("system")
    }

    pub(super) fn is_reply(&self) -> bool {
        self.message.parent_id.is_some()
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.message.pinned == Some(true)
    }
}

impl Channel {
    pub(super) fn message(&self, id: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }

    fn message_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == id)
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
        let keeps_hidden = request.keep_channel_hidden == Some(true);
        let mut request = request.message;
        self.find_channel(cid)?;
        request.validate()?;
        let user_id = request.take_user(user)?;
        self.check_users_exist_for("message create", [user_id.as_str()])?;
        self.check_related_messages(cid, &request)?;
        let message = self.new_message(cid, request, user_id, now)?;
        if let Some(response) = self.intercept_message(&message, user, now)? {
            return Ok(json!({ "message": response }));
        }
        Ok(json!({ "message": self.store_message(message, keeps_hidden, now)? }))
    }

    /// A message that is not stored yet.
    fn new_message(
        &mut self,
        cid: &Cid,
        mut request: MessageRequest,
        user_id: String,
        now: Timestamp,
    ) -> Result<Message, StreamError> {
        let id = request.id.take().unwrap_or_else(|| self.next_id("message"));
        ensure(!self.message_ids.contains(&id), || {
            StreamError::invalid_input(format!("a message with ID {id} already exists"))
        })?;
        let shadowed = self.has_shadow_ban(&user_id, cid);
        Ok(Message { shadowed, ..request.into_message(id, cid, user_id, now)? })
    }

    /// Stores a message and emits `message.new`. Returns the message.
    pub(super) fn store_message(
        &mut self,
        message: Message,
        keeps_hidden: bool,
        now: Timestamp,
    ) -> ApiResult {
        let (id, cid) = (message.id.clone(), message.cid.clone());
        let response = message.response(self);
        self.count_reply(&message);
        let channel = self.find_channel_mut(&cid)?;
        channel.mark_new_message(&message, now);
        if !keeps_hidden {
            channel.show_to_all();
        }
        if message.is_in_channel() {
            channel.last_message_at = Some(now);
        }
        channel.messages.push(message);
        let fields = json!({
            "message_id": id,
            "message": response,
            "user": response["user"],
            "members": self.event_members(&cid),
            "watcher_count": 0,
        });
        self.emit_channel("message.new", &cid, now, fields);
        self.message_ids.insert(id);
        Ok(response)
    }

    /// The system message of a change to a channel. The change stores it after it has succeeded.
    pub(super) fn new_system_message(
        &mut self,
        cid: &Cid,
        request: Option<MessageRequest>,
        acting_user: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Message>, StreamError> {
        let Some(mut request) = request else { return Ok(None) };
        request.validate()?;
        let named = ActingUser::new(request.user_id.take(), request.user.take());
        let user_id = named.resolve("message", acting_user)?;
        self.check_users_exist_for("message create", [user_id.as_str()])?;
        request.kind = Some("system".to_owned());
        self.new_message(cid, request, user_id, now).map(Some)
    }

    /// Checks that the parent and the quoted message are in the channel. A reply has no replies.
    fn check_related_messages(
        &self,
        cid: &Cid,
        request: &MessageRequest,
    ) -> Result<(), StreamError> {
        let channel = self.find_channel(cid)?;
        if let Some(id) = &request.parent_id {
            let parent = channel.message(id).ok_or_else(|| {
                StreamError::invalid_input(format!("parent message {id:?} does not exist"))
            })?;
            require(parent.parent_id.is_none(), "a reply cannot have replies")?;
        }
        if let Some(id) = &request.quoted_message_id {
            ensure(channel.message(id).is_some(), || {
                StreamError::invalid_input(format!("quoted message {id:?} does not exist"))
            })?;
        }
        Ok(())
    }

    fn count_reply(&mut self, reply: &Message) {
        let Some(parent_id) = &reply.parent_id else { return };
        let channel = self.channels.get_mut(&reply.cid);
        let Some(parent) = channel.and_then(|it| it.message_mut(parent_id)) else { return };
        parent.reply_count += 1;
        if !parent.thread_participants.contains(&reply.user_id) {
            parent.thread_participants.push(reply.user_id.clone());
        }
    }

    pub(crate) fn get_message(&self, id: &str, include_deleted: bool) -> ApiResult {
        self.get_message_for(None, id, include_deleted)
    }

    pub(super) fn get_message_for(
        &self,
        viewer: Option<&str>,
        id: &str,
        include_deleted: bool,
    ) -> ApiResult {
        let (channel, message) = self
            .message(id)
            .filter(|(_, message)| include_deleted || message.deleted_at.is_none())
            .ok_or_else(|| message_not_found(id))?;
        let channel = json!({ "channel": channel.response(self) });
        Ok(json!({ "message": merge(message.response_for(viewer, self), channel) }))
    }

    /// The messages with these ids, separated by commas. Ids without a message are omitted.
    pub(crate) fn get_messages(&self, viewer: Option<&str>, cid: &Cid, ids: &str) -> ApiResult {
        let channel = self.find_channel(cid)?;
        let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
        validation::check_count("ids", ids.len(), MAX_BATCH_SIZE)?;
        let messages = ids.into_iter().filter_map(|id| channel.message(id));
        let messages: Vec<Value> = messages
            .filter(|message| message.is_visible_to(viewer))
            .map(|message| message.response_for(viewer, self))
            .collect();
        Ok(json!({ "messages": messages }))
    }

    /// A message and its channel.
    pub(super) fn message(&self, id: &str) -> Option<(&Channel, &Message)> {
        let mut found = self.channels.values().filter_map(|it| Some((it, it.message(id)?)));
        found.next()
    }

    pub(super) fn find_message(&self, id: &str) -> Result<(&Channel, &Message), StreamError> {
        self.message(id).ok_or_else(|| message_not_found(id))
    }

    pub(super) fn find_message_mut(&mut self, id: &str) -> Result<&mut Message, StreamError> {
        let mut channels = self.channels.values_mut();
        channels.find_map(|it| it.message_mut(id)).ok_or_else(|| message_not_found(id))
    }

    pub(crate) fn message_views(&self, cid: &str) -> Vec<MessageView> {
        cid.parse()
            .ok()
            .and_then(|cid: Cid| self.channels.get(&cid))
            .map(|channel| channel.messages.iter().map(Message::view).collect())
            .unwrap_or_default()
    }
}

fn message_not_found(id: &str) -> StreamError {
    StreamError::not_found(format!("message with id {id} not found"))
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
