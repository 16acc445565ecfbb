//! `GET /api/v2/rate_limits`: reads Stream's rate limits for server-side requests.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::stream::lenient::map_entries;
use crate::stream::{Operation, Request};

/// Stream's names of the endpoints that the functions use.
pub const ENDPOINTS: [&str; 29] = [
    "DeleteChannel",
    "DeleteChannels",
    "DeleteDevice",
    "DeleteUsers",
    "EndCall",
    "GetApp",
    "GetCall",
    "GetCallReport",
    "GetCallType",
    "GetChannel",
    "GetMessage",
    "GetOrCreateCall",
    "GetOrCreateChannel",
    "GetRateLimits",
    "GetTask",
    "ListDevices",
    "QueryCallParticipantSessions",
    "QueryCallSessionParticipantStats",
    "QueryCallSessionStats",
    "QueryCalls",
    "QueryChannels",
    "QueryUsers",
    "ReactivateUser",
    "RingCall",
    "SendMessage",
    "UpdateCallMembers",
    "UpdateChannel",
    "UpdateUsers",
    "UpdateUsersPartial",
];

/// Reads the rate limits of [`ENDPOINTS`] in the current minute.
#[derive(Debug)]
pub struct GetRateLimits;

/// The response.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct GetRateLimitsResponse {
    /// The rate limits for server-side requests, by endpoint.
    #[serde(default, deserialize_with = "map_entries")]
    pub server_side: BTreeMap<String, EndpointLimit>,
}

/// The rate limit of an endpoint.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct EndpointLimit {
    /// The number of requests in a window.
    pub limit: i64,
    /// The remaining requests in the current window.
    pub remaining: i64,
    /// The start of the next window, in seconds since the Unix epoch.
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
