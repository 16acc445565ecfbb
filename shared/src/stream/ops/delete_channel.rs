//! `DELETE /api/v2/chat/channels/messaging/{id}`: deletes a channel.

use http::Method;

use crate::ids::{CHANNEL_TYPE, ChannelId};
use crate::stream::ops::DoneResponse;
use crate::stream::{Operation, Request};

/// Soft-deletes the channel: it is hidden from all users and cannot be restored. Returns 404 if it
/// does not exist.
#[derive(Debug)]
pub struct DeleteChannel<'a> {
    /// The channel.
    pub id: &'a ChannelId,
}

impl Operation for DeleteChannel<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        let id = self.id.to_string();
        Request::new(Method::DELETE, &["chat", "channels", CHANNEL_TYPE, &id])
    }
}
