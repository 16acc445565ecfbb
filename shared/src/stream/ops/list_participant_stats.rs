//! `GET /api/v2/video/call_stats/{type}/{id}/{session}/participants`: reads the connection
//! statistics of a session's participants.

use http::Method;
use serde::Deserialize;

use crate::ids::CallCid;
use crate::stream::lenient::entries;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the statistics of up to 100 participants. A call of this service has no more members.
#[derive(Debug)]
pub struct ListParticipantStats<'a> {
    /// The call.
    pub call: &'a CallCid,
    /// Stream's id of the session.
    pub session: &'a str,
}

/// The response.
#[derive(Clone, Debug, Deserialize)]
pub struct ListParticipantStatsResponse {
    /// One entry per user.
    #[serde(deserialize_with = "entries")]
    pub participants: Vec<ParticipantStats>,
}

/// The statistics of a participant.
#[derive(Clone, Debug, Deserialize)]
pub struct ParticipantStats {
    /// The id of the user.
    pub user_id: String,
    /// The display name.
    pub name: Option<String>,
    /// One entry for each period of the user in the call.
    #[serde(default, deserialize_with = "entries")]
    pub sessions: Vec<SessionStats>,
}

/// The statistics of one period of a participant in the call. Stream omits unknown values.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SessionStats {
    /// Stream's own score, 0 to 100.
    pub cq_score: Option<f64>,
    /// Jitter, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// Round-trip time, in milliseconds.
    pub latency_ms: Option<f64>,
    /// The total duration of frozen video, in milliseconds.
    pub freezes_duration_ms: Option<f64>,
    /// When the participant joined.
    pub started_at: Option<StreamTime>,
    /// When the participant left.
    pub ended_at: Option<StreamTime>,
}

impl Operation for ListParticipantStats<'_> {
    type Response = ListParticipantStatsResponse;

    fn request(&self) -> Request {
        let CallCid { call_type, id } = self.call;
        let segments =
            ["video", "call_stats", call_type.as_str(), id.as_str(), self.session, "participants"];
        Request::new(Method::GET, &segments).query("limit", "100")
    }
}
