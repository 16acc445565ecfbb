//! The measured inputs of a score.

use crate::quality::cause::MissingInput;
use crate::quality::mean::mean;
use crate::quality::model::codec::{Codec, codec_efficiency};
use crate::quality::sample::Sample;
use crate::quality::unit::{BurstRatio, KilobitsPerSecond, Millis, Percent};
use crate::score_model::ScoreModel;

/// The inputs of a score, as far as a source has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::quality) struct Inputs {
    /// One-way latency, in milliseconds.
    pub(in crate::quality) latency_ms: Option<f64>,
    /// The delay by which the receiver evens out the jitter, in milliseconds: that of the jitter
    /// buffer if it is known, or else twice the jitter.
    pub(in crate::quality) playout_ms: Option<f64>,
    /// The packet loss of the audio if it is known, or else of all packets.
    pub(in crate::quality) loss_percent: Option<f64>,
    pub(in crate::quality) burst_ratio: Option<f64>,
    /// The packet-loss robustness of the audio codec.
    pub(in crate::quality) robustness: Option<f64>,
    /// The share of time with frozen video.
    pub(in crate::quality) frozen_percent: Option<f64>,
    /// The pixels of a video frame.
    pub(in crate::quality) pixels: Option<f64>,
    pub(in crate::quality) frame_rate: Option<f64>,
    /// The bitrate of the video if it is known, or else of all media.
    pub(in crate::quality) video_kbps: Option<f64>,
    /// The bitrate that H.264 needs for the same picture, in relation to that of the video codec.
    pub(in crate::quality) codec_efficiency: Option<f64>,
}

impl Inputs {
    /// The inputs of one sample.
    pub(in crate::quality) fn of_sample(
        model: ScoreModel,
        sample: &Sample,
        latency: Option<f64>,
        frozen_percent: Option<f64>,
    ) -> Self {
        let all_loss = sample.packet_loss.map(Percent::get);
        let basic = Self {
            latency_ms: latency,
            playout_ms: sample.jitter.map(Millis::get).map(playout_of_jitter),
            loss_percent: all_loss,
            frozen_percent,
            ..Self::default()
        };
        match model {
            ScoreModel::V1 => Self { frozen_percent: frozen_percent.or(Some(0.0)), ..basic },
            ScoreModel::V2 => Self {
                playout_ms: playout_ms(sample),
                loss_percent: sample.audio_packet_loss.map(Percent::get).or(all_loss),
                burst_ratio: sample.burst_ratio.map(BurstRatio::get),
                robustness: robustness(sample),
                ..basic.with_video(&VideoInputs::of_sample(sample))
            },
        }
    }

    fn with_video(self, video: &VideoInputs) -> Self {
        let VideoInputs { pixels, frame_rate, kbps, codec_efficiency } = *video;
        Self { pixels, frame_rate, video_kbps: kbps, codec_efficiency, ..self }
    }

    /// Whether a frame has a size, the frame rate is above 0, or video froze.
    pub(super) fn has_video(&self) -> bool {
        [self.pixels, self.frame_rate, self.frozen_percent].into_iter().any(is_positive)
    }

    /// The first input that a score needs and no source has; `None` if the inputs suffice.
    pub(in crate::quality) fn missing(&self) -> Option<MissingInput> {
        match (self.loss_percent, self.latency_ms, self.playout_ms) {
            (None, None, None) => Some(MissingInput::Data),
            (None, _, _) => Some(MissingInput::PacketLoss),
            (Some(_), None, _) => Some(MissingInput::Latency),
            (Some(_), Some(_), None) => Some(MissingInput::Jitter),
            (Some(_), Some(_), Some(_)) => None,
        }
    }
}

/// The packet-loss robustness of the sample's audio codec.
pub(in crate::quality) fn robustness(sample: &Sample) -> Option<f64> {
    let has_fec = sample.fec_enabled.unwrap_or(false);
    sample.audio_codec.map(|codec| Codec::new(codec, has_fec).robustness)
}

