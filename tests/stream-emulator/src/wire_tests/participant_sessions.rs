//! `QueryCallParticipantSessions` and `QueryCallSessionStats`.

use super::*;
use crate::{Fault, FaultRule, Operation, ParticipantSessionFaults};

/// An emulator, its clock and the id of a session of the call `c`. In it, alice joins at the start
/// and bob after 10 s.
async fn emulator_with_session() -> (Emulator, Arc<AtomicU64>, String) {
    let (emulator, clock) = emulator_and_clock().await;
    create_call(&emulator, "c").await;
    assert!(emulator.join("default:c", "alice").is_some());
    advance(&clock, 10);
    assert!(emulator.join("default:c", "bob").is_some());
    let call = emulator.call("default:c").expect("the call");
    (emulator, clock, call.session_id.expect("a session"))
}

async fn participant_sessions(emulator: &Emulator, session: &str, query: &str) -> String {
    let path = format!("/api/v2/video/call/default/c/session/{session}/participant_sessions");
    send_request(emulator, &format!("GET {path}?api_key=testkey123{query}"), &json!({})).await
}

#[tokio::test]
async fn participant_sessions_are_final_with_the_report() {
    let (emulator, clock, session) = emulator_with_session().await;
    advance(&clock, 49);
    let early = json_body(&participant_sessions(&emulator, &session, "").await);
    assert_eq!(early["participants_sessions"], json!([]));
    advance(&clock, 1);
    let live = participant_sessions(&emulator, &session, "").await;
    assert_eq!(status(&live), 200, "{live}");
    assert_eq!(header(&live, "x-ratelimit-limit"), Some("1000"));
    let live = json_body(&live);
    assert!(live["duration"].is_u64(), "{live}");
    assert_eq!(live["participants_sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(live["participants_sessions"][0]["joined_at"], json!(nanos_after_start(0)));
    post(&emulator, "video/call/default/c/mark_ended", &json!({})).await;
    emulator.publish_report("default:c");
    let last = json_body(&participant_sessions(&emulator, &session, "").await);
    let rows = &last["participants_sessions"];
    for (row, user, duration) in [(&rows[0], "alice", 60), (&rows[1], "bob", 50)] {
        assert_eq!(row["user_id"], json!(user));
        assert_eq!(row["left_at"], json!(nanos_after_start(60)));
        assert_eq!(row["duration_in_seconds"], json!(duration));
    }
    assert_eq!(last["total_participant_duration"], json!(110));
    assert_eq!(emulator.counts().get(Operation::QueryCallParticipantSessions), 3);
}

#[tokio::test]
async fn participant_sessions_are_paginated() {
    let (emulator, _, session) = emulator_with_session().await;
    emulator.set_participant_sessions_delay(Duration::ZERO);
    emulator.set_participant_session_faults(ParticipantSessionFaults {
        page_size: Some(1),
        ..ParticipantSessionFaults::default()
    });
    let first = json_body(&participant_sessions(&emulator, &session, "&limit=100").await);
    assert_eq!(first["participants_sessions"][0]["user_id"], json!("alice"));
    let next = first["next"].as_str().expect("a cursor");
    let query = format!("&limit=100&next={next}");
    let second = json_body(&participant_sessions(&emulator, &session, &query).await);
    assert_eq!(second["participants_sessions"][0]["user_id"], json!("bob"));
    assert_eq!(second.get("next"), None);
    for (session, query, expected) in
        [(session.as_str(), "&limit=101", (400, 4)), ("unknown", "", (404, 16))]
    {
        let rejected = participant_sessions(&emulator, session, query).await;
        assert_eq!((status(&rejected), error_code(&rejected)), (expected.0, json!(expected.1)));
    }
}

#[tokio::test]
async fn session_stats_name_the_sessions_of_a_call() {
    let (emulator, _, session) = emulator_with_session().await;
    let query = json!({ "filter_conditions": { "call_cid": "default:c" }, "limit": 100 });
    let response = post(&emulator, "video/call_stats", &query).await;
    assert_eq!(status(&response), 201, "{response}");
    let response = json_body(&response);
    assert!(response["duration"].is_string());
    assert_eq!(response["call_stats"].as_array().map(Vec::len), Some(1));
    assert_eq!(response["call_stats"][0]["call_session_id"], json!(session));
    assert_eq!(response["call_stats"][0]["counts"]["live_sessions"], json!(2));
    assert_eq!(emulator.counts().get(Operation::QueryCallSessionStats), 1);
}

#[tokio::test]
async fn fault_rules_apply_to_both_queries() {
    let (emulator, _, session) = emulator_with_session().await;
    for operation in [Operation::QueryCallParticipantSessions, Operation::QueryCallSessionStats] {
        emulator.add_fault(FaultRule::for_operation(operation, Fault::Status(503)).once());
    }
    assert_eq!(status(&participant_sessions(&emulator, &session, "").await), 503);
    assert_eq!(status(&participant_sessions(&emulator, &session, "").await), 200);
    assert_eq!(status(&post(&emulator, "video/call_stats", &json!({})).await), 503);
    assert_eq!(status(&post(&emulator, "video/call_stats", &json!({})).await), 201);
}
