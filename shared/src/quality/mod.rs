//! How good a call was: what its sources say, put together; nothing that no source says.
//!
//! The one source so far is Stream: its report on the call and its statistics of the
//! participants. What a source does not know is `null` in the answer, and a score is only made
//! where all its inputs are known. Stream does not tell of lost packets, so with it alone there is
//! none: a call that lost every third word would pass for an excellent one.

pub mod dynamo;
pub mod emodel;
mod evidence;

pub use evidence::EvidenceStore;

use serde::Serialize;

use crate::clock::{Timestamp, rfc3339, rfc3339_option};
use crate::ids::CallId;
use crate::stream::ops::{CallReport, ParticipantStats, SessionStats};

use emodel::{Band, Impairment};

/// What Stream knows of a call.
#[derive(Clone, Debug, Default)]
pub struct StreamSource {
    /// Its report on the last session.
    pub report: Option<CallReport>,
    /// Its statistics of the participants in it.
    pub participants: Vec<ParticipantStats>,
}

/// The answer to how good a call was.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    call_id: CallId,
    /// `unknown` where nothing is known.
    #[serde(rename = "quality")]
    band: Word,
    /// The mean opinion score, 1 to 4.5.
    score: Option<f64>,
    /// The transmission rating factor, 0 to 100.
    r: Option<f64>,
    /// The model that made the score.
    model: Option<&'static str>,
    /// Why there is no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    metrics: Metrics,
    participants: Vec<Participant>,
    /// The participant with the lowest score of Stream's own.
    worst_participant: Option<String>,
    stream: StreamWord,
    sources: Vec<&'static str>,
    #[serde(serialize_with = "rfc3339")]
    timestamp: Timestamp,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Unknown,
    #[serde(untagged)]
    Known(Band),
}

/// The figures that the apps read, in the units that they expect; `null` where no source knows.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    /// Round-trip time, in milliseconds.
    latency: Option<f64>,
    /// Milliseconds.
    jitter: Option<f64>,
    /// Per cent.
    packet_loss: Option<f64>,
    /// How long pictures stood still in all, in milliseconds.
    freezes: Option<f64>,
    connection_stability: Option<f64>,
    video_quality: Option<f64>,
    audio_level: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    user_id: String,
    name: Option<String>,
    quality: Word,
    score: Option<f64>,
    /// Stream's own score, 0 to 100.
    stream_score: Option<f64>,
    metrics: Metrics,
}

/// What Stream itself says, apart from our own score.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamWord {
    /// 0 to 100.
    score: Option<f64>,
    session_id: Option<String>,
    #[serde(serialize_with = "rfc3339_option")]
    started_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option")]
    ended_at: Option<Timestamp>,
    /// The mean of the users' ratings, 1 to 5.
    user_rating: Option<f64>,
    user_ratings: Option<u64>,
}

/// Puts the sources together.
#[must_use]
pub fn merge(call_id: CallId, stream: StreamSource, now: Timestamp) -> Quality {
    let StreamSource { report, participants } = stream;
    let known = report.is_some() || !participants.is_empty();
    let sessions: Vec<_> = participants.iter().flat_map(|one| &one.sessions).collect();
    let metrics = Metrics::of(&sessions);
    let participants: Vec<_> = participants.iter().map(Participant::of).collect();
    let score = metrics.impairment().map(Impairment::score);
    let worst = participants
        .iter()
        .filter_map(|one| Some((one.stream_score?, &one.user_id)))
        .min_by(|(a, _), (b, _)| a.total_cmp(b));
    Quality {
        call_id,
        band: word(score),
        score: score.map(|score| rounded(score.mos)),
        r: score.map(|score| rounded(score.r)),
        model: score.map(|_| emodel::VERSION),
        reason: match (score, known) {
            (Some(_), _) => None,
            (None, true) => Some("no_packet_loss"),
            (None, false) => Some("no_data"),
        },
        metrics,
        worst_participant: worst.map(|(_, user)| user.clone()),
        participants,
        stream: report.map(StreamWord::of).unwrap_or_default(),
        sources: if known { vec!["stream"] } else { vec![] },
        timestamp: now,
    }
}

impl Metrics {
    fn of(sessions: &[&SessionStats]) -> Self {
        let sum = |figure: fn(&SessionStats) -> Option<f64>| {
            // What is not a figure that a network can have is no figure.
            let good = |value: &f64| value.is_finite() && *value >= 0.0;
            let values = sessions.iter().filter_map(|one| figure(one)).filter(good);
            let (sum, count) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
            (count > 0.0).then_some((sum, count))
        };
        let mean = |figure| sum(figure).map(|(sum, count)| rounded(sum / count));
        Self {
            latency: mean(|session| session.latency_ms),
            jitter: mean(|session| session.jitter_ms),
            freezes: sum(|session| session.freezes_duration_ms).map(|(sum, _)| sum),
            ..Self::default()
        }
    }

