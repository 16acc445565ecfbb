//! Rings and their responses.

use super::*;
use crate::Operation;

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
