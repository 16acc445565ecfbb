//! Time. Only this module reads the system clock or sleeps.
//!
//! All other code takes a [`Clock`], so that a test controls the time.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{ConfigError, Env};

/// An instant, in milliseconds since the Unix epoch. The table stores that number; responses
/// contain it as RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch (a JWT `NumericDate`).
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The instant `span` later. Saturates at the largest timestamp.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The instant `span` earlier. Saturates at the smallest timestamp.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`, or zero if `earlier` is later than this instant.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The whole milliseconds of a duration. Saturates at the largest number.
#[must_use]
pub fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, as in `2026-01-01T00:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            // Past the year 9999 there is no RFC 3339 text.
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

/// Serializes a [`Timestamp`] as RFC 3339 text, the format of times in responses.
pub fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// As [`rfc3339`], with `null` for an unknown time.
pub fn rfc3339_option<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Deserializes a [`Timestamp`] from RFC 3339 text.
pub fn from_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let instant: jiff::Timestamp =
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    Ok(Timestamp(instant.as_millisecond()))
}

/// As [`from_rfc3339`], with `null` for an unknown time.
pub fn from_rfc3339_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Rfc3339(#[serde(deserialize_with = "from_rfc3339")] Timestamp);
    Ok(Option::<Rfc3339>::deserialize(deserializer)?.map(|Rfc3339(at)| at))
}

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Sleeps for `span`.
    async fn sleep(&self, span: Duration);
}

/// The remaining part of a period that began at `started_at`, or `None` if it is over. A clock that
/// was set back to before `started_at` also ends the period.
pub(crate) fn time_remaining(
    started_at: Option<Timestamp>,
    duration: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let started_at = started_at.filter(|started_at| *started_at <= now)?;
    duration.checked_sub(now.since(started_at)).filter(|remaining| !remaining.is_zero())
}

/// The output of `future`, or `None` if it does not finish within `limit`.
pub(crate) async fn timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    future: impl Future<Output = T> + Send,
) -> Option<T> {
    let future = pin!(future);
    match select(future, clock.sleep(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// The system clock, plus an optional offset.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock {
    offset: Duration,
}

impl SystemClock {
    /// Reads the offset from `CLOCK_AHEAD_SECONDS`. The local stack sets it to move the time of its
    /// functions. A deployed function leaves it unset.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const TEN_YEARS_SECS: u64 = 10 * 366 * 24 * 60 * 60;
        Ok(Self { offset: env.seconds("CLOCK_AHEAD_SECONDS", 0, 0..=TEN_YEARS_SECS)? })
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let span = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from((span + self.offset).as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Reserved at the end of an invocation, in milliseconds. One write to the table takes at most
/// 2,500 ms, and the response takes the rest.
const RESERVE_MILLIS: i64 = 2_800;
/// The duration of an invocation whose deadline is unknown.
const DEFAULT_BUDGET: Duration = Duration::from_secs(8);

/// The latest instant at which an invocation waits for Stream. The time after it is reserved for
/// storing the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// From the deadline of Lambda's context. A deadline in the past counts as unknown, because
    /// `cargo lambda watch` sends a constant of 1970.
    #[must_use]
    pub fn from_lambda(deadline_millis: u64, now: Timestamp) -> Self {
        let deadline = Timestamp(i64::try_from(deadline_millis).unwrap_or(i64::MAX));
        if deadline <= now {
            Self(now.plus(DEFAULT_BUDGET))
        } else {
            Self(Timestamp(deadline.0.saturating_sub(RESERVE_MILLIS).max(now.0)))
        }
    }

    /// A deadline `span` after `now`.
    #[must_use]
    pub fn after(now: Timestamp, span: Duration) -> Self {
        Self(now.plus(span))
    }

    /// The remaining time at `now`.
    #[must_use]
    pub fn remaining(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_displays_as_rfc_3339_with_milliseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn past_lambda_deadline_uses_the_default_budget() {
        let now = Timestamp::from_secs(1_767_225_600);
        assert_eq!(Deadline::from_lambda(600_000, now).remaining(now), DEFAULT_BUDGET);
        let deadline_millis = u64::try_from(now.plus(Duration::from_secs(10)).as_millis()).unwrap();
        assert_eq!(
            Deadline::from_lambda(deadline_millis, now).remaining(now),
            Duration::from_millis(7_200)
        );
    }
}
