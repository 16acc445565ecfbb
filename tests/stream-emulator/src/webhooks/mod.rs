//! Webhooks: events on their way to the app's hooks, and what became of them.
//!
//! Everything is decided here as an event arises: whether it is lost, how often it is delivered,
//! whether it is compressed. `send` only carries out what waits.

mod chance;
mod hook;
mod parcel;
mod patience;
mod script;
mod send;
mod signature;

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::settings::Settings;
use crate::world::App;

use chance::SplitMix;

pub(crate) use parcel::Parcel;
pub use script::{Gzip, WebhookScript};
pub(crate) use send::send;
pub(crate) use signature::signature;

/// So many events and attempts are remembered: an emulator may run for days.
const REMEMBERED: usize = 10_000;

/// One attempt to deliver a webhook, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The event's type.
    pub event: String,
    /// What the attempt said in `X-Webhook-Id`: the same in every attempt and in every copy.
    pub webhook_id: String,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Which copy it was, from 1.
    pub copy: u32,
    /// The status of the answer; none where none came.
    pub status: Option<u16>,
    /// How long the attempt took, in milliseconds.
    pub millis: u64,
}

/// What is under way, and what has been.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    script: WebhookScript,
    /// The last events, in the order in which they arose.
    events: VecDeque<Value>,
    /// What is to be sent.
    waiting: VecDeque<Parcel>,
    /// What is to be sent when the script's author says so.
    held: Vec<Parcel>,
    under_way: usize,
    /// The last attempts, in the order in which they ended.
    log: VecDeque<Delivery>,
    ids: SplitMix,
    /// Whether the next one is compressed, where every other one is to be.
    compress_next: bool,
    closed: bool,
}

impl Webhooks {
    /// An event arose: every hook that wants it is to have it.
    pub(crate) fn arose(&mut self, event: Value, app: &App, settings: &Settings) {
        let kind = event["type"].as_str().unwrap_or_default();
        let hooks = app.event_hooks.iter().filter(|_| !self.closed && !self.script.drop_all);
        let addresses: Vec<&str> = hooks.filter_map(|hook| hook::address(hook, kind)).collect();
        let mut parcels = Vec::new();
        for url in addresses {
            let webhook_id = self.ids.uuid();
            for copy in 1..=self.script.copies {
                let compressed = self.compresses(app);
                parcels.push(Parcel::new(&event, url, &webhook_id, copy, compressed, settings));
            }
        }
        if self.script.shuffle.is_some() {
            self.held.extend(parcels);
        } else {
            self.post(parcels);
        }
        remember(&mut self.events, event);
    }

    /// Sends what was held, in an order that the script's seed decides.
    pub(crate) fn release(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if let Some(seed) = self.script.shuffle {
            SplitMix::seeded(seed).shuffle(&mut held);
        }
        self.post(held);
    }

    pub(crate) fn set_script(&mut self, script: WebhookScript) {
        self.compress_next = false;
        self.script = script;
    }

    /// The next one to be sent, unless enough are under way.
    pub(crate) fn take(&mut self) -> Option<Parcel> {
        if self.under_way >= self.script.concurrency.max(1) {
            return None;
        }
        let parcel = self.waiting.pop_front()?;
        self.under_way += 1;
        Some(parcel)
    }

