//! Webhooks: the delivery queue of events to the app's hooks, and the history of attempts.
//!
//! When an event is emitted, this module decides whether it is dropped, how many copies are sent
//! and whether they are compressed. `sender` only sends the queued deliveries.

mod delivery;
mod history;
mod hook;
mod retry_policy;
mod script;
mod sender;
mod signature;
mod times;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::rng::SplitMix64;
use crate::settings::Settings;
use crate::timestamp::Timestamp;
use crate::world::App;

pub(crate) use delivery::PendingDelivery;
use history::DeliveryHistory;
pub use history::{AttemptOutcomeView, AttemptView, DeliveryView};
pub use script::{GzipMode, WebhookScript};
pub(crate) use sender::run_sender;
pub(crate) use signature::sign;
pub use times::WebhookTimes;

/// The maximum number of recorded attempts, since an emulator can run for days.
const MAX_HISTORY: usize = 10_000;

/// One attempt to deliver a webhook, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryAttempt {
    /// The type of the event.
    pub event: String,
    /// The `X-Webhook-Id`, which is the same in every attempt and every copy.
    pub webhook_id: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The number of the copy, from 1.
    pub copy: u32,
    /// The status of the response, or `None` without a response.
    pub status: Option<u16>,
    /// The duration of the attempt, in milliseconds.
    pub millis: u64,
}

/// The delivery queue and the history.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    script: WebhookScript,
    queue: VecDeque<PendingDelivery>,
    /// Deliveries that wait for [`Webhooks::release`].
    held: Vec<PendingDelivery>,
    /// The deliveries in flight, by the URL of their hook. Each hook has its own slots, so that a
    /// slow receiver does not delay the others.
    in_flight: BTreeMap<String, usize>,
    /// The last attempts, in the order in which they ended.
    attempts: VecDeque<DeliveryAttempt>,
    history: DeliveryHistory,
    id_rng: SplitMix64,
    /// Whether [`GzipMode::EveryOther`] compresses the next delivery.
    compress_next: bool,
    closed: bool,
}

impl Webhooks {
    /// Queues or holds an event's deliveries to every hook that matches.
    pub(crate) fn handle_event(
        &mut self,
        event: &Value,
        app: &App,
        settings: &Settings,
        now: Timestamp,
    ) {
        let hooks = app.event_hooks.iter().filter(|_| !self.closed);
        let urls: Vec<&str> = hooks.filter_map(|hook| hook::target_url(hook, event)).collect();
        let event = self.script.times.unwrap_or(settings.webhook_times).format(event);
        let mut deliveries = Vec::new();
        for url in urls {
            let webhook_id = self.id_rng.uuid();
            self.history.add(&webhook_id, &event, now, self.script.drop_all);
            if self.script.drop_all {
                continue;
            }
            for copy in 1..=self.script.copies {
                let compressed = self.should_compress(app);
                deliveries.push(PendingDelivery::new(
                    &event,
                    url,
                    &webhook_id,
                    copy,
                    compressed,
                    settings,
                ));
            }
        }
        if self.script.shuffle.is_some() {
            self.held.extend(deliveries);
        } else {
            self.enqueue(deliveries);
        }
    }

    /// Queues the held deliveries, in the order that the script's seed determines.
    pub(crate) fn release(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if let Some(seed) = self.script.shuffle {
            SplitMix64::from_seed(seed).shuffle(&mut held);
        }
        self.enqueue(held);
    }

    pub(crate) fn set_script(&mut self, script: WebhookScript) {
        self.compress_next = false;
        self.script = script;
    }

    /// The next delivery to send, to a hook that has not reached the concurrency limit.
    pub(crate) fn next_delivery(&mut self) -> Option<PendingDelivery> {
        let limit = self.script.concurrency.max(1);
        let has_slot = |delivery: &PendingDelivery| {
            self.in_flight.get(delivery.url()).is_none_or(|count| *count < limit)
        };
        let position = self.queue.iter().position(has_slot)?;
        let delivery = self.queue.remove(position)?;
        *self.in_flight.entry(delivery.url().to_owned()).or_default() += 1;
        Some(delivery)
    }

    pub(crate) fn finish_delivery(&mut self, url: &str) {
        let Some(count) = self.in_flight.get_mut(url) else { return };
        *count -= 1;
        if *count == 0 {
            self.in_flight.remove(url);
        }
    }

