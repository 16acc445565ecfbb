//! Which app the emulator plays, and which clock it believes.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// Where the emulator reads the time from.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The app that the emulator plays.
#[derive(Clone)]
pub struct Settings {
    /// The key that every request must carry as `api_key`.
    pub api_key: String,
    /// The secret that every token must be signed with.
    api_secret: Arc<RwLock<String>>,
    /// The emulator's clock.
    pub now: Clock,
    /// Whether a request beyond its rate limit is refused.
    pub enforce_rate_limits: bool,
}

impl Settings {
    /// An app with this key and secret, on the system's clock.
    #[must_use]
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            api_secret: Arc::new(RwLock::new(api_secret.into())),
            now: Arc::new(SystemTime::now),
            enforce_rate_limits: true,
        }
    }

    /// The secret that every token must be signed with now.
    #[must_use]
    pub fn api_secret(&self) -> String {
        self.api_secret.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it. From now on nothing that was signed with the old one is good.
    pub(crate) fn set_api_secret(&self, secret: String) {
        *self.api_secret.write().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// The same app on another clock.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// The same app with its rate limits enforced, as they are at first, or only told: to measure
    /// what a backend can do.
    #[must_use]
    pub fn with_rate_limits_enforced(mut self, enforced: bool) -> Self {
        self.enforce_rate_limits = enforced;
        self
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("api_key", &self.api_key)
            .field("api_secret", &"[redacted]")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_redacts_the_secret() {
        let debug = format!("{:?}", Settings::new("the-key", "the-hidden-one"));
        assert!(debug.contains("the-key"));
        assert!(!debug.contains("the-hidden-one"));
    }
}
