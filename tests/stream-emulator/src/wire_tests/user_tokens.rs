//! Requests of clients, with the tokens of users.

use super::*;
use crate::Operation;

/// An emulator in which alice has a call and a channel, of which bob is a member.
async fn emulator_with_objects() -> Emulator {
    let emulator = emulator().await;
    let users = ["alice", "bob", "carol"].map(|id| (id.to_owned(), json!({ "id": id })));
    let users = json!({ "users": Value::Object(users.into_iter().collect()) });
    post(&emulator, "users", &users).await;
    let members = json!([{ "user_id": "bob" }]);
    let data = json!({ "data": { "created_by_id": "alice", "members": members } });
    for path in ["video/call/default/c", "chat/channels/messaging/c/query"] {
        assert_eq!(status(&post(&emulator, path, &data).await), 201, "{path}");
    }
    emulator
}

#[tokio::test]
async fn both_versions_of_the_api_have_their_own_times() {
    let emulator = emulator_with_objects().await;
    emulator.reject("default:c", "bob");
    let get = async |path: &str| {
        let response = send_as(&emulator, "bob", &format!("GET {path}"), &json!({})).await;
        assert_eq!(status(&response), 200, "{response}");
        json_body(&response)
    };
    let call = get("/video/call/default/c").await["call"].clone();
    let start = json!("2026-01-01T00:00:00.000000000Z");
    assert_eq!(call["created_at"], start);
    assert_eq!(call["created_by"]["updated_at"], start);
    assert_eq!(call["session"]["rejected_by"]["bob"], start);
    let call = get("/api/v2/video/call/default/c").await["call"].clone();
    assert_eq!(call["created_at"], json!(nanos_after_start(0)));
    let channel = send_as(&emulator, "bob", "POST /channels/messaging/c/query", &json!({})).await;
    assert_eq!(status(&channel), 201, "{channel}");
    assert_eq!(json_body(&channel)["channel"]["created_at"], start);
    assert_eq!(json_body(&channel)["members"][0]["created_at"], start);
}

#[tokio::test]
async fn user_token_permits_what_the_grants_allow() {
    let emulator = emulator_with_objects().await;
    let message = json!({ "message": { "text": "hello" } });
    let settings = json!({ "settings_override": { "limits": { "max_duration_seconds": 1 } } });
    for (user, start, body, expected) in [
        ("bob", "GET /video/call/default/c", json!({}), (200, json!(null))),
        ("bob", "POST /video/calls", json!({}), (201, json!(null))),
        ("bob", "PATCH /video/call/default/c", settings, (403, json!(17))),
        ("carol", "POST /video/call/default/c/accept", json!({}), (201, json!(null))),
        ("carol", "POST /video/call/default/c/reject", json!(null), (201, json!(null))),
        ("carol", "POST /video/call/default/c/join", json!({}), (400, json!(4))),
        ("carol", "POST /video/call/default/x/join", json!({}), (404, json!(16))),
        ("carol", "POST /video/call/default/c/start_recording", json!(null), (201, json!(null))),
        ("carol", "POST /video/call/default/c/stop_recording", json!(null), (201, json!(null))),
        ("carol", "POST /video/call/default/c/mark_ended", json!(null), (201, json!(null))),
        ("carol", "POST /video/call/default/c/delete", json!({}), (403, json!(17))),
        ("bob", "POST /channels/messaging/c/message", message.clone(), (201, json!(null))),
        ("carol", "POST /channels/messaging/c/message", message, (403, json!(17))),
        ("bob", "POST /channels", json!({}), (403, json!(17))),
        ("bob", "PATCH /channels/messaging/c", json!({ "set": { "a": 1 } }), (403, json!(17))),
        ("bob", "POST /channels/messaging/c/truncate", json!({}), (403, json!(17))),
        ("alice", "POST /channels/messaging/c/truncate", json!({}), (201, json!(null))),
        (
            "alice",
            "POST /channels/messaging/c",
            json!({ "add_members": ["carol"] }),
            (201, json!(null)),
        ),
        ("alice", "DELETE /channels/messaging/c", json!({}), (200, json!(null))),
        (
            "bob",
            "POST /devices",
            json!({ "id": "phone", "push_provider": "firebase" }),
            (201, json!(null)),
        ),
        ("bob", "GET /video/devices", json!({}), (200, json!(null))),
        ("bob", "DELETE /devices", json!({}), (400, json!(4))),
        ("alice", "GET /api/v2/rate_limits", json!({}), (403, json!(17))),
        ("alice", "GET /api/v2/video/calltypes", json!({}), (403, json!(17))),
        ("alice", "POST /moderation/ban", json!({ "target_user_id": "bob" }), (403, json!(17))),
        ("alice", "GET /nothing", json!({}), (404, json!(16))),
        ("alice", "POST /threads", json!({}), (501, json!(-1))),
    ] {
        let response = send_as(&emulator, user, start, &body).await;
        let actual = (status(&response), error_code(&response));
        assert_eq!(actual, expected, "{user}: {start}: {response}");
    }
    let call = emulator.call("default:c").expect("the call");
    assert!(call.ended_at.is_some());
    assert!(!call.recording);
    assert_eq!(emulator.devices("bob"), ["phone"]);
    assert_eq!(emulator.counts().get(Operation::JoinCall), 2);
}

