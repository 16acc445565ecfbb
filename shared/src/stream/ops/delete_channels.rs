//! `POST /api/v2/chat/channels/delete`: deletes several channels.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::CallId;
use crate::stream::lenient::map_entries;
use crate::stream::{Operation, Request};

/// Soft-deletes the channels of up to [`DeleteChannels::MAX_CHANNELS`] calls. Returns 404 if one of
/// them does not exist; it is then unknown whether the others are deleted.
#[derive(Debug)]
pub struct DeleteChannels<'a> {
    /// The calls.
    pub calls: &'a [CallId],
}

impl DeleteChannels<'_> {
    /// The maximum number of channels in a request.
    pub const MAX_CHANNELS: usize = 100;
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct DeleteChannelsResponse {
    /// The results by channel cid.
    #[serde(default, deserialize_with = "map_entries")]
    pub result: BTreeMap<String, DeleteChannelResult>,
}

impl DeleteChannelsResponse {
    /// Whether the response shows that the channel of this call is deleted.
    #[must_use]
    pub fn is_deleted(&self, call: &CallId) -> bool {
        self.result.get(&call.channel().cid()).is_some_and(|result| result.error.is_none())
    }
}

/// The result for a channel.
#[derive(Debug, Deserialize)]
pub struct DeleteChannelResult {
    /// The status of the deletion.
    pub status: String,
    /// The error, if the channel was not deleted.
    pub error: Option<String>,
}

impl Operation for DeleteChannels<'_> {
    type Response = DeleteChannelsResponse;

    fn request(&self) -> Request {
        let cids: Vec<String> = self.calls.iter().map(|id| id.channel().cid()).collect();
        Request::new(Method::POST, &["chat", "channels", "delete"]).json(&json!({"cids": cids}))
    }
}
