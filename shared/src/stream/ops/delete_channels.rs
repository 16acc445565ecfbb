//! `POST /api/v2/chat/channels/delete`: takes many calls' chats away at once.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::CallId;
use crate::stream::{Operation, Request};

/// Deletes the channels of these calls softly, [`DeleteChannels::MOST`] at most. If one of them
/// does not exist the answer is 404, and whether the others are deleted is not said.
#[derive(Debug)]
pub struct DeleteChannels<'a> {
    /// The calls.
    pub calls: &'a [CallId],
}

impl DeleteChannels<'_> {
    /// How many channels one request deletes.
    pub const MAX_CHANNELS: usize = 100;
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct DeleteChannelsResponse {
    /// What became of each channel, by its cid.
    #[serde(default)]
    pub result: BTreeMap<String, DeleteChannelResult>,
}

/// What became of one channel.
#[derive(Debug, Deserialize)]
pub struct DeleteChannelResult {
    /// Why it was not deleted.
    pub error: Option<String>,
}

impl Operation for DeleteChannels<'_> {
    type Response = DeleteChannelsResponse;

    fn request(&self) -> Request {
        let cids: Vec<String> = self.calls.iter().map(|id| id.channel().cid()).collect();
        Request::new(Method::POST, &["chat", "channels", "delete"]).json(&json!({"cids": cids}))
    }
}
