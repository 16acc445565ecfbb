//! What Stream says of a call's quality: now, where it answers, or as it once told.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::quality::Metrics;
use crate::quality::answer::{Stay, StreamWord};
use crate::quality::evidence::KeptReport;
use crate::quality::unit::{Millis, rounded};
use crate::stream::ops::{CallReport, ParticipantStats, SessionStats};

/// What came of asking Stream.
#[derive(Clone, Debug, Default)]
pub enum Live {
    /// It answered.
    Said {
        /// Its report on the last session, once there is one.
        report: Option<CallReport>,
        /// Its statistics of the participants in it.
        participants: Vec<ParticipantStats>,
    },
    /// It could not be asked.
    #[default]
    Away,
}

/// Stream's part in the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) word: StreamWord,
    pub(super) participants: Vec<ParticipantStats>,
}

/// The figures that a `call.stats_report_ready` brings along, as they are kept.
#[derive(Deserialize)]
struct Figures {
    counts: Counts,
    participants: Option<Vec<ParticipantStats>>,
}

#[derive(Default, Deserialize)]
struct Counts {
    cq_score: Option<f64>,
    avg_user_rating: Option<f64>,
}

impl Source {
    /// Stream's present word, and what it told before where it has none.
    pub(super) fn of(live: Live, kept: &[KeptReport]) -> Self {
        let told = kept.iter().rev().find_map(Self::told);
        let Live::Said { report, participants } = live else {
            return told.unwrap_or_default();
        };
        // One that says nothing is none: Stream may answer before there is anything to say.
        let report = report.map(now).filter(|word| !word.is_empty());
        let mut source = match report {
            Some(word) => Self { word, participants },
            None => told.clone().unwrap_or_default(),
        };
        if source.participants.is_empty()
            && let Some(told) = told.filter(|told| told.word.session_id == source.word.session_id)
        {
            source.participants = told.participants;
        }
        source.word.reachable = true;
        source
    }

    /// Whether Stream says anything at all.
    pub(super) fn is_known(&self) -> bool {
        self.word.from.is_some() || !self.participants.is_empty()
    }

    fn told(kept: &KeptReport) -> Option<Self> {
        // What Stream may send one day, and this code cannot read, is no reason to answer nothing.
        let figures: Figures = serde_json::from_str(kept.figures.as_ref()?).ok()?;
        let word = StreamWord {
            score: figures.counts.cq_score,
            session_id: Some(kept.session.clone()),
            user_rating: figures.counts.avg_user_rating,
            from: Some("stored"),
            ..StreamWord::default()
        };
        Some(Self { word, participants: figures.participants.unwrap_or_default() })
    }
}

impl StreamWord {
    fn is_empty(&self) -> bool {
        self.score.is_none() && self.session_id.is_none() && self.user_ratings.is_none()
    }
}

fn now(report: CallReport) -> StreamWord {
    let call = report.report.call;
    // An average over no ratings is not a rating.
    let ratings = report.report.user_ratings.filter(|ratings| ratings.count > 0);
    StreamWord {
        score: call.score,
        session_id: Some(report.session_id).filter(|id| !id.is_empty()),
        started_at: call.started_at.map(|at| at.0),
        ended_at: call.ended_at.map(|at| at.0),
        user_rating: ratings.as_ref().and_then(|ratings| ratings.average),
        user_ratings: ratings.map(|ratings| ratings.count),
        from: Some("live"),
        reachable: true,
    }
}

/// Stream's figures of a participant: means over the stays, and the sum of the freezes.
pub(super) fn metrics(sessions: &[SessionStats]) -> Metrics {
    let values = |figure: fn(&SessionStats) -> Option<f64>| {
        // What is not a figure that a network can have is no figure.
        let values = sessions.iter().filter_map(figure).filter_map(Millis::from_stream);
        values.map(Millis::get).collect::<Vec<f64>>()
    };
    let mean = |figure| super::mean(&values(figure)).map(rounded);
    let round_trip = mean(|session| session.latency_ms);
    let freezes = values(|session| session.freezes_duration_ms);
    Metrics {
        latency: round_trip.map(|there_and_back| rounded(there_and_back / 2.0)),
        round_trip_time: round_trip,
        jitter: mean(|session| session.jitter_ms),
        freezes: (!freezes.is_empty()).then(|| freezes.iter().sum()),
        ..Metrics::default()
    }
}

/// Stream's own score of a participant: the lowest of the stays.
pub(super) fn score(sessions: &[SessionStats]) -> Option<f64> {
    sessions.iter().filter_map(|session| session.cq_score).min_by(f64::total_cmp)
}

/// When a participant came and went.
pub(super) fn stays(sessions: &[SessionStats]) -> Vec<Stay> {
    let at = |time: Option<crate::stream::StreamTime>| -> Option<Timestamp> { Some(time?.0) };
    sessions
        .iter()
        .map(|session| Stay { joined_at: at(session.started_at), left_at: at(session.ended_at) })
        .filter(|stay| stay.joined_at.is_some() || stay.left_at.is_some())
        .collect()
}
