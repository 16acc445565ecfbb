//! The answer to how good a call was. What no source says is `null`.

use serde::{Serialize, Serializer};

use crate::clock::{Timestamp, rfc3339, rfc3339_option};
use crate::ids::{CallId, UserId};
use crate::quality::emodel::{Band, Costs, MODEL_VERSION, Score};
use crate::quality::unit::round_to_thousandth;
use crate::quality::{Direction, Platform};

/// How good a call is or was.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    pub(crate) call_id: CallId,
    /// Of the people's connections together, each by its worse direction.
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
    /// The worst first; those without a score last.
    pub(crate) participants: Vec<Participant>,
    /// Whoever has the lowest score of ours, or else of Stream's.
    pub(crate) worst_participant: Option<String>,
    /// When and for whom it was much worse than the rest of the time.
    pub(crate) worst_interval: Option<Interval>,
    pub(crate) stream: StreamSummary,
    pub(crate) ratings: Ratings,
    pub(crate) samples: SampleSummary,
    /// What all this is made of: `samples`, `stream`, `ratings`.
    pub(crate) sources: Vec<&'static str>,
    /// `None` where there are no samples.
    pub(crate) timeline: Option<Timeline>,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) timestamp: Timestamp,
}

/// A score and what it is made of.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    /// `unknown` without a score.
    pub(crate) quality: QualityLabel,
    /// The mean opinion score, 1 to 4.5.
    pub(crate) score: Option<f64>,
    /// The transmission rating factor, 0 to 100.
    pub(crate) r: Option<f64>,
    /// The model that made the score.
    pub(crate) model: Option<&'static str>,
    /// Why there is no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<MissingInput>,
    /// What takes how much off R, the most first.
    pub(crate) reasons: Vec<Reason>,
}

/// A quality in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityLabel {
    /// There is no score.
    Unknown,
    /// The score's band.
    #[serde(untagged)]
    Known(Band),
}

/// Why there is no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingInput {
    /// Nothing is known at all.
    #[serde(rename = "no_data")]
    Data,
    /// No source tells of lost packets, as Stream does not.
    #[serde(rename = "no_packet_loss")]
    PacketLoss,
    /// No source tells of the latency.
    #[serde(rename = "no_latency")]
    Latency,
    /// No source tells of the jitter.
    #[serde(rename = "no_jitter")]
    Jitter,
}

/// What makes a call worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// One-way delay.
    Latency,
    /// Jitter.
    Jitter,
    /// Lost packets.
    Loss,
    /// A picture that stands still.
    Freezes,
}

/// A cause and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reason {
    pub(crate) cause: Cause,
    /// What it takes off R.
    pub(crate) cost: f64,
}

/// The figures that the apps read, and some more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// One way, in milliseconds.
    pub(crate) latency: Option<f64>,
    /// There and back, in milliseconds.
    pub(crate) round_trip_time: Option<f64>,
    /// In milliseconds.
    pub(crate) jitter: Option<f64>,
    /// In per cent.
    pub(crate) packet_loss: Option<f64>,
    /// How long pictures stood still in all, in milliseconds.
    pub(crate) freezes: Option<f64>,
    /// How often they did.
    pub(crate) freeze_count: Option<f64>,
    /// How much of the time the call was fair or better, in per cent.
    pub(crate) connection_stability: Option<f64>,
    /// The mean of the picture's shorter side, such as `720p`.
    #[serde(serialize_with = "serialize_resolution")]
    pub(crate) video_quality: Option<f64>,
    /// Pictures a second.
    pub(crate) frame_rate: Option<f64>,
    /// In kilobits a second.
    pub(crate) bitrate: Option<f64>,
    /// 0 to 1.
    pub(crate) audio_level: Option<f64>,
    /// How much of the sound was made up to fill gaps, in per cent.
    pub(crate) concealment: Option<f64>,
    /// How much of the time the phone kept the picture from being better, in per cent.
    pub(crate) limited_by_cpu: Option<f64>,
    /// How much of the time the network did, in per cent.
    pub(crate) limited_by_bandwidth: Option<f64>,
}

/// One of the people in the call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    pub(crate) user_id: String,
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<Platform>,
    /// The direction that the verdict and the metrics are of: the worse one.
    pub(crate) direction: Option<Direction>,
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
    pub(crate) inbound: Option<DirectionQuality>,
    pub(crate) outbound: Option<DirectionQuality>,
    /// Stream's own score, 0 to 100.
    pub(crate) stream_score: Option<f64>,
    /// From when to when the participant was there, as far as Stream tells.
    pub(crate) presence: Vec<Presence>,
    /// When the picture stood still.
    pub(crate) freezes: Vec<Freeze>,
    /// The lowest score in each of the time line's spans.
    pub(crate) timeline: Vec<Option<f64>>,
}

