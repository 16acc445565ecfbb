//! `POST /api/v2/chat/channels/messaging/{id}/query`: the call's chat channel, made where it is
//! not there yet.

use http::Method;
use serde_json::{Value, json};

use crate::ids::{ChannelId, UserId};
use crate::stream::ops::Ignored;
use crate::stream::{CHANNEL_TYPE, Operation, Request};

/// Makes the channel with these members; one that is there already stays as it is.
#[derive(Debug)]
pub struct GetOrCreateChannel<'a> {
    /// The channel.
    pub id: &'a ChannelId,
    /// Whose it is.
    pub created_by: &'a UserId,
    /// Everybody in it, the creator among them.
    pub members: &'a [UserId],
}

impl Operation for GetOrCreateChannel<'_> {
    type Answer = Ignored;

    fn request(&self) -> Request {
        let id = self.id.to_string();
        let members: Vec<Value> = self.members.iter().map(|id| json!({"user_id": id})).collect();
        Request::new(Method::POST, &["chat", "channels", CHANNEL_TYPE, &id, "query"]).json(&json!({
            "data": {
                "created_by_id": self.created_by,
                "members": members,
                "custom": {"call_id": self.id.call()},
            },
            "state": false,
        }))
    }
}