#[tokio::test]
async fn refusal_has_the_format_of_stream() {
    let emulator = emulator_with_objects().await;
    let join = async |user: &str| {
        let start = "POST /video/call/default/c/join";
        json_body(&send_as(&emulator, user, start, &json!({ "location": "AMS" })).await)
    };
    let body = join("bob").await;
    let text = "JoinCall failed with error: \"media is not emulated: set the join mode of the \
                emulator to pretend\"";
    assert_eq!((&body["message"], &body["unrecoverable"]), (&json!(text), &json!(true)));
    let grants = json!({ "grants": { "user": [], "call_member": [] } });
    let path = "PUT /api/v2/video/calltypes/default?api_key=testkey123";
    assert_eq!(status(&send_request(&emulator, path, &grants).await), 201);
    let body = join("bob").await;
    let text = "JoinCall failed with error: \"User 'bob' with role 'user' is not allowed to \
                perform action JoinCall in scope 'video:default'\"";
    assert_eq!((&body["message"], &body["code"]), (&json!(text), &json!(17)));
    assert_eq!(body.get("unrecoverable"), None);
    emulator.set_disable_permissions_checks(true);
    assert_eq!(join("bob").await["code"], json!(4));
    let call_type = emulator.call_type("default").expect("the type");
    assert!(call_type.grants["user"].is_empty());
    assert_eq!(call_type.grants["admin"].len(), 40);
}

#[tokio::test]
async fn deactivated_deleted_or_unknown_user_is_rejected() {
    let emulator = emulator_with_objects().await;
    let read = async |user: &str| {
        let response = send_as(&emulator, user, "GET /video/call/default/c", &json!({})).await;
        (status(&response), error_code(&response))
    };
    assert_eq!(read("dave").await, (404, json!(16)));
    emulator.deactivate_user("bob");
    assert_eq!(read("bob").await, (403, json!(17)));
    emulator.delete_user("carol");
    assert_eq!(read("carol").await, (404, json!(16)));
    emulator.ban_user("alice", None);
    assert_eq!(read("alice").await, (200, json!(null)));
    let message = json!({ "message": { "text": "hello" } });
    let response =
        send_as(&emulator, "alice", "POST /channels/messaging/c/message", &message).await;
    assert_eq!((status(&response), error_code(&response)), (403, json!(17)));
    emulator.unban_user("alice");
    let response =
        send_as(&emulator, "alice", "POST /channels/messaging/c/message", &message).await;
    assert_eq!(status(&response), 201);
}

#[tokio::test]
async fn server_token_cannot_join() {
    let emulator = emulator_with_objects().await;
    for action in ["join", "accept", "reject"] {
        let path = format!("video/call/default/c/{action}");
        let response = post(&emulator, &path, &json!({})).await;
        assert_eq!((status(&response), error_code(&response)), (400, json!(4)), "{action}");
    }
}