/// The delay by which a receiver evens out this jitter.
pub(in crate::quality) fn playout_of_jitter(jitter_ms: f64) -> f64 {
    2.0 * jitter_ms
}

/// The delay by which the receiver evens out the jitter: that of the jitter buffer if it is known.
/// The choice is per sample, because samples of the outbound direction have the jitter only.
pub(in crate::quality) fn playout_ms(sample: &Sample) -> Option<f64> {
    let buffer = sample.jitter_buffer_delay.map(Millis::get);
    buffer.or_else(|| sample.jitter.map(Millis::get).map(playout_of_jitter))
}

/// The inputs of the video of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::quality) struct VideoInputs {
    /// The pixels of a frame. If the width is unknown, the frame has 16:9.
    pub(in crate::quality) pixels: Option<f64>,
    pub(in crate::quality) frame_rate: Option<f64>,
    /// The bitrate of the video if it is known, or else of all media.
    pub(in crate::quality) kbps: Option<f64>,
    pub(in crate::quality) codec_efficiency: Option<f64>,
}

impl VideoInputs {
    /// A sample without video has no inputs. Otherwise a camera that is off would lower the mean of
    /// the frame rate, and the bitrate of the audio would count as that of the video.
    pub(in crate::quality) fn of_sample(sample: &Sample) -> Self {
        let pixels = sample.frame_height.map(|height| {
            let width = sample.frame_width.unwrap_or(height * 16.0 / 9.0);
            height * width
        });
        let frozen_ms = sample.freeze_duration.map(Millis::get);
        if ![pixels, sample.frame_rate, frozen_ms].into_iter().any(is_positive) {
            return Self::default();
        }
        Self {
            pixels,
            frame_rate: sample.frame_rate,
            kbps: sample.video_bitrate.or(sample.bitrate).map(KilobitsPerSecond::get),
            codec_efficiency: sample.video_codec.map(codec_efficiency),
        }
    }
}

fn is_positive(value: Option<f64>) -> bool {
    value.is_some_and(|value| value > 0.0)
}

/// The means of the inputs. A participant without an input is left out of its mean.
pub(in crate::quality) fn mean_inputs(all: &[Inputs]) -> Inputs {
    let mean_of = |value_of: fn(&Inputs) -> Option<f64>| {
        mean(&all.iter().filter_map(value_of).collect::<Vec<_>>())
    };
    // Only the receiver reports freezes, but each participant with video counts in their mean.
    let frozen_percent =
        |inputs: &Inputs| inputs.frozen_percent.or_else(|| inputs.has_video().then_some(0.0));
    Inputs {
        latency_ms: mean_of(|inputs| inputs.latency_ms),
        playout_ms: mean_of(|inputs| inputs.playout_ms),
        loss_percent: mean_of(|inputs| inputs.loss_percent),
        burst_ratio: mean_burst_ratio(all),
        robustness: mean_of(|inputs| inputs.robustness),
        frozen_percent: mean_of(frozen_percent),
        pixels: mean_of(|inputs| inputs.pixels),
        frame_rate: mean_of(|inputs| inputs.frame_rate),
        video_kbps: mean_of(|inputs| inputs.video_kbps),
        codec_efficiency: mean_of(|inputs| inputs.codec_efficiency),
    }
}

/// The mean of the burst ratios, weighted by the loss: each describes the gaps of its loss.
fn mean_burst_ratio(all: &[Inputs]) -> Option<f64> {
    let known = all.iter().filter_map(|inputs| Some((inputs.burst_ratio?, inputs.loss_percent?)));
    let (sum, weight) = known.fold((0.0, 0.0), |(sum, weight), (burst_ratio, loss)| {
        (sum + burst_ratio * loss, weight + loss)
    });
    (weight > 0.0).then(|| sum / weight)
}
