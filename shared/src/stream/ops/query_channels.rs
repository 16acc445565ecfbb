//! `POST /api/v2/chat/channels`: reads the channels that match a filter.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::{CHANNEL_TYPE, CallId};
use crate::stream::lenient::page_entries;
use crate::stream::ops::{ChannelEnvelope, StreamChannel};
use crate::stream::{Operation, Request};

/// Reads a page of the channels that match a filter.
#[derive(Debug)]
pub struct QueryChannels<'a> {
    /// The filter.
    pub filter: ChannelFilter<'a>,
}

/// A filter for channels.
#[derive(Debug)]
pub enum ChannelFilter<'a> {
    /// The channels of these calls, at most [`QueryChannels::PAGE_SIZE`].
    ForCalls(&'a [CallId]),
    /// The channels with the owner tag of this service, oldest first.
    Owned {
        /// The earliest creation time.
        from: Timestamp,
        /// The end of the range of creation times, exclusive.
        until: Timestamp,
        /// The number of channels to skip.
        offset: usize,
    },
}

impl QueryChannels<'_> {
    /// The maximum number of channels in a response.
    pub const PAGE_SIZE: usize = 30;
    /// The maximum offset that Stream accepts.
    pub const MAX_OFFSET: usize = 1_000;
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct QueryChannelsResponse {
    /// The channels. `None` is one that cannot be read.
    #[serde(deserialize_with = "page_entries")]
    pub channels: Vec<Option<ChannelEnvelope>>,
}

impl QueryChannelsResponse {
    /// The readable channels.
    pub fn readable(&self) -> impl Iterator<Item = &StreamChannel> {
        self.channels.iter().flatten().filter_map(|item| item.channel.as_ref())
    }
}

impl Operation for QueryChannels<'_> {
    type Response = QueryChannelsResponse;

    fn request(&self) -> Request {
        let (filter, offset) = match &self.filter {
            ChannelFilter::ForCalls(calls) => {
                let cids: Vec<String> = calls.iter().map(|id| id.channel().cid()).collect();
                (json!({"cid": {"$in": cids}}), 0)
            }
            ChannelFilter::Owned { from, until, offset } => {
                let filter = json!({
                    "type": CHANNEL_TYPE,
                    "call_id": {"$exists": true},
                    "created_at": {"$gte": from.to_string(), "$lt": until.to_string()},
                });
                (filter, *offset)
            }
        };
        let mut body = json!({
            "filter_conditions": filter,
            "sort": [{"field": "created_at", "direction": 1}],
            "limit": Self::PAGE_SIZE,
            "state": false,
        });
        if offset > 0 {
            body["offset"] = Value::from(offset);
        }
        Request::new(Method::POST, &["chat", "channels"]).json(&body)
    }
}
