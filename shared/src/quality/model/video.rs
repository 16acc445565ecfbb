//! Version 2 of the video score: the picture by ITU-T P.1203.1 (01/2019), mode 0, and the freezes
//! by `docs/adr/0013-video-freeze-impairment.md`.
//!
//! P.1203.1 subtracts the degradations of coding, upscaling and a low frame rate from 100. Here
//! they are subtracted from the best R of ITU-T G.107, so that audio and video have one scale. The
//! degradation of coding counts beyond that of Stream's default target, 1280 × 720 at 1.5 Mbit/s.

use crate::quality::cause::Cause;
use crate::quality::model::costs::CauseCosts;
use crate::quality::model::inputs::Inputs;
use crate::quality::model::rating::Rating;
use crate::quality::model::sanitize::sanitize;
use crate::quality::score::Score;

/// The best R.
const BEST_R: f64 = 93.2;
/// The pixels of the display, to which a smaller frame is scaled up.
const DISPLAY_PIXELS: f64 = 1_280.0 * 720.0;
/// The frame rate from which P.1203.1 has no degradation.
const FULL_FRAME_RATE: f64 = 24.0;
/// The degradation of coding at the target: `coding_degradation` of 1,500 kbit/s.
const TARGET_CODING_DEGRADATION: f64 = 22.671_670_1;

/// The impairment of the video in one direction. Values out of range count as the worst value. A
/// missing value costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct VideoImpairment {
    pub(super) pixels: Option<f64>,
    pub(super) frame_rate: Option<f64>,
    pub(super) kbps: Option<f64>,
    /// See [`codec_efficiency`](super::codec::codec_efficiency).
    pub(super) codec_efficiency: Option<f64>,
    pub(super) frozen_percent: Option<f64>,
}

impl VideoImpairment {
    /// `None` without video: no frame has a size, no frame rate is above 0, and nothing froze.
    pub(super) fn from_inputs(inputs: &Inputs) -> Option<Self> {
        inputs.has_video().then_some(Self {
            pixels: inputs.pixels,
            frame_rate: inputs.frame_rate,
            kbps: inputs.video_kbps,
            codec_efficiency: inputs.codec_efficiency,
            frozen_percent: inputs.frozen_percent,
        })
    }

    pub(super) fn rating(self) -> Rating {
        let pixels = self.pixels.map(|pixels| sanitize(pixels, 1.0, 1e9, 1.0).min(DISPLAY_PIXELS));
        let frame_rate = self.frame_rate.map(|rate| sanitize(rate, 0.0, 1_000.0, 0.0));
        let efficiency = self.codec_efficiency.map_or(1.0, |value| sanitize(value, 1.0, 10.0, 1.0));
        let kbps = self.kbps.map(|kbps| sanitize(kbps, 0.0, 1e7, 0.0) * efficiency);
        let coding = match (kbps, pixels) {
            (Some(kbps), Some(pixels)) => {
                coding_degradation(kbps, pixels).max(TARGET_CODING_DEGRADATION)
            }
            _ => TARGET_CODING_DEGRADATION,
        };
        let upscaling = pixels.map_or(0.0, upscaling_degradation);
        let low_rate = frame_rate
            .map_or(0.0, |rate| (100.0 - coding - upscaling).max(0.0) * frame_rate_factor(rate));
        let frozen = self.frozen_percent.map_or(0.0, |share| sanitize(share, 0.0, 100.0, 100.0));
        let costs = CauseCosts::new([
            (Cause::Freezes, 2.5 * frozen),
            (Cause::Resolution, upscaling),
            (Cause::FrameRate, low_rate),
            (Cause::Bitrate, coding - TARGET_CODING_DEGRADATION),
        ]);
        Rating { score: Score::from_r(BEST_R - costs.total()), costs }
    }
}

/// `Dq`: the degradation of coding, by bitrate and by bits per pixel and frame. Every frame rate
/// counts as 24 here, so that a higher one never degrades the picture.
pub(super) fn coding_degradation(kbps: f64, pixels: f64) -> f64 {
    // Below 1 kbit/s the degradation is complete.
    let kbps = kbps.max(1.0);
    let kbits_per_pixel = kbps / (pixels * FULL_FRAME_RATE);
    let rate_term = 41.247_507_400_1 + kbps.ln() + (kbps * kbits_per_pixel + 0.131_831_659_61).ln();
    let quantization = 11.998_351_9 - 2.999_918_47 * rate_term.ln();
    let mos = 4.66 - 0.07 * (4.06 * quantization).exp();
    100.0 - quality_of_mos(mos)
}

/// `Du`: the degradation of scaling a frame up to the display.
fn upscaling_degradation(pixels: f64) -> f64 {
    let scale = DISPLAY_PIXELS / pixels;
    (72.61 * (0.32 * (scale - 1.0) + 1.0).log10()).min(100.0)
}

/// `Dt` as a share of the quality that coding and upscaling leave.
fn frame_rate_factor(frame_rate: f64) -> f64 {
    if frame_rate < FULL_FRAME_RATE {
        ((30.98 - 1.29 * frame_rate) / (64.65 + frame_rate)).max(0.0)
    } else {
        0.0
    }
}

/// The quality, 0 to 100, of a mean opinion score: the inverse of P.1203's `MOSfromR`, which is
/// `1.05 + 0.0385·Q + Q(Q − 60)(100 − Q)·7e-6`. It is the middle root of that cubic.
pub(super) fn quality_of_mos(mos: f64) -> f64 {
    // `y³ + p·y + q = 0` with `Q = y + 160/3`.
    const P: f64 = 500.0 - 160.0 * 160.0 / 3.0;
    const CONSTANT: f64 = -2.0 * 160.0 * 160.0 * 160.0 / 27.0 + 160.0 * 500.0 / 3.0;
    if mos <= 1.05 {
        return 0.0;
    }
    if mos >= 4.9 {
        return 100.0;
    }
    let q = CONSTANT + (mos - 1.05) / 7e-6;
    let angle = (1.5 * q / P * (-3.0 / P).sqrt()).clamp(-1.0, 1.0).acos();
    let root = 2.0 * (-P / 3.0).sqrt() * ((angle - std::f64::consts::TAU) / 3.0).cos();
    (root + 160.0 / 3.0).clamp(0.0, 100.0)
}
