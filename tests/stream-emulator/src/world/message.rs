//! One message: its state and its responses.

use serde::Serialize;
use serde_json::{Value, json};

use super::channels::Channel;
use super::cid::Cid;
use super::reactions::{Reaction, reaction_fields};
use super::{CustomFields, World, merge, strip_nulls};
use crate::timestamp::Timestamp;
use crate::views::MessageView;

pub(super) const REGULAR_KIND: &str = "regular";
pub(super) const DELETED_KIND: &str = "deleted";

#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) cid: Cid,
    pub(super) user_id: String,
    pub(super) text: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) custom: CustomFields,
    pub(super) attachments: Vec<Value>,
    pub(super) mentioned_users: Vec<String>,
    pub(super) restricted_visibility: Vec<String>,
    pub(super) parent_id: Option<String>,
    pub(super) show_in_channel: bool,
    pub(super) quoted_message_id: Option<String>,
    pub(super) silent: bool,
    /// Whether the sender was under a shadow ban. Other users do not see the message.
    pub(super) shadowed: bool,
    pub(super) pin: Option<Pin>,
    pub(super) reactions: Vec<Reaction>,
    /// The senders of the replies, in the order of their first reply.
    pub(super) thread_participants: Vec<String>,
    pub(super) reply_count: usize,
    pub(super) deleted_reply_count: usize,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) text_updated_at: Option<Timestamp>,
    pub(super) deleted_at: Option<Timestamp>,
}

/// The pin of a message, which the channel then lists among its pinned messages.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Pin {
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

impl Message {
    /// The message for a server or for an event, which has no own reactions.
    pub(super) fn response(&self, world: &World) -> Value {
        self.response_for(None, world)
    }

    /// The message as one user gets it.
    pub(super) fn response_for(&self, viewer: Option<&str>, world: &World) -> Value {
        let message =
            merge(self.fields(world), reaction_fields(&self.id, &self.reactions, viewer, world));
        let quoted = self.quoted_message_id.as_deref().and_then(|id| world.message(id));
        let participants: Vec<Value> =
            self.thread_participants.iter().map(|id| world.user_response(id)).collect();
        let details = json!({
            "quoted_message": quoted.map(|(_, quoted)| strip_nulls(quoted.fields(world))),
            "thread_participants": (!participants.is_empty()).then_some(participants),
        });
        strip_nulls(merge(message, details))
    }

    fn fields(&self, world: &World) -> Value {
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
            "show_in_channel": self.show_in_channel.then_some(true),
            "quoted_message_id": self.quoted_message_id,
            "silent": self.silent,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "message_text_updated_at": self.text_updated_at,
            "deleted_at": self.deleted_at,
        });
        let state = json!({
            "deleted_reply_count": self.deleted_reply_count,
            "mentioned_channel": false,
            "mentioned_here": false,
            "pinned": self.pin.is_some(),
            "pinned_at": self.pin.as_ref().map(|pin| pin.at),
            "pinned_by": self.pin.as_ref().map(|pin| world.user_response(&pin.by)),
            "pin_expires": self.pin.as_ref().and_then(|pin| pin.expires_at),
            "reply_count": self.reply_count,
            "shadowed": self.shadowed,
        });
        merge(message, state)
    }

    pub(super) fn view(&self) -> MessageView {
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

    /// Whether the channel lists the message, and not only its thread.
    pub(super) fn is_in_channel(&self) -> bool {
        self.parent_id.is_none() || self.show_in_channel
    }

    /// Whether a user can see the message. `None` is a server.
    pub(super) fn is_visible_to(&self, viewer: Option<&str>) -> bool {
        let Some(viewer) = viewer else { return true };
        let is_listed = self.restricted_visibility.is_empty()
            || self.restricted_visibility.iter().any(|id| id == viewer);
        self.user_id == viewer || (is_listed && !self.shadowed)
    }

    /// Whether the channel lists the message for a user.
    pub(super) fn is_listed_for(&self, user_id: &str) -> bool {
        self.is_in_channel() && self.is_visible_to(Some(user_id))
    }

    /// Whether the message counts as unread for members other than its sender.
    pub(super) fn is_unread(&self) -> bool {
        self.is_in_channel() && !self.silent && self.deleted_at.is_none()
    }

    pub(super) fn delete_softly(&mut self, now: Timestamp) {
        DELETED_KIND.clone_into(&mut self.kind);
        self.deleted_at.get_or_insert(now);
        self.pin = None;
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
            message.delete_softly(now);
        }
    }
}

pub(super) fn render_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<p>{escaped}</p>\n")
}
