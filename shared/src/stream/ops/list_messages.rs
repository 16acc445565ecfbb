//! `GET /api/v2/chat/channels/messaging/{id}`: reads a page of messages of a channel.

use http::Method;
use serde::Deserialize;

use crate::ids::{CHANNEL_TYPE, ChannelId, MessageId};
use crate::stream::lenient::page_entries;
use crate::stream::ops::Message;
use crate::stream::{Operation, Request};

/// Reads the newest messages of a channel, or the newest before a message. Returns 404 if the
/// channel does not exist, and does not create it.
#[derive(Debug)]
pub struct ListMessages<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// The maximum number of messages.
    pub limit: u8,
    /// The message before which the page ends.
    pub before: Option<&'a MessageId>,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct ListMessagesResponse {
    /// The messages, oldest first. `None` is one that cannot be read.
    #[serde(deserialize_with = "page_entries")]
    pub messages: Vec<Option<Message>>,
}

impl Operation for ListMessages<'_> {
    type Response = ListMessagesResponse;

    fn request(&self) -> Request {
        let channel = self.channel.to_string();
        let request = Request::new(Method::GET, &["chat", "channels", CHANNEL_TYPE, &channel])
            .query("state", "true")
            .query("messages_limit", self.limit.to_string());
        match self.before {
            Some(before) => request.query("messages_id_lt", before.as_str()),
            None => request,
        }
    }
}
