//! Webhooks, as a backend gets them.

use std::collections::BTreeSet;

use tokio::time::{Instant, timeout};

use super::receiver::{Receiver, Webhook, hook};
use super::*;
use crate::{Gzip, WebhookScript};

/// One at a time, so that their order says something.
fn in_order() -> WebhookScript {
    WebhookScript { concurrency: 1, ..WebhookScript::default() }
}

/// An emulator with a hook, in front of a receiver that answers so.
async fn hooked(statuses: &[u16]) -> (Emulator, Receiver) {
    let emulator = emulator().await;
    let receiver = Receiver::answering(statuses).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    emulator.set_webhook_script(in_order());
    (emulator, receiver)
}

fn ids(webhooks: &[Webhook]) -> BTreeSet<&str> {
    webhooks.iter().map(|webhook| webhook.header("x-webhook-id")).collect()
}

#[tokio::test]
async fn every_event_reaches_its_hook_signed() {
    let (emulator, receiver) = hooked(&[]).await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    emulator.webhooks_idle().await;
    assert_eq!(
        receiver.types(),
        ["call.created", "call.session_started", "call.session_participant_joined"]
    );
    let webhooks = receiver.webhooks();
    assert_eq!(ids(&webhooks).len(), 3);
    for (webhook, event) in webhooks.iter().zip(emulator.events_sent()) {
        assert!(webhook.is_signed(SECRET));
        assert!(!webhook.is_signed("another secret"));
        assert_eq!(webhook.header("x-signature"), emulator.sign(&webhook.plain()));
        assert_eq!(webhook.header("content-type"), "application/json");
        assert_eq!(webhook.header("content-encoding"), "");
        assert_eq!(webhook.header("x-api-key"), "testkey123");
        assert_eq!(webhook.header("x-webhook-attempt"), "1");
        assert_eq!(webhook.event(), event);
    }
    let delivered = emulator.deliveries();
    assert_eq!(delivered.len(), 3);
    assert!(delivered.iter().all(|it| (it.attempt, it.copy, it.status) == (1, 1, Some(200))));
    assert_eq!(delivered[0].event, "call.created");
    assert_eq!(delivered[0].webhook_id, webhooks[0].header("x-webhook-id"));
    emulator.clear_deliveries();
    assert!(emulator.deliveries().is_empty());
}

#[tokio::test]
async fn a_compressed_webhook_is_signed_as_it_was_before() {
    let (emulator, receiver) = hooked(&[]).await;
    emulator.set_hook_compression(true);
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.set_webhook_script(WebhookScript { gzip: Gzip::EveryOther, ..in_order() });
    for _ in 0..3 {
        emulator.deliver(json!({ "type": "call.ended" }));
    }
    emulator.webhooks_idle().await;
    let webhooks = receiver.webhooks();
    let compressed: Vec<bool> = webhooks.iter().map(Webhook::is_compressed).collect();
    assert_eq!(compressed, [true, false, true, false]);
    for webhook in &webhooks {
        let encoding = if webhook.is_compressed() { "gzip" } else { "" };
        assert_eq!(webhook.header("content-encoding"), encoding);
        assert!(webhook.is_signed(SECRET));
        assert_eq!(webhook.event(), json!({ "type": "call.ended" }));
    }
}

#[tokio::test]
async fn how_often_it_is_tried_depends_on_the_answer() {
    let cases: [(&[u16], &[u16]); 8] = [
        (&[200], &[200]),
        (&[500, 503], &[500, 503, 200]),
        (&[429, 408, 500], &[429, 408, 500]),
        (&[503, 400], &[503, 400]),
        (&[400], &[400]),
        (&[401], &[401]),
        (&[404], &[404]),
        (&[302], &[302]),
    ];
    for (statuses, expected) in cases {
        let (emulator, receiver) = hooked(statuses).await;
        emulator.deliver(json!({ "type": "call.ended" }));
        emulator.webhooks_idle().await;
        let delivered: Vec<u16> = emulator.deliveries().iter().filter_map(|it| it.status).collect();
        assert_eq!(delivered, expected);
        let webhooks = receiver.webhooks();
        assert_eq!(ids(&webhooks).len(), 1);
        let attempts: Vec<&str> =
            webhooks.iter().map(|webhook| webhook.header("x-webhook-attempt")).collect();
        assert_eq!(attempts, ["1", "2", "3"][..expected.len()]);
    }
}

#[tokio::test]
async fn who_is_not_there_is_tried_twice() {
    let emulator = emulator().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    emulator.set_event_hooks(vec![hook(&url)]);
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    let tried: Vec<_> = emulator.deliveries().iter().map(|it| (it.attempt, it.status)).collect();
    assert_eq!(tried, [(1, None), (2, None)]);
}

#[tokio::test]
async fn copies_come_under_one_id() {
    let (emulator, receiver) = hooked(&[]).await;
    emulator.set_webhook_script(WebhookScript { copies: 3, ..in_order() });
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    let webhooks = receiver.webhooks();
    assert_eq!((webhooks.len(), ids(&webhooks).len()), (3, 1));
    assert!(webhooks.iter().all(|webhook| webhook.header("x-webhook-attempt") == "1"));
    let copies: Vec<u32> = emulator.deliveries().iter().map(|it| it.copy).collect();
    assert_eq!(copies, [1, 2, 3]);
}

