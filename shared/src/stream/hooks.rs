//! The app's event hooks at Stream, and the registration of this service's webhook among them.
//!
//! An event hook is a webhook or a queue in Stream's dashboard. Source:
//! <https://getstream.io/docs/platform/webhooks/>.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::config::{ConfigError, Env};
use crate::fields;
use crate::stream::event;

/// The route of the webhook.
const WEBHOOK_PATH: &str = "/api/stream/webhook";

/// The URL to which Stream sends the events of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(String);

/// The error for an invalid webhook URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL")]
pub struct InvalidWebhookUrl;

impl WebhookUrl {
    /// The URL of an API with this domain.
    #[must_use]
    pub fn from_domain(domain: &str) -> Self {
        Self(format!("https://{domain}{WEBHOOK_PATH}"))
    }

    /// Reads `WEBHOOK_URL`, for a deployment that Stream reaches by another domain than the apps.
    pub fn from_env(env: &Env) -> Result<Option<Self>, ConfigError> {
        const NAME: &str = "WEBHOOK_URL";
        let url = env.get(NAME).map(str::parse::<Self>).transpose();
        url.map_err(|error| ConfigError::invalid(NAME, error.to_string()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        if fields::is_http_url(text) { Ok(Self(text.to_owned())) } else { Err(InvalidWebhookUrl) }
    }
}

/// An event hook. Its URL may contain a secret, and the fields that are not read here contain
/// credentials, so the `Debug` output omits them.
#[derive(Clone, Default, Deserialize)]
pub struct EventHook {
    hook_type: Option<String>,
    enabled: Option<bool>,
    webhook_url: Option<String>,
    /// An empty or missing list means all events.
    event_types: Option<Vec<String>>,
    product: Option<String>,
}

impl fmt::Debug for EventHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHook").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl EventHook {
    /// Whether the hook sends to this URL, enabled or not.
    #[must_use]
    pub fn is_webhook_for(&self, url: &WebhookUrl) -> bool {
        self.hook_type.as_deref() == Some("webhook")
            && self.webhook_url.as_deref() == Some(url.as_str())
    }

    /// Whether the hook is enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled == Some(true)
    }

    /// Whether the hook sends events of this type.
    fn is_subscribed_to(&self, event_type: &str) -> bool {
        let matches_product = match self.product.as_deref() {
            None | Some("" | "all") => true,
            Some(product) => product == event::product(event_type),
        };
        let types = self.event_types.as_deref().unwrap_or_default();
        self.is_enabled()
            && matches_product
            && (types.is_empty() || types.iter().any(|subscribed| subscribed == event_type))
    }
}

/// The registration of a webhook at Stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookRegistration {
    /// The number of hooks that send to it, enabled or not.
    pub hook_count: usize,
    /// The number of enabled hooks.
    pub enabled_count: usize,
    /// The handled events that no hook sends.
    pub missing_events: Vec<&'static str>,
    /// Whether more than one hook sends the same event.
    pub has_duplicates: bool,
}

impl WebhookRegistration {
    /// The registration of this webhook among the hooks of an app.
    #[must_use]
    pub fn from_hooks(hooks: &[EventHook], url: &WebhookUrl) -> Self {
        let matching: Vec<_> = hooks.iter().filter(|hook| hook.is_webhook_for(url)).collect();
        let subscriber_count = |event_type: &str| {
            matching.iter().filter(|hook| hook.is_subscribed_to(event_type)).count()
        };
        Self {
            hook_count: matching.len(),
            enabled_count: matching.iter().filter(|hook| hook.is_enabled()).count(),
            missing_events: event::HANDLED_EVENTS
                .into_iter()
                .filter(|kind| subscriber_count(kind) == 0)
                .collect(),
            has_duplicates: event::HANDLED_EVENTS
                .into_iter()
                .any(|kind| subscriber_count(kind) > 1),
        }
    }

