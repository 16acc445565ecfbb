//! Webhooks, as a receiver gets them.

use std::collections::BTreeSet;

use tokio::time::{Instant, timeout};

use super::webhook_receiver::{Webhook, WebhookReceiver, hook};
use super::*;
use crate::{AttemptOutcomeView, GzipMode, WebhookScript, WebhookTimes};

/// Sequential delivery, so that tests can check the order.
fn one_at_a_time() -> WebhookScript {
    WebhookScript { concurrency: 1, ..WebhookScript::default() }
}

/// An emulator with a hook, and its receiver, which responds with these statuses.
async fn emulator_with_receiver(statuses: &[u16]) -> (Emulator, WebhookReceiver) {
    let emulator = emulator().await;
    let receiver = WebhookReceiver::with_statuses(statuses).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    emulator.set_webhook_script(one_at_a_time());
    (emulator, receiver)
}

fn webhook_ids(webhooks: &[Webhook]) -> BTreeSet<&str> {
    webhooks.iter().map(|webhook| webhook.header("x-webhook-id")).collect()
}

#[tokio::test]
async fn event_is_delivered_signed() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    emulator.webhooks_idle().await;
    assert_eq!(
        receiver.event_types(),
        ["call.created", "call.session_started", "call.session_participant_joined"]
    );
    let webhooks = receiver.webhooks();
    assert_eq!(webhook_ids(&webhooks).len(), 3);
    for (webhook, event) in webhooks.iter().zip(emulator.emitted_events()) {
        assert!(webhook.is_signed(SECRET));
        assert!(!webhook.is_signed("another secret"));
        assert_eq!(webhook.header("x-signature"), emulator.sign_webhook(&webhook.raw_body()));
        assert_eq!(webhook.header("content-type"), "application/json");
        assert_eq!(webhook.header("content-encoding"), "");
        assert_eq!(webhook.header("x-api-key"), "testkey123");
        assert_eq!(webhook.header("x-webhook-attempt"), "1");
        assert_eq!(webhook.event(), event);
    }
    let attempts = emulator.delivery_attempts();
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts {
        assert_eq!((attempt.attempt, attempt.copy, attempt.status), (1, 1, Some(200)));
    }
    assert_eq!(attempts[0].event, "call.created");
    assert_eq!(attempts[0].webhook_id, webhooks[0].header("x-webhook-id"));
    emulator.clear_delivery_attempts();
    assert!(emulator.delivery_attempts().is_empty());
}

#[tokio::test]
async fn signature_covers_the_uncompressed_body() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    emulator.set_hook_compression(true);
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.set_webhook_script(WebhookScript { gzip: GzipMode::EveryOther, ..one_at_a_time() });
    for _ in 0..3 {
        emulator.emit_event(json!({ "type": "call.ended" }));
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
async fn attempts_depend_on_the_response_status() {
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
        let (emulator, receiver) = emulator_with_receiver(statuses).await;
        emulator.emit_event(json!({ "type": "call.ended" }));
        emulator.webhooks_idle().await;
        let statuses_received: Vec<u16> =
            emulator.delivery_attempts().iter().filter_map(|attempt| attempt.status).collect();
        assert_eq!(statuses_received, expected);
        let webhooks = receiver.webhooks();
        assert_eq!(webhook_ids(&webhooks).len(), 1);
        let attempts: Vec<&str> =
            webhooks.iter().map(|webhook| webhook.header("x-webhook-attempt")).collect();
        assert_eq!(attempts, ["1", "2", "3"][..expected.len()]);
    }
}

#[tokio::test]
async fn unreachable_receiver_gets_two_attempts() {
    let emulator = emulator().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let url = format!("http://{}/", listener.local_addr().expect("the local address"));
    drop(listener);
    emulator.set_event_hooks(vec![hook(&url)]);
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    let attempts: Vec<_> =
        emulator.delivery_attempts().iter().map(|record| (record.attempt, record.status)).collect();
    assert_eq!(attempts, [(1, None), (2, None)]);
}

#[tokio::test]
async fn copies_share_one_id() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    emulator.set_webhook_script(WebhookScript { copies: 3, ..one_at_a_time() });
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    let webhooks = receiver.webhooks();
    assert_eq!((webhooks.len(), webhook_ids(&webhooks).len()), (3, 1));
    assert!(webhooks.iter().all(|webhook| webhook.header("x-webhook-attempt") == "1"));
    let copies: Vec<u32> =
        emulator.delivery_attempts().iter().map(|attempt| attempt.copy).collect();
    assert_eq!(copies, [1, 2, 3]);
}

