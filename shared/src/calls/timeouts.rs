//! The timeouts of a call's states.

use std::time::Duration;

use crate::config::{ConfigError, Env};

/// The lease of an attempt to create a call. It is twice the function's timeout, so it cannot
/// expire during an attempt.
pub const LEASE_DURATION: Duration = Duration::from_secs(30);
/// The interval between two checks of an active call. Stream's inactivity timeout adds 5 minutes,
/// and the interval between sweeps adds 1 minute. So an abandoned call ends within 11 minutes, even
/// if every webhook is lost.
pub const POLL_INTERVAL: Duration = Duration::from_mins(4);
/// The delay before the cleanup of an ending call is retried.
pub const END_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The delay before an ended call is checked again: a late request may have recreated its channel.
pub const CLEANUP_RECHECK: Duration = Duration::from_mins(3);
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

    /// The delay between the activation and the first check.
    pub(super) fn first_check_delay(&self) -> Duration {
        self.ring_timeout.min(POLL_INTERVAL)
    }
}

/// Reads `CALL_MAX_DURATION_SECONDS`: 60 to 86,400; 4 hours by default.
pub fn max_duration(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60, 60..=86_400)
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
