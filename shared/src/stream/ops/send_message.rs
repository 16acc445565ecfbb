//! `POST /api/v2/chat/channels/messaging/{id}/message`: sends a message to a channel.

use http::Method;
use serde_json::json;

use crate::ids::{CHANNEL_TYPE, ChannelId, MessageId, UserId};
use crate::stream::ops::MessageEnvelope;
use crate::stream::{Operation, Request};

/// Sends a message with an id that the caller chooses. Stream rejects an existing id, so a retry is
/// safe.
#[derive(Debug)]
pub struct SendMessage<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// The id of the message.
    pub id: &'a MessageId,
    /// The author.
    pub user: &'a UserId,
    /// The text.
    pub text: &'a str,
}

impl Operation for SendMessage<'_> {
    type Response = MessageEnvelope;

    fn request(&self) -> Request {
        let channel = self.channel.to_string();
        let segments = ["chat", "channels", CHANNEL_TYPE, &channel, "message"];
        Request::new(Method::POST, &segments).json(&json!({
            "message": {"id": self.id, "user_id": self.user, "text": self.text},
        }))
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.message.id == self.id.as_str()
    }
}