    /// Whether every handled event is sent.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn hook(overrides: Value) -> Value {
        let mut hook = json!({
            "id": "h1",
            "hook_type": "webhook",
            "enabled": true,
            "webhook_url": URL,
            "event_types": [],
            "product": "all",
            "created_at": 1_767_225_600_000_000_000_i64,
        });
        if let (Value::Object(hook), Value::Object(changed)) = (&mut hook, overrides) {
            hook.extend(changed);
        }
        hook
    }

    fn registration(hooks: Vec<Value>) -> WebhookRegistration {
        let hooks: Vec<EventHook> = serde_json::from_value(Value::Array(hooks)).unwrap();
        WebhookRegistration::from_hooks(&hooks, &URL.parse().unwrap())
    }

    #[test]
    fn registration_reports_hooks_and_missing_events() {
        let chat_events: Vec<_> =
            event::HANDLED_EVENTS.into_iter().filter(|kind| !kind.starts_with("call.")).collect();
        let call_events: Vec<_> =
            event::HANDLED_EVENTS.into_iter().filter(|kind| kind.starts_with("call.")).collect();
        let all_but_first = &event::HANDLED_EVENTS[1..];
        let all = event::HANDLED_EVENTS.to_vec();
        for (hooks, enabled, missing) in [
            (vec![json!({})], 1, vec![]),
            (vec![json!({"product": null, "event_types": null})], 1, vec![]),
            (vec![json!({"event_types": event::HANDLED_EVENTS})], 1, vec![]),
            (vec![json!({"event_types": all_but_first})], 1, vec![event::HANDLED_EVENTS[0]]),
            (vec![json!({"product": "video"})], 1, chat_events),
            (vec![json!({"product": "chat"})], 1, call_events),
            (vec![json!({"product": "video"}), json!({"product": "chat"})], 2, vec![]),
            (vec![json!({"enabled": false})], 0, all.clone()),
            (vec![json!({"enabled": null})], 0, all.clone()),
            (vec![json!({"enabled": false}), json!({})], 1, vec![]),
        ] {
            let count = hooks.len();
            let description = format!("{hooks:?}");
            let result = registration(hooks.into_iter().map(hook).collect());
            let expected = WebhookRegistration {
                hook_count: count,
                enabled_count: enabled,
                missing_events: missing,
                has_duplicates: false,
            };
            assert_eq!(result, expected, "{description}");
        }
        for other in [
            json!({"hook_type": "sqs"}),
            json!({"hook_type": null}),
            json!({"webhook_url": null}),
            json!({"webhook_url": format!("{URL}/")}),
            json!({"webhook_url": "https://elsewhere.example.com/api/stream/webhook"}),
        ] {
            let result = registration(vec![hook(other.clone())]);
            assert_eq!(
                (result.hook_count, result.enabled_count, result.missing_events.len()),
                (0, 0, all.len()),
                "{other}"
            );
        }
        assert_eq!(registration(vec![]).missing_events, all);
    }

    #[test]
    fn duplicate_delivery_is_detected() {
        assert!(
            registration(vec![hook(json!({})), hook(json!({"product": "video"}))]).has_duplicates
        );
        let other = json!({"event_types": ["message.new"]});
        assert!(!registration(vec![hook(json!({})), hook(other)]).has_duplicates);
    }

    #[test]
    fn hook_debug_output_is_redacted() {
        let hook: EventHook = serde_json::from_value(hook(json!({"product": "video"}))).unwrap();
        assert_eq!(format!("{hook:?}"), "EventHook { enabled: Some(true), .. }");
    }

    #[test]
    fn webhook_url_comes_from_the_domain_or_the_environment() {
        let url = WebhookUrl::from_domain("a1.execute-api.eu-central-1.amazonaws.com");
        let text = "https://a1.execute-api.eu-central-1.amazonaws.com/api/stream/webhook";
        assert_eq!(url.as_str(), text);
        let read = |text| WebhookUrl::from_env(&Env::from([("WEBHOOK_URL", text)]));
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(URL), Ok(Some(WebhookUrl(URL.to_owned()))));
        for bad in ["api.example.com", "ftp://a/", "nonsense"] {
            let invalid = ConfigError::invalid("WEBHOOK_URL", "must be an http or https URL");
            assert_eq!(read(bad), Err(invalid), "{bad}");
        }
    }
}
