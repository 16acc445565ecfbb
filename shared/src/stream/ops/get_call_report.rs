//! `GET /api/v2/video/call/{type}/{id}/report`: reads the report of a call's latest session.

use http::Method;
use serde::Deserialize;

use crate::ids::CallCid;
use crate::stream::lenient::or_default;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the report. Returns 404 until Stream has created it.
#[derive(Debug)]
pub struct GetCallReport<'a> {
    /// The call.
    pub call: &'a CallCid,
}

/// The response.
#[derive(Clone, Debug, Deserialize)]
pub struct CallReport {
    /// The session of the report.
    #[serde(default, deserialize_with = "or_default")]
    pub session_id: String,
    /// The report.
    pub report: Report,
}

/// The report of a session.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// The values of the whole call.
    pub call: ReportedCall,
    /// The ratings of the users.
    pub user_ratings: Option<ReportedRatings>,
}

/// The values of the whole call.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportedCall {
    /// Stream's own score, 0 to 100.
    pub score: Option<f64>,
    /// When the session started.
    pub started_at: Option<StreamTime>,
    /// When the session ended.
    pub ended_at: Option<StreamTime>,
}

/// The ratings of the users.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportedRatings {
    /// The mean rating, 1 to 5.
    pub average: Option<f64>,
    /// The number of ratings.
    pub count: i64,
}

impl Operation for GetCallReport<'_> {
    type Response = CallReport;

    fn request(&self) -> Request {
        Request::new(
            Method::GET,
            &["video", "call", self.call.call_type.as_str(), self.call.id.as_str(), "report"],
        )
    }
}
