//! Units: `getStats` counts in seconds and fractions, Stream in milliseconds, people read
//! milliseconds and per cent. Each is a type, and this is where one becomes another.
//!
//! Source: <https://www.w3.org/TR/webrtc-stats/>.

use serde::{Deserialize, Serialize};

/// Why a figure is refused: the bounds that it is out of.
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
                // NaN is in no range.
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
    /// Seconds, as `getStats` counts delays and durations: up to a minute.
    Seconds, 0.0 to 60.0;
    /// A share of a whole.
    Fraction, 0.0 to 1.0;
    /// How many, since the sample before.
    Count, 0.0 to 1_000_000_000.0;
    /// The width or height of a picture.
    Pixels, 0.0 to 16_384.0;
    /// Pictures a second.
    FramesPerSecond, 0.0 to 240.0;
    /// Bits a second.
    BitsPerSecond, 0.0 to 1_000_000_000.0;
    /// Milliseconds since the Unix epoch, as `getStats` dates its reports: before the year 2100.
    EpochMillis, 0.0 to 4_102_444_800_000.0;
}

impl Count {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// This many of all of these, in per cent; `None` where there were none at all.
    #[must_use]
    pub fn percent_of(self, total: f64) -> Option<Percent> {
        (total > 0.0).then(|| Percent::from_f64(self.0 / total * 100.0))
    }
}

impl Pixels {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FramesPerSecond {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Fraction {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl EpochMillis {
    /// The instant, to the millisecond.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    pub fn to_timestamp(self) -> crate::clock::Timestamp {
        crate::clock::Timestamp::from_millis(self.0 as i64)
    }
}

/// Milliseconds: finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(f64);

/// Per cent: 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(f64);

/// Kilobits a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KilobitsPerSecond(f64);

impl Millis {
    /// What Stream says is milliseconds, where it can be: up to a day, the longest that a call is.
    #[must_use]
    pub fn from_stream(value: f64) -> Option<Self> {
        (0.0..=86_400_000.0).contains(&value).then(|| Self(round_to_thousandth(value)))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// One way of a way there and back, where nothing better is known.
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

    /// The number itself.
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
    /// The number itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// To a thousandth: finer than any source measures.
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
}
