//! `POST /api/v2/chat/channels/messaging/{id}/query`: the call's chat channel, made where it is
//! not there yet.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ids::{CHANNEL_TYPE, CallId, ChannelId, UserId};
use crate::stream::ops::UserRef;
use crate::stream::{Operation, Request, StreamTime};

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
pub struct ChannelEnvelope {
    /// The channel, new or old.
    pub channel: StreamChannel,
}

/// A channel as Stream sees it.
#[derive(Debug, Deserialize)]
pub struct StreamChannel {
    /// Its id, without the type.
    #[serde(default)]
    pub id: String,
    /// Who made it.
    pub created_by: UserRef,
    /// When it was made.
    pub created_at: Option<StreamTime>,
    /// What it was made with.
    #[serde(default)]
    pub custom: ChannelCustom,
}

/// The mark that every channel of ours carries.
#[derive(Debug, Default, Deserialize)]
pub struct ChannelCustom {
    /// The call that it was made for.
    #[serde(default)]
    pub call_id: Value,
}

impl StreamChannel {
    /// The call that it was made for by this service; `None` where somebody else made it.
    #[must_use]
    pub fn owned_call_id(&self) -> Option<CallId> {
        let channel = ChannelId::try_from(self.id.clone()).ok()?;
        (self.custom.call_id == channel.call().as_str()).then(|| channel.call().clone())
    }
}

impl Operation for GetOrCreateChannel<'_> {
    type Response = ChannelEnvelope;

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