/// One direction of a participant's connection.
#[derive(Clone, Debug, Serialize)]
pub struct DirectionQuality {
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
}

/// One stay of a participant in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    #[serde(serialize_with = "rfc3339_option")]
    pub(crate) joined_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option")]
    pub(crate) left_at: Option<Timestamp>,
}

/// A frozen picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Freeze {
    #[serde(serialize_with = "rfc3339")]
    pub(crate) at: Timestamp,
    /// For how long, in milliseconds.
    pub(crate) duration: f64,
}

/// A stretch of time that was much worse for somebody than the rest of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    pub(crate) user_id: String,
    /// What made it so much worse.
    pub(crate) cause: Cause,
    /// The mean opinion score in it.
    pub(crate) score: f64,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) from: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) to: Timestamp,
}

/// What Stream itself says, apart from our own score.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSummary {
    /// 0 to 100.
    pub(crate) score: Option<f64>,
    pub(crate) session_id: Option<String>,
    #[serde(serialize_with = "rfc3339_option")]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option")]
    pub(crate) ended_at: Option<Timestamp>,
    /// The mean of the users' ratings, 1 to 5.
    pub(crate) user_rating: Option<f64>,
    pub(crate) user_ratings: Option<u64>,
    /// `live` as Stream says now, `stored` as it once told.
    pub(crate) source: Option<&'static str>,
    /// Whether Stream answered just now.
    pub(crate) reachable: bool,
}

/// What the people think of the call, as far as Stream has told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ratings {
    /// 1 to 5.
    pub(crate) average: Option<f64>,
    pub(crate) count: usize,
    /// The caller's own; all of them for a service.
    pub(crate) each: Vec<UserRating>,
}

/// What somebody thinks of the call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRating {
    pub(crate) user_id: UserId,
    /// 1 to 5.
    pub(crate) rating: u8,
    pub(crate) reason: Option<String>,
}

/// What there is of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SampleSummary {
    pub(crate) count: usize,
    /// Whether all that were kept went into the answer.
    pub(crate) complete: bool,
}

/// The call over time: in spans of the same length, 240 of them at most, each by its worst moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    #[serde(serialize_with = "rfc3339")]
    pub(crate) from: Timestamp,
    pub(crate) step_seconds: u32,
    pub(crate) points: Vec<TimelinePoint>,
}

/// A span of the time line: what was worst in it, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelinePoint {
    pub(crate) score: Option<f64>,
    /// Whose score it is.
    pub(crate) user_id: Option<String>,
    /// One way, in milliseconds.
    pub(crate) latency: Option<f64>,
    /// In milliseconds.
    pub(crate) jitter: Option<f64>,
    /// In per cent.
    pub(crate) packet_loss: Option<f64>,
}

impl Quality {
    /// The call's mean opinion score.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.assessment.score
    }

    /// The figures of the people together.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Assessment {
    /// A score of this R with its reasons.
    pub(crate) fn from_score(score: Score, costs: Costs) -> Self {
        let mut reasons = vec![
            Reason { cause: Cause::Latency, cost: round_to_thousandth(costs.latency) },
            Reason { cause: Cause::Jitter, cost: round_to_thousandth(costs.jitter) },
            Reason { cause: Cause::Loss, cost: round_to_thousandth(costs.loss) },
            Reason { cause: Cause::Freezes, cost: round_to_thousandth(costs.freezes) },
        ];
        reasons.retain(|reason| reason.cost > 0.0);
        reasons.sort_by(|a, b| b.cost.total_cmp(&a.cost));
        Self {
            quality: QualityLabel::Known(score.band()),
            score: Some(round_to_thousandth(score.mos)),
            r: Some(round_to_thousandth(score.r)),
            model: Some(MODEL_VERSION),
            reason: None,
            reasons,
        }
    }

    /// No score, and why.
    pub(super) fn unknown(reason: MissingInput) -> Self {
        Self {
            quality: QualityLabel::Unknown,
            score: None,
            r: None,
            model: None,
            reason: Some(reason),
            reasons: Vec::new(),
        }
    }
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn serialize_resolution<S: Serializer>(
    resolution: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match resolution {
        Some(resolution) => serializer.collect_str(&format_args!("{resolution:.0}p")),
        None => serializer.serialize_none(),
    }
}