#[tokio::test]
async fn held_webhooks_are_released_in_seeded_order() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    emulator.set_webhook_script(WebhookScript { shuffle: Some(1), ..one_at_a_time() });
    for kind in ["call.a", "call.b", "call.c", "call.d", "call.e"] {
        emulator.emit_event(json!({ "type": kind }));
    }
    emulator.webhooks_idle().await;
    assert!(receiver.event_types().is_empty());
    emulator.release_webhooks();
    emulator.webhooks_idle().await;
    assert_eq!(receiver.event_types(), ["call.c", "call.b", "call.e", "call.d", "call.a"]);
}

#[tokio::test]
async fn dropped_webhook_is_not_delivered() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    emulator.set_webhook_script(WebhookScript { drop_all: true, ..one_at_a_time() });
    create_call(&emulator, "c").await;
    emulator.set_webhook_script(one_at_a_time());
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(receiver.event_types(), ["call.ended"]);
    assert_eq!(emulator.emitted_events()[0]["type"], json!("call.created"));
    assert_eq!(emulator.delivery_attempts().len(), 1);
}

#[tokio::test]
async fn delayed_webhook_arrives_after_the_delay() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    let delay = Duration::from_millis(60);
    emulator.set_webhook_script(WebhookScript { delay, ..one_at_a_time() });
    let start = Instant::now();
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert!(start.elapsed() >= delay);
    assert_eq!(receiver.event_types(), ["call.ended"]);
}

#[tokio::test]
async fn update_app_replaces_the_hooks() {
    let emulator = emulator().await;
    let (video, chat) =
        (WebhookReceiver::with_statuses(&[]).await, WebhookReceiver::with_statuses(&[]).await);
    let hook_for = |receiver: &WebhookReceiver, product: &str| {
        let mut hook = receiver.hook();
        hook["product"] = json!(product);
        hook
    };
    let hooks = json!([hook_for(&video, "video"), hook_for(&chat, "chat")]);
    let update = json!({ "event_hooks": hooks, "enable_hook_payload_compression": true });
    assert_eq!(status(&send_request(&emulator, &format!("PATCH {APP_PATH}"), &update).await), 200);
    let stored = json_body(&get_app(&emulator).await)["app"]["event_hooks"].clone();
    for (stored, sent) in
        stored.as_array().expect("hooks").iter().zip(hooks.as_array().expect("hooks"))
    {
        assert!(stored["id"].is_string() && stored["created_at"].is_i64());
        assert_eq!(
            (&stored["webhook_url"], &stored["product"]),
            (&sent["webhook_url"], &sent["product"])
        );
    }
    create_call(&emulator, "c").await;
    create_channel(&emulator, "c").await;
    emulator.webhooks_idle().await;
    assert_eq!(video.event_types(), ["call.created"]);
    // `create_channel` upserts alice again, which emits `user.updated`.
    let mut received_types = chat.event_types();
    received_types.sort();
    assert_eq!(received_types, ["channel.created", "user.updated"]);
    assert!(chat.webhooks().iter().all(Webhook::is_compressed));
    let none = json!({ "event_hooks": [] });
    send_request(&emulator, &format!("PATCH {APP_PATH}"), &none).await;
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(video.event_types().len(), 1);
}

#[tokio::test]
async fn control_api_scripts_webhooks() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    let script = json!({ "copies": 2, "shuffle": 3, "concurrency": 1 });
    assert_eq!(status(&send_request(&emulator, "POST /_emulator/webhooks", &script).await), 200);
    let event = json!({ "type": "call.ended" });
    send_request(&emulator, "POST /_emulator/events", &event).await;
    assert!(receiver.event_types().is_empty());
    send_request(&emulator, "POST /_emulator/webhooks/release", &json!({})).await;
    emulator.webhooks_idle().await;
    assert_eq!(receiver.event_types(), ["call.ended", "call.ended"]);
    let events = json_body(&send_request(&emulator, "GET /_emulator/events", &json!({})).await);
    assert_eq!(events, json!([event]));
    let attempts =
        json_body(&send_request(&emulator, "GET /_emulator/deliveries", &json!({})).await);
    assert_eq!(attempts[1]["status"], json!(200));
    send_request(&emulator, "DELETE /_emulator/deliveries", &json!({})).await;
    assert!(emulator.delivery_attempts().is_empty());
    let typo = send_request(&emulator, "POST /_emulator/webhooks", &json!({ "copy": 2 })).await;
    assert_eq!(status(&typo), 400);
}

#[tokio::test]
async fn webhooks_do_not_change_the_snapshot() {
    let (emulator, _receiver) = emulator_with_receiver(&[]).await;
    let before = emulator.snapshot();
    emulator.emit_event(json!({ "type": "call.ended" }));
    emulator.webhooks_idle().await;
    assert_eq!(emulator.snapshot(), before);
}

