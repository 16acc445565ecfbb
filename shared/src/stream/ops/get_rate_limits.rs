//! `GET /api/v2/rate_limits`: what is left of Stream's own limits for servers.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::stream::{Operation, Request};

/// The endpoints that the functions use, by Stream's names for them.
pub const ENDPOINTS: [&str; 21] = [
    "DeleteChannel",
    "DeleteChannels",
    "DeleteUsers",
    "EndCall",
    "GetApp",
    "GetCall",
    "GetCallReport",
    "GetChannel",
    "GetMessage",
    "GetOrCreateCall",
    "GetOrCreateChannel",
    "GetRateLimits",
    "GetTask",
    "QueryCallSessionParticipantStats",
    "QueryCalls",
    "QueryChannels",
    "QueryUsers",
    "ReactivateUser",
    "SendMessage",
    "UpdateUsers",
    "UpdateUsersPartial",
];

/// Reads what is left in this minute of the limits of [`ENDPOINTS`].
#[derive(Debug)]
pub struct GetRateLimits;

/// What is read of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct GetRateLimitsResponse {
    /// The limits of servers, by endpoint.
    #[serde(default)]
    pub server_side: Option<BTreeMap<String, EndpointLimit>>,
}

/// What is left of one endpoint's limit.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct EndpointLimit {
    /// How many requests a window has.
    pub limit: i64,
    /// How many this one has left.
    pub remaining: i64,
    /// When the next one begins, in seconds since the Unix epoch.
    pub reset: i64,
}

impl Operation for GetRateLimits {
    type Response = GetRateLimitsResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["rate_limits"])
            .query("server_side", "true")
            .query("endpoints", ENDPOINTS.join(","))
    }
}
