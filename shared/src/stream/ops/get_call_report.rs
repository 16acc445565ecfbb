//! `GET /api/v2/video/call/default/{id}/report`: Stream's report on the call's last session.

use http::Method;
use serde::Deserialize;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::{Operation, Request, StreamTime};

/// Reads the report. Before Stream has made one it answers 404.
#[derive(Debug)]
pub struct GetCallReport<'a> {
    /// The call.
    pub id: &'a CallId,
}

/// The report.
#[derive(Clone, Debug, Deserialize)]
pub struct CallReport {
    /// The session that it is about.
    #[serde(default)]
    pub session_id: String,
    /// What it says.
    pub report: Report,
}

/// What the report says.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Of the call as a whole.
    pub call: ReportedCall,
    /// Of what its users thought of it.
    pub user_ratings: Option<ReportedRatings>,
}

/// The call as a whole.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportedCall {
    /// Stream's own score, 0 to 100.
    pub score: Option<f64>,
    /// When the session started.
    pub started_at: Option<StreamTime>,
    /// When it ended.
    pub ended_at: Option<StreamTime>,
}

/// What its users thought of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportedRatings {
    /// The mean of the ratings, 1 to 5.
    pub average: Option<f64>,
    /// How many there are.
    pub count: u64,
}

impl Operation for GetCallReport<'_> {
    type Response = CallReport;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["video", "call", CALL_TYPE, self.id.as_str(), "report"])
    }
}
