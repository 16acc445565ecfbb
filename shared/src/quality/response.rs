//! The quality response, which is also the stored summary. A value that no source has is `null`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calls::CallScore;
use crate::clock::{Timestamp, from_rfc3339, from_rfc3339_option, rfc3339, rfc3339_option};
use crate::ids::{CallId, UserId};
use crate::quality::batch::Platform;
use crate::quality::cause::{Cause, MissingInput};
use crate::quality::model::{Medium, Rating, Ratings as MediumRatings};
use crate::quality::sample::Direction;
use crate::quality::unit::round_to_thousandth;
use crate::quality_band::Band;
use crate::score_model::ScoreModel;

/// The quality of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    pub(crate) call_id: CallId,
    /// Of the mean impairment of all participants, each by the worse direction.
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
    /// The worst first. Participants without a score come last.
    pub(crate) participants: Vec<Participant>,
    /// The user id of the participant with the lowest R, or else with the lowest score of Stream.
    pub(crate) worst_participant: Option<String>,
    /// The interval in which one participant's quality was much worse than in the rest of the call.
    pub(crate) worst_interval: Option<Interval>,
    pub(crate) stream: StreamSummary,
    pub(crate) ratings: Ratings,
    pub(crate) samples: SampleSummary,
    /// The sources with data: `samples`, `stream`, `ratings`.
    pub(crate) sources: Vec<Cow<'static, str>>,
    /// `None` without samples.
    pub(crate) timeline: Option<Timeline>,
    /// The last minute with samples of all participants; `None` after the end of the call.
    pub(crate) recent: Option<CallRecent>,
    /// The time before the data was read: newer data may be missing.
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) timestamp: Timestamp,
}

/// A score and its reasons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assessment {
    /// `unknown` without a score.
    pub(crate) quality: QualityLabel,
    /// The mean opinion score, 1 to 4.5.
    pub(crate) score: Option<f64>,
    /// The transmission rating factor, 0 to 100.
    pub(crate) r: Option<f64>,
    /// The version of the model.
    pub(crate) model: Option<Cow<'static, str>>,
    /// The reason for a missing score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<MissingInput>,
    /// The costs in R, the highest first.
    pub(crate) reasons: Vec<Reason>,
    /// The medium that determines the score; `None` in version 1 and without a score.
    pub(crate) medium: Option<Medium>,
    /// The score of the audio; `None` in version 1.
    pub(crate) audio: Option<MediumAssessment>,
    /// The score of the video; `None` in version 1 and without video.
    pub(crate) video: Option<MediumAssessment>,
}

/// The score of one medium and its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediumAssessment {
    pub(crate) quality: Band,
    /// The mean opinion score, 1 to 4.5.
    pub(crate) score: f64,
    /// The transmission rating factor, 0 to 100.
    pub(crate) r: f64,
    /// The costs in R, the highest first.
    pub(crate) reasons: Vec<Reason>,
}

/// A quality category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityLabel {
    /// No score.
    Unknown,
    /// The score's band.
    #[serde(untagged)]
    Known(Band),
}

/// A cause and its cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    pub(crate) cause: Cause,
    /// The cost in R.
    pub(crate) cost: f64,
}

/// The metrics of a call, a participant or a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// One way, in milliseconds.
    pub(crate) latency: Option<f64>,
    /// In milliseconds.
    pub(crate) round_trip_time: Option<f64>,
    /// In milliseconds.
    pub(crate) jitter: Option<f64>,
    /// In percent.
    pub(crate) packet_loss: Option<f64>,
    /// The total duration of frozen video, in milliseconds.
    pub(crate) freezes: Option<f64>,
    /// The number of freezes.
    pub(crate) freeze_count: Option<f64>,
    /// The share of time with a `fair` or better score, in percent.
    pub(crate) connection_stability: Option<f64>,
    /// The mean of the shorter side of the video frame, such as `720p`.
    #[serde(serialize_with = "serialize_resolution", deserialize_with = "deserialize_resolution")]
    pub(crate) video_quality: Option<f64>,
    /// In frames per second.
    pub(crate) frame_rate: Option<f64>,
    /// In kilobits per second.
    pub(crate) bitrate: Option<f64>,
    /// 0 to 1.
    pub(crate) audio_level: Option<f64>,
    /// The share of concealed audio samples, in percent.
    pub(crate) concealment: Option<f64>,
    /// The mean delay of the audio in the jitter buffer, in milliseconds.
    pub(crate) jitter_buffer_delay: Option<f64>,
    /// Of the audio alone, in percent.
    pub(crate) audio_packet_loss: Option<f64>,
    /// Of the audio's packet loss, 1 for random loss.
    pub(crate) burst_ratio: Option<f64>,
    /// Of the video alone, in kilobits per second.
    pub(crate) video_bitrate: Option<f64>,
    /// The share of time in which the CPU limited the video, in percent.
    pub(crate) limited_by_cpu: Option<f64>,
    /// The share of time in which the bandwidth limited the video, in percent.
    pub(crate) limited_by_bandwidth: Option<f64>,
}

