//! The emulated app and its clock.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use crate::webhooks::WebhookTimes;
use crate::world::JoinMode;

/// The source of the emulator's time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The settings of the emulated app.
#[derive(Clone)]
pub struct Settings {
    /// The API key, which every request must have as `api_key`.
    pub api_key: String,
    /// Shared by all clones, so that a rotated secret applies everywhere.
    api_secret: Arc<RwLock<String>>,
    /// The emulator's clock.
    pub now: Clock,
    /// Whether a request over its rate limit is rejected.
    pub enforce_rate_limits: bool,
    /// The response to a join.
    pub join_mode: JoinMode,
    /// The format of instants in webhooks.
    pub webhook_times: WebhookTimes,
}

impl Settings {
    /// Settings with this key and secret, the system clock and enforced rate limits.
    #[must_use]
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            api_secret: Arc::new(RwLock::new(api_secret.into())),
            now: Arc::new(SystemTime::now),
            enforce_rate_limits: true,
            join_mode: JoinMode::default(),
            webhook_times: WebhookTimes::default(),
        }
    }

    /// The current secret, with which every token must be signed.
    #[must_use]
    pub fn api_secret(&self) -> String {
        self.api_secret.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the secret. Tokens signed with the old one are no longer valid.
    pub(crate) fn set_api_secret(&self, secret: String) {
        *self.api_secret.write().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Sets the response to a join.
    #[must_use]
    pub const fn with_join_mode(mut self, mode: JoinMode) -> Self {
        self.join_mode = mode;
        self
    }

    /// Sets whether rate limits are enforced. If not, they are only reported in headers, so that a
    /// benchmark can exceed them.
    #[must_use]
    pub fn with_rate_limits_enforced(mut self, enforced: bool) -> Self {
        self.enforce_rate_limits = enforced;
        self
    }

    /// Sets the format of instants in webhooks, by default RFC 3339.
    #[must_use]
    pub fn with_webhook_times(mut self, times: WebhookTimes) -> Self {
        self.webhook_times = times;
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
        let debug = format!("{:?}", Settings::new("the-key", "the-secret"));
        assert!(debug.contains("the-key"));
        assert!(!debug.contains("the-secret"));
    }
}
