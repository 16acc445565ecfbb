//! `GET /api/v2/chat/messages/{id}`: one message, wherever it stands.

use http::Method;

use crate::ids::MessageId;
use crate::stream::ops::MessageEnvelope;
use crate::stream::{Operation, Request};

/// Reads a message. One that does not exist answers 404.
#[derive(Debug)]
pub struct GetMessage<'a> {
    /// The message's id.
    pub id: &'a MessageId,
}

impl Operation for GetMessage<'_> {
    type Response = MessageEnvelope;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["chat", "messages", self.id.as_str()])
    }
}
