//! Types for units and their conversions. `getStats` reports seconds and fractions, Stream reports
//! milliseconds, and responses use milliseconds and percent.
//!
//! Source: <https://www.w3.org/TR/webrtc-stats/>.

use serde::{Deserialize, Serialize};

/// The value is outside these bounds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("must be a number from {min} to {max}")]
pub struct OutOfRange {
    min: f64,
    max: f64,
}

macro_rules! reported {
    ($($(#[$doc:meta])* $name:ident, $min:literal to $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "f64")]
        pub struct $name(f64);

        impl TryFrom<f64> for $name {
            type Error = OutOfRange;

            fn try_from(value: f64) -> Result<Self, OutOfRange> {
                // NaN is outside every range.
                if ($min..=$max).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange { min: $min, max: $max })
                }
            }
        }
    )*};
}

reported! {
    /// A delay or a duration in seconds, as in `getStats`: up to 60.
    Seconds, 0.0 to 60.0;
    /// A fraction, 0 to 1.
    Fraction, 0.0 to 1.0;
    /// A count since the previous sample.
    Count, 0.0 to 1_000_000_000.0;
    /// The width or height of a video frame.
    Pixels, 0.0 to 16_384.0;
    /// Video frames per second.
    FramesPerSecond, 0.0 to 240.0;
    /// Bits per second.
    BitsPerSecond, 0.0 to 1_000_000_000.0;
}

/// The time is outside these years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time from 2000 to 2100, in milliseconds since the Unix epoch")]
pub struct ImplausibleTime;

/// Milliseconds since the Unix epoch, as in `getStats`: from the year 2000 to the year 2100. A
/// phone's clock may be wrong by any amount within these years.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct EpochMillis(f64);

impl TryFrom<f64> for EpochMillis {
    type Error = ImplausibleTime;

    fn try_from(value: f64) -> Result<Self, ImplausibleTime> {
        // NaN is outside every range.
        if (946_684_800_000.0..=4_102_444_800_000.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(ImplausibleTime)
        }
    }
}

impl Count {
    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// This count as a percentage of `total`; `None` if `total` is 0.
    #[must_use]
    pub fn percent_of(self, total: f64) -> Option<Percent> {
        (total > 0.0).then(|| Percent::from_f64(self.0 / total * 100.0))
    }
}

impl Pixels {
    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FramesPerSecond {
    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Fraction {
    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl EpochMillis {
    /// The timestamp, truncated to milliseconds.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "`EpochMillis` is within the range of i64")]
    pub fn to_timestamp(self) -> crate::clock::Timestamp {
        crate::clock::Timestamp::from_millis(self.0 as i64)
    }
}

/// Milliseconds: finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(f64);

/// A percentage, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(f64);

/// Kilobits per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KilobitsPerSecond(f64);

/// The burst ratio of packet loss (ITU-T G.107, `BurstR`), 1 to 8: the mean length of a gap in
/// relation to that of random loss.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BurstRatio(f64);

impl BurstRatio {
    /// The ratio within its bounds; `None` for NaN and infinity.
    #[must_use]
    pub fn clamped(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self(round_to_thousandth(value.clamp(1.0, 8.0))))
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Millis {
    /// A value of Stream in milliseconds; `None` outside 0 to one day, the longest call.
    #[must_use]
    pub fn from_stream(value: f64) -> Option<Self> {
        (0.0..=86_400_000.0).contains(&value).then(|| Self(round_to_thousandth(value)))
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Half of a round trip, as an estimate of the one-way delay.
    #[must_use]
    pub fn one_way(self) -> Self {
        Self(self.0 / 2.0)
    }
}

impl From<Seconds> for Millis {
    fn from(seconds: Seconds) -> Self {
        Self(round_to_thousandth(seconds.0 * 1000.0))
    }
}

impl Percent {
    fn from_f64(value: f64) -> Self {
        Self(round_to_thousandth(value))
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<Fraction> for Percent {
    fn from(fraction: Fraction) -> Self {
        Self::from_f64(fraction.0 * 100.0)
    }
}

impl From<BitsPerSecond> for KilobitsPerSecond {
    fn from(bits: BitsPerSecond) -> Self {
        Self(round_to_thousandth(bits.0 / 1000.0))
    }
}

impl KilobitsPerSecond {
    /// The value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Rounds to a thousandth, which is finer than any source measures.
#[must_use]
pub(super) fn round_to_thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_close(actual: f64, expected: f64) -> bool {
        (actual - expected).abs() < 1e-9
    }

    #[test]
    fn get_stats_values_are_converted() {
        let seconds = Seconds::try_from(0.0834).unwrap();
        assert!(is_close(Millis::from(seconds).get(), 83.4));
        assert!(is_close(Millis::from(seconds).one_way().get(), 41.7));
        let fraction = Fraction::try_from(0.0507).unwrap();
        assert!(is_close(Percent::from(fraction).get(), 5.07));
        let lost = Count::try_from(3.0).unwrap();
        assert!(is_close(lost.percent_of(60.0).unwrap().get(), 5.0));
        assert_eq!(lost.percent_of(0.0), None);
        let bits = BitsPerSecond::try_from(1_250_000.0).unwrap();
        assert!(is_close(KilobitsPerSecond::from(bits).get(), 1250.0));
    }

    #[test]
    fn stream_milliseconds_out_of_range_are_rejected() {
        assert!(is_close(Millis::from_stream(120.0).unwrap().get(), 120.0));
        for bad in [-1.0, 86_400_001.0, 1e308, f64::NAN, f64::INFINITY] {
            assert_eq!(Millis::from_stream(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_at_their_bounds() {
        for good in [0.0, 60.0] {
            assert!(Seconds::try_from(good).is_ok(), "{good}");
        }
        for bad in [-0.001, 60.001, 1e308, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Seconds::try_from(bad).unwrap_err();
            assert_eq!(error.to_string(), "must be a number from 0 to 60", "{bad}");
        }
    }

    #[test]
    fn time_outside_2000_to_2100_is_rejected() {
        for good in [946_684_800_000.0, 1_767_225_600_123.456, 4_102_444_800_000.0] {
            assert!(EpochMillis::try_from(good).is_ok(), "{good}");
        }
        // The second one is a time in seconds.
        for bad in [0.0, 1_767_225_600.0, 946_684_799_999.0, 4_102_444_800_001.0, f64::NAN] {
            assert_eq!(EpochMillis::try_from(bad), Err(ImplausibleTime), "{bad}");
        }
    }
}
