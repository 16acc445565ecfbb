//! Version 2 of the audio score: the E-model of ITU-T G.107 (06/2015).
//!
//! `R = Ro − Is − Id − Ie,eff`. All parameters have the default values of G.107, except for the
//! delay `Ta = T`, `Tr = 2T`, the packet loss, its burst ratio, and the codec. `docs/QUALITY.md`
//! lists the values of the codecs and their sources.

use crate::quality::cause::Cause;
use crate::quality::model::codec::Codec;
use crate::quality::model::costs::CauseCosts;
use crate::quality::model::inputs::Inputs;
use crate::quality::model::rating::Rating;
use crate::quality::model::sanitize::sanitize;
use crate::quality::score::Score;

/// `Ro − Is`, with all parameters at their default values.
pub(super) const UNDELAYED_R: f64 = 93.355_253_5;
/// `Ro`, which equals `Roe` at the default loudness ratings.
pub(super) const RO: f64 = 94.768_821_579;
/// The delay of coding, in milliseconds.
const CODING_DELAY_MS: f64 = 10.0;
/// `delay_impairment` of the delay of coding.
pub(super) const CODING_DELAY_IMPAIRMENT: f64 = 0.507_392_366;
/// The worst delay, in milliseconds: one day.
const MAX_DELAY_MS: f64 = 86_400_000.0;

/// The impairment of the audio in one direction. Values out of range count as the worst value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AudioImpairment {
    pub(super) latency_ms: f64,
    /// The delay by which the receiver evens out the jitter.
    pub(super) playout_ms: f64,
    pub(super) loss_percent: f64,
    /// 1 for random loss.
    pub(super) burst_ratio: f64,
    pub(super) codec: Codec,
}

impl AudioImpairment {
    /// `None` if latency, jitter or packet loss is missing.
    pub(super) fn from_inputs(inputs: &Inputs) -> Option<Self> {
        let codec = inputs.robustness.map(|robustness| Codec { robustness, ..Codec::OPUS });
        Some(Self {
            latency_ms: inputs.latency_ms?,
            playout_ms: inputs.playout_ms?,
            loss_percent: inputs.loss_percent?,
            burst_ratio: inputs.burst_ratio.unwrap_or(1.0),
            codec: codec.unwrap_or(Codec::G711_CONCEALED),
        })
    }

    /// Latency and jitter share the cost of their delay in proportion.
    pub(super) fn rating(self) -> Rating {
        let latency = sanitize(self.latency_ms, 0.0, MAX_DELAY_MS, MAX_DELAY_MS);
        let playout = sanitize(self.playout_ms, 0.0, MAX_DELAY_MS, MAX_DELAY_MS);
        let network = latency + playout;
        // Without a network delay, rounding must not yield a negative cost.
        let delay = delay_impairment(network + CODING_DELAY_MS);
        let delay_cost = (delay - CODING_DELAY_IMPAIRMENT).max(0.0);
        let latency_share = if network > 0.0 { latency / network } else { 0.0 };
        let codec = Codec {
            robustness: sanitize(self.codec.robustness, 1.0, 1_000.0, Codec::G711.robustness),
            ..self.codec
        };
        let loss = sanitize(self.loss_percent, 0.0, 100.0, 100.0);
        let burst_ratio = sanitize(self.burst_ratio, 1.0, 8.0, 8.0);
        let costs = CauseCosts::new([
            (Cause::Latency, delay_cost * latency_share),
            (Cause::Jitter, delay_cost * (1.0 - latency_share)),
            (Cause::Loss, codec.effective_impairment(loss, burst_ratio)),
        ]);
        let best_r = UNDELAYED_R - CODING_DELAY_IMPAIRMENT;
        Rating { score: Score::from_r(best_r - costs.total()), costs }
    }
}

/// The delay impairment factor for a one-way delay in milliseconds, with TELR 65 dB and WEPL 110 dB
/// (ITU-T G.107: `Id`).
pub(in crate::quality) fn delay_impairment(delay_ms: f64) -> f64 {
    talker_echo(delay_ms) + listener_echo(2.0 * delay_ms) + excessive_delay(delay_ms)
}

/// `Idte`, for the mean one-way delay of the echo path.
fn talker_echo(delay_ms: f64) -> f64 {
    const TELR_DB: f64 = 65.0;
    let echo_delay = ((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)).log10();
    let terv = TELR_DB - 40.0 * echo_delay + 6.0 * (-0.3 * delay_ms * delay_ms).exp();
    let half_difference = (RO - (80.0 + 2.5 * (terv - 14.0))) / 2.0;
    (half_difference + half_difference.hypot(10.0) - 1.0) * (1.0 - (-delay_ms).exp())
}

/// `Idle`, for the round-trip delay.
fn listener_echo(round_trip_ms: f64) -> f64 {
    const WEPL_DB: f64 = 110.0;
    let rle = 10.5 * (WEPL_DB + 7.0) / (round_trip_ms + 1.0).sqrt().sqrt();
    let half_difference = (RO - rle) / 2.0;
    half_difference + half_difference.hypot(13.0)
}

/// `Idd`, for the absolute delay.
fn excessive_delay(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let sixth_root = |value: f64| (1.0 + value.powi(6)).sqrt().cbrt();
    25.0 * (sixth_root(x) - 3.0 * sixth_root(x / 3.0) + 2.0)
}
