//! Connections of clients: tokens, first frames, health checks and closes.

use super::socket_client::{Ended, KEY_AND_AUTH, SocketClient};
use super::*;

fn chat_params(user: &str) -> Value {
    json!({ "user_id": user, "user_details": { "id": user } })
}

/// The error codes with which both sockets refuse a token. The chat socket comes first.
async fn refusals(emulator: &Emulator, token: &str, user: &str, extra: &str) -> [Value; 2] {
    let (mut chat, chat_frame) =
        SocketClient::try_chat(emulator, &chat_params(user), token, extra).await;
    let message = json!({ "token": token, "user_details": { "id": user } });
    let (mut video, video_frame) = SocketClient::try_video(emulator, &message, extra).await;
    for (client, frame) in [(&mut chat, &chat_frame), (&mut video, &video_frame)] {
        assert_eq!(frame["type"], json!("connection.error"), "{frame}");
        assert_eq!(frame["connection_id"], json!(""));
        assert!(frame["created_at"].is_string());
        assert_eq!(client.ended().await, Ended::Close(1000));
    }
    assert!(emulator.sockets().is_empty());
    [chat_frame["error"].clone(), video_frame["error"].clone()]
}

async fn expect_refusals(emulator: &Emulator, claims: &Value, user: &str, expected: (i64, i64)) {
    for error in refusals(emulator, &user_token(claims), user, KEY_AND_AUTH).await {
        let actual = (error["StatusCode"].as_i64(), error["code"].as_i64());
        assert_eq!(actual, (Some(expected.0), Some(expected.1)), "{claims}");
    }
}

#[tokio::test]
async fn first_frame_of_chat_has_the_own_user() {
    let emulator = emulator().await;
    let details = json!({ "id": "alice", "name": "Alice", "plan": "pro", "role": "admin" });
    let params = json!({ "user_id": "alice", "user_details": details });
    let token = user_token(&json!({ "user_id": "alice" }));
    let (mut client, frame) =
        SocketClient::try_chat(&emulator, &params, &token, KEY_AND_AUTH).await;
    assert_eq!(frame["type"], json!("health.check"));
    assert_eq!(
        (&frame["cid"], &frame["connection_id"]),
        (&json!("*"), &json!(client.connection_id()))
    );
    let start = json!("2026-01-01T00:00:00.000000000Z");
    assert_eq!(frame["created_at"], start);
    let me = &frame["me"];
    for (field, expected) in [
        ("id", json!("alice")),
        ("name", json!("Alice")),
        ("plan", json!("pro")),
        ("role", json!("user")),
        ("online", json!(true)),
        ("mutes", json!([])),
        ("channel_mutes", json!([])),
        ("devices", json!([])),
        ("unread_count", json!(0)),
        ("total_unread_count", json!(0)),
        ("created_at", start),
    ] {
        assert_eq!(me[field], expected, "{field}");
    }
    assert_eq!(emulator.user("alice").expect("alice").role, "user");
    client.expect_nothing().await;
    let sockets = emulator.sockets();
    assert_eq!((sockets.len(), sockets[0].product.as_str()), (1, "chat"));
    assert_eq!(sockets[0].connection_id, client.connection_id());
}

#[tokio::test]
async fn first_frame_of_video_has_the_own_user() {
    let emulator = emulator().await;
    let token = user_token(&json!({ "user_id": "alice" }));
    let details = json!({ "id": "alice", "name": "Alice", "custom": { "plan": "pro" } });
    let message = json!({ "token": token, "products": ["video"], "user_details": details });
    let (mut client, frame) = SocketClient::try_video(&emulator, &message, KEY_AND_AUTH).await;
    assert_eq!(frame["type"], json!("connection.ok"));
    assert_eq!(frame.get("cid"), None);
    assert_eq!(frame["me"]["custom"], json!({ "plan": "pro" }));
    assert_eq!(frame["me"]["online"], json!(true));
    client.send(&json!([{ "type": "health.check", "client_id": "x" }])).await;
    let answer = client.expect("health.check").await;
    assert_eq!(answer["connection_id"], json!(client.connection_id()));
    // A client would replace its user by this.
    assert_eq!(answer.get("me"), None);
    assert_eq!(emulator.sockets()[0].product, "video");
}

