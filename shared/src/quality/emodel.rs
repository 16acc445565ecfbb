//! The E-model of ITU-T G.107 in its field form: from what a network does to what people hear.
//!
//! `eff = latency + 2·jitter + 10`; `R = 93.2 − eff/40` below an `eff` of 160 ms and
//! `93.2 − (eff − 120)/10` from there; `R −= 2.5·loss`; `MOS = 1 + 0.035·R + R(R − 60)(100 − R)·7e-6`
//! (ITU-T G.107, annex B). R is held within 0..100 and MOS is never below 1.

use serde::Serialize;

/// The name of this form of the model, which stands beside every score.
pub const VERSION: &str = "g107-field-1";

/// What a network does to a call in one direction. The values are finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// One-way delay, in milliseconds.
    pub latency_ms: f64,
    /// Jitter, in milliseconds.
    pub jitter_ms: f64,
    /// Packets lost, in per cent.
    pub loss_percent: f64,
}

/// How good a call is to people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The transmission rating factor, 0 to 100.
    pub r: f64,
    /// The mean opinion score, 1 to 4.5.
    pub mos: f64,
}

/// How good a call is to people, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Below 3.10.
    Bad,
    /// From 3.10.
    Poor,
    /// From 3.60.
    Fair,
    /// From 4.02.
    Good,
    /// From 4.34.
    Excellent,
}

impl Impairment {
    /// The score of this impairment.
    #[must_use]
    pub fn score(self) -> Score {
        let effective = self.latency_ms + 2.0 * self.jitter_ms + 10.0;
        let delay = if effective < 160.0 { effective / 40.0 } else { (effective - 120.0) / 10.0 };
        let r = (93.2 - delay - 2.5 * self.loss_percent).clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        Score { r, mos: mos.max(1.0) }
    }
}

impl Score {
    /// The band that the score is in.
    #[must_use]
    pub fn band(self) -> Band {
        match self.mos {
            mos if mos >= 4.34 => Band::Excellent,
            mos if mos >= 4.02 => Band::Good,
            mos if mos >= 3.60 => Band::Fair,
            mos if mos >= 3.10 => Band::Poor,
            _ => Band::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            let score = Impairment { latency_ms, jitter_ms, loss_percent }.score();
            assert!((score.r - r).abs() < 0.001, "R of {latency_ms} {jitter_ms} {loss_percent}");
            assert!((score.mos - mos).abs() < 0.001, "{score:?} is not {mos}");
            assert_eq!(score.band(), band);
        }
    }

    prop_compose! {
        fn impairments()(
            latency_ms in 0.0..1e6_f64,
            jitter_ms in 0.0..1e6_f64,
            loss_percent in 0.0..100.0_f64,
        ) -> Impairment {
            Impairment { latency_ms, jitter_ms, loss_percent }
        }
    }

    proptest! {
        #[test]
        fn a_score_stays_within_its_bounds(impairment in impairments()) {
            let Score { r, mos } = impairment.score();
            prop_assert!((0.0..=100.0).contains(&r));
            prop_assert!((1.0..=4.5).contains(&mos));
        }

        #[test]
        fn a_worse_network_is_never_a_better_call(
            impairment in impairments(),
            latency in 0.0..100.0_f64,
            jitter in 0.0..100.0_f64,
            loss in 0.0..10.0_f64,
        ) {
            let worse = Impairment {
                latency_ms: impairment.latency_ms + latency,
                jitter_ms: impairment.jitter_ms + jitter,
                loss_percent: impairment.loss_percent + loss,
            };
            prop_assert!(worse.score().mos <= impairment.score().mos + 1e-9);
        }
    }

    #[test]
    fn the_two_branches_meet() {
        let at = |latency_ms| Impairment { latency_ms, jitter_ms: 0.0, loss_percent: 0.0 }.score();
        assert!((at(150.0 - 1e-6).r - at(150.0).r).abs() < 1e-6);
    }
}
