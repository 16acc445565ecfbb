//! The bounds that every call is made with.

use std::time::Duration;

use crate::calls::store::LOOK;
use crate::calls::sweep::Bounds;
use crate::config::{ConfigError, Env};

/// The bounds within which Stream itself closes what we cannot, and we what Stream does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a call lasts.
    pub max_duration: Duration,
    /// How long a session goes on with nobody in it.
    pub inactivity_timeout: Duration,
    /// How long a call waits for somebody to join it.
    pub ring_timeout: Duration,
}

impl Limits {
    /// Reads all three.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            max_duration: max_duration(env)?,
            inactivity_timeout: inactivity_timeout(env)?,
            ring_timeout: ring_timeout(env)?,
        })
    }

    /// Those of them that a look at a call goes by.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { max_duration: self.max_duration, ring_timeout: self.ring_timeout }
    }

    /// When a call that is active now is first looked at.
    pub(super) fn first_look(&self) -> Duration {
        self.ring_timeout.min(LOOK)
    }
}

/// Reads `CALL_MAX_DURATION_SECONDS`: 60 to 86,400; 4 hours.
pub fn max_duration(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60, 60..=86_400)
}

/// Reads `CALL_INACTIVITY_TIMEOUT_SECONDS`: 5 to 900, as Stream allows; 5 minutes.
pub fn inactivity_timeout(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_INACTIVITY_TIMEOUT_SECONDS", 300, 5..=900)
}

/// Reads `CALL_RING_TIMEOUT_SECONDS`: 30 to 3,600; 2 minutes.
pub fn ring_timeout(env: &Env) -> Result<Duration, ConfigError> {
    env.seconds("CALL_RING_TIMEOUT_SECONDS", 120, 30..=3_600)
}
