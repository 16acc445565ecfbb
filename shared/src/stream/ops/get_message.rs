//! `GET /api/v2/chat/messages/{id}`: reads a message of any channel.

use http::Method;

use crate::ids::MessageId;
use crate::stream::ops::MessageEnvelope;
use crate::stream::{Operation, Request};

/// Reads a message. Returns 404 if it does not exist.
#[derive(Debug)]
pub struct GetMessage<'a> {
    /// The id of the message.
    pub id: &'a MessageId,
}

impl Operation for GetMessage<'_> {
    type Response = MessageEnvelope;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["chat", "messages", self.id.as_str()])
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.message.id == self.id.as_str()
    }
}
