//! `POST /api/v2/video/calls`: calls by what they are.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::stream::ops::CallEnvelope;
use crate::stream::{Operation, Request};

/// The calls that exist of the ones that are asked for.
#[derive(Debug)]
pub struct QueryCalls<'a> {
    /// Which ones.
    pub filter: CallFilter<'a>,
    /// Where the last answer stopped.
    pub next: Option<&'a str>,
}

/// Which calls are asked for.
#[derive(Debug)]
pub enum CallFilter<'a> {
    /// These; [`QueryCalls::MOST`] at most.
    Ids(&'a [CallId]),
    /// Those of a user, the oldest first.
    Member {
        /// The user.
        user: &'a UserId,
        /// Not made before.
        since: Timestamp,
    },
    /// Those that have not ended, the oldest first.
    NotEnded {
        /// Not made before.
        from: Timestamp,
        /// Made before.
        until: Timestamp,
    },
}

impl QueryCalls<'_> {
    /// How many calls one answer holds.
    pub const PAGE_SIZE: usize = 100;
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct QueryCallsResponse {
    /// The calls.
    pub calls: Vec<CallEnvelope>,
    /// Where to go on; `None` at the end.
    #[serde(default)]
    pub next: Option<String>,
}

impl Operation for QueryCalls<'_> {
    type Response = QueryCallsResponse;

    fn request(&self) -> Request {
        let filter = match &self.filter {
            CallFilter::Ids(calls) => {
                let cids: Vec<String> = calls.iter().map(CallId::cid).collect();
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
