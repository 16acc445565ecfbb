//! The requests of the v1 server libraries, with the forms that differ from v2.

use super::*;

async fn send_v1(emulator: &Emulator, method_and_path: &str, body: Value) -> (u16, Value) {
    let separator = if method_and_path.contains('?') { '&' } else { '?' };
    let start = format!("{method_and_path}{separator}api_key=testkey123");
    let response = send_request(emulator, &start, &body).await;
    (status(&response), json_body(&response))
}

async fn emulator_with_users() -> Emulator {
    let emulator = emulator().await;
    let users = json!({
        "users": { "alice": { "id": "alice", "name": "A", "plan": "pro" }, "bob": { "id": "bob" } },
    });
    let (status, response) = send_v1(&emulator, "POST /users", users).await;
    assert_eq!((status, &response["users"]["alice"]["plan"]), (201, &json!("pro")));
    assert_eq!(emulator.user("alice").expect("alice").custom["plan"], json!("pro"));
    emulator
}

#[tokio::test]
async fn users_are_changed_deleted_and_restored() {
    let emulator = emulator_with_users().await;
    let patch =
        json!({ "users": [{ "id": "alice", "set": { "plan": "free" }, "unset": ["name"] }] });
    let (_, response) = send_v1(&emulator, "PATCH /users", patch).await;
    assert_eq!(response["users"]["alice"]["plan"], json!("free"));
    let revoke = json!({ "revoke_tokens_issued_before": "2026-01-01T00:00:00.649139+00:00" });
    let patch = json!({ "users": [{ "id": "alice", "set": revoke }] });
    assert_eq!(send_v1(&emulator, "PATCH /users", patch).await.0, 200);
    assert!(emulator.user("alice").expect("alice").revoke_tokens_issued_before.is_some());
    for start in ["/users/bob/deactivate", "/users/bob/reactivate"] {
        assert_eq!(send_v1(&emulator, &format!("POST {start}"), json!({})).await.0, 201, "{start}");
    }
    let start = "DELETE /users/bob?mark_messages_deleted=True";
    let (status, response) = send_v1(&emulator, start, json!({})).await;
    assert_eq!((status, &response["user"]["id"]), (200, &json!("bob")));
    assert_eq!(send_v1(&emulator, start, json!({})).await.0, 404);
    let restore = json!({ "user_ids": ["bob"] });
    assert_eq!(send_v1(&emulator, "POST /users/restore", restore.clone()).await.0, 201);
    assert_eq!(emulator.user("bob").expect("bob").deleted_at, None);
    let start = "DELETE /users/bob?hard_delete=true&mark_messages_deleted=true";
    assert_eq!(send_v1(&emulator, start, json!({})).await.0, 200);
    assert_eq!(send_v1(&emulator, "POST /users/restore", restore).await.0, 404);
}

#[tokio::test]
async fn channel_is_created_in_the_forms_of_both_libraries() {
    let emulator = emulator_with_users().await;
    let js_data = json!({ "members": ["alice", "bob"], "created_by_id": "alice", "topic": "t" });
    let python_data =
        json!({ "members": ["alice", "bob"], "created_by": { "id": "alice" }, "topic": "t" });
    for (id, data) in [("js", js_data), ("py", python_data)] {
        let start = format!("POST /channels/messaging/{id}/query");
        let body = json!({ "data": data, "state": false, "watch": false, "presence": false });
        for attempt in 0..2 {
            let (status, response) = send_v1(&emulator, &start, body.clone()).await;
            assert_eq!((status, &response["channel"]["topic"]), (201, &json!("t")), "{attempt}");
            assert_eq!(response["members"], json!([]));
        }
        let channel = emulator.channel(&format!("messaging:{id}")).expect("the channel");
        assert_eq!((channel.created_by.as_str(), channel.members.len()), ("alice", 2));
    }
    assert_eq!(emulator.channels_created(), 2);
    let user_id = json!({ "id": "m1", "text": "hi", "user_id": "alice" });
    let user = json!({ "id": "m2", "text": "hi", "user": { "id": "alice" } });
    for message in [user_id, user] {
        let start = "POST /channels/messaging/js/message";
        let (status, response) = send_v1(&emulator, start, json!({ "message": message })).await;
        assert_eq!((status, &response["message"]["user"]["id"]), (201, &json!("alice")));
    }
    let page = json!({ "state": true, "messages": { "limit": 2, "id_lt": "m2" } });
    let (_, response) = send_v1(&emulator, "POST /channels/messaging/js/query", page).await;
    assert_eq!(response["messages"][0]["id"], json!("m1"));
    let start = "DELETE /channels/messaging/py?hard_delete=false";
    assert_eq!(send_v1(&emulator, start, json!({})).await.0, 200);
    let cids = json!({ "cids": ["messaging:js"], "hard_delete": true });
    let (status, response) = send_v1(&emulator, "POST /channels/delete", cids).await;
    assert_eq!(status, 201);
    let task = response["task_id"].as_str().expect("a task");
    let (_, task) = send_v1(&emulator, &format!("GET /tasks/{task}"), json!({})).await;
    assert_eq!(task["status"], json!("completed"));
}

