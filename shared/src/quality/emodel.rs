//! The mean opinion score of a rating factor, and version 1 of the formula: a field form of the
//! E-model of ITU-T G.107, which maps network impairments to a rating factor.
//!
//! `eff = latency + 2·jitter + 10`; `R = 93.2 − eff/40` below an `eff` of 160 ms and
//! `93.2 − (eff − 120)/10` from there; `R −= 2.5·loss`;
//! `MOS = 1 + 0.035·R + R(R − 60)(100 − R)·7e-6` (ITU-T G.107, annex B). R is clamped to 0..100,
//! and MOS is at least 1.
//!
//! The E-model covers audio only. This form also subtracts `2.5·frozen`, at most 30, where `frozen`
//! is the share of time with frozen video in percent. This term is not part of ITU-T G.107;
//! `docs/adr/0013-video-freeze-impairment.md` gives the reasons.

use crate::quality::model::inputs::Inputs;
use crate::quality::score::Score;

/// The network impairment of a call in one direction. NaN, infinity and negative values count as
/// the worst value, so that invalid input never yields a good score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// One-way delay, in milliseconds.
    pub latency_ms: f64,
    /// Jitter, in milliseconds.
    pub jitter_ms: f64,
    /// Packet loss, in percent.
    pub loss_percent: f64,
    /// The share of time with frozen video, in percent.
    pub frozen_percent: f64,
}

/// The cost in R of each impairment. The sum may exceed R.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// The cost of latency.
    pub latency: f64,
    /// The cost of jitter.
    pub jitter: f64,
    /// The cost of packet loss.
    pub loss: f64,
    /// The cost of frozen video.
    pub freezes: f64,
}

impl Impairment {
    /// `None` if an input is missing.
    pub(super) fn from_inputs(inputs: &Inputs) -> Option<Self> {
        Some(Self {
            latency_ms: inputs.latency_ms?,
            jitter_ms: inputs.playout_ms? / 2.0,
            loss_percent: inputs.loss_percent?,
            frozen_percent: inputs.frozen_percent?,
        })
    }

    /// The score of this impairment.
    #[must_use]
    pub fn score(self) -> Score {
        let Costs { latency, jitter, loss, freezes } = self.costs();
        Score::from_r(93.2 - delay_cost(CODEC_DELAY_MS) - latency - jitter - loss - freezes)
    }

    /// The cost of each impairment. Latency and jitter share the cost of their delay in proportion.
    #[must_use]
    pub fn costs(self) -> Costs {
        /// Keeps a call with perfect audio and permanently frozen video at `poor`.
        const MAX_FREEZE_COST: f64 = 30.0;
        let Self { latency_ms, jitter_ms, loss_percent, frozen_percent } = self;
        let latency = sanitize(latency_ms, MAX_DELAY_MS);
        let jitter = 2.0 * sanitize(jitter_ms, MAX_DELAY_MS);
        let network_delay_cost =
            delay_cost(latency + jitter + CODEC_DELAY_MS) - delay_cost(CODEC_DELAY_MS);
        let latency_share = if latency + jitter > 0.0 { latency / (latency + jitter) } else { 0.0 };
        Costs {
            latency: network_delay_cost * latency_share,
            jitter: network_delay_cost * (1.0 - latency_share),
            loss: 2.5 * sanitize(loss_percent, 100.0),
            freezes: (2.5 * sanitize(frozen_percent, 100.0)).min(MAX_FREEZE_COST),
        }
    }
}

/// The worst delay, in milliseconds: one day.
const MAX_DELAY_MS: f64 = 86_400_000.0;

/// The value, or `max` if it is outside 0..=`max`.
fn sanitize(value: f64, max: f64) -> f64 {
    if (0.0..=max).contains(&value) { value } else { max }
}

/// The delay of the codec, in milliseconds.
const CODEC_DELAY_MS: f64 = 10.0;

