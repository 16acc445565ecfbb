//! Messages: the id is the client's idempotency key, taken once for the whole
//! app, also by messages that are gone.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::channels::Channel;
use super::cid::Cid;
use super::limits::{self, at_most, ensure, require};
use super::users::NamedUser;
use super::{Custom, Reply, World, compact, joined};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::views::MessageView;

/// The characters of a text.
pub(super) const TEXT: usize = 5_000;
const ID: usize = 255;
const DELETED: &str = "deleted";

#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    cid: Cid,
    user_id: String,
    text: String,
    #[serde(rename = "type")]
    kind: String,
    custom: Custom,
    attachments: Vec<Value>,
    mentioned_users: Vec<String>,
    restricted_visibility: Vec<String>,
    parent_id: Option<String>,
    quoted_message_id: Option<String>,
    silent: bool,
    pub(super) created_at: Moment,
    updated_at: Moment,
    deleted_at: Option<Moment>,
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
    user: Option<NamedUser>,
    #[serde(rename = "type")]
    kind: Option<String>,
    attachments: Option<Vec<Value>>,
    mentioned_users: Option<Vec<String>>,
    restricted_visibility: Option<Vec<String>>,
    parent_id: Option<String>,
    quoted_message_id: Option<String>,
    silent: Option<bool>,
    custom: Option<Custom>,
}

impl MessageRequest {
    fn check(&self) -> Result<(), StreamFailure> {
        if let Some(id) = &self.id {
            let good = (1..=ID).contains(&id.len()) && !id.contains([',', '%']);
            require(good, "message id must be 1 to 255 bytes without comma or percent sign")?;
        }
        let length = self.text.as_ref().map_or(0, |text| text.chars().count());
        ensure(length <= TEXT, || {
            StreamFailure::new(400, 20, format!("message text is too long: {length} > {TEXT}"))
        })?;
        let kind = self.kind.as_deref().unwrap_or_default();
        require(matches!(kind, "" | "regular" | "system"), "message type is not valid")?;
        at_most("attachments", self.attachments.as_ref().map_or(0, Vec::len), 30)?;
        at_most("mentioned_users", self.mentioned_users.as_ref().map_or(0, Vec::len), 100)?;
        let restricted = self.restricted_visibility.as_ref().map_or(0, Vec::len);
        at_most("restricted_visibility", restricted, 10)?;
        limits::size("attachments", &self.attachments)?;
        limits::size("custom", &self.custom)
    }