#[tokio::test]
async fn stop_aborts_deliveries_in_flight() {
    let emulator = emulator().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let url = format!("http://{}/", silent.local_addr().expect("the local address"));
    emulator.set_event_hooks(vec![hook(&url)]);
    emulator.set_webhook_script(one_at_a_time());
    for _ in 0..2 {
        emulator.emit_event(json!({ "type": "call.ended" }));
    }
    // An accepted connection means that the first delivery is in flight.
    let _connection = silent.accept().await.expect("a connection");
    let stopped = async {
        emulator.stop().await;
        emulator.webhooks_idle().await;
    };
    timeout(Duration::from_secs(3), stopped).await.expect("stopped within 3 s");
    assert!(emulator.delivery_attempts().is_empty());
}

#[tokio::test]
async fn times_are_rfc3339_or_nanoseconds() {
    let (emulator, receiver) = emulator_with_receiver(&[]).await;
    let nanoseconds = json!({ "concurrency": 1, "times": "nanoseconds" });
    create_call(&emulator, "c").await;
    emulator.reject("default:c", "alice");
    send_request(&emulator, "POST /_emulator/webhooks", &nanoseconds).await;
    emulator.reject("default:c", "alice");
    emulator.webhooks_idle().await;
    let events: Vec<Value> = receiver.webhooks().iter().map(Webhook::event).collect();
    let (text, nanos) = (json!("2026-01-01T00:00:00.000000000Z"), json!(nanos_after_start(0)));
    for (event, expected) in [(&events[1], &text), (&events[2], &nanos)] {
        assert_eq!(event["type"], json!("call.rejected"));
        assert_eq!(&event["created_at"], expected);
        assert_eq!(&event["call"]["created_at"], expected);
        assert_eq!(&event["call"]["session"]["rejected_by"]["alice"], expected);
        assert_eq!(&event["user"]["created_at"], expected);
    }
    assert!(receiver.webhooks()[2].is_signed(SECRET));
    // The log of events and the sockets keep RFC 3339.
    assert_eq!(emulator.emitted_events()[2]["created_at"], text);
}

#[tokio::test]
async fn settings_determine_the_times_without_a_script() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let settings =
        Settings::new("testkey123", SECRET).with_webhook_times(WebhookTimes::Nanoseconds);
    let emulator = Emulator::serve(listener, settings).await.expect("an emulator");
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    emulator.emit_event(json!({ "type": "call.ended", "created_at": "2026-01-01T00:00:00Z" }));
    emulator.webhooks_idle().await;
    assert_eq!(receiver.webhooks()[0].event()["created_at"], json!(nanos_after_start(0)));
}

#[tokio::test]
async fn deliveries_have_their_attempts_also_if_they_are_dropped() {
    let (emulator, _receiver) = emulator_with_receiver(&[503, 200]).await;
    emulator.emit_event(json!({ "type": "call.ended", "call_cid": "default:c" }));
    emulator.webhooks_idle().await;
    emulator.set_webhook_script(WebhookScript { drop_all: true, ..one_at_a_time() });
    assert!(emulator.webhook_script().drop_all);
    emulator.emit_event(json!({ "type": "message.new", "cid": "messaging:c" }));
    let outcomes: Vec<_> = emulator
        .deliveries()
        .iter()
        .map(|delivery| {
            let attempts = delivery.attempts.iter();
            let attempts: Vec<_> =
                attempts.map(|it| (it.status, it.outcome, it.next_at.is_some())).collect();
            (delivery.event.clone(), attempts)
        })
        .collect();
    let failed = (Some(503), AttemptOutcomeView::Failed, true);
    let delivered = (Some(200), AttemptOutcomeView::Delivered, false);
    let dropped = (None, AttemptOutcomeView::Dropped, false);
    let expected = [
        ("call.ended".to_owned(), vec![failed, delivered]),
        ("message.new".to_owned(), vec![dropped]),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(emulator.delivery_attempts().len(), 2);
}

#[tokio::test]
async fn slow_hook_does_not_delay_the_other() {
    let emulator = emulator().await;
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let url = format!("http://{}/", silent.local_addr().expect("the local address"));
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    emulator.set_event_hooks(vec![hook(&url), receiver.hook()]);
    emulator.set_webhook_script(one_at_a_time());
    for _ in 0..3 {
        emulator.emit_event(json!({ "type": "call.ended" }));
    }
    timeout(Duration::from_secs(5), receiver.wait_for(3)).await.expect("webhooks in time");
    assert!(emulator.delivery_attempts().iter().all(|attempt| attempt.status == Some(200)));
}
