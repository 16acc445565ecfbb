//! `POST /api/v2/chat/channels/messaging/{id}`: removes a member of a channel.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::{CHANNEL_TYPE, ChannelId, UserId};
use crate::stream::lenient::entries;
use crate::stream::{Operation, Request, StreamTime};

/// Removes a member of the channel. Returns 404 if the channel does not exist.
#[derive(Debug)]
pub struct RemoveChannelMember<'a> {
    /// The channel.
    pub id: &'a ChannelId,
    /// The member.
    pub user: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct RemoveChannelMemberResponse {
    /// The duration of the operation.
    pub duration: String,
    /// The members of the channel.
    #[serde(deserialize_with = "entries")]
    pub members: Vec<ChannelMember>,
}

/// A member of a channel at Stream.
#[derive(Debug, Deserialize)]
pub struct ChannelMember {
    /// The user.
    pub user_id: Option<String>,
    /// When the member was removed, or `None`.
    pub deleted_at: Option<StreamTime>,
}

impl Operation for RemoveChannelMember<'_> {
    type Response = RemoveChannelMemberResponse;

    fn request(&self) -> Request {
        let id = self.id.to_string();
        Request::new(Method::POST, &["chat", "channels", CHANNEL_TYPE, &id])
            .json(&json!({"remove_members": [self.user]}))
    }

    /// The response must not contain the user as a member. Stream's models leave open whether it
    /// contains all members, or none.
    fn is_answered_by(&self, response: &Self::Response) -> bool {
        let is_member = |member: &ChannelMember| {
            member.user_id.as_deref() == Some(self.user.as_str()) && member.deleted_at.is_none()
        };
        !response.members.iter().any(is_member)
    }
}
