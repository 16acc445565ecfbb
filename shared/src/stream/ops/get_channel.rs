//! `GET /api/v2/chat/channels/messaging/{id}`: reads a channel.

use http::Method;

use crate::ids::{CHANNEL_TYPE, ChannelId};
use crate::stream::ops::ChannelEnvelope;
use crate::stream::{Operation, Request};

/// Reads the channel. Returns 404 if it does not exist, and does not create it.
#[derive(Debug)]
pub struct GetChannel<'a> {
    /// The channel.
    pub id: &'a ChannelId,
}

impl Operation for GetChannel<'_> {
    type Response = ChannelEnvelope;

    fn request(&self) -> Request {
        let id = self.id.to_string();
        Request::new(Method::GET, &["chat", "channels", CHANNEL_TYPE, &id])
    }
}
