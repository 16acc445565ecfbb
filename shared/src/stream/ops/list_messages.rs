//! `GET /api/v2/chat/channels/messaging/{id}`: a page of the call's chat.

use http::Method;
use serde::Deserialize;

use crate::ids::{CHANNEL_TYPE, ChannelId, MessageCursor};
use crate::stream::ops::Message;
use crate::stream::{Operation, Request};

/// Reads the channel with its newest messages, or the newest before one. It never makes a channel
/// that is not there: that answers 404.
#[derive(Debug)]
pub struct ListMessages<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// How many messages at most.
    pub limit: u8,
    /// Only messages before this one.
    pub before: Option<&'a MessageCursor>,
}

/// What is read of it.
#[derive(Debug, Deserialize)]
pub struct ListMessagesResponse {
    /// The messages, oldest first.
    #[serde(default)]
    pub messages: Vec<Message>,
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
