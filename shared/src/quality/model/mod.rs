//! The score of a direction: inputs, costs by cause, and the formula by its version.
//!
//! Version 1 is one score of audio and frozen video ([`emodel`](super::emodel)). Version 2 scores
//! [`audio`] and [`video`] apart, and the worse of the two is the score.

pub(super) mod audio;
pub(super) mod codec;
mod costs;
pub(super) mod inputs;
mod rating;
#[cfg(test)]
mod reference_tests;
mod sanitize;
mod video;

pub(super) use costs::CauseCosts;
pub(super) use inputs::{
    Inputs, VideoInputs, mean_inputs, playout_ms, playout_of_jitter, robustness,
};
pub use rating::Medium;
pub(super) use rating::{Rating, Ratings};

use crate::quality::emodel::Impairment;
use crate::quality::model::audio::AudioImpairment;
use crate::quality::model::video::VideoImpairment;
use crate::score_model::ScoreModel;

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