#[tokio::test]
async fn wrong_token_is_refused_by_its_code() {
    let emulator = emulator().await;
    for (claims, expected) in [
        (json!({ "user_id": "alice", "exp": NOW }), (401, 40)),
        (json!({ "user_id": "alice", "nbf": NOW + 1 }), (401, 41)),
        (json!({ "user_id": "alice", "iat": NOW + 1 }), (401, 42)),
        (json!({ "user_id": "bob" }), (401, 5)),
        (json!({ "server": true }), (401, 5)),
    ] {
        expect_refusals(&emulator, &claims, "alice", expected).await;
    }
    let token = user_token(&json!({ "user_id": "alice" }));
    let forged = format!("{}x", &token[..token.len() - 1]);
    for (token, extra, expected) in [
        (forged.as_str(), KEY_AND_AUTH, 43),
        ("no-token", KEY_AND_AUTH, 5),
        (&token, "&api_key=testkey123", 5),
        (&token, "&api_key=wrong&stream-auth-type=jwt", 2),
    ] {
        for error in refusals(&emulator, token, "alice", extra).await {
            assert_eq!(error["code"], json!(expected), "{extra}");
        }
    }
    assert_eq!(emulator.user("alice"), None);
}

#[tokio::test]
async fn user_who_may_not_connect_is_refused() {
    let emulator = emulator().await;
    for id in ["alice", "bob", "carol"] {
        emulator.create_user(id);
    }
    emulator.deactivate_user("alice");
    expect_refusals(&emulator, &json!({ "user_id": "alice" }), "alice", (403, 17)).await;
    emulator.delete_user("bob");
    expect_refusals(&emulator, &json!({ "user_id": "bob" }), "bob", (404, 16)).await;
    let revoke = json!({ "revoke_tokens_issued_before": "2026-01-01T00:00:00Z" });
    let revoke = json!({ "users": [{ "id": "carol", "set": revoke }] });
    send_request(&emulator, &format!("PATCH {USERS_PATH}"), &revoke).await;
    let claims = json!({ "user_id": "carol", "iat": NOW - 1 });
    let [error, _] = refusals(&emulator, &user_token(&claims), "carol", KEY_AND_AUTH).await;
    assert_eq!(error["code"], json!(40));
    assert_eq!(error["message"], json!("This token has been revoked, please generate a new token"));
    emulator.set_app_suspended(true);
    expect_refusals(&emulator, &json!({ "user_id": "dave" }), "dave", (403, 99)).await;
}

#[tokio::test]
async fn connections_can_be_refused_by_a_test() {
    let emulator = emulator().await;
    let refuse = json!({ "code": 40, "times": 2 });
    let response = send_request(&emulator, "POST /_emulator/sockets/refuse", &refuse).await;
    assert_eq!(status(&response), 200);
    expect_refusals(&emulator, &json!({ "user_id": "alice" }), "alice", (401, 40)).await;
    emulator.refuse_connections(2, 71);
    expect_refusals(&emulator, &json!({ "user_id": "alice" }), "alice", (429, 71)).await;
    SocketClient::chat(&emulator, "alice").await;
}

#[tokio::test]
async fn number_of_refusals_has_no_limit() {
    let emulator = emulator().await;
    for (code, times) in [(71, 0), (40, u64::MAX)] {
        let refuse = json!({ "code": code, "times": times });
        let response = send_request(&emulator, "POST /_emulator/sockets/refuse", &refuse).await;
        assert_eq!(status(&response), 200);
    }
    for _ in 0..2 {
        expect_refusals(&emulator, &json!({ "user_id": "alice" }), "alice", (401, 40)).await;
    }
}

#[tokio::test]
async fn plain_request_to_a_socket_path_is_rejected() {
    let emulator = emulator().await;
    for path in ["GET /connect", "GET /video/connect?api_key=testkey123"] {
        assert_eq!(status(&send_raw(&emulator, path, "", "").await), 400, "{path}");
    }
}

