//! Time: the only place that reads a clock or sleeps.
//!
//! Everything else is given a [`Clock`], so that a test owns every instant.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::{ConfigError, Env};

/// An instant, in milliseconds since the Unix epoch. It is stored as that number and shown to
/// callers as RFC 3339 text in UTC.
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

    /// This much later; the far future where that cannot be counted.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it has been since `earlier`; zero where `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
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

/// Serialises a [`Timestamp`] as RFC 3339 text: the form in which callers see times.
pub fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// As [`rfc3339`], for a time that may be unknown.
pub fn rfc3339_option<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// The clock that a function lives by.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Waits this long.
    async fn sleep(&self, span: Duration);
}

/// What is left of a span that began then, if anything is. A clock that was set back ends it.
pub(crate) fn time_remaining(
    started_at: Option<Timestamp>,
    duration: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let started_at = started_at.filter(|started_at| *started_at <= now)?;
    duration.checked_sub(now.since(started_at)).filter(|remaining| !remaining.is_zero())
}

/// What comes of this within a time.
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

/// The machine's clock, or one that is ahead of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock {
    offset: Duration,
}

impl SystemClock {
    /// Reads `CLOCK_AHEAD_SECONDS`, by which a local stack moves its functions' time; it is not
    /// set where the machine's own time is the time.
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

/// Kept back at the end of an invocation: for one write to the table, which takes 2.5 s at the
/// most, and for the answer.
const RESERVE_MILLIS: i64 = 2_800;
/// What an invocation may take where its deadline is not known.
const DEFAULT_BUDGET: Duration = Duration::from_secs(8);

/// The instant by which an invocation must have stopped waiting for Stream, so that it can still
/// write down what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// From the deadline that Lambda gives. One in the past means unknown: `cargo lambda watch`
    /// sends a constant of 1970.
    #[must_use]
    pub fn from_lambda(deadline_millis: u64, now: Timestamp) -> Self {
        let deadline = Timestamp(i64::try_from(deadline_millis).unwrap_or(i64::MAX));
        if deadline <= now {
            Self(now.plus(DEFAULT_BUDGET))
        } else {
            Self(Timestamp(deadline.0.saturating_sub(RESERVE_MILLIS).max(now.0)))
        }
    }

    /// This long from `now`.
    #[must_use]
    pub fn after(now: Timestamp, span: Duration) -> Self {
        Self(now.plus(span))
    }

    /// How much time is left at `now`.
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