    fn into_message(self, id: String, cid: &Cid, user_id: String, now: Moment) -> Message {
        let kind = self.kind.filter(|kind| !kind.is_empty());
        Message {
            id,
            cid: cid.clone(),
            user_id,
            text: self.text.unwrap_or_default(),
            kind: kind.unwrap_or_else(|| "regular".to_owned()),
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
            "html": html(&self.text),
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
        let untouched = json!({
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
        compact(joined(message, untouched))
    }

    fn view(&self) -> MessageView {
        MessageView {
            id: self.id.clone(),
            cid: self.cid.to_string(),
            user_id: self.user_id.clone(),
            text: self.text.clone(),
            kind: self.kind.clone(),
            custom: self.custom.clone(),
            created_at: self.created_at.nanos(),
        }
    }
}

impl Channel {
    /// Soft: they stay in the list and are shown as deleted. Hard: they are gone.
    pub(super) fn delete_messages_of(&mut self, user_id: &str, hard: bool, now: Moment) {
        if hard {
            self.messages.retain(|message| message.user_id != user_id);
            return;
        }
        for message in self.messages.iter_mut().filter(|message| message.user_id == user_id) {
            DELETED.clone_into(&mut message.kind);
            message.deleted_at.get_or_insert(now);
        }
    }
}

impl World {
    pub(crate) fn send_message(&mut self, cid: &Cid, ask: SendMessage, now: Moment) -> Reply {
        self.known_channel(cid)?;
        let mut request = ask.message;
        request.check()?;
        let named = request.user.take().map(|user| user.id);
        let user_id = request.user_id.take().or(named).ok_or_else(|| {
            StreamFailure::input(
                "either message.user or message.user_id must be provided when using server side \
                 auth.",
            )
        })?;
        self.involve("message create", [user_id.as_str()])?;
        let id = request.id.take().unwrap_or_else(|| self.make_id("message"));
        ensure(!self.message_ids.contains(&id), || {
            StreamFailure::input(format!("a message with ID {id} already exists"))
        })?;
        let message = request.into_message(id.clone(), cid, user_id, now);
        let response = message.response(self);
        let channel = self.known_channel_mut(cid)?;
        channel.messages.push(message);
        channel.last_message_at = Some(now);
        let more = json!({
            "message_id": id,
            "message": response,
            "user": response["user"],
            "members": self.told_members(cid),
            "watcher_count": 0,
        });
        self.emit_channel("message.new", cid, now, more);
        self.message_ids.insert(id);
        Ok(json!({ "message": response }))
    }

    pub(crate) fn get_message(&self, id: &str, deleted_too: bool) -> Reply {
        let (channel, message) = self
            .channels
            .values()
            .find_map(|channel| {
                let message = channel.messages.iter().find(|message| message.id == id)?;
                Some((channel, message))
            })
            .filter(|(_, message)| deleted_too || message.deleted_at.is_none())
            .ok_or_else(|| StreamFailure::missing(format!("message with id {id} not found")))?;
        let channel = json!({ "channel": channel.response(self) });
        Ok(json!({ "message": joined(message.response(self), channel) }))
    }

    pub(crate) fn message_views(&self, cid: &str) -> Vec<MessageView> {
        cid.parse()
            .ok()
            .and_then(|cid: Cid| self.channels.get(&cid))
            .map(|channel| channel.messages.iter().map(Message::view).collect())
            .unwrap_or_default()
    }
}

fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{escaped}</p>\n")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, messaging, read, refusal, send, world};
    use super::*;

    fn small_world() -> World {
        let mut world = world(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        world
    }

    fn send_this(world: &mut World, message: &Value) -> Reply {
        let ask = json!({ "message": message });
        world.send_message(&messaging("c"), read(ask), at(3))
    }

    #[test]
    fn one_id_is_one_message() {
        let mut world = small_world();
        let answer = send(&mut world, "m1").expect("a message");
        assert_eq!(answer["message"]["html"], json!("<p>hello</p>\n"));
        let twice = refusal(send(&mut world, "m1"));
        assert_eq!(twice, (400, 4, "a message with ID m1 already exists".to_owned()));
        assert_eq!(world.message_views("messaging:c").len(), 1);
    }

    #[test]
    fn an_id_stays_taken_in_every_channel_and_after_a_deletion() {
        let mut world = small_world();
        send(&mut world, "m1").expect("a message");
        world.delete_channel(&messaging("c"), at(4)).expect("deleted");
        create_channel(&mut world, &["alice"]).expect("a channel");
        assert_eq!(refusal(send(&mut world, "m1")).1, 4);
        assert_eq!(refusal(world.get_message("m1", true)).1, 16);
        assert!(world.message_views("messaging:c").is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_message() {
        let mut world = small_world();
        let long = "x".repeat(5_001);
        for (message, status, code) in [
            (json!({ "text": "a" }), 400, 4),
            (json!({ "text": "a", "user_id": "bob" }), 400, 4),
            (json!({ "text": long, "user_id": "alice" }), 400, 20),
            (json!({ "id": "a,b", "user_id": "alice" }), 400, 4),
            (json!({ "type": "error", "user_id": "alice" }), 400, 4),
        ] {
            let (was, was_code, _) = refusal(send_this(&mut world, &message));
            assert_eq!((was, was_code), (status, code));
        }
        let umlauts = json!({ "text": "ü".repeat(5_000), "user_id": "alice" });
        send_this(&mut world, &umlauts).expect("a message");
        world.delete_channel(&messaging("c"), at(4)).expect("deleted");
        assert_eq!(refusal(send(&mut world, "m1")).1, 16);
    }

    #[test]
    fn a_message_can_be_read_with_its_channel() {
        let mut world = small_world();
        let message = json!({ "text": "<b>", "user_id": "alice" });
        send_this(&mut world, &message).expect("a message");
        let id = world.message_views("messaging:c")[0].id.clone();
        let answer = world.get_message(&id, false).expect("the message");
        assert_eq!(answer["message"]["channel"]["cid"], json!("messaging:c"));
        assert_eq!(answer["message"]["html"], json!("<p>&lt;b&gt;</p>\n"));
        assert_eq!(refusal(world.get_message("nothing", false)).1, 16);
    }

    #[test]
    fn a_softly_deleted_message_stays_in_the_list() {
        let mut world = small_world();
        send(&mut world, "m1").expect("a message");
        let ask = read(json!({ "mark_messages_deleted": true }));
        world.deactivate_user("alice", &ask, at(5)).expect("deactivated");
        assert_eq!(world.message_views("messaging:c")[0].kind, "deleted");
        assert_eq!(refusal(world.get_message("m1", false)).1, 16);
        assert!(world.get_message("m1", true).is_ok());
    }
}
