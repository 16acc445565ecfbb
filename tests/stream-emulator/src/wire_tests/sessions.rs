//! Sessions and their timeouts.

use tokio::time::timeout;

use super::webhook_receiver::WebhookReceiver;
use super::*;

#[tokio::test]
async fn empty_session_ends_and_its_call_stays_open() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    let alice = emulator.join("default:c", "alice").expect("a join");
    advance(&clock, 10);
    emulator.leave("default:c", &alice);
    advance(&clock, 29);
    assert_eq!(get_call(&emulator, "c").await["session"].get("ended_at"), None);
    advance(&clock, 1_000);
    let call = get_call(&emulator, "c").await;
    assert_eq!(call["session"]["started_at"], json!(nanos_after_start(0)));
    assert_eq!(call["session"]["ended_at"], json!(nanos_after_start(40)));
    assert_eq!(call.get("ended_at"), None);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    assert_eq!(
        event_types(&emulator),
        [
            "call.created",
            "call.session_started",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.session_ended",
        ]
    );
    assert_eq!(emulator.emitted_events()[3]["duration_seconds"], json!(10));
    let ended = &emulator.emitted_events()[4];
    assert_eq!(ended["created_at"], json!("2026-01-01T00:00:40.000000000Z"));
    assert!(emulator.join("default:c", "alice").is_some());
    assert_ne!(get_call(&emulator, "c").await["session"]["id"], call["session"]["id"]);
}

#[tokio::test]
async fn call_over_max_duration_ends_with_its_session() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    advance(&clock, 100);
    assert!(emulator.join("default:c", "alice").is_some());
    advance(&clock, 3_599);
    assert_eq!(emulator.live_calls(), ["default:c"]);
    advance(&clock, 500);
    let call = get_call(&emulator, "c").await;
    assert_eq!(call["ended_at"], json!(nanos_after_start(3_700)));
    assert_eq!(call["session"]["ended_at"], json!(nanos_after_start(3_700)));
    assert_eq!(event_types(&emulator)[3..], ["call.ended", "call.session_ended"]);
    assert_eq!(emulator.join("default:c", "alice"), None);
}

#[tokio::test]
async fn timeouts_run_without_requests() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    emulator.leave_all("default:c");
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    advance(&clock, 30);
    timeout(Duration::from_secs(10), receiver.wait_for(1)).await.expect("a webhook");
    assert_eq!(receiver.event_types(), ["call.session_ended"]);
}

#[tokio::test]
async fn mark_ended_ends_the_session() {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    assert_eq!(emulator.call("default:c").expect("the call").present, ["alice"]);
    advance(&clock, 5);
    post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    let call = emulator.call("default:c").expect("the call");
    assert_eq!(
        (call.ended_at, call.session_ended_at),
        (Some(nanos_after_start(5)), Some(nanos_after_start(5)))
    );
    assert_eq!(call.session_started_at, Some(nanos_after_start(0)));
    assert!(call.present.is_empty());
    assert_eq!(event_types(&emulator)[3..], ["call.ended", "call.session_ended"]);
}

#[tokio::test]
async fn control_api_plays_the_media_side() {
    let emulator = emulator().await;
    create_call(&emulator, "c").await;
    let control = async |action: &str, extra: Value| {
        let mut body = json!({ "call_cid": "default:c" });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, extra) {
            body.extend(more);
        }
        let response = send_request(&emulator, &format!("POST /_emulator/{action}"), &body).await;
        assert_eq!(status(&response), 200, "{response}");
        json_body(&response)
    };
    control("miss", json!({ "user_id": "bob" })).await;
    control("reject", json!({ "user_id": "bob", "reason": "decline" })).await;
    control("accept", json!({ "user_id": "bob" })).await;
    let joined = control("join", json!({ "user_id": "alice" })).await;
    control("leave", json!({ "user_session_id": joined["user_session_id"] })).await;
    let phone = json!({ "user_id": "alice", "user_session_id": "phone" });
    assert_eq!(control("join", phone).await["user_session_id"], json!("phone"));
    control("leave", json!({ "reason": "timeout" })).await;
    control("rate", json!({ "user_id": "alice", "rating": 5 })).await;
    control("report_ready", json!({})).await;
    control("end", json!({ "user_id": "alice", "reason": "over" })).await;
    assert_eq!(
        event_types(&emulator)[1..],
        [
            "call.missed",
            "call.rejected",
            "call.accepted",
            "call.session_started",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.user_feedback_submitted",
            "call.stats_report_ready",
            "call.ended",
            "call.session_ended",
        ]
    );
    let events = emulator.emitted_events();
    let reasons = [2, 5, 7, 8, 11].map(|event| events[event]["reason"].clone());
    let expected = [json!("decline"), json!(null), json!(null), json!("timeout"), json!("over")];
    assert_eq!(reasons, expected);
    assert_eq!(events[11]["user"]["id"], json!("alice"));
    let joins = emulator.joins("default:c");
    assert_eq!((joins.len(), joins[1].user_session_id.as_str()), (2, "phone"));
    assert_eq!(joins[1].left_at, Some(nanos_after_start(0)));
    assert_eq!(emulator.join_as("default:c", "alice", "phone"), None);
    let rejected =
        send_request(&emulator, "POST /_emulator/join", &json!({ "call_cid": "c" })).await;
    assert_eq!(status(&rejected), 400);
    assert_eq!(emulator.counts().total(), 2);
}

#[tokio::test]
async fn direct_changes_emit_events() {
    let emulator = emulator().await;
    create_call(&emulator, "c").await;
    create_channel(&emulator, "c").await;
    emulator.delete_call("default:c");
    emulator.delete_channel("messaging:c");
    emulator.deactivate_user("alice");
    emulator.reactivate_user("alice");
    emulator.delete_user("alice");
    emulator.delete_call("default:c");
    emulator.delete_channel("invalid");
    assert!(emulator.call("default:c").is_none());
    assert!(emulator.live_channels().is_empty());
    let emitted = event_types(&emulator);
    let expected =
        ["call.deleted", "channel.deleted", "user.deactivated", "user.reactivated", "user.deleted"];
    assert_eq!(emitted[emitted.len() - expected.len()..], expected);
}