#[tokio::test]
async fn moderation_names_the_acting_user() {
    let emulator = emulator_with_users().await;
    let ban = json!({ "target_user_id": "bob", "banned_by_id": "alice", "timeout": 60 });
    assert_eq!(send_v1(&emulator, "POST /moderation/ban", ban).await.0, 201);
    assert_eq!(emulator.bans()[0].banned_by.as_deref(), Some("alice"));
    let start = "DELETE /moderation/ban?target_user_id=bob";
    assert_eq!(send_v1(&emulator, start, json!({})).await.0, 200);
    let block = json!({ "blocked_user_id": "bob", "user_id": "alice" });
    assert_eq!(send_v1(&emulator, "POST /users/block", block.clone()).await.0, 201);
    let (_, blocks) = send_v1(&emulator, "GET /users/block?user_id=alice", json!({})).await;
    assert_eq!(blocks["blocks"][0]["blocked_user"]["id"], json!("bob"));
    assert_eq!(send_v1(&emulator, "POST /users/unblock", block).await.0, 201);
    let anonymous = json!({ "blocked_user_id": "bob" });
    assert_eq!(send_v1(&emulator, "POST /users/block", anonymous).await.0, 400);
    let mute = json!({ "target_id": "bob", "user_id": "alice" });
    assert_eq!(send_v1(&emulator, "POST /moderation/mute", mute).await.0, 201);
    let device = json!({
        "id": "d1", "push_provider": "firebase", "user_id": "alice", "push_provider_name": null,
    });
    assert_eq!(send_v1(&emulator, "POST /devices", device).await.0, 201);
    let (_, devices) = send_v1(&emulator, "GET /devices?user_id=alice", json!({})).await;
    assert_eq!(devices["devices"][0]["id"], json!("d1"));
    assert_eq!(send_v1(&emulator, "DELETE /devices?user_id=alice&id=d1", json!({})).await.0, 200);
}

#[tokio::test]
async fn app_settings_are_read_and_written_back() {
    let emulator = emulator_with_users().await;
    let hook = json!({
        "enabled": true, "event_types": [], "hook_type": "webhook", "product": "all",
        "webhook_url": "http://127.0.0.1:1/hook",
    });
    let hooks = json!({ "event_hooks": [hook] });
    assert_eq!(send_v1(&emulator, "PATCH /app", hooks).await.0, 200);
    let (_, app) = send_v1(&emulator, "GET /app", json!({})).await;
    let hooks = app["app"]["event_hooks"].clone();
    assert!(hooks[0]["created_at"].is_string() && hooks[0]["id"].is_string(), "{hooks}");
    let (status, _) = send_v1(&emulator, "PATCH /app", json!({ "event_hooks": hooks })).await;
    assert_eq!(status, 200);
    let (status, error) = send_v1(&emulator, "PATCH /app", json!({ "name": "x" })).await;
    assert_eq!((status, &error["code"]), (400, &json!(4)));
    assert!(error["message"].as_str().is_some_and(|it| it.contains("`name`")), "{error}");
    assert_eq!(send_v1(&emulator, "GET /rate_limits?server_side=true", json!({})).await.0, 200);
}