/// A participant of the call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    pub(crate) user_id: String,
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<Platform>,
    /// The direction of the assessment and the metrics: the worse one.
    pub(crate) direction: Option<Direction>,
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
    pub(crate) inbound: Option<DirectionQuality>,
    pub(crate) outbound: Option<DirectionQuality>,
    /// Stream's own score, 0 to 100.
    pub(crate) stream_score: Option<f64>,
    /// The participant's sessions, according to Stream.
    pub(crate) presence: Vec<Presence>,
    /// The buckets with frozen video.
    pub(crate) freezes: Vec<Freeze>,
    /// The lowest score in each bucket of the time line.
    pub(crate) timeline: Vec<Option<f64>>,
    /// The last minute with samples; `None` after the end of the call.
    pub(crate) recent: Option<Recent>,
}

/// The last minute of a participant's samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recent {
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) from: Timestamp,
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) to: Timestamp,
    /// The worse direction.
    pub(crate) direction: Option<Direction>,
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
}

/// The last minute of all participants' samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecent {
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) from: Timestamp,
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) to: Timestamp,
    /// The user id of the participant with the lowest R in this minute.
    pub(crate) worst_participant: Option<String>,
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
}

/// One direction of a participant's connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectionQuality {
    #[serde(flatten)]
    pub(crate) assessment: Assessment,
    pub(crate) metrics: Metrics,
}

/// A participant's stay in the call, from join to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    #[serde(serialize_with = "rfc3339_option", deserialize_with = "from_rfc3339_option")]
    pub(crate) joined_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option", deserialize_with = "from_rfc3339_option")]
    pub(crate) left_at: Option<Timestamp>,
}

/// Frozen video.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Freeze {
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) at: Timestamp,
    /// In milliseconds.
    pub(crate) duration: f64,
}

/// An interval in which a participant's quality was much worse than in the rest of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    pub(crate) user_id: String,
    /// The cause with the largest additional cost.
    pub(crate) cause: Cause,
    /// The mean opinion score in the interval.
    pub(crate) score: f64,
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) from: Timestamp,
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) to: Timestamp,
}

/// Stream's own data, which does not affect the score.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSummary {
    /// 0 to 100.
    pub(crate) score: Option<f64>,
    pub(crate) session_id: Option<String>,
    #[serde(serialize_with = "rfc3339_option", deserialize_with = "from_rfc3339_option")]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option", deserialize_with = "from_rfc3339_option")]
    pub(crate) ended_at: Option<Timestamp>,
    /// The mean of the user ratings, 1 to 5.
    pub(crate) user_rating: Option<f64>,
    pub(crate) user_ratings: Option<u64>,
    /// `live` for a report from Stream's API, `stored` for one from a webhook event.
    pub(crate) source: Option<Cow<'static, str>>,
    /// Whether Stream responded when the quality was computed.
    pub(crate) reachable: bool,
}

/// The user ratings, from Stream's webhook events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ratings {
    /// 1 to 5.
    pub(crate) average: Option<f64>,
    pub(crate) count: usize,
    /// All ratings, or those that [`Quality::visible_to`] leaves.
    pub(crate) each: Vec<UserRating>,
}

/// A user's rating of the call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRating {
    pub(crate) user_id: UserId,
    /// 1 to 5.
    pub(crate) rating: u8,
    pub(crate) reason: Option<String>,
}

/// The number of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSummary {
    /// The stored samples.
    pub(crate) count: usize,
    /// Those of them that do not count: repeated ones, and those outside the call.
    pub(crate) dropped: usize,
    /// Whether the response includes all stored samples.
    pub(crate) complete: bool,
}

/// The call over time: at most 240 buckets of equal length, each with its worst values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub(crate) from: Timestamp,
    pub(crate) step_seconds: u32,
    pub(crate) points: Vec<TimelinePoint>,
}

/// A bucket of the time line: its worst values over all participants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelinePoint {
    pub(crate) score: Option<f64>,
    /// The user with this score.
    pub(crate) user_id: Option<String>,
    /// One way, in milliseconds.
    pub(crate) latency: Option<f64>,
    /// In milliseconds.
    pub(crate) jitter: Option<f64>,
    /// In percent.
    pub(crate) packet_loss: Option<f64>,
}

