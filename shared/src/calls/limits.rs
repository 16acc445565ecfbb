//! The bounds that every call is made with.

use std::time::Duration;

use crate::config::{ConfigError, Env};

/// The bounds within which Stream itself closes what we cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a call lasts.
    pub max_duration: Duration,
    /// How long a session goes on with nobody in it.
    pub inactivity_timeout: Duration,
}

impl Limits {
    /// Reads `CALL_MAX_DURATION_SECONDS` (60 to 86,400; 4 hours) and
    /// `CALL_INACTIVITY_TIMEOUT_SECONDS` (5 to 900, as Stream allows; 5 minutes).
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            max_duration: env.seconds("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60, 60..=86_400)?,
            inactivity_timeout: env.seconds("CALL_INACTIVITY_TIMEOUT_SECONDS", 300, 5..=900)?,
        })
    }
}