    pub(crate) fn begin_attempt(&mut self, webhook_id: &str, copy: u32, now: Timestamp) {
        self.history.begin_attempt(webhook_id, copy, now);
    }

    /// Records an attempt. `backoff` is the time until the next one.
    pub(crate) fn record_attempt(
        &mut self,
        attempt: DeliveryAttempt,
        backoff: Option<Duration>,
        now: Timestamp,
    ) {
        self.history.end_attempt(&attempt, backoff, now);
        push_bounded(&mut self.attempts, attempt);
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Discards all deliveries. Later events are not delivered.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.queue.clear();
        self.held.clear();
        self.in_flight.clear();
    }

    pub(crate) fn script(&self) -> &WebhookScript {
        &self.script
    }

    /// The deliveries with their attempts, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<DeliveryView> {
        self.history.list()
    }

    pub(crate) fn attempts(&self) -> Vec<DeliveryAttempt> {
        self.attempts.iter().cloned().collect()
    }

    pub(crate) fn clear_attempts(&mut self) {
        self.attempts.clear();
    }

    fn enqueue(&mut self, deliveries: Vec<PendingDelivery>) {
        let due_at = self.script.due_at();
        self.queue.extend(deliveries.into_iter().map(|delivery| delivery.delayed_until(due_at)));
    }

    fn should_compress(&mut self, app: &App) -> bool {
        match self.script.gzip {
            GzipMode::AppSetting => app.hook_compression,
            GzipMode::Never => false,
            GzipMode::Always => true,
            GzipMode::EveryOther => {
                let compressed = self.compress_next;
                self.compress_next = !compressed;
                compressed
            }
        }
    }
}

