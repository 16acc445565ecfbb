//! The app's webhooks: hooks, delivery script, emitted events and delivery attempts.

use serde_json::Value;

use super::Emulator;
use crate::webhooks::{DeliveryAttempt, DeliveryView, WebhookScript, sign};

impl Emulator {
    /// Sets the app's `event_hooks`, as the dashboard does.
    pub fn set_event_hooks(&self, hooks: Vec<Value>) {
        self.state().with_inner(|inner, _| inner.world.app_mut().event_hooks = hooks);
    }

    /// Sets whether the app's webhooks are gzip-compressed, as the dashboard does.
    pub fn set_hook_compression(&self, compressed: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().hook_compression = compressed);
    }

    /// Sets how new webhooks are delivered. Queued deliveries do not change, and held deliveries
    /// stay held.
    pub fn set_webhook_script(&self, script: WebhookScript) {
        self.state().with_inner(|inner, _| inner.webhooks.set_script(script));
    }

    /// How new webhooks are delivered.
    #[must_use]
    pub fn webhook_script(&self) -> WebhookScript {
        self.state().with_inner(|inner, _| inner.webhooks.script().clone())
    }

    /// The last 1,000 deliveries with their attempts, oldest first. Those that the script drops are
    /// included.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryView> {
        self.state().with_inner(|inner, _| inner.webhooks.deliveries())
    }

    /// Sends the held webhooks, in the order that the script's seed determines.
    pub fn release_webhooks(&self) {
        self.state().with_inner(|inner, _| inner.webhooks.release());
    }

    /// Waits until every webhook was delivered or abandoned. Held webhooks do not count.
    pub async fn webhooks_idle(&self) {
        self.state().webhooks_idle().await;
    }

    /// The last 10,000 delivery attempts, in the order in which they ended.
    #[must_use]
    pub fn delivery_attempts(&self) -> Vec<DeliveryAttempt> {
        self.state().with_inner(|inner, _| inner.webhooks.attempts())
    }

    /// Clears the recorded delivery attempts.
    pub fn clear_delivery_attempts(&self) {
        self.state().with_inner(|inner, _| inner.webhooks.clear_attempts());
    }

    /// The last 10,000 emitted events, in order, whether or not they were delivered.
    #[must_use]
    pub fn emitted_events(&self) -> Vec<Value> {
        self.state().with_inner(|inner, _| inner.events.events())
    }

    /// The signature of a webhook's uncompressed body.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        sign(&self.state().settings().api_secret(), body)
    }

    /// Emits an event, which is delivered like any other.
    pub fn emit_event(&self, event: Value) {
        self.state().with_inner(|inner, _| inner.world.push_event(event));
    }
}
