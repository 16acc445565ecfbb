//! The app's webhooks: where they go, what goes wrong with them, and what became of them.

use serde_json::Value;

use super::Emulator;
use crate::webhooks::{DeliveryAttempt, WebhookScript, sign};

impl Emulator {
    /// Sets the app's `event_hooks`, as the dashboard does.
    pub fn set_event_hooks(&self, hooks: Vec<Value>) {
        self.state().with_inner(|inner, _| inner.world.app_mut().event_hooks = hooks);
    }

    /// Sets whether the app's webhooks are compressed, as the dashboard does.
    pub fn set_hook_compression(&self, compressed: bool) {
        self.state().with_inner(|inner, _| inner.world.app_mut().hook_compression = compressed);
    }

    /// Sets how webhooks are delivered from now on. What waits already stays as it is, and what is
    /// held stays held.
    pub fn set_webhook_script(&self, script: WebhookScript) {
        self.state().with_inner(|inner, _| inner.webhooks.set_script(script));
    }

    /// Sends the webhooks that were held, in the order that the script's seed decides.
    pub fn release_webhooks(&self) {
        self.state().with_inner(|inner, _| inner.webhooks.release());
    }

    /// Waits until every webhook was delivered or given up. Those that are held do not count.
    pub async fn webhooks_idle(&self) {
        self.state().webhooks_idle().await;
    }

    /// The attempts to deliver webhooks, in the order in which they ended; the last 10,000 of them.
    #[must_use]
    pub fn delivery_attempts(&self) -> Vec<DeliveryAttempt> {
        self.state().with_inner(|inner, _| inner.webhooks.attempts())
    }

    /// Forgets the attempts so far.
    pub fn clear_delivery_attempts(&self) {
        self.state().with_inner(|inner, _| inner.webhooks.clear_attempts());
    }

    /// The events that arose, in that order and whatever became of them; the last 10,000 of them.
    #[must_use]
    pub fn emitted_events(&self) -> Vec<Value> {
        self.state().with_inner(|inner, _| inner.webhooks.events())
    }

    /// Signs a webhook's body, as it is before compression.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        sign(&self.state().settings().api_secret(), body)
    }

    /// Sends an event as if it had arisen.
    pub fn emit_event(&self, event: Value) {
        self.state().with_inner(|inner, _| inner.world.push_event(event));
    }
}
