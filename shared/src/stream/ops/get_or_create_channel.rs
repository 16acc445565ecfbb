//! `POST /api/v2/chat/channels/messaging/{id}/query`: the call's chat channel, made where it is
//! not there yet.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ids::{CHANNEL_TYPE, ChannelId, UserId};
use crate::stream::ops::Creator;
use crate::stream::{Operation, Request};

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

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct ChannelAnswer {
    /// The channel, new or old.
    pub channel: LiveChannel,
}

/// A channel as Stream sees it.
#[derive(Debug, Deserialize)]
pub struct LiveChannel {
    /// Who made it.
    pub created_by: Creator,
}

impl Operation for GetOrCreateChannel<'_> {
    type Answer = ChannelAnswer;

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
