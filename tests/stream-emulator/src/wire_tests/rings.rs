//! Rings and their responses.

use super::webhook_receiver::WebhookReceiver;
use super::*;
use crate::{Operation, WebhookScript};

const RING: &str = "POST /video/call/default/c/ring";

/// An emulator in which alice has a call with bob, and its clock.
async fn emulator_with_call() -> (Emulator, Arc<AtomicU64>) {
    let (emulator, clock) = emulator_and_clock().await;
    upsert_alice(&emulator).await;
    post(&emulator, "users", &json!({ "users": { "bob": { "id": "bob" } } })).await;
    get_or_create(&emulator, false).await;
    (emulator, clock)
}

async fn get_or_create(emulator: &Emulator, ring: bool) {
    let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
    let data = json!({ "created_by_id": "alice", "members": members });
    let request = json!({ "data": data, "ring": ring });
    let response = post(emulator, "video/call/default/c", &request).await;
    assert_eq!(status(&response), 201, "{response}");
}

/// The rung users and the instants, in seconds after the start.
fn rings(emulator: &Emulator) -> Vec<(String, i64)> {
    let seconds_after_start = |nanos: i64| (nanos - nanos_after_start(0)) / 1_000_000_000;
    let rings = emulator.rings("default:c").into_iter();
    rings.map(|ring| (ring.user_id, seconds_after_start(ring.rung_at))).collect()
}

#[tokio::test]
async fn ring_call_is_an_operation() {
    let (emulator, clock) = emulator_with_call().await;
    advance(&clock, 5);
    let ring = json!({ "members_ids": ["bob"] });
    let response = post(&emulator, "video/call/default/c/ring", &ring).await;
    assert_eq!(status(&response), 201, "{response}");
    assert_eq!(json_body(&response)["members_ids"], json!(["bob"]));
    assert!(json_body(&response)["duration"].is_string());
    let call = emulator.call("default:c").expect("the call");
    assert_eq!(call.session_started_at, None);
    assert_eq!(call.session_id.as_ref(), Some(&emulator.rings("default:c")[0].session_id));
    advance(&clock, 3);
    let response = send_as(&emulator, "bob", RING, &json!({})).await;
    let text = "RingCall failed with error: \"no users to ring\"";
    assert_eq!((status(&response), &json_body(&response)["message"]), (400, &json!(text)));
    emulator.set_ring_call_rings_creator(true);
    assert_eq!(status(&send_as(&emulator, "bob", RING, &json!({})).await), 201);
    assert_eq!(emulator.counts().get(Operation::RingCall), 3);
    assert_eq!(rings(&emulator), [("bob".to_owned(), 5), ("alice".to_owned(), 8)]);
}

#[tokio::test]
async fn member_misses_the_ring_at_its_timeout() {
    let (emulator, clock) = emulator_with_call().await;
    advance(&clock, 10);
    get_or_create(&emulator, true).await;
    advance(&clock, 100);
    let session = get_call(&emulator, "c").await["session"].clone();
    assert_eq!(session["missed_by"], json!({ "bob": nanos_after_start(25) }));
    assert_eq!(session.get("started_at"), None);
    let events = emulator.emitted_events();
    let missed = events.last().expect("an event");
    assert_eq!(missed["type"], json!("call.missed"));
    assert_eq!(missed["created_at"], json!("2026-01-01T00:00:25.000000000Z"));
    assert_eq!(missed["members"][0]["user_id"], json!("bob"));
    assert_eq!(missed["user"]["id"], json!("alice"));
    assert_eq!(missed["session_id"], session["id"]);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    assert_eq!(rings(&emulator), [("bob".to_owned(), 10)]);
}

#[tokio::test]
async fn responses_of_clients_are_in_events_and_maps() {
    let (emulator, clock) = emulator_with_call().await;
    get_or_create(&emulator, true).await;
    let respond = async |user: &str, action: &str, body: Value| {
        advance(&clock, 1);
        let path = format!("POST /video/call/default/c/{action}");
        let response = send_as(&emulator, user, &path, &body).await;
        assert_eq!(status(&response), 201, "{response}");
    };
    respond("bob", "reject", json!({ "reason": "decline" })).await;
    respond("alice", "reject", json!({ "reason": "cancel" })).await;
    emulator.reject_with("default:c", "bob", Some("timeout"));
    respond("bob", "accept", json!(null)).await;
    let session = get_call(&emulator, "c").await["session"].clone();
    assert_eq!(session["accepted_by"], json!({ "bob": nanos_after_start(3) }));
    let rejected = json!({ "alice": nanos_after_start(2), "bob": nanos_after_start(2) });
    assert_eq!(session["rejected_by"], rejected);
    respond("bob", "mark_ended", json!(null)).await;
    let events = emulator.emitted_events();
    let last: Vec<(&Value, &Value, &Value)> = events[events.len() - 5..]
        .iter()
        .map(|event| (&event["type"], &event["user"]["id"], &event["reason"]))
        .collect();
    let expected = [
        ("call.rejected", "bob", json!("decline")),
        ("call.rejected", "alice", json!("cancel")),
        ("call.rejected", "bob", json!("timeout")),
        ("call.accepted", "bob", json!(null)),
        ("call.ended", "bob", json!(null)),
    ];
    for (actual, (kind, user, reason)) in last.into_iter().zip(&expected) {
        assert_eq!(actual, (&json!(kind), &json!(user), reason));
    }
}

#[tokio::test]
async fn script_repeats_and_reorders_the_events_of_a_ring() {
    let (emulator, clock) = emulator_with_call().await;
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    let script =
        WebhookScript { copies: 2, shuffle: Some(3), concurrency: 1, ..WebhookScript::default() };
    emulator.set_webhook_script(script);
    get_or_create(&emulator, true).await;
    emulator.reject_with("default:c", "bob", Some("busy"));
    assert!(emulator.join_as("default:c", "alice", "phone").is_some());
    advance(&clock, 5);
    assert!(emulator.join_as("default:c", "alice", "phone").is_some());
    emulator.end_call("default:c", Some("alice"), None);
    emulator.webhooks_idle().await;
    assert!(receiver.event_types().is_empty());
    emulator.release_webhooks();
    emulator.webhooks_idle().await;
    let mut delivered = receiver.event_types();
    let emitted = event_types(&emulator);
    let since_ring = emitted.iter().position(|kind| kind == "call.ring").expect("a ring");
    let emitted = &emitted[since_ring..];
    let mut expected = [emitted, emitted].concat();
    assert_ne!(delivered, expected);
    expected.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(delivered, expected);
}