/// The cost in R of an effective delay in milliseconds.
fn delay_cost(effective_delay_ms: f64) -> f64 {
    if effective_delay_ms < 160.0 {
        effective_delay_ms / 40.0
    } else {
        (effective_delay_ms - 120.0) / 10.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quality_band::Band;

    fn impairment(latency_ms: f64, jitter_ms: f64, loss_percent: f64) -> Impairment {
        Impairment { latency_ms, jitter_ms, loss_percent, frozen_percent: 0.0 }
    }

    #[test]
    fn golden_values() {
        let cases = [
            // latency ms, jitter ms, loss %, R, MOS, band
            (0.0, 0.0, 0.0, 92.95, 4.404, Band::Excellent),
            (50.0, 5.0, 0.0, 91.45, 4.373, Band::Excellent),
            (100.0, 20.0, 1.0, 86.95, 4.257, Band::Good),
            (150.0, 30.0, 1.0, 80.70, 4.050, Band::Good),
            (200.0, 30.0, 3.0, 70.70, 3.630, Band::Fair),
            (300.0, 50.0, 5.0, 51.70, 2.664, Band::Bad),
            (400.0, 30.0, 1.0, 55.70, 2.875, Band::Bad),
            (100.0, 10.0, 10.0, 64.95, 3.352, Band::Poor),
            (100.0, 10.0, 30.0, 14.95, 1.122, Band::Bad),
            (50.0, 5.0, 50.0, 0.0, 1.0, Band::Bad),
        ];
        for (latency_ms, jitter_ms, loss_percent, r, mos, band) in cases {
            let score = impairment(latency_ms, jitter_ms, loss_percent).score();
            assert!((score.r - r).abs() < 0.001, "R of {latency_ms} {jitter_ms} {loss_percent}");
            assert!((score.mos - mos).abs() < 0.001, "{score:?} is not {mos}");
            assert_eq!(score.band(), band);
        }
    }

    #[test]
    fn costs_match_the_formula() {
        let costs = Impairment { frozen_percent: 4.0, ..impairment(200.0, 30.0, 3.0) }.costs();
        let expected = Costs {
            // (270 - 120) / 10 minus the codec's 0.25, split in the ratio 200 to 60.
            latency: 14.75 * 200.0 / 260.0,
            jitter: 14.75 * 60.0 / 260.0,
            loss: 7.5,
            freezes: 10.0,
        };
        for (actual, expected) in [
            (costs.latency, expected.latency),
            (costs.jitter, expected.jitter),
            (costs.loss, expected.loss),
            (costs.freezes, expected.freezes),
        ] {
            assert!((actual - expected).abs() < 1e-9, "{costs:?}");
        }
    }

    #[test]
    fn frozen_video_is_rated_poor_at_worst() {
        let frozen = Impairment { frozen_percent: 100.0, ..impairment(0.0, 0.0, 0.0) }.score();
        assert_eq!(frozen.band(), Band::Poor);
    }

    prop_compose! {
        fn impairments()(
            latency_ms in 0.0..1e6_f64,
            jitter_ms in 0.0..1e6_f64,
            loss_percent in 0.0..100.0_f64,
            frozen_percent in 0.0..100.0_f64,
        ) -> Impairment {
            Impairment { latency_ms, jitter_ms, loss_percent, frozen_percent }
        }
    }

    proptest! {
        #[test]
        fn invalid_input_yields_a_score_in_range(
            latency_ms in any::<f64>(),
            jitter_ms in any::<f64>(),
            loss_percent in any::<f64>(),
            frozen_percent in any::<f64>(),
        ) {
            let impairment = Impairment { latency_ms, jitter_ms, loss_percent, frozen_percent };
            let Score { r, mos } = impairment.score();
            prop_assert!((0.0..=100.0).contains(&r) && (1.0..=4.5).contains(&mos), "{impairment:?}");
        }

        #[test]
        fn score_is_within_its_bounds(impairment in impairments()) {
            let Score { r, mos } = impairment.score();
            prop_assert!((0.0..=100.0).contains(&r));
            prop_assert!((1.0..=4.5).contains(&mos));
        }

        #[test]
        fn worse_network_never_improves_the_score(
            impairment in impairments(),
            latency in 0.0..100.0_f64,
            jitter in 0.0..100.0_f64,
            loss in 0.0..10.0_f64,
            frozen in 0.0..10.0_f64,
        ) {
            let worse = Impairment {
                latency_ms: impairment.latency_ms + latency,
                jitter_ms: impairment.jitter_ms + jitter,
                loss_percent: impairment.loss_percent + loss,
                frozen_percent: impairment.frozen_percent + frozen,
            };
            prop_assert!(worse.score().mos <= impairment.score().mos + 1e-9);
        }

        /// The two branches of the delay cost meet at 160 ms, for any share of jitter.
        #[test]
        fn delay_formula_is_continuous(jitter_ms in 0.0..75.0_f64) {
            let score_at_delay = |delay: f64| impairment(delay - 2.0 * jitter_ms - 10.0, jitter_ms, 0.0).score();
            prop_assert!((score_at_delay(160.0 - 1e-6).r - score_at_delay(160.0).r).abs() < 1e-6);
        }
    }
}
