//! `POST /api/v2/video/calls`: reads the calls that match a filter.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::{CallCid, UserId};
use crate::stream::lenient::entries;
use crate::stream::ops::CallEnvelope;
use crate::stream::{Operation, Request};

/// Reads a page of the calls that match a filter.
#[derive(Debug)]
pub struct QueryCalls<'a> {
    /// The filter.
    pub filter: CallFilter<'a>,
    /// The cursor in the previous response.
    pub next: Option<&'a str>,
}

/// A filter for calls.
#[derive(Debug)]
pub enum CallFilter<'a> {
    /// These calls, at most [`QueryCalls::PAGE_SIZE`].
    Cids(&'a [CallCid]),
    /// The calls of a member, oldest first.
    Member {
        /// The user.
        user: &'a UserId,
        /// The earliest creation time.
        since: Timestamp,
    },
    /// The calls that have not ended, oldest first.
    NotEnded {
        /// The earliest creation time.
        from: Timestamp,
        /// The end of the range of creation times, exclusive.
        until: Timestamp,
    },
}

impl QueryCalls<'_> {
    /// The maximum number of calls in a response.
    pub const PAGE_SIZE: usize = 100;
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct QueryCallsResponse {
    /// The calls.
    #[serde(deserialize_with = "entries")]
    pub calls: Vec<CallEnvelope>,
    /// The cursor of the next page, or `None` on the last page.
    #[serde(default)]
    pub next: Option<String>,
}

impl Operation for QueryCalls<'_> {
    type Response = QueryCallsResponse;

    fn request(&self) -> Request {
        let filter = match &self.filter {
            CallFilter::Cids(calls) => {
                let cids: Vec<String> = calls.iter().map(CallCid::to_string).collect();
                json!({"cid": {"$in": cids}})
            }
            CallFilter::Member { user, since } => json!({
                "members": {"$in": [user]},
                "created_at": {"$gte": since.to_string()},
            }),
            CallFilter::NotEnded { from, until } => json!({
                "ended_at": {"$exists": false},
                "created_at": {"$gte": from.to_string(), "$lt": until.to_string()},
            }),
        };
        let mut body = json!({
            "filter_conditions": filter,
            "sort": [{"field": "created_at", "direction": 1}],
            "limit": Self::PAGE_SIZE,
        });
        if let Some(next) = self.next {
            body["next"] = Value::from(next);
        }
        Request::new(Method::POST, &["video", "calls"]).json(&body)
    }
}
