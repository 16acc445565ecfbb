//! The values of the codecs.

use crate::quality::sample::{AudioCodec, VideoCodec};

/// The impairment factor and the packet-loss robustness of a codec (ITU-T G.107: `Ie`, `Bpl`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::quality) struct Codec {
    pub(in crate::quality) impairment: f64,
    pub(in crate::quality) robustness: f64,
}

impl Codec {
    /// G.711 with packet-loss concealment (ITU-T G.113, appendix I).
    pub(super) const G711_CONCEALED: Self = Self { impairment: 0.0, robustness: 25.1 };
    /// G.711 without packet-loss concealment, the least robust codec of ITU-T G.113, appendix I.
    pub(super) const G711: Self = Self { impairment: 0.0, robustness: 4.3 };
    /// Opus, narrowband at 11 kbit/s, from instrumental measurements
    /// (<https://doi.org/10.1145/3458751>). `WebRTC`'s higher bitrates have no impairment on the
    /// narrowband scale of G.107.
    pub(super) const OPUS: Self = Self { impairment: 0.0, robustness: 16.0 };

    /// The values of a codec. The factors of FEC and of redundancy are those by which `LiveKit`'s
    /// server reduces the weight of packet loss.
    pub(in crate::quality) fn new(codec: AudioCodec, has_fec: bool) -> Self {
        const FEC_FACTOR: f64 = 1.5;
        const REDUNDANCY_FACTOR: f64 = 2.0;
        let robustness = match codec {
            AudioCodec::Opus => Self::OPUS.robustness,
            AudioCodec::Red => Self::OPUS.robustness * REDUNDANCY_FACTOR,
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 | AudioCodec::Other => {
                return Self::G711_CONCEALED;
            }
        };
        let factor = if has_fec { FEC_FACTOR } else { 1.0 };
        Self { robustness: robustness * factor, ..Self::OPUS }
    }

    /// The effective equipment impairment factor (ITU-T G.107, 7-29: `Ie,eff`).
    pub(super) fn effective_impairment(self, loss_percent: f64, burst_ratio: f64) -> f64 {
        let Self { impairment, robustness } = self;
        impairment + (95.0 - impairment) * loss_percent / (loss_percent / burst_ratio + robustness)
    }
}

/// The bitrate that H.264 needs for the same picture, in relation to that of the codec. rtcscore
/// has 1.2 for VP9. Newer codecs are at least as efficient.
pub(in crate::quality) fn codec_efficiency(codec: VideoCodec) -> f64 {
    match codec {
        VideoCodec::Vp8 | VideoCodec::H264 | VideoCodec::Other => 1.0,
        VideoCodec::Vp9 | VideoCodec::H265 | VideoCodec::Av1 => 1.2,
    }
}
