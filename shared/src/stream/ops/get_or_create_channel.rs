//! `POST /api/v2/chat/channels/messaging/{id}/query`: creates the chat channel of a call unless it
//! exists.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ids::{CHANNEL_TYPE, CallId, ChannelId, UserId};
use crate::stream::lenient::or_default;
use crate::stream::ops::UserRef;
use crate::stream::{Operation, Request, StreamTime};

/// Creates the channel with these members. An existing channel is not changed.
#[derive(Debug)]
pub struct GetOrCreateChannel<'a> {
    /// The channel.
    pub id: &'a ChannelId,
    /// The creator.
    pub created_by: &'a UserId,
    /// The members, including the creator.
    pub members: &'a [UserId],
}

/// A response that contains a channel.
#[derive(Debug, Deserialize)]
pub struct ChannelEnvelope {
    /// The channel.
    pub channel: Option<StreamChannel>,
}

/// A channel at Stream.
#[derive(Debug, Deserialize)]
pub struct StreamChannel {
    /// The id, without the type.
    pub id: String,
    /// The creator. It is missing after the creator's deletion.
    pub created_by: Option<UserRef>,
    /// When the channel was created.
    pub created_at: Option<StreamTime>,
    /// The custom data.
    #[serde(default, deserialize_with = "or_default")]
    pub custom: ChannelCustom,
}

/// The custom data of a channel.
#[derive(Debug, Default, Deserialize)]
pub struct ChannelCustom {
    /// The id of the channel's call, which is the owner tag of this service.
    #[serde(default)]
    pub call_id: Value,
}

impl StreamChannel {
    /// The id of the channel's call, if the owner tag shows that this service created the channel.
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

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.channel.as_ref().is_some_and(|channel| channel.id == self.id.to_string())
    }
}
