//! `POST /api/v2/chat/channels/messaging/{id}/message`: sends a message to the call's chat.

use http::Method;
use serde_json::json;

use crate::ids::{CHANNEL_TYPE, ChannelId, MessageId, UserId};
use crate::stream::ops::MessageEnvelope;
use crate::stream::{Operation, Request};

/// Sends a message under an id that the sender chose: Stream refuses an id that is taken, so
/// sending again is safe.
#[derive(Debug)]
pub struct SendMessage<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// The message's id.
    pub id: &'a MessageId,
    /// Who writes.
    pub user: &'a UserId,
    /// What.
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
}
