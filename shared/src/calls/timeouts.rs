//! The timeouts of a call's states.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{ConfigError, Env};
use crate::error::ApiError;

/// The lease of an attempt to create a call. It is twice the function's timeout, so it cannot
/// expire during an attempt.
pub const LEASE_DURATION: Duration = Duration::from_secs(30);
/// The interval between two checks of an active call. Stream's inactivity timeout adds 5 minutes,
/// and the interval between sweeps adds 1 minute. So an abandoned call ends within 11 minutes, even
/// if every webhook is lost.
pub const POLL_INTERVAL: Duration = Duration::from_mins(4);
/// The delay before the cleanup of an ending call is retried.
pub const END_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The delay before the sweeper checks an extended call. The new due time is later than every due
/// time that a sweep has read, so a sweep cannot end the call by the limit that it read before.
pub const EXTEND_CHECK_DELAY: Duration = Duration::from_secs(1);
/// The delay before an ended call is checked again: a late request may have recreated its channel.
pub const CLEANUP_RECHECK: Duration = Duration::from_mins(3);
/// How long after its end a call is settled without the reports of its sessions.
pub const SETTLE_DELAY: Duration = Duration::from_mins(10);
/// How long after its end a call is settled by the webhooks, if Stream cannot be read.
pub const SETTLE_GIVE_UP: Duration = Duration::from_hours(24);
/// How long the item of an ended call is stored, during which its id cannot be reused.
pub const TOMBSTONE_TTL: Duration = Duration::from_hours(30 * 24);
/// How long a repeat with the same `Idempotency-Key` returns the call that answered the first
/// request.
pub const ALIAS_TTL: Duration = Duration::from_hours(24);
/// How long an open-call pointer is stored: longer than the longest call.
pub const OPEN_CALL_POINTER_TTL: Duration = Duration::from_hours(3 * 24);

/// The configured timeouts of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimeouts {
    /// The maximum duration of a call, after which Stream ends it.
    pub max_duration: Duration,
    /// How long Stream keeps a session open without participants.
    pub inactivity_timeout: Duration,
    /// How long a call waits for a called member.
    pub ring_timeout: Duration,
    /// How long a call of two continues with one user. Zero is without an end.
    pub alone_timeout: Duration,
}

impl CallTimeouts {
    /// Reads `CALL_MAX_DURATION_SECONDS`, `CALL_INACTIVITY_TIMEOUT_SECONDS`,
    /// `CALL_RING_TIMEOUT_SECONDS` and `CALL_ALONE_TIMEOUT_SECONDS`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            max_duration: max_duration(env)?,
            inactivity_timeout: inactivity_timeout(env)?,
            ring_timeout: ring_timeout(env)?,
            alone_timeout: alone_timeout(env)?,
        })
    }

    /// When a call is first checked, whose attempt began at `begun_at` and which becomes active at
    /// `now`. No participant joins before the attempt, so the call is checked by its `endsAt`.
    pub(super) fn first_check_at(
        &self,
        begun_at: Timestamp,
        now: Timestamp,
        max_duration: Duration,
    ) -> Timestamp {
        let delay = self.ring_timeout.min(POLL_INTERVAL);
        now.plus(delay).min(begun_at.plus(max_duration).max(now))
    }
}

/// The shortest maximum duration of a call, in seconds.
pub const MIN_MAX_DURATION_SECONDS: u64 = 60;

/// Checks the maximum duration in a request: 60 s up to the configured maximum.
///
/// # Errors
///
/// `invalid_body` if the duration is out of bounds.
pub fn check_max_duration(seconds: u64, longest: Duration) -> Result<u64, ApiError> {
    if (MIN_MAX_DURATION_SECONDS..=longest.as_secs()).contains(&seconds) {
        return Ok(seconds);
    }
    let longest = longest.as_secs();
    let reason = format!("must be {MIN_MAX_DURATION_SECONDS} to {longest} seconds");
    Err(ApiError::invalid_field("/maxDurationSeconds", reason))
}

/// Reads `CALL_MAX_DURATION_SECONDS`: 60 to 86,400; 4 hours by default.
pub fn max_duration(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60, MIN_MAX_DURATION_SECONDS..=86_400)
}

/// Reads `CALL_INACTIVITY_TIMEOUT_SECONDS`: 5 to 900, as Stream allows; 5 minutes by default.
pub fn inactivity_timeout(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_INACTIVITY_TIMEOUT_SECONDS", 300, 5..=900)
}

/// Reads `CALL_RING_TIMEOUT_SECONDS`: 30 to 3,600; 2 minutes by default.
pub fn ring_timeout(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_RING_TIMEOUT_SECONDS", 120, 30..=3_600)
}

/// Reads `CALL_ALONE_TIMEOUT_SECONDS`: 0 (without an end) to 3,600; 1 minute by default.
pub fn alone_timeout(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_ALONE_TIMEOUT_SECONDS", 60, 0..=3_600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn max_duration_is_between_a_minute_and_the_configured_maximum() {
        let longest = Duration::from_hours(1);
        for (seconds, is_valid) in [(0, false), (59, false), (60, true), (3_600, true)] {
            assert_eq!(check_max_duration(seconds, longest).is_ok(), is_valid, "{seconds}");
        }
        let error = check_max_duration(3_601, longest).unwrap_err();
        assert_eq!(error.code(), Code::InvalidBody);
    }

    #[test]
    fn first_check_is_by_the_earliest_possible_end() {
        let timeouts = CallTimeouts {
            max_duration: Duration::from_hours(4),
            inactivity_timeout: Duration::from_mins(5),
            ring_timeout: Duration::from_mins(2),
            alone_timeout: Duration::from_mins(1),
        };
        let at = Timestamp::from_secs;
        for (begun_at, now, max_duration, expected) in [
            (at(0), at(1), Duration::from_hours(4), at(121)),
            (at(0), at(1), Duration::from_mins(1), at(60)),
            (at(0), at(90), Duration::from_mins(1), at(90)),
        ] {
            assert_eq!(timeouts.first_check_at(begun_at, now, max_duration), expected);
        }
    }
}
