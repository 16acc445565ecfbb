//! The score of a direction: inputs, costs by cause, and the formula by its version.
//!
//! Version 1 is one score of audio and frozen video ([`emodel`](super::emodel)). Version 2 scores
//! [`audio`] and [`video`] apart, and the worse of the two is the score.

pub(super) mod audio;
mod costs;
mod inputs;
#[cfg(test)]
mod reference_tests;
pub(super) mod video;

pub(super) use costs::CauseCosts;
pub(super) use inputs::{
    Inputs, VideoInputs, mean_inputs, playout_ms, playout_of_jitter, robustness,
};
use serde::{Deserialize, Serialize};

use crate::quality::emodel::{Impairment, Score};
use crate::quality::model::audio::AudioImpairment;
use crate::quality::model::video::VideoImpairment;
use crate::score_model::ScoreModel;

/// A medium of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// The audio.
    Audio,
    /// The video.
    Video,
}

/// A score and the cost of each cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rating {
    pub(super) score: Score,
    pub(super) costs: CauseCosts,
}

/// The ratings of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ratings {
    /// The rating of the direction; `None` if an input is missing.
    pub(super) overall: Option<Rating>,
    /// The medium that determines the rating; `None` in version 1.
    pub(super) medium: Option<Medium>,
    pub(super) audio: Option<Rating>,
    pub(super) video: Option<Rating>,
}

/// Rates a direction. The video alone yields no overall rating: without packet loss, a call with
/// inaudible audio would be rated excellent.
pub(super) fn rate(model: ScoreModel, inputs: &Inputs) -> Ratings {
    match model {
        ScoreModel::V1 => {
            let overall = Impairment::from_inputs(inputs).map(|impairment| Rating {
                score: impairment.score(),
                costs: impairment.costs().into(),
            });
            Ratings { overall, ..Ratings::default() }
        }
        ScoreModel::V2 => {
            let audio = AudioImpairment::from_inputs(inputs).map(AudioImpairment::rating);
            let video = VideoImpairment::from_inputs(inputs).map(VideoImpairment::rating);
            let is_video_worse = |audio: Rating| {
                video
                    .filter(|video| video.score.r < audio.score.r)
                    .map(|video| (Medium::Video, video))
            };
            let worse = audio.map(|audio| is_video_worse(audio).unwrap_or((Medium::Audio, audio)));
            Ratings {
                overall: worse.map(|(_, rating)| rating),
                medium: worse.map(|(medium, _)| medium),
                audio,
                video,
            }
        }
    }
}

/// The value, or `worst` if it is outside `min..=max`. NaN is outside every range.
fn sanitize(value: f64, min: f64, max: f64, worst: f64) -> f64 {
    if (min..=max).contains(&value) { value } else { worst }
}
