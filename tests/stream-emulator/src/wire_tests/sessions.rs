//! Sessions, and what becomes of them when time goes on.

use tokio::time::timeout;

use super::receiver::Receiver;
use super::*;

async fn get_call(emulator: &Emulator, id: &str) -> Value {
    let path = format!("/api/v2/video/call/default/{id}?api_key=testkey123");
    json_body(&ask(emulator, &format!("GET {path}"), &json!({})).await)["call"].clone()
}

fn types(emulator: &Emulator) -> Vec<String> {
    let events = emulator.events_sent();
    events.iter().map(|it| it["type"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_session_that_everybody_left_ends_and_its_call_stays_open() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let alice = emulator.join("default:c", "alice").expect("a join");
    pass(&clock, 10);
    emulator.leave("default:c", &alice);
    pass(&clock, 29);
    assert_eq!(get_call(&emulator, "c").await["session"].get("ended_at"), None);
    pass(&clock, 1_000);
    let call = get_call(&emulator, "c").await;
    assert_eq!(call["session"]["started_at"], json!(nanos(0)));
    assert_eq!(call["session"]["ended_at"], json!(nanos(40)));
    assert_eq!(call.get("ended_at"), None);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    assert_eq!(
        types(&emulator),
        [
            "call.created",
            "call.session_started",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.session_ended",
        ]
    );
    assert_eq!(emulator.events_sent()[3]["duration_seconds"], json!(10));
    let ended = &emulator.events_sent()[4];
    assert_eq!(ended["created_at"], json!("2026-01-01T00:00:40.000000000Z"));
    assert!(emulator.join("default:c", "alice").is_some());
    assert_ne!(get_call(&emulator, "c").await["session"]["id"], call["session"]["id"]);
}

#[tokio::test]
async fn a_call_that_lasts_too_long_ends_with_its_session() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    pass(&clock, 100);
    assert!(emulator.join("default:c", "alice").is_some());
    pass(&clock, 3_599);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    pass(&clock, 500);
    let call = get_call(&emulator, "c").await;
    assert_eq!(call["ended_at"], json!(nanos(3_700)));
    assert_eq!(call["session"]["ended_at"], json!(nanos(3_700)));
    assert_eq!(types(&emulator)[3..], ["call.ended", "call.session_ended"]);
    assert_eq!(emulator.join("default:c", "alice"), None);
}

#[tokio::test]
async fn a_clock_that_was_moved_is_noticed_without_anybody_asking() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    emulator.leave_all("default:c");
    let receiver = Receiver::answering(&[]).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    pass(&clock, 30);
    timeout(Duration::from_secs(10), receiver.got(1)).await.expect("a webhook");
    assert_eq!(receiver.types(), ["call.session_ended"]);
}

#[tokio::test]
async fn marking_a_call_ended_ends_its_session() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    assert_eq!(emulator.call("default:c").expect("the call").present, ["alice"]);
    pass(&clock, 5);
    post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    let call = emulator.call("default:c").expect("the call");
    assert_eq!((call.ended_at, call.session_ended_at), (Some(nanos(5)), Some(nanos(5))));
    assert_eq!(call.session_started_at, Some(nanos(0)));
    assert!(call.present.is_empty());
    assert_eq!(types(&emulator)[3..], ["call.ended", "call.session_ended"]);
}

#[tokio::test]
async fn the_media_side_can_be_played_from_outside() {
    let emulator = emulator().await;
    create_call(&emulator, "c").await;
    let play = async |what: &str, more: Value| {
        let mut body = json!({ "call_cid": "default:c" });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        let answer = ask(&emulator, &format!("POST /_emulator/{what}"), &body).await;
        assert_eq!(status(&answer), 200, "{answer}");
        json_body(&answer)
    };
    play("miss", json!({ "user_id": "bob" })).await;
    play("reject", json!({ "user_id": "bob" })).await;
    let joined = play("join", json!({ "user_id": "alice" })).await;
    play("leave", json!({ "user_session_id": joined["user_session_id"] })).await;
    play("join", json!({ "user_id": "alice" })).await;
    play("leave", json!({})).await;
    play("rate", json!({ "user_id": "alice", "rating": 5 })).await;
    play("report_ready", json!({})).await;
    assert_eq!(
        types(&emulator)[1..],
        [
            "call.missed",
            "call.rejected",
            "call.session_started",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.user_feedback_submitted",
            "call.stats_report_ready",
        ]
    );
    let refused = ask(&emulator, "POST /_emulator/join", &json!({ "call_cid": "c" })).await;
    assert_eq!(status(&refused), 400);
    assert_eq!(emulator.counts().total(), 2);
}

#[tokio::test]
async fn what_is_done_behind_the_backends_back_is_told() {
    let emulator = emulator().await;
    create_call(&emulator, "c").await;
    create_channel(&emulator, "c").await;
    emulator.delete_call("default:c");
    emulator.delete_channel("messaging:c");
    emulator.deactivate_user("alice");
    emulator.reactivate_user("alice");
    emulator.delete_user("alice");
    emulator.delete_call("default:c");
    emulator.delete_channel("nonsense");
    assert!(emulator.call("default:c").is_none());
    assert!(emulator.live_channels().is_empty());
    let told = types(&emulator);
    let expected =
        ["call.deleted", "channel.deleted", "user.deactivated", "user.reactivated", "user.deleted"];
    assert_eq!(told[told.len() - expected.len()..], expected);
}