    /// What goes into a score, where all of it is known.
    fn impairment(&self) -> Option<Impairment> {
        Some(Impairment {
            latency_ms: self.latency? / 2.0,
            jitter_ms: self.jitter?,
            loss_percent: self.packet_loss?,
        })
    }
}

impl Participant {
    fn of(stats: &ParticipantStats) -> Self {
        let metrics = Metrics::of(&stats.sessions.iter().collect::<Vec<_>>());
        let score = metrics.impairment().map(Impairment::score);
        let stream_score = stats.sessions.iter().filter_map(|session| session.cq_score);
        Self {
            user_id: stats.user_id.clone(),
            name: stats.name.clone(),
            quality: word(score),
            score: score.map(|score| rounded(score.mos)),
            stream_score: stream_score.min_by(f64::total_cmp),
            metrics,
        }
    }
}

impl StreamWord {
    fn of(report: CallReport) -> Self {
        let call = report.report.call;
        // An average over no ratings is not a rating.
        let ratings = report.report.user_ratings.filter(|ratings| ratings.count > 0);
        Self {
            score: call.score,
            session_id: Some(report.session_id).filter(|id| !id.is_empty()),
            started_at: call.started_at.map(|at| at.0),
            ended_at: call.ended_at.map(|at| at.0),
            user_rating: ratings.as_ref().and_then(|ratings| ratings.average),
            user_ratings: ratings.map(|ratings| ratings.count),
        }
    }
}

fn word(score: Option<emodel::Score>) -> Word {
    score.map_or(Word::Unknown, |score| Word::Known(score.band()))
}

/// To a thousandth: finer than any source measures.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(source: StreamSource) -> serde_json::Value {
        let id = CallId::try_from("c1".to_owned()).unwrap();
        serde_json::to_value(merge(id, source, Timestamp::from_secs(0))).unwrap()
    }

    fn participant(user: &str, latency: Option<f64>, jitter: Option<f64>) -> ParticipantStats {
        let session =
            SessionStats { latency_ms: latency, jitter_ms: jitter, ..SessionStats::default() };
        ParticipantStats { user_id: user.into(), name: None, sessions: vec![session] }
    }

    #[test]
    fn no_data_is_unknown_and_nothing_is_made_up() {
        let found = answer(StreamSource::default());
        assert_eq!(found["quality"], "unknown");
        assert_eq!(found["reason"], "no_data");
        for key in ["score", "r", "model", "worstParticipant"] {
            assert!(found[key].is_null(), "{key}");
        }
        for (key, value) in found["metrics"].as_object().unwrap() {
            assert!(value.is_null(), "{key}");
        }
    }

    #[test]
    fn streams_figures_are_shown_and_make_no_score_by_themselves() {
        let mut bob = participant("bob", Some(600.0), Some(50.0));
        bob.sessions[0].cq_score = Some(41.0);
        let mut alice = participant("alice", Some(100.0), Some(5.0));
        alice.sessions[0].cq_score = Some(93.0);
        let found = answer(StreamSource { report: None, participants: vec![alice, bob] });
        assert_eq!(found["metrics"]["latency"], 350.0);
        assert_eq!(found["metrics"]["jitter"], 27.5);
        assert!(found["metrics"]["packetLoss"].is_null());
        assert_eq!(
            (&found["quality"], &found["reason"]),
            (&"unknown".into(), &"no_packet_loss".into())
        );
        assert!(found["score"].is_null() && found["model"].is_null());
        assert_eq!(found["worstParticipant"], "bob");
    }

    #[test]
    fn a_score_needs_all_of_its_inputs() {
        let all = Metrics {
            latency: Some(100.0),
            jitter: Some(5.0),
            packet_loss: Some(0.0),
            ..Metrics::default()
        };
        let score = all.impairment().unwrap().score();
        assert_eq!((rounded(score.mos), score.band()), (4.373, Band::Excellent));
        for without in [
            Metrics { latency: None, ..all },
            Metrics { jitter: None, ..all },
            Metrics { packet_loss: None, ..all },
        ] {
            assert_eq!(without.impairment(), None);
        }
    }

    #[test]
    fn figures_that_cannot_be_are_left_out() {
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            let source = vec![participant("alice", Some(bad), Some(5.0))];
            let found = answer(StreamSource { report: None, participants: source });
            assert!(found["metrics"]["latency"].is_null() && found["score"].is_null());
        }
    }
}
