//! Instants on the wire: v2 answers write integer unix nanoseconds, requests and webhooks write
//! RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Unix nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) fn of(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(crate) const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Reads RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(instant.as_nanosecond()).ok().map(Self)
    }

    /// Writes RFC 3339 with every digit, as webhooks do.
    pub(crate) fn rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .map(|instant| format!("{instant:.9}"))
            .unwrap_or_default()
    }

    pub(crate) const fn nanos(self) -> i64 {
        self.0
    }

    pub(crate) const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Seconds with their fraction, to compare with a JWT's `NumericDate`.
    pub(crate) fn numeric_date(self) -> f64 {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or_default()).as_secs_f64()
    }

    pub(crate) fn seconds_earlier(self, seconds: u64) -> Self {
        let nanos = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        Self(self.0.saturating_sub(nanos))
    }

    pub(crate) fn later(self, span: Duration) -> Self {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Whole seconds since an earlier instant; none since a later one.
    pub(crate) fn seconds_since(self, earlier: Self) -> u64 {
        let nanos = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default();
        nanos / 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339_with_fractions_and_offsets() {
        let nanos = |text: &str| Moment::parse(text).map(Moment::nanos);
        assert_eq!(nanos("2026-01-01T00:00:00.000Z"), Some(1_767_225_600_000_000_000));
        assert_eq!(nanos("2026-01-01T01:00:00.000000001+01:00"), Some(1_767_225_600_000_000_001));
        assert_eq!(nanos("yesterday"), None);
    }

    #[test]
    fn writes_every_digit() {
        let moment = Moment::from_nanos(1_767_225_600_123_456_789);
        assert_eq!(moment.rfc3339(), "2026-01-01T00:00:00.123456789Z");
        let whole = Moment::from_nanos(1_767_225_600_000_000_000);
        assert_eq!(whole.rfc3339(), "2026-01-01T00:00:00.000000000Z");
        assert_eq!(Moment::parse(&whole.rfc3339()), Some(whole));
    }

    #[test]
    fn counts_whole_seconds_between_instants() {
        let start = Moment::from_nanos(1_500_000_000);
        let end = start.later(Duration::from_millis(2_999));
        assert_eq!(end.nanos(), 4_499_000_000);
        assert_eq!(end.seconds_since(start), 2);
        assert_eq!(start.seconds_since(end), 0);
    }

    #[test]
    fn counts_nanoseconds_from_the_epoch() {
        let moment = Moment::of(UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(moment.nanos(), 1_500_000_000);
        assert_eq!(moment.seconds(), 1);
        assert_eq!(moment.seconds_earlier(1).nanos(), 500_000_000);
    }
}