#[tokio::test]
async fn what_is_held_comes_in_the_seeds_order() {
    let (emulator, receiver) = hooked(&[]).await;
    emulator.set_webhook_script(WebhookScript { shuffle: Some(1), ..in_order() });
    for kind in ["call.a", "call.b", "call.c", "call.d", "call.e"] {
        emulator.deliver(json!({ "type": kind }));
    }
    emulator.webhooks_idle().await;
    assert!(receiver.types().is_empty());
    emulator.release_webhooks();
    emulator.webhooks_idle().await;
    assert_eq!(receiver.types(), ["call.c", "call.b", "call.e", "call.d", "call.a"]);
}

#[tokio::test]
async fn what_is_dropped_never_comes() {
    let (emulator, receiver) = hooked(&[]).await;
    emulator.set_webhook_script(WebhookScript { drop_all: true, ..in_order() });
    create_call(&emulator, "c").await;
    emulator.set_webhook_script(in_order());
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(receiver.types(), ["call.ended"]);
    assert_eq!(emulator.events_sent()[0]["type"], json!("call.created"));
    assert_eq!(emulator.deliveries().len(), 1);
}

#[tokio::test]
async fn what_is_delayed_comes_later() {
    let (emulator, receiver) = hooked(&[]).await;
    let delay = Duration::from_millis(60);
    emulator.set_webhook_script(WebhookScript { delay, ..in_order() });
    let start = Instant::now();
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert!(start.elapsed() >= delay);
    assert_eq!(receiver.types(), ["call.ended"]);
}

#[tokio::test]
async fn an_app_can_change_its_hooks() {
    let emulator = emulator().await;
    let (video, chat) = (Receiver::answering(&[]).await, Receiver::answering(&[]).await);
    let with = |receiver: &Receiver, product: &str| {
        let mut hook = receiver.hook();
        hook["product"] = json!(product);
        hook
    };
    let hooks = json!([with(&video, "video"), with(&chat, "chat")]);
    let update = json!({ "event_hooks": hooks, "enable_hook_payload_compression": true });
    assert_eq!(status(&ask(&emulator, &format!("PATCH {APP}"), &update).await), 200);
    let kept = json_body(&get_app(&emulator).await)["app"]["event_hooks"].clone();
    for (kept, sent) in kept.as_array().expect("hooks").iter().zip(hooks.as_array().expect("hooks"))
    {
        assert!(kept["id"].is_string() && kept["created_at"].is_i64());
        assert_eq!(
            (&kept["webhook_url"], &kept["product"]),
            (&sent["webhook_url"], &sent["product"])
        );
    }
    create_call(&emulator, "c").await;
    create_channel(&emulator, "c").await;
    emulator.webhooks_idle().await;
    assert_eq!(video.types(), ["call.created"]);
    // Making alice known again was a change of hers.
    let mut told = chat.types();
    told.sort();
    assert_eq!(told, ["channel.created", "user.updated"]);
    assert!(chat.webhooks().iter().all(Webhook::is_compressed));
    let none = json!({ "event_hooks": [] });
    ask(&emulator, &format!("PATCH {APP}"), &none).await;
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(video.types().len(), 1);
}

#[tokio::test]
async fn webhooks_can_be_scripted_from_outside() {
    let (emulator, receiver) = hooked(&[]).await;
    let script = json!({ "copies": 2, "shuffle": 3, "concurrency": 1 });
    assert_eq!(status(&ask(&emulator, "POST /_emulator/webhooks", &script).await), 200);
    let event = json!({ "type": "call.ended" });
    ask(&emulator, "POST /_emulator/events", &event).await;
    assert!(receiver.types().is_empty());
    ask(&emulator, "POST /_emulator/webhooks/release", &json!({})).await;
    emulator.webhooks_idle().await;
    assert_eq!(receiver.types(), ["call.ended", "call.ended"]);
    let events = json_body(&ask(&emulator, "GET /_emulator/events", &json!({})).await);
    assert_eq!(events, json!([event]));
    let tried = json_body(&ask(&emulator, "GET /_emulator/deliveries", &json!({})).await);
    assert_eq!(tried[1]["status"], json!(200));
    ask(&emulator, "DELETE /_emulator/deliveries", &json!({})).await;
    assert!(emulator.deliveries().is_empty());
    let typo = ask(&emulator, "POST /_emulator/webhooks", &json!({ "copy": 2 })).await;
    assert_eq!(status(&typo), 400);
}

#[tokio::test]
async fn webhooks_are_no_part_of_the_world() {
    let (emulator, _receiver) = hooked(&[]).await;
    let before = emulator.snapshot();
    emulator.deliver(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(emulator.snapshot(), before);
}

#[tokio::test]
async fn stopping_gives_up_what_is_under_way() {
    let emulator = emulator().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    emulator.set_event_hooks(vec![hook(&url)]);
    emulator.set_webhook_script(in_order());
    for _ in 0..2 {
        emulator.deliver(json!({ "type": "call.ended" }));
    }
    // The first one is under way once its connection is there.
    let _held = silent.accept().await.expect("a connection");
    let stopped = async {
        emulator.stop().await;
        emulator.webhooks_idle().await;
    };
    timeout(Duration::from_secs(3), stopped).await.expect("stopped");
    assert!(emulator.deliveries().is_empty());
}
