//! Instants on the wire: v2 responses use integer unix nanoseconds, requests and webhooks use
//! RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Unix nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    pub(crate) fn from_system_time(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(crate) const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Parses RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(timestamp.as_nanosecond()).ok().map(Self)
    }

    /// Formats as RFC 3339 with nine fraction digits, as webhooks do.
    pub(crate) fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .map(|timestamp| format!("{timestamp:.9}"))
            .unwrap_or_default()
    }

    pub(crate) const fn as_nanos(self) -> i64 {
        self.0
    }

    pub(crate) const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Unix seconds with a fraction, for comparison with a JWT's `NumericDate`.
    pub(crate) fn as_numeric_date(self) -> f64 {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or_default()).as_secs_f64()
    }

    pub(crate) fn minus_seconds(self, seconds: u64) -> Self {
        let nanos = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        Self(self.0.saturating_sub(nanos))
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// The time since an earlier instant; 0 if `earlier` is later.
    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        let nanos = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default();
        Duration::from_nanos(nanos)
    }

    /// Whole seconds since an earlier instant; 0 if `earlier` is later.
    pub(crate) fn seconds_since(self, earlier: Self) -> u64 {
        self.duration_since(earlier).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_with_fraction_and_offset_is_parsed() {
        let nanos = |text: &str| Timestamp::parse(text).map(Timestamp::as_nanos);
        assert_eq!(nanos("2026-01-01T00:00:00.000Z"), Some(1_767_225_600_000_000_000));
        assert_eq!(nanos("2026-01-01T01:00:00.000000001+01:00"), Some(1_767_225_600_000_000_001));
        assert_eq!(nanos("yesterday"), None);
    }

    #[test]
    fn rfc3339_has_nine_fraction_digits() {
        let timestamp = Timestamp::from_nanos(1_767_225_600_123_456_789);
        assert_eq!(timestamp.to_rfc3339(), "2026-01-01T00:00:00.123456789Z");
        let whole_second = Timestamp::from_nanos(1_767_225_600_000_000_000);
        assert_eq!(whole_second.to_rfc3339(), "2026-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp::parse(&whole_second.to_rfc3339()), Some(whole_second));
    }

    #[test]
    fn seconds_since_truncates_to_whole_seconds() {
        let start = Timestamp::from_nanos(1_500_000_000);
        let end = start.plus(Duration::from_millis(2_999));
        assert_eq!(end.as_nanos(), 4_499_000_000);
        assert_eq!(end.duration_since(start), Duration::from_millis(2_999));
        assert_eq!(end.seconds_since(start), 2);
        assert_eq!(start.duration_since(end), Duration::ZERO);
        assert_eq!(start.seconds_since(end), 0);
    }

    #[test]
    fn timestamp_is_nanoseconds_since_the_epoch() {
        let timestamp = Timestamp::from_system_time(UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(timestamp.as_nanos(), 1_500_000_000);
        assert_eq!(timestamp.as_seconds(), 1);
        assert_eq!(timestamp.minus_seconds(1).as_nanos(), 500_000_000);
    }
}
