//! The perceived quality as a rating factor and a mean opinion score.

use serde::Serialize;

use crate::quality_band::Band;

/// The perceived quality as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The transmission rating factor, 0 to 100.
    pub r: f64,
    /// The mean opinion score, 1 to 4.5.
    pub mos: f64,
}

impl Score {
    /// The score of a rating factor, which is clamped to 0..100.
    #[must_use]
    pub fn from_r(r: f64) -> Self {
        let r = r.clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        Self { r, mos: mos.max(1.0) }
    }

    /// The band of the score.
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