#[tokio::test]
async fn dropped_client_can_reconnect() {
    let emulator = emulator().await;
    let mut chat = SocketClient::chat(&emulator, "alice").await;
    let mut video = SocketClient::video(&emulator, "alice").await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    assert_eq!(emulator.drop_sockets(Some("alice"), 1011), 2);
    assert_eq!(chat.ended().await, Ended::Close(1011));
    assert_eq!(video.ended().await, Ended::Close(1011));
    bob.expect_nothing().await;
    let again = SocketClient::chat(&emulator, "alice").await;
    assert_ne!(again.connection_id(), chat.connection_id());
    let list = send_raw(&emulator, "GET /_emulator/sockets", "", "").await;
    let users = json_body(&list);
    assert_eq!(users.as_array().map(Vec::len), Some(2));
    assert_eq!((&users[0]["user_id"], &users[1]["user_id"]), (&json!("bob"), &json!("alice")));
    assert!(!list.contains("token"));
    let cut = json!({ "user_id": "bob", "code": 1006 });
    let response = send_request(&emulator, "POST /_emulator/sockets/drop", &cut).await;
    assert_eq!(json_body(&response)["dropped"], json!(1));
    assert_eq!(bob.ended().await, Ended::Lost);
    let invalid = json!({ "code": 1005 });
    let response = send_request(&emulator, "POST /_emulator/sockets/drop", &invalid).await;
    assert_eq!(status(&response), 400);
    assert_eq!(emulator.drop_sockets(None, 1005), 0);
    assert_eq!(emulator.drop_sockets(None, 1001), 1);
}

#[tokio::test]
async fn token_that_expires_closes_its_socket() {
    let (emulator, clock) = emulator_and_clock().await;
    let token = user_token(&json!({ "user_id": "alice", "exp": NOW + 10 }));
    let (mut client, frame) =
        SocketClient::try_chat(&emulator, &chat_params("alice"), &token, KEY_AND_AUTH).await;
    assert_eq!(frame["type"], json!("health.check"));
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    advance(&clock, 9);
    client.expect_nothing().await;
    advance(&clock, 1);
    assert_eq!(client.ended().await, Ended::Close(1001));
    bob.expect_nothing().await;
    let [error, _] = refusals_besides(&emulator, &token).await;
    assert_eq!(error["code"], json!(40));
}

/// The refusals of a token of alice, while other sockets are open.
async fn refusals_besides(emulator: &Emulator, token: &str) -> [Value; 2] {
    let (_, chat) =
        SocketClient::try_chat(emulator, &chat_params("alice"), token, KEY_AND_AUTH).await;
    let (_, video) =
        SocketClient::try_video(emulator, &json!({ "token": token }), KEY_AND_AUTH).await;
    [chat["error"].clone(), video["error"].clone()]
}

#[tokio::test]
async fn user_who_loses_access_loses_the_sockets() {
    let emulator = emulator().await;
    for action in ["revoke", "deactivate", "delete"] {
        let mut chat = SocketClient::chat(&emulator, action).await;
        let mut video = SocketClient::video(&emulator, action).await;
        match action {
            "revoke" => {
                let set = json!({ "revoke_tokens_issued_before": "2026-01-01T00:00:00Z" });
                let revoke = json!({ "users": [{ "id": action, "set": set }] });
                send_request(&emulator, &format!("PATCH {USERS_PATH}"), &revoke).await;
            }
            "deactivate" => emulator.deactivate_user(action),
            _ => emulator.delete_user(action),
        }
        assert_eq!(chat.ended().await, Ended::Close(1001), "{action}");
        assert_eq!(video.ended().await, Ended::Close(1001), "{action}");
    }
    let mut client = SocketClient::chat(&emulator, "alice").await;
    emulator.set_tokens_revoked_before(Some(UNIX_EPOCH + Duration::from_secs(NOW)));
    assert_eq!(client.ended().await, Ended::Close(1001));
    assert!(emulator.sockets().is_empty());
}

#[tokio::test]
async fn stop_ends_all_sockets() {
    let emulator = emulator().await;
    let mut chat = SocketClient::chat(&emulator, "alice").await;
    let mut unauthenticated = SocketClient::open(&emulator, "/video/connect").await;
    emulator.stop().await;
    assert_eq!(chat.ended().await, Ended::Lost);
    assert_eq!(unauthenticated.ended().await, Ended::Lost);
    assert!(emulator.sockets().is_empty());
}
