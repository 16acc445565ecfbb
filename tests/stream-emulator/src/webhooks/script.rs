//! What goes wrong with webhooks: a network and a sender that promise little are played by losing,
//! repeating, holding back and mixing up.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How webhooks are delivered. The default is what a good day looks like: at once, once, and
/// compressed if the app says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookScript {
    /// Nothing is delivered, and nothing of it is in the log.
    pub drop_all: bool,
    /// How many times each event is delivered, under one and the same id.
    pub copies: u32,
    /// Which deliveries are compressed.
    pub gzip: GzipMode,
    /// How long each delivery is held back. In JSON: milliseconds.
    #[serde(with = "crate::millis")]
    pub delay: Duration,
    /// With a seed here, deliveries are held until
    /// [`release_webhooks`](crate::Emulator::release_webhooks) and sent in an order that the seed
    /// decides.
    pub shuffle: Option<u64>,
    /// How many deliveries are under way at the same time, retries included; at least one. With
    /// more than one, their order is anybody's.
    pub concurrency: usize,
}

impl Default for WebhookScript {
    fn default() -> Self {
        Self {
            drop_all: false,
            copies: 1,
            gzip: GzipMode::default(),
            delay: Duration::ZERO,
            shuffle: None,
            concurrency: 8,
        }
    }
}

impl WebhookScript {
    /// When what is posted now is to go out.
    pub(super) fn due_at(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.delay).unwrap_or(now)
    }
}

/// Which deliveries are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GzipMode {
    /// All of them or none, as the app is set.
    #[default]
    AppSetting,
    /// None, whatever the app's setting.
    Never,
    /// All of them, whatever the app's setting.
    Always,
    /// Every second one.
    EveryOther,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn script_is_parsed_from_json() {
        let parse = |value| serde_json::from_value::<WebhookScript>(value).ok();
        assert_eq!(parse(json!({})), Some(WebhookScript::default()));
        assert_eq!(
            parse(json!({ "copies": 2, "gzip": "every_other", "delay": 50, "shuffle": 7 })),
            Some(WebhookScript {
                copies: 2,
                gzip: GzipMode::EveryOther,
                delay: Duration::from_millis(50),
                shuffle: Some(7),
                ..WebhookScript::default()
            })
        );
        assert_eq!(parse(json!({ "copy": 2 })), None);
    }
}