/// Appends an item and drops the oldest one if the history is full.
fn push_bounded<T>(history: &mut VecDeque<T>, item: T) {
    if history.len() == MAX_HISTORY {
        history.pop_front();
    }
    history.push_back(item);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app() -> App {
        let hook = |url: &str, product: &str| {
            json!({
                "hook_type": "webhook",
                "enabled": true,
                "webhook_url": url,
                "event_types": [],
                "product": product,
            })
        };
        let event_hooks = vec![hook("http://a/", "all"), hook("http://b/", "chat")];
        App { event_hooks, ..App::default() }
    }

    fn settings() -> Settings {
        Settings::new("k", "s")
    }

    fn webhooks_with(script: WebhookScript) -> Webhooks {
        let mut webhooks = Webhooks::default();
        webhooks.set_script(script);
        webhooks
    }

    fn emit(webhooks: &mut Webhooks, kind: &str) {
        let now = Timestamp::from_nanos(1);
        webhooks.handle_event(&json!({ "type": kind }), &app(), &settings(), now);
    }

    /// Takes and finishes all queued deliveries.
    fn drain(webhooks: &mut Webhooks) -> Vec<PendingDelivery> {
        std::iter::from_fn(|| {
            let delivery = webhooks.next_delivery()?;
            webhooks.finish_delivery(delivery.url());
            Some(delivery)
        })
        .collect()
    }

    #[test]
    fn event_is_delivered_once_to_every_matching_hook() {
        let mut webhooks = Webhooks::default();
        emit(&mut webhooks, "call.ended");
        emit(&mut webhooks, "message.new");
        let sent: Vec<_> = drain(&mut webhooks)
            .iter()
            .map(|delivery| (delivery.event_type().to_owned(), delivery.url().to_owned()))
            .collect();
        let expected = [
            ("call.ended", "http://a/"),
            ("message.new", "http://a/"),
            ("message.new", "http://b/"),
        ];
        assert_eq!(sent, expected.map(|(kind, url)| (kind.to_owned(), url.to_owned())));
    }

    #[test]
    fn copies_share_an_id_and_events_do_not() {
        let mut webhooks = webhooks_with(WebhookScript { copies: 3, ..WebhookScript::default() });
        emit(&mut webhooks, "call.ended");
        emit(&mut webhooks, "call.ended");
        let sent = drain(&mut webhooks);
        let copies: Vec<u32> = sent.iter().map(PendingDelivery::copy).collect();
        assert_eq!(copies, [1, 2, 3, 1, 2, 3]);
        assert_eq!(sent[0].webhook_id(), sent[2].webhook_id());
        assert_ne!(sent[0].webhook_id(), sent[3].webhook_id());
    }

    #[test]
    fn dropped_event_has_no_delivery() {
        let mut webhooks =
            webhooks_with(WebhookScript { drop_all: true, ..WebhookScript::default() });
        emit(&mut webhooks, "call.ended");
        assert!(webhooks.is_idle());
    }

    #[test]
    fn held_webhooks_are_released_in_seeded_order() {
        let script = WebhookScript { shuffle: Some(1), ..WebhookScript::default() };
        let order = || {
            let mut webhooks = webhooks_with(script.clone());
            for kind in ["call.a", "call.b", "call.c", "call.d", "call.e"] {
                emit(&mut webhooks, kind);
            }
            assert!(webhooks.is_idle());
            webhooks.release();
            let deliveries = drain(&mut webhooks);
            deliveries.iter().map(|delivery| delivery.event_type().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(order(), ["call.c", "call.b", "call.e", "call.d", "call.a"]);
        assert_eq!(order(), order());
    }

    #[test]
    fn gzip_script_overrides_the_app_setting() {
        let compressed = |gzip: GzipMode, app_setting: bool| {
            let mut webhooks = webhooks_with(WebhookScript { gzip, ..WebhookScript::default() });
            let app = App { hook_compression: app_setting, ..app() };
            for _ in 0..3 {
                let now = Timestamp::from_nanos(1);
                webhooks.handle_event(&json!({ "type": "call.ended" }), &app, &settings(), now);
            }
            drain(&mut webhooks).iter().map(PendingDelivery::is_compressed).collect::<Vec<_>>()
        };
        assert_eq!(compressed(GzipMode::AppSetting, false), [false; 3]);
        assert_eq!(compressed(GzipMode::AppSetting, true), [true; 3]);
        assert_eq!(compressed(GzipMode::Never, true), [false; 3]);
        assert_eq!(compressed(GzipMode::Always, false), [true; 3]);
        assert_eq!(compressed(GzipMode::EveryOther, true), [false, true, false]);
    }

    #[test]
    fn in_flight_deliveries_are_limited_by_concurrency() {
        let mut webhooks =
            webhooks_with(WebhookScript { concurrency: 2, ..WebhookScript::default() });
        for _ in 0..3 {
            emit(&mut webhooks, "call.ended");
        }
        assert!(webhooks.next_delivery().is_some());
        assert!(webhooks.next_delivery().is_some());
        assert!(webhooks.next_delivery().is_none());
        webhooks.finish_delivery("http://a/");
        assert!(webhooks.next_delivery().is_some());
        assert!(!webhooks.has_queued());
        assert!(!webhooks.is_idle());
        webhooks.finish_delivery("http://a/");
        webhooks.finish_delivery("http://a/");
        assert!(webhooks.is_idle());
    }

    #[test]
    fn hook_without_free_slots_does_not_delay_others() {
        let mut webhooks =
            webhooks_with(WebhookScript { concurrency: 1, ..WebhookScript::default() });
        emit(&mut webhooks, "message.new");
        emit(&mut webhooks, "message.new");
        let mut next = || webhooks.next_delivery().map(|delivery| delivery.url().to_owned());
        assert_eq!(next().as_deref(), Some("http://a/"));
        assert_eq!(next().as_deref(), Some("http://b/"));
        assert_eq!(next(), None);
        webhooks.finish_delivery("http://b/");
        let next = webhooks.next_delivery().map(|delivery| delivery.url().to_owned());
        assert_eq!(next.as_deref(), Some("http://b/"));
    }

    #[test]
    fn closed_webhooks_queue_nothing() {
        let mut webhooks = Webhooks::default();
        emit(&mut webhooks, "call.ended");
        webhooks.close();
        emit(&mut webhooks, "call.ended");
        assert!(webhooks.is_idle());
    }

    #[test]
    fn history_is_bounded() {
        let mut history = VecDeque::new();
        for number in 0..=MAX_HISTORY {
            push_bounded(&mut history, number);
        }
        assert_eq!((history.len(), history.front()), (MAX_HISTORY, Some(&1)));
    }
}
