//! `POST /api/v2/chat/channels`: channels by what they are.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::{CHANNEL_TYPE, CallId};
use crate::stream::ops::ChannelEnvelope;
use crate::stream::{Operation, Request};

/// The channels that exist of the ones that are asked for.
#[derive(Debug)]
pub struct QueryChannels<'a> {
    /// Which ones.
    pub filter: ChannelFilter<'a>,
}

/// Which channels are asked for.
#[derive(Debug)]
pub enum ChannelFilter<'a> {
    /// Those of these calls; [`QueryChannels::MOST`] at most.
    ForCalls(&'a [CallId]),
    /// Those that were made for a call of ours, the oldest first.
    Owned {
        /// Not before.
        from: Timestamp,
        /// Before.
        until: Timestamp,
        /// How many of them are known already.
        offset: usize,
    },
}

impl QueryChannels<'_> {
    /// How many channels one answer holds.
    pub const PAGE_SIZE: usize = 30;
    /// How far an offset goes.
    pub const MAX_OFFSET: usize = 1_000;
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct QueryChannelsResponse {
    /// The channels.
    pub channels: Vec<ChannelEnvelope>,
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
