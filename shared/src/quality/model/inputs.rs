//! The measured inputs of a score.

use crate::quality::mean;
use crate::quality::model::audio::Codec;
use crate::quality::model::video;
use crate::quality::response::MissingInput;
use crate::quality::sample::Sample;
use crate::quality::unit::{BurstRatio, KilobitsPerSecond, Millis, Percent};
use crate::score_model::ScoreModel;

/// The inputs of a score, as far as a source has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::quality) struct Inputs {
    /// One-way latency, in milliseconds.
    pub(in crate::quality) latency_ms: Option<f64>,
    pub(in crate::quality) jitter_ms: Option<f64>,
    pub(in crate::quality) jitter_buffer_ms: Option<f64>,
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
            jitter_ms: sample.jitter.map(Millis::get),
            loss_percent: all_loss,
            frozen_percent,
            ..Self::default()
        };
        match model {
            ScoreModel::V1 => Self { frozen_percent: frozen_percent.or(Some(0.0)), ..basic },
            ScoreModel::V2 => Self {
                jitter_buffer_ms: sample.jitter_buffer_delay.map(Millis::get),
                loss_percent: sample.audio_packet_loss.map(Percent::get).or(all_loss),
                burst_ratio: sample.burst_ratio.map(BurstRatio::get),
                robustness: robustness(sample),
                pixels: pixels(sample),
                frame_rate: sample.frame_rate,
                video_kbps: video_kbps(sample),
                codec_efficiency: sample.video_codec.map(video::codec_efficiency),
                ..basic
            },
        }
    }

    /// The first input that a score needs and no source has; `None` if the inputs suffice.
    pub(in crate::quality) fn missing(&self) -> Option<MissingInput> {
        let jitter = self.jitter_ms.or(self.jitter_buffer_ms);
        match (self.loss_percent, self.latency_ms, jitter) {
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

/// The pixels of a video frame. If the width is unknown, the frame has 16:9.
pub(in crate::quality) fn pixels(sample: &Sample) -> Option<f64> {
    let height = sample.frame_height?;
    Some(height * sample.frame_width.unwrap_or(height * 16.0 / 9.0))
}

/// The bitrate of the video if it is known, or else of all media.
pub(in crate::quality) fn video_kbps(sample: &Sample) -> Option<f64> {
    sample.video_bitrate.or(sample.bitrate).map(KilobitsPerSecond::get)
}

/// The means of the inputs. An input counts for those who have it.
pub(in crate::quality) fn mean_inputs(all: &[Inputs]) -> Inputs {
    let mean_of = |value_of: fn(&Inputs) -> Option<f64>| {
        mean(&all.iter().filter_map(value_of).collect::<Vec<_>>())
    };
    Inputs {
        latency_ms: mean_of(|inputs| inputs.latency_ms),
        jitter_ms: mean_of(|inputs| inputs.jitter_ms),
        jitter_buffer_ms: mean_of(|inputs| inputs.jitter_buffer_ms),
        loss_percent: mean_of(|inputs| inputs.loss_percent),
        burst_ratio: mean_of(|inputs| inputs.burst_ratio),
        robustness: mean_of(|inputs| inputs.robustness),
        frozen_percent: mean_of(|inputs| inputs.frozen_percent),
        pixels: mean_of(|inputs| inputs.pixels),
        frame_rate: mean_of(|inputs| inputs.frame_rate),
        video_kbps: mean_of(|inputs| inputs.video_kbps),
        codec_efficiency: mean_of(|inputs| inputs.codec_efficiency),
    }
}