impl Quality {
    /// The quality for a viewer who may see the individual ratings of these users.
    #[must_use]
    pub fn visible_to(mut self, may_view: impl Fn(&UserId) -> bool) -> Self {
        self.ratings.each.retain(|rating| may_view(&rating.user_id));
        self
    }

    /// The participants without a name.
    pub(crate) fn unnamed_users(&self) -> Vec<UserId> {
        let unnamed = self.participants.iter().filter(|participant| participant.name.is_none());
        unnamed
            .filter_map(|participant| UserId::try_from(participant.user_id.clone()).ok())
            .collect()
    }

    /// Adds names to participants without one.
    pub(crate) fn add_names(&mut self, names: &BTreeMap<UserId, String>) {
        for participant in self.participants.iter_mut().filter(|it| it.name.is_none()) {
            let user = UserId::try_from(participant.user_id.clone()).ok();
            participant.name = user.and_then(|user| names.get(&user).cloned());
        }
    }

    /// The call's score by this version of the formula, for its item.
    pub(crate) fn call_score(&self, model: ScoreModel) -> Option<CallScore> {
        let QualityLabel::Known(label) = self.assessment.quality else { return None };
        let mos = self.assessment.score?.into();
        Some(CallScore { mos, label, data_complete: self.samples.complete, model })
    }

    /// The call's mean opinion score.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.assessment.score
    }

    /// The metrics of all participants.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Assessment {
    /// An assessment of these ratings. Without an overall rating, `missing` is the reason.
    pub(super) fn new(
        model: ScoreModel,
        ratings: &MediumRatings,
        missing: Option<MissingInput>,
    ) -> Self {
        let media = |assessment: Self| Self {
            audio: ratings.audio.as_ref().map(MediumAssessment::new),
            video: ratings.video.as_ref().map(MediumAssessment::new),
            ..assessment
        };
        let Some(overall) = &ratings.overall else {
            return media(Self::unknown(missing.unwrap_or(MissingInput::Data)));
        };
        let MediumAssessment { quality, score, r, reasons } = MediumAssessment::new(overall);
        media(Self {
            quality: QualityLabel::Known(quality),
            score: Some(score),
            r: Some(r),
            model: Some(model.name().into()),
            reason: None,
            reasons,
            medium: ratings.medium,
            audio: None,
            video: None,
        })
    }

    /// An assessment without a score.
    pub(super) fn unknown(reason: MissingInput) -> Self {
        Self {
            quality: QualityLabel::Unknown,
            score: None,
            r: None,
            model: None,
            reason: Some(reason),
            reasons: Vec::new(),
            medium: None,
            audio: None,
            video: None,
        }
    }
}

impl MediumAssessment {
    fn new(Rating { score, costs }: &Rating) -> Self {
        let reason = |(cause, cost)| Reason { cause, cost: round_to_thousandth(cost) };
        let mut reasons: Vec<Reason> = costs.iter().map(reason).collect();
        reasons.retain(|reason| reason.cost > 0.0);
        reasons.sort_by(|a, b| b.cost.total_cmp(&a.cost));
        Self {
            quality: score.band(),
            score: round_to_thousandth(score.mos),
            r: round_to_thousandth(score.r),
            reasons,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde passes `&Option<T>` to `serialize_with`")]
fn serialize_resolution<S: Serializer>(
    resolution: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match resolution {
        Some(resolution) => serializer.collect_str(&format_args!("{resolution:.0}p")),
        None => serializer.serialize_none(),
    }
}

fn deserialize_resolution<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let parse = |text: String| text.trim_end_matches('p').parse::<f64>().map_err(D::Error::custom);
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use crate::test_support::{quality as fixtures, user_id};

    #[test]
    fn stored_names_fill_gaps_only() {
        let mut quality = fixtures::quality();
        assert_eq!(quality.unnamed_users(), []);
        for participant in &mut quality.participants {
            participant.name =
                (participant.user_id == "alice").then(|| "Alice at Stream".to_owned());
        }
        assert_eq!(quality.unnamed_users(), [user_id("bob")]);
        let stored =
            ["alice", "bob", "carol"].map(|user| (user_id(user), format!("{user} stored")));
        quality.add_names(&stored.into());
        let names = quality.participants.iter().map(|participant| participant.name.as_deref());
        assert_eq!(names.collect::<Vec<_>>(), [Some("bob stored"), Some("Alice at Stream")]);
    }
}
