//! The operations of video clients, with user tokens and the paths of v1.

use super::*;
use crate::JoinMode;

/// An emulator in which alice rings bob. Carol is no member.
async fn emulator_with_ring() -> Emulator {
    let emulator = emulator().await;
    for id in ["alice", "bob", "carol"] {
        emulator.create_user(id);
    }
    let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
    let body = json!({ "ring": true, "data": { "members": members, "custom": { "x": 1 } } });
    let created = call_as(&emulator, "alice", "POST /video/call/default/c", body, 201).await;
    assert_eq!(created["call"]["custom"], json!({ "x": 1 }));
    assert_eq!(event_types(&emulator), ["call.created", "call.ring"]);
    emulator
}

#[tokio::test]
async fn ring_is_accepted_and_rejected() {
    let emulator = emulator_with_ring().await;
    let mut seen = event_types(&emulator).len();
    let path = "GET /video/call/default/c/ring_state";
    let state = call_as(&emulator, "alice", path, json!({}), 200).await;
    assert_eq!(state["created_by_user_id"], json!("alice"));
    assert_eq!((&state["accepted_by"], state.get("session_started_at")), (&json!({}), None));
    call_as(&emulator, "bob", "POST /video/call/default/c/accept", json!(null), 201).await;
    let by_session =
        format!("{path}?call_session_id={}", state["session_id"].as_str().unwrap_or(""));
    let state = call_as(&emulator, "alice", &by_session, json!({}), 200).await;
    assert!(state["accepted_by"]["bob"].is_string(), "{state}");
    call_as(&emulator, "alice", &format!("{path}?call_session_id=x"), json!({}), 404).await;
    let reject = json!({ "reason": "decline" });
    call_as(&emulator, "bob", "POST /video/call/default/c/reject", reject, 201).await;
    call_as(&emulator, "alice", "GET /video/call/default/c?ring=true", json!({}), 200).await;
    call_as(&emulator, "alice", "GET /video/call/default/c?notify=true", json!({}), 200).await;
    let rung = call_as(&emulator, "alice", "POST /video/call/default/c/ring", json!({}), 201).await;
    assert_eq!(rung["members_ids"], json!(["bob"]));
    call_as(&emulator, "bob", "POST /video/call/default/c/mark_ended", json!(null), 201).await;
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "call.accepted",
            "call.rejected",
            "call.ring",
            "call.notification",
            "call.ring",
            "call.ended",
        ]
    );
}

#[tokio::test]
async fn client_sends_events_and_moderates_its_call() {
    let emulator = emulator_with_ring().await;
    let _ = emulator.join("default:c", "bob").expect("a join");
    let mut seen = event_types(&emulator).len();
    let path = "/video/call/default/c";
    let event = json!({ "custom": { "x": 1 } });
    call_as(&emulator, "bob", &format!("POST {path}/event"), event, 201).await;
    let reaction = json!({ "type": "raised-hand" });
    let sent = call_as(&emulator, "bob", &format!("POST {path}/reaction"), reaction, 201).await;
    assert_eq!(sent["reaction"]["user"]["id"], json!("bob"));
    let members = json!({ "type": "default", "id": "c" });
    let members = call_as(&emulator, "bob", "POST /video/call/members", members, 201).await;
    assert_eq!(members["members"].as_array().map(Vec::len), Some(2));
    let feedback = json!({ "rating": 5, "reason": "fine", "sdk": "x", "custom": {} });
    call_as(&emulator, "bob", &format!("POST {path}/feedback"), feedback, 201).await;
    let mute = json!({ "user_ids": ["bob"], "audio": true });
    call_as(&emulator, "bob", &format!("POST {path}/mute_users"), mute.clone(), 403).await;
    call_as(&emulator, "alice", &format!("POST {path}/mute_users"), mute, 201).await;
    let bob = json!({ "user_id": "bob" });
    call_as(&emulator, "bob", &format!("POST {path}/kick"), bob.clone(), 403).await;
    call_as(&emulator, "alice", &format!("POST {path}/kick"), bob.clone(), 201).await;
    call_as(&emulator, "alice", &format!("POST {path}/block"), bob.clone(), 201).await;
    call_as(&emulator, "bob", &format!("POST {path}/join"), json!({}), 403).await;
    call_as(&emulator, "alice", &format!("POST {path}/unblock"), bob, 201).await;
    call_as(&emulator, "bob", &format!("POST {path}/join"), json!({}), 400).await;
    let add = json!({ "update_members": [{ "user_id": "carol" }] });
    call_as(&emulator, "alice", &format!("POST {path}/members"), add, 201).await;
    let custom = json!({ "custom": { "x": 2 } });
    call_as(&emulator, "alice", &format!("PATCH {path}"), custom, 200).await;
    call_as(&emulator, "alice", &format!("POST {path}/go_live"), json!({}), 501).await;
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "custom",
            "call.reaction_new",
            "call.user_feedback_submitted",
            "call.user_muted",
            "call.session_participant_left",
            "call.kicked_user",
            "call.blocked_user",
            "call.unblocked_user",
            "call.member_added",
            "call.updated",
        ]
    );
}

