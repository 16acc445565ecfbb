//! Moderation of messages: words that block a message.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::message::{Message, render_html};
use super::mutes::{ChannelMute, UserMute};
use super::{World, merge};
use crate::views::UserAction;

const BLOCKED_TEXT: &str = "Message was blocked by moderation policies";

#[derive(Debug, Default, Serialize)]
pub(super) struct Moderation {
    /// In lower case.
    blocked_words: BTreeSet<String>,
    pub(super) mutes: Vec<UserMute>,
    pub(super) channel_mutes: Vec<ChannelMute>,
    pub(super) flags: BTreeSet<UserAction>,
}

impl Moderation {
    /// Whether a text contains a blocked word, in any case.
    pub(super) fn blocks(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.blocked_words.iter().any(|word| text.contains(word))
    }
}

impl World {
    /// Blocks messages that contain this word.
    pub(crate) fn add_blocked_word(&mut self, word: &str) {
        self.moderation.blocked_words.insert(word.to_lowercase());
    }

    pub(crate) fn clear_blocked_words(&mut self) {
        self.moderation.blocked_words.clear();
    }

    pub(crate) fn flags(&self) -> Vec<UserAction> {
        self.moderation.flags.iter().cloned().collect()
    }

    /// The response to a message that moderation blocks. It is a success.
    pub(super) fn blocked_response(&self, message: &Message) -> Value {
        let moderation = json!({ "action": "remove", "original_text": message.text });
        let response = self.error_message_response(message, BLOCKED_TEXT);
        merge(response, json!({ "moderation": moderation }))
    }

    /// A message with the type `error`, which only its sender gets.
    pub(super) fn error_message_response(&self, message: &Message, text: &str) -> Value {
        let error = json!({ "type": "error", "text": text, "html": render_html(text) });
        merge(message.response(self), error)
    }
}
