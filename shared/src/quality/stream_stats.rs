//! Stream's data on a call's quality: live from its API, or from stored reports.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::quality::response::{Metrics, Presence, StreamSummary};
use crate::quality::store::StoredReport;
use crate::quality::unit::{Millis, round_to_thousandth};
use crate::stream::lenient::entries;
use crate::stream::ops::{CallReport, ParticipantStats, SessionStats};

/// The result of the requests to Stream.
#[derive(Clone, Debug, Default)]
pub enum StreamStats {
    /// Stream responded.
    Available {
        /// The report on the last session, if Stream has made one.
        report: Option<CallReport>,
        /// The statistics of the participants in that session.
        participants: Vec<ParticipantStats>,
    },
    /// Stream failed to respond.
    #[default]
    Unavailable,
}

/// Stream's data for the response.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamData {
    pub(super) summary: StreamSummary,
    pub(super) participants: Vec<ParticipantStats>,
}

/// The statistics of a `call.stats_report_ready` event, as stored.
#[derive(Debug, Deserialize)]
pub(crate) struct ReportStats {
    counts: ReportCounts,
    #[serde(default, deserialize_with = "entries")]
    participants: Vec<ParticipantStats>,
}

#[derive(Debug, Default, Deserialize)]
struct ReportCounts {
    cq_score: Option<f64>,
    avg_user_rating: Option<f64>,
}

impl StreamData {
    /// Uses the live report, or else the newest stored report that can be parsed.
    pub(super) fn new(stats: StreamStats, reports: &[StoredReport]) -> Self {
        let stored = reports.iter().rev().find_map(Self::from_stored);
        let StreamStats::Available { report, participants } = stats else {
            return stored.unwrap_or_default();
        };
        // Stream may return an empty report before it has data.
        let live_summary = report.map(summarize).filter(|summary| !summary.is_empty());
        let mut data = match live_summary {
            Some(summary) => Self { summary, participants },
            None => stored.clone().unwrap_or_default(),
        };
        if data.participants.is_empty()
            && let Some(stored) =
                stored.filter(|stored| stored.summary.session_id == data.summary.session_id)
        {
            data.participants = stored.participants;
        }
        data.summary.reachable = true;
        data
    }

    /// Whether Stream has a report or statistics.
    pub(super) fn has_data(&self) -> bool {
        self.summary.source.is_some() || !self.participants.is_empty()
    }

    fn from_stored(report: &StoredReport) -> Option<Self> {
        // An unknown format from Stream must not fail the whole response.
        let stats: ReportStats = serde_json::from_str(report.stats_json.as_ref()?).ok()?;
        let summary = StreamSummary {
            score: stats.counts.cq_score.map(round_to_thousandth),
            session_id: Some(report.session.clone()),
            user_rating: stats.counts.avg_user_rating.map(round_to_thousandth),
            source: Some("stored".into()),
            ..StreamSummary::default()
        };
        Some(Self { summary, participants: stats.participants })
    }
}

impl StreamSummary {
    fn is_empty(&self) -> bool {
        self.score.is_none() && self.session_id.is_none() && self.user_ratings.is_none()
    }
}

fn summarize(report: CallReport) -> StreamSummary {
    let call = report.report.call;
    // The average of zero ratings is meaningless.
    let ratings = report.report.user_ratings.filter(|ratings| ratings.count > 0);
    StreamSummary {
        score: call.score.map(round_to_thousandth),
        session_id: Some(report.session_id).filter(|id| !id.is_empty()),
        started_at: call.started_at.map(|at| at.0),
        ended_at: call.ended_at.map(|at| at.0),
        user_rating: ratings.as_ref().and_then(|ratings| ratings.average).map(round_to_thousandth),
        user_ratings: ratings.and_then(|ratings| u64::try_from(ratings.count).ok()),
        source: Some("live".into()),
        reachable: true,
    }
}

/// Stream's metrics of a participant: means over the sessions, and the sum of freezes.
pub(super) fn metrics(sessions: &[SessionStats]) -> Metrics {
    let values = |figure: fn(&SessionStats) -> Option<f64>| {
        // Values out of range are dropped.
        let values = sessions.iter().filter_map(figure).filter_map(Millis::from_stream);
        values.map(Millis::get).collect::<Vec<f64>>()
    };
    let mean = |figure| crate::quality::mean::mean(&values(figure)).map(round_to_thousandth);
    let round_trip_time = mean(|session| session.latency_ms);
    let freezes = values(|session| session.freezes_duration_ms);
    Metrics {
        latency: round_trip_time.map(|rtt_ms| round_to_thousandth(rtt_ms / 2.0)),
        round_trip_time,
        jitter: mean(|session| session.jitter_ms),
        freezes: (!freezes.is_empty()).then(|| round_to_thousandth(freezes.iter().sum())),
        ..Metrics::default()
    }
}

/// Stream's own score of a participant: the lowest of all sessions.
pub(super) fn score(sessions: &[SessionStats]) -> Option<f64> {
    let scores = sessions.iter().filter_map(|session| session.cq_score);
    scores.min_by(f64::total_cmp).map(round_to_thousandth)
}

/// The times at which a participant joined and left.
pub(super) fn presence(sessions: &[SessionStats]) -> Vec<Presence> {
    let at = |time: Option<crate::stream::StreamTime>| -> Option<Timestamp> { Some(time?.0) };
    sessions
        .iter()
        .map(|session| Presence {
            joined_at: at(session.started_at),
            left_at: at(session.ended_at),
        })
        .filter(|presence| presence.joined_at.is_some() || presence.left_at.is_some())
        .collect()
}
