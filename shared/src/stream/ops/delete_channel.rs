//! `DELETE /api/v2/chat/channels/messaging/{id}`: takes the call's chat away from its members.

use http::Method;

use crate::ids::{CHANNEL_TYPE, ChannelId};
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Deletes the channel softly: hidden from everybody, not recoverable. One that is not there
/// answers 404.
#[derive(Debug)]
pub struct DeleteChannel<'a> {
    /// The channel.
    pub id: &'a ChannelId,
}

impl Operation for DeleteChannel<'_> {
    type Response = IgnoredResponse;

    fn request(&self) -> Request {
        let id = self.id.to_string();
        Request::new(Method::DELETE, &["chat", "channels", CHANNEL_TYPE, &id])
    }
}
