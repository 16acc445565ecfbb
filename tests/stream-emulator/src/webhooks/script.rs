//! The delivery script: webhooks that are dropped, duplicated, delayed or reordered, since Stream
//! and the network guarantee neither exactly-once nor ordered delivery.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::times::WebhookTimes;

/// How webhooks are delivered. By default each event is delivered once, without delay, and
/// compressed according to the app's setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookScript {
    /// Drops all events: there are no deliveries and no recorded attempts.
    pub drop_all: bool,
    /// The number of deliveries of each event, all with the same id.
    pub copies: u32,
    /// Which deliveries are compressed.
    pub gzip: GzipMode,
    /// The delay of each delivery. In JSON: milliseconds.
    #[serde(with = "crate::millis")]
    pub delay: Duration,
    /// A seed. If set, deliveries are held until
    /// [`release_webhooks`](crate::Emulator::release_webhooks) and sent in the order that the seed
    /// determines.
    pub shuffle: Option<u64>,
    /// The maximum number of concurrent deliveries to each hook, including retries; at least 1.
    /// With more than one, their order is undefined.
    pub concurrency: usize,
    /// The format of instants. `None` is that of the settings.
    pub times: Option<WebhookTimes>,
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
            times: None,
        }
    }
}

impl WebhookScript {
    /// When a delivery that is queued now is sent.
    pub(super) fn due_at(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.delay).unwrap_or(now)
    }
}

/// Which deliveries are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GzipMode {
    /// According to the app's setting.
    #[default]
    AppSetting,
    /// None.
    Never,
    /// All.
    Always,
    /// Every second delivery.
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
        let nanoseconds =
            WebhookScript { times: Some(WebhookTimes::Nanoseconds), ..WebhookScript::default() };
        assert_eq!(parse(json!({ "times": "nanoseconds" })), Some(nanoseconds));
        assert_eq!(parse(json!({ "copy": 2 })), None);
    }
}
