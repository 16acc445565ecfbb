//! `GET /api/v2/video/call_stats/default/{id}/{session}/participants`: how each participant's
//! connections did.

use http::Method;
use serde::Deserialize;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::{Operation, Request, StreamTime};

/// Reads the statistics of a session's participants, up to 100 of them: a call has no more.
#[derive(Debug)]
pub struct ListParticipantStats<'a> {
    /// The call.
    pub call: &'a CallId,
    /// Its session, as Stream names it.
    pub session: &'a str,
}

/// What is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ListParticipantStatsResponse {
    /// One entry a user.
    #[serde(default)]
    pub participants: Vec<ParticipantStats>,
}

/// A participant.
#[derive(Clone, Debug, Deserialize)]
pub struct ParticipantStats {
    /// Who.
    pub user_id: String,
    /// The name shown to others.
    pub name: Option<String>,
    /// One entry for each time that the user was in the call.
    #[serde(default)]
    pub sessions: Vec<SessionStats>,
}

/// One stay of a participant in the call. What Stream does not know is left out.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SessionStats {
    /// Stream's own score, 0 to 100.
    pub cq_score: Option<f64>,
    /// Jitter, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// Round-trip time, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How long the picture stood still in all, in milliseconds.
    pub freezes_duration_ms: Option<f64>,
    /// When the participant came.
    pub started_at: Option<StreamTime>,
    /// When the participant went.
    pub ended_at: Option<StreamTime>,
}

impl Operation for ListParticipantStats<'_> {
    type Response = ListParticipantStatsResponse;

    fn request(&self) -> Request {
        let segments =
            ["video", "call_stats", CALL_TYPE, self.call.as_str(), self.session, "participants"];
        Request::new(Method::GET, &segments).query("limit", "100")
    }
}