#[tokio::test]
async fn client_reports_without_a_token() {
    let emulator = emulator().await;
    let start = "POST /video/call_client_event?api_key=testkey123";
    let body = json!({ "events": [] }).to_string();
    let response = send_raw(&emulator, start, "stream-auth-type: anonymous", &body).await;
    assert_eq!(status(&response), 201, "{response}");
    let start = "POST /video/calls?api_key=testkey123";
    let response = send_raw(&emulator, start, "stream-auth-type: anonymous", "{}").await;
    assert_eq!((status(&response), error_code(&response)), (401, json!(5)));
}

#[tokio::test]
async fn pretended_join_is_a_participation() {
    let emulator = emulator_with_ring().await;
    emulator.set_join_mode(JoinMode::Pretend);
    let mut seen = event_types(&emulator).len();
    let path = "POST /video/call/default/c/join";
    let join = json!({ "location": "ERR", "e2ee": false });
    let joined = call_as(&emulator, "bob", path, join.clone(), 201).await;
    let host = emulator.base_url().replace("http://", "");
    let endpoint = joined["credentials"]["server"]["ws_endpoint"].as_str().unwrap_or_default();
    let prefix = format!("ws://{host}/_emulator/media/");
    let user_session_id = endpoint.strip_prefix(&prefix).expect("the emulator's own address");
    assert_eq!(joined["created"], json!(false));
    assert_eq!(joined["call"]["session"]["participants"][0]["user"]["id"], json!("bob"));
    assert!(joined["own_capabilities"].is_array());
    // A repeated join of the same socket is the same participant.
    call_as(&emulator, "bob", path, join.clone(), 201).await;
    assert_eq!(emulator.call("default:c").expect("the call").present, ["bob"]);
    emulator.disconnect_media(user_session_id);
    assert!(emulator.call("default:c").expect("the call").present.is_empty());
    call_as(&emulator, "bob", path, join.clone(), 201).await;
    emulator.disconnect_user("bob");
    assert!(emulator.call("default:c").expect("the call").present.is_empty());
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "call.session_started",
            "call.session_participant_joined",
            "call.session_participant_left",
            "call.session_participant_joined",
            "call.session_participant_left",
        ]
    );
    let create = json!({
        "create": true, "ring": true, "data": { "members": [{ "user_id": "alice" }] },
    });
    let joined = call_as(&emulator, "bob", "POST /video/call/default/n/join", create, 201).await;
    assert_eq!(
        (&joined["created"], &joined["call"]["created_by"]["id"]),
        (&json!(true), &json!("bob"))
    );
    assert_eq!(emulator.rings("default:n")[0].user_id, "alice");
    call_as(&emulator, "bob", "POST /video/call/default/c/mark_ended", json!(null), 201).await;
    call_as(&emulator, "bob", path, join, 400).await;
}

#[tokio::test]
async fn control_api_sets_the_join_mode_and_ends_participations() {
    let emulator = emulator_with_ring().await;
    let path = "POST /video/call/default/c/join";
    let refused = call_as(&emulator, "bob", path, json!({}), 400).await;
    assert_eq!(refused["unrecoverable"], json!(true));
    let control = async |path: &str, body: Value| {
        let start = format!("POST /_emulator/{path}");
        send_raw(&emulator, &start, "accept: */*", &body.to_string()).await
    };
    control("join_mode", json!({ "mode": "pretend" })).await;
    call_as(&emulator, "bob", path, json!({}), 201).await;
    control("leave", json!({ "call_cid": "default:c", "user_id": "bob" })).await;
    assert!(emulator.call("default:c").expect("the call").present.is_empty());
    call_as(&emulator, "bob", path, json!({}), 201).await;
    control("disconnect", json!({ "user_id": "bob" })).await;
    assert!(emulator.call("default:c").expect("the call").present.is_empty());
    let response = control("join_mode", json!({ "mode": "other" })).await;
    assert_eq!(status(&response), 400);
}

#[tokio::test]
async fn grants_of_the_type_limit_every_operation() {
    let emulator = emulator_with_ring().await;
    let grants = json!({ "grants": { "user": [], "call_member": [] } });
    let path = "PUT /api/v2/video/calltypes/default?api_key=testkey123";
    assert_eq!(status(&send_request(&emulator, path, &grants).await), 201);
    let before = emulator.snapshot();
    let path = "/video/call/default/c";
    let bob = json!({ "user_id": "bob" });
    for (method, operation, body) in [
        ("GET", "", json!({})),
        ("GET", "/ring_state", json!({})),
        ("POST", "", json!({})),
        ("PATCH", "", json!({ "custom": {} })),
        ("POST", "/ring", json!({})),
        ("POST", "/join", json!({})),
        ("POST", "/accept", json!({})),
        ("POST", "/reject", json!({})),
        ("POST", "/event", json!({})),
        ("POST", "/reaction", json!({ "type": "x" })),
        ("POST", "/feedback", json!({ "rating": 1 })),
        ("POST", "/members", json!({ "remove_members": ["bob"] })),
        ("POST", "/block", bob.clone()),
        ("POST", "/unblock", bob.clone()),
        ("POST", "/kick", bob),
        ("POST", "/mute_users", json!({ "user_ids": ["bob"] })),
        ("POST", "/mark_ended", json!({})),
    ] {
        let refused =
            call_as(&emulator, "alice", &format!("{method} {path}{operation}"), body, 403).await;
        assert_eq!(refused["code"], json!(17), "{method} {operation}");
    }
    assert_eq!(emulator.snapshot(), before);
}