    /// One that was under way is so no more.
    pub(crate) fn settle(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(crate) fn log(&mut self, delivery: Delivery) {
        remember(&mut self.log, delivery);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    /// Nothing is sent any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
        self.held.clear();
        self.under_way = 0;
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.iter().cloned().collect()
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.log.iter().cloned().collect()
    }

    pub(crate) fn clear_deliveries(&mut self) {
        self.log.clear();
    }

    fn post(&mut self, parcels: Vec<Parcel>) {
        let due = self.script.due();
        self.waiting.extend(parcels.into_iter().map(|parcel| parcel.not_before(due)));
    }

    fn compresses(&mut self, app: &App) -> bool {
        match self.script.gzip {
            Gzip::AppSetting => app.hook_compression,
            Gzip::Never => false,
            Gzip::Always => true,
            Gzip::EveryOther => {
                let compressed = self.compress_next;
                self.compress_next = !compressed;
                compressed
            }
        }
    }
}

/// Remembers one more, and forgets the oldest where there are too many.
fn remember<T>(memory: &mut VecDeque<T>, one: T) {
    if memory.len() == REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(one);
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

    fn scripted(script: WebhookScript) -> Webhooks {
        let mut webhooks = Webhooks::default();
        webhooks.set_script(script);
        webhooks
    }

    fn arise(webhooks: &mut Webhooks, kind: &str) {
        webhooks.arose(json!({ "type": kind }), &app(), &settings());
    }

    /// What waits, all of it taken and settled.
    fn drain(webhooks: &mut Webhooks) -> Vec<Parcel> {
        std::iter::from_fn(|| {
            let parcel = webhooks.take()?;
            webhooks.settle();
            Some(parcel)
        })
        .collect()
    }

    #[test]
    fn an_event_goes_once_to_every_hook_that_wants_it() {
        let mut webhooks = Webhooks::default();
        arise(&mut webhooks, "call.ended");
        arise(&mut webhooks, "message.new");
        let sent: Vec<_> = drain(&mut webhooks)
            .iter()
            .map(|it| (it.kind().to_owned(), it.url().to_owned()))
            .collect();
        let expected = [
            ("call.ended", "http://a/"),
            ("message.new", "http://a/"),
            ("message.new", "http://b/"),
        ];
        assert_eq!(sent, expected.map(|(kind, url)| (kind.to_owned(), url.to_owned())));
        assert_eq!(
            webhooks.events(),
            [json!({ "type": "call.ended" }), json!({ "type": "message.new" })]
        );
    }

    #[test]
    fn copies_have_the_same_id_and_other_webhooks_have_others() {
        let mut webhooks = scripted(WebhookScript { copies: 3, ..WebhookScript::default() });
        arise(&mut webhooks, "call.ended");
        arise(&mut webhooks, "call.ended");
        let sent = drain(&mut webhooks);
        let copies: Vec<u32> = sent.iter().map(Parcel::copy).collect();
        assert_eq!(copies, [1, 2, 3, 1, 2, 3]);
        assert_eq!(sent[0].webhook_id(), sent[2].webhook_id());
        assert_ne!(sent[0].webhook_id(), sent[3].webhook_id());
    }

    #[test]
    fn what_is_dropped_arose_all_the_same() {
        let mut webhooks = scripted(WebhookScript { drop_all: true, ..WebhookScript::default() });
        arise(&mut webhooks, "call.ended");
        assert!(webhooks.is_idle());
        assert_eq!(webhooks.events().len(), 1);
    }

    #[test]
    fn what_is_held_waits_for_its_release_and_comes_in_the_seeds_order() {
        let script = WebhookScript { shuffle: Some(1), ..WebhookScript::default() };
        let order = || {
            let mut webhooks = scripted(script.clone());
            for kind in ["call.a", "call.b", "call.c", "call.d", "call.e"] {
                arise(&mut webhooks, kind);
            }
            assert!(webhooks.is_idle());
            webhooks.release();
            drain(&mut webhooks).iter().map(|it| it.kind().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(order(), ["call.c", "call.b", "call.e", "call.d", "call.a"]);
        assert_eq!(order(), order());
    }

    #[test]
    fn compression_is_the_apps_unless_the_script_says_otherwise() {
        let compressed = |gzip: Gzip, of_app: bool| {
            let mut webhooks = scripted(WebhookScript { gzip, ..WebhookScript::default() });
            let app = App { hook_compression: of_app, ..app() };
            for _ in 0..3 {
                webhooks.arose(json!({ "type": "call.ended" }), &app, &settings());
            }
            drain(&mut webhooks).iter().map(Parcel::is_compressed).collect::<Vec<_>>()
        };
        assert_eq!(compressed(Gzip::AppSetting, false), [false; 3]);
        assert_eq!(compressed(Gzip::AppSetting, true), [true; 3]);
        assert_eq!(compressed(Gzip::Never, true), [false; 3]);
        assert_eq!(compressed(Gzip::Always, false), [true; 3]);
        assert_eq!(compressed(Gzip::EveryOther, true), [false, true, false]);
    }

    #[test]
    fn no_more_are_under_way_than_may_be() {
        let mut webhooks = scripted(WebhookScript { concurrency: 2, ..WebhookScript::default() });
        for _ in 0..3 {
            arise(&mut webhooks, "call.ended");
        }
        assert!(webhooks.take().is_some());
        assert!(webhooks.take().is_some());
        assert!(webhooks.take().is_none());
        webhooks.settle();
        assert!(webhooks.take().is_some());
        assert!(!webhooks.is_waiting());
        assert!(!webhooks.is_idle());
        webhooks.settle();
        webhooks.settle();
        assert!(webhooks.is_idle());
    }

    #[test]
    fn nothing_waits_after_the_end() {
        let mut webhooks = Webhooks::default();
        arise(&mut webhooks, "call.ended");
        webhooks.close();
        arise(&mut webhooks, "call.ended");
        assert!(webhooks.is_idle());
        assert_eq!(webhooks.events().len(), 2);
    }

    #[test]
    fn memory_has_an_end() {
        let mut memory = VecDeque::new();
        for number in 0..=REMEMBERED {
            remember(&mut memory, number);
        }
        assert_eq!((memory.len(), memory.front()), (REMEMBERED, Some(&1)));
    }
}
