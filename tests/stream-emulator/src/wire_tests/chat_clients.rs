//! The operations of chat clients, with user tokens and the paths and shapes of v1.

use super::socket_client::SocketClient;
use super::*;

/// A request with a `payload`.
fn query(path: &str, payload: &Value) -> String {
    let payload = payload.to_string();
    let encoded =
        percent_encoding::percent_encode(payload.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
    format!("GET {path}?payload={encoded}")
}

/// An emulator in which alice has created a channel with bob. Carol is no member.
async fn emulator_with_channel() -> Emulator {
    let emulator = emulator().await;
    for id in ["alice", "bob", "carol"] {
        emulator.create_user(id);
    }
    let data = json!({ "members": ["alice", "bob"], "name": "Talk" });
    let body = json!({ "data": data, "state": true });
    call_as(&emulator, "alice", "POST /channels/messaging/c/query", body, 201).await;
    emulator
}

#[tokio::test]
async fn client_creates_and_reads_channels() {
    let emulator = emulator_with_channel().await;
    let read = json!({ "data": {}, "state": true, "presence": false });
    let start = "POST /channels/messaging/c/query";
    let state = call_as(&emulator, "bob", start, read.clone(), 201).await;
    assert_eq!(state["channel"]["name"], json!("Talk"));
    assert_eq!(state["channel"].get("custom"), None);
    assert_eq!(state["membership"]["user_id"], json!("bob"));
    assert_eq!(state["read"][1]["user"]["id"], json!("bob"));
    let capabilities = &state["channel"]["own_capabilities"];
    let has = |name: &str| capabilities.as_array().is_some_and(|it| it.contains(&json!(name)));
    assert!(has("send-message") && !has("update-channel"), "{capabilities}");
    // The creation data of every later query changes nothing.
    let again = json!({ "data": { "members": ["carol"], "name": "Other" } });
    let state = call_as(&emulator, "bob", start, again, 201).await;
    assert_eq!(state["channel"]["name"], json!("Talk"));
    let refused = call_as(&emulator, "carol", start, read, 403).await;
    let text = "GetOrCreateChannel failed with error: \"User 'carol' with role 'user' is not \
                allowed to perform action ReadChannel in scope 'messaging'\"";
    assert_eq!((&refused["code"], &refused["message"]), (&json!(17), &json!(text)));
    let members = json!({ "data": { "members": ["bob", "alice"] } });
    let distinct = "POST /channels/messaging/query";
    let first = call_as(&emulator, "alice", distinct, members, 201).await["channel"].clone();
    let members = json!({ "data": { "members": ["alice", "bob"] } });
    let second = call_as(&emulator, "bob", distinct, members, 201).await["channel"].clone();
    assert_eq!(first["cid"], second["cid"]);
    assert!(first["id"].as_str().is_some_and(|id| id.starts_with("!members-")));
    call_as(&emulator, "alice", distinct, json!({ "data": {} }), 400).await;
}

#[tokio::test]
async fn client_queries_own_channels_members_and_users() {
    let emulator = emulator_with_channel().await;
    let own = json!({ "filter_conditions": { "members": { "$in": ["bob"] } }, "state": true });
    let channels = call_as(&emulator, "bob", "POST /channels", own, 201).await["channels"].clone();
    assert_eq!(channels[0]["channel"]["cid"], json!("messaging:c"));
    call_as(&emulator, "bob", "POST /channels", json!({ "filter_conditions": {} }), 403).await;
    let listed = json!({ "filter_conditions": { "cid": { "$in": ["messaging:c"] } } });
    let channels = call_as(&emulator, "carol", "POST /channels", listed, 201).await;
    assert_eq!(channels["channels"], json!([]));
    let of_channel = query("/members", &json!({ "type": "messaging", "id": "c" }));
    let members = call_as(&emulator, "bob", &of_channel, json!({}), 200).await;
    assert_eq!(members["members"].as_array().map(Vec::len), Some(2));
    call_as(&emulator, "carol", &of_channel, json!({}), 403).await;
    let carol_only = query("/users", &json!({ "filter_conditions": { "id": "carol" } }));
    let users = call_as(&emulator, "bob", &carol_only, json!({}), 200).await;
    assert_eq!(users["users"][0]["id"], json!("carol"));
    let patch = json!({ "set": { "pinned": true, "seat": 1 } });
    let start = "PATCH /channels/messaging/c/member";
    let member =
        call_as(&emulator, "bob", start, patch.clone(), 200).await["channel_member"].clone();
    assert_eq!(member["seat"], json!(1));
    assert!(member["pinned_at"].is_string(), "{member}");
    call_as(&emulator, "bob", "PATCH /channels/messaging/c/member/alice", patch, 403).await;
}

#[tokio::test]
async fn client_sends_changes_and_deletes_messages() {
    let emulator = emulator_with_channel().await;
    let mut seen = event_types(&emulator).len();
    let send = "POST /channels/messaging/c/message";
    let message = json!({ "message": { "id": "m1", "text": "hello", "mood": "good" } });
    let response = call_as(&emulator, "bob", send, message.clone(), 201).await["message"].clone();
    assert_eq!((&response["mood"], &response["user"]["id"]), (&json!("good"), &json!("bob")));
    call_as(&emulator, "bob", send, message.clone(), 400).await;
    call_as(&emulator, "carol", send, message, 403).await;
    let edit = json!({ "message": { "id": "m1", "text": "edited", "pinned": false } });
    let edited = call_as(&emulator, "bob", "POST /messages/m1", edit.clone(), 201).await;
    assert_eq!(edited["message"]["text"], json!("edited"));
    assert_eq!(edited["message"].get("mood"), None);
    call_as(&emulator, "alice", "POST /messages/m1", edit, 403).await;
    call_as(&emulator, "alice", "PUT /messages/m1", json!({}), 403).await;
    let patch = json!({ "set": { "text": "e2", "mood": "fine" } });
    let patched = call_as(&emulator, "bob", "PUT /messages/m1", patch, 201).await;
    assert_eq!(patched["message"]["mood"], json!("fine"));
    // A member pins the message of another member, but does not change its text.
    let pin = json!({ "set": { "pinned": true, "pin_expires": null, "pinned_at": null } });
    call_as(&emulator, "alice", "PUT /messages/m1", pin, 201).await;
    let pinned =
        call_as(&emulator, "bob", "GET /channels/messaging/c/pinned_messages", json!({}), 200);
    assert_eq!(pinned.await["messages"][0]["id"], json!("m1"));
    call_as(&emulator, "alice", "GET /messages/m1", json!({}), 200).await;
    call_as(&emulator, "carol", "GET /messages/m1", json!({}), 403).await;
    call_as(&emulator, "alice", "DELETE /messages/m1", json!({}), 403).await;
    call_as(&emulator, "bob", "DELETE /messages/m1?hard=true", json!({}), 403).await;
    let deleted = call_as(&emulator, "bob", "DELETE /messages/m1", json!({}), 200).await;
    assert_eq!(deleted["message"]["type"], json!("deleted"));
    assert_eq!(
        new_events(&emulator, &mut seen),
        ["message.new", "message.updated", "message.updated", "message.updated", "message.deleted",]
    );
}

#[tokio::test]
async fn client_reacts_and_replies() {
    let emulator = emulator_with_channel().await;
    let send = "POST /channels/messaging/c/message";
    let message = json!({ "message": { "id": "m1", "text": "hello" } });
    call_as(&emulator, "bob", send, message, 201).await;
    let mut seen = event_types(&emulator).len();
    let start = "POST /messages/m1/reaction";
    let reaction = json!({ "reaction": { "type": "like", "color": "red" } });
    let response = call_as(&emulator, "alice", start, reaction.clone(), 201).await;
    assert_eq!(response["reaction"]["color"], json!("red"));
    assert_eq!(response["message"]["reaction_counts"], json!({ "like": 1 }));
    assert_eq!(response["message"]["own_reactions"][0]["user_id"], json!("alice"));
    call_as(&emulator, "carol", start, reaction, 403).await;
    let list =
        call_as(&emulator, "bob", "GET /messages/m1/reactions?limit=5", json!({}), 200).await;
    assert_eq!(list["reactions"][0]["type"], json!("like"));
    let start = "DELETE /messages/m1/reaction/like";
    call_as(&emulator, "bob", start, json!({}), 404).await;
    call_as(&emulator, "alice", start, json!({}), 200).await;
    let reply = json!({ "message": { "id": "r1", "text": "reply", "parent_id": "m1" } });
    call_as(&emulator, "alice", send, reply, 201).await;
    let replies =
        call_as(&emulator, "bob", "GET /messages/m1/replies?limit=5", json!({}), 200).await;
    assert_eq!(replies["messages"][0]["id"], json!("r1"));
    let parent = call_as(&emulator, "bob", "GET /messages/m1", json!({}), 200).await;
    assert_eq!(parent["message"]["reply_count"], json!(1));
    // A reply is listed in its thread only.
    let state = json!({ "state": true });
    let state = call_as(&emulator, "bob", "POST /channels/messaging/c/query", state, 201).await;
    assert_eq!(state["messages"].as_array().map(Vec::len), Some(1));
    let search = query(
        "/search",
        &json!({ "query": "REPL", "filter_conditions": { "members": { "$in": ["bob"] } } }),
    );
    let found = call_as(&emulator, "bob", &search, json!({}), 200).await;
    assert_eq!(found["results"][0]["message"]["id"], json!("r1"));
    let found = call_as(&emulator, "carol", &search, json!({}), 200).await;
    assert_eq!(found["results"], json!([]));
    assert_eq!(
        new_events(&emulator, &mut seen),
        ["reaction.new", "reaction.deleted", "message.new"]
    );
}

#[tokio::test]
async fn client_reads_and_types() {
    let emulator = emulator_with_channel().await;
    let send = "POST /channels/messaging/c/message";
    for id in ["m1", "m2"] {
        let message = json!({ "message": { "id": id, "text": "hello" } });
        call_as(&emulator, "alice", send, message, 201).await;
    }
    let mut seen = event_types(&emulator).len();
    let unread = async || {
        let counts = call_as(&emulator, "bob", "GET /unread", json!({}), 200).await;
        counts["total_unread_count"].clone()
    };
    assert_eq!(unread().await, json!(2));
    let start = "POST /channels/messaging/c/read";
    let read = call_as(&emulator, "bob", start, json!({}), 201).await;
    assert_eq!(read["event"]["type"], json!("message.read"));
    assert_eq!(read["event"]["last_read_message_id"], json!("m2"));
    assert_eq!(unread().await, json!(0));
    let from = json!({ "message_id": "m2" });
    call_as(&emulator, "bob", "POST /channels/messaging/c/unread", from, 201).await;
    assert_eq!(unread().await, json!(1));
    let start = "POST /channels/messaging/c/event";
    let typing = json!({ "event": { "type": "typing.start" } });
    call_as(&emulator, "bob", start, typing.clone(), 201).await;
    call_as(&emulator, "carol", start, typing, 403).await;
    let custom = json!({ "event": { "type": "my.event", "x": 1 } });
    let response = call_as(&emulator, "bob", start, custom, 201).await;
    assert_eq!(response["event"]["x"], json!(1));
    let hide = json!({ "user_id": null, "clear_history": false });
    call_as(&emulator, "bob", "POST /channels/messaging/c/hide", hide, 201).await;
    let own = json!({ "filter_conditions": { "members": { "$in": ["bob"] } } });
    let channels = call_as(&emulator, "bob", "POST /channels", own.clone(), 201).await;
    assert_eq!(channels["channels"], json!([]));
    let show = json!({ "user_id": null });
    call_as(&emulator, "bob", "POST /channels/messaging/c/show", show, 201).await;
    let channels = call_as(&emulator, "bob", "POST /channels", own, 201).await;
    assert_eq!(channels["channels"].as_array().map(Vec::len), Some(1));
    call_as(&emulator, "bob", "POST /channels/messaging/c/stop-watching", json!({}), 201).await;
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "message.read",
            "notification.mark_unread",
            "typing.start",
            "my.event",
            "channel.hidden",
            "channel.visible",
        ]
    );
}

#[tokio::test]
async fn client_changes_the_channels_that_it_created() {
    let emulator = emulator_with_channel().await;
    let mut seen = event_types(&emulator).len();
    let start = "POST /channels/messaging/c";
    let add = json!({ "add_members": ["carol"], "message": null });
    call_as(&emulator, "bob", start, add.clone(), 403).await;
    call_as(&emulator, "alice", start, add, 201).await;
    call_as(&emulator, "alice", start, json!({ "remove_members": ["carol"] }), 201).await;
    let updated =
        call_as(&emulator, "alice", start, json!({ "data": { "topic": "t" } }), 201).await;
    assert_eq!(updated["channel"]["topic"], json!("t"));
    assert_eq!(updated["channel"].get("name"), None);
    let refused = call_as(&emulator, "alice", start, json!({ "cooldown": 5 }), 400).await;
    assert!(refused["message"].as_str().is_some_and(|it| it.contains("cooldown")), "{refused}");
    let promote = json!({ "add_moderators": ["bob"] });
    call_as(&emulator, "alice", start, promote, 403).await;
    let patch = json!({ "set": { "topic": "u" } });
    call_as(&emulator, "alice", "PATCH /channels/messaging/c", patch, 200).await;
    call_as(&emulator, "alice", "POST /channels/messaging/c/truncate", json!({}), 201).await;
    call_as(&emulator, "alice", "DELETE /channels/messaging/c", json!({}), 200).await;
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "member.added",
            "member.removed",
            "channel.updated",
            "channel.updated",
            "channel.truncated",
            "channel.deleted",
        ]
    );
}

#[tokio::test]
async fn client_changes_only_itself() {
    let emulator = emulator_with_channel().await;
    let upsert = |id: &str| json!({ "users": { id: { "id": id, "name": "B", "plan": "pro" } } });
    let users = call_as(&emulator, "bob", "POST /users", upsert("bob"), 201).await;
    assert_eq!(users["users"]["bob"]["plan"], json!("pro"));
    let refused = call_as(&emulator, "bob", "POST /users", upsert("alice"), 403).await;
    let text = "UpdateUsers failed with error: \"User with role 'user' is not allowed to perform \
                action UpdateUser\"";
    assert_eq!(refused["message"], json!(text));
    let admin = json!({ "users": { "bob": { "id": "bob", "role": "admin" } } });
    call_as(&emulator, "bob", "POST /users", admin, 403).await;
    let patch = |id: &str, set: Value| json!({ "users": [{ "id": id, "set": set }] });
    let name = json!({ "name": "C" });
    call_as(&emulator, "bob", "PATCH /users", patch("bob", name.clone()), 200).await;
    call_as(&emulator, "bob", "PATCH /users", patch("alice", name), 403).await;
    let role = json!({ "role": "admin" });
    call_as(&emulator, "bob", "PATCH /users", patch("bob", role), 403).await;
    assert_eq!(emulator.user("bob").expect("bob").role, "user");
    for (start, body) in [
        ("POST /users/delete", json!({ "user_ids": ["bob"] })),
        ("POST /users/bob/deactivate", json!({})),
        ("POST /channels/delete", json!({ "cids": ["messaging:c"] })),
        ("GET /tasks/t", json!({})),
        ("PATCH /app", json!({})),
    ] {
        let refused = call_as(&emulator, "bob", start, body, 403).await;
        assert_eq!(refused["code"], json!(17), "{start}");
    }
    let app = call_as(&emulator, "bob", "GET /app", json!({}), 200).await;
    assert_eq!(app["app"].get("event_hooks"), None);
    assert!(app["app"]["file_upload_config"].is_object());
}

#[tokio::test]
async fn client_blocks_mutes_and_flags() {
    let emulator = emulator_with_channel().await;
    let message = json!({ "message": { "id": "m1", "text": "hello" } });
    call_as(&emulator, "alice", "POST /channels/messaging/c/message", message, 201).await;
    let mut seen = event_types(&emulator).len();
    let block = json!({ "blocked_user_id": "alice" });
    let blocked = call_as(&emulator, "bob", "POST /users/block", block.clone(), 201).await;
    assert!(blocked["blocked_at"].is_string(), "{blocked}");
    let blocks = call_as(&emulator, "bob", "GET /users/block", json!({}), 200).await;
    assert_eq!(blocks["blocks"][0]["blocked_user_id"], json!("alice"));
    let own = |id: &str| json!({ "filter_conditions": { "members": { "$in": [id] } } });
    let channels = call_as(&emulator, "bob", "POST /channels", own("bob"), 201).await;
    assert_eq!(channels["channels"], json!([]));
    let channels = call_as(&emulator, "alice", "POST /channels", own("alice"), 201).await;
    assert_eq!(channels["channels"].as_array().map(Vec::len), Some(1));
    call_as(&emulator, "bob", "POST /users/unblock", block, 201).await;
    let mute = json!({ "target_id": "alice" });
    let muted = call_as(&emulator, "bob", "POST /moderation/mute", mute.clone(), 201).await;
    assert_eq!(muted["mute"]["target"]["id"], json!("alice"));
    assert_eq!(muted["own_user"]["mutes"][0]["target"]["id"], json!("alice"));
    call_as(&emulator, "bob", "POST /moderation/unmute", mute, 201).await;
    let mute = json!({ "channel_cid": "messaging:c" });
    let start = "POST /moderation/mute/channel";
    call_as(&emulator, "carol", start, mute.clone(), 403).await;
    let muted = call_as(&emulator, "bob", start, mute.clone(), 201).await;
    assert_eq!(muted["channel_mute"]["channel"]["cid"], json!("messaging:c"));
    // The messages of a muted channel do not count.
    let counts = call_as(&emulator, "bob", "GET /unread", json!({}), 200).await;
    assert_eq!(counts["total_unread_count"], json!(0));
    call_as(&emulator, "bob", "POST /moderation/unmute/channel", mute, 201).await;
    let flag = json!({ "target_message_id": "m1" });
    let flagged = call_as(&emulator, "bob", "POST /moderation/flag", flag.clone(), 201).await;
    assert_eq!(flagged["flag"]["target_message_id"], json!("m1"));
    call_as(&emulator, "carol", "POST /moderation/flag", flag, 403).await;
    assert_eq!(
        new_events(&emulator, &mut seen),
        [
            "user.muted",
            "notification.mutes_updated",
            "user.unmuted",
            "notification.mutes_updated",
            "channel.muted",
            "notification.channel_mutes_updated",
            "channel.unmuted",
            "notification.channel_mutes_updated",
            "message.flagged",
        ]
    );
}

#[tokio::test]
async fn banned_client_reads_but_does_not_write() {
    let emulator = emulator_with_channel().await;
    let send = "POST /channels/messaging/c/message";
    let message = json!({ "message": { "id": "m1", "text": "hello" } });
    call_as(&emulator, "bob", send, message.clone(), 201).await;
    emulator.ban_user("bob", None);
    call_as(&emulator, "bob", "GET /messages/m1", json!({}), 200).await;
    let edit = json!({ "set": { "text": "x" } });
    let reaction = json!({ "reaction": { "type": "like" } });
    let event = json!({ "event": { "type": "my.event" } });
    for (start, body) in [
        (send, message),
        ("PUT /messages/m1", edit),
        ("POST /messages/m1/reaction", reaction),
        ("POST /channels/messaging/c/event", event),
    ] {
        let refused = call_as(&emulator, "bob", start, body, 403).await;
        let text = refused["message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("currently suspended from chat"), "{start}: {text}");
    }
}

#[tokio::test]
async fn sync_returns_the_missed_events() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["alice", "bob"] {
        emulator.create_user(id);
    }
    for (id, members) in [("c", json!(["alice", "bob"])), ("d", json!(["alice"]))] {
        let data = json!({ "data": { "members": members } });
        let start = format!("POST /channels/messaging/{id}/query");
        call_as(&emulator, "alice", &start, data, 201).await;
    }
    advance(&clock, 5);
    let message = json!({ "message": { "id": "m1", "text": "hello", "mood": "good" } });
    call_as(&emulator, "alice", "POST /channels/messaging/c/message", message, 201).await;
    let sync = json!({
        "channel_cids": ["messaging:c", "messaging:d", "messaging:x"],
        "last_sync_at": "2026-01-01T00:00:01.000Z",
        "with_inaccessible_cids": true,
    });
    let missed = call_as(&emulator, "bob", "POST /sync", sync.clone(), 201).await;
    assert_eq!(missed["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(missed["events"][0]["type"], json!("message.new"));
    assert_eq!(missed["events"][0]["message"]["mood"], json!("good"));
    assert_eq!(missed["inaccessible_cids"], json!(["messaging:d", "messaging:x"]));
    let mut without = sync;
    without["with_inaccessible_cids"] = json!(false);
    let missed = call_as(&emulator, "bob", "POST /sync", without, 201).await;
    assert_eq!(missed.get("inaccessible_cids"), None);
}

#[tokio::test]
async fn response_has_a_page_of_watchers() {
    let emulator = emulator_with_channel().await;
    let mut sockets = Vec::new();
    for (user, page, expected) in [
        ("alice", json!({}), json!(["alice"])),
        ("bob", json!({}), json!(["alice", "bob"])),
        ("bob", json!({ "limit": 1 }), json!(["alice"])),
        ("alice", json!({ "limit": 1, "offset": 1 }), json!(["bob"])),
    ] {
        let socket = SocketClient::chat(&emulator, user).await;
        let id = socket.connection_id();
        let start = format!("POST /channels/messaging/c/query?connection_id={id}");
        let body = json!({ "watch": true, "watchers": page });
        let state = call_as(&emulator, user, &start, body, 201).await;
        let watchers = state["watchers"].as_array().expect("watchers").iter();
        assert_eq!(watchers.map(|it| it["id"].clone()).collect::<Value>(), expected);
        sockets.push(socket);
    }
}

#[tokio::test]
async fn option_without_emulation_fails_the_request() {
    let emulator = emulator_with_channel().await;
    let message = json!({ "message": { "id": "m1", "text": "hello" } });
    call_as(&emulator, "bob", "POST /channels/messaging/c/message", message, 201).await;
    call_as(&emulator, "bob", "DELETE /messages/m1", json!({}), 200).await;
    let members = json!({ "type": "messaging", "id": "c", "user_id_gt": "a" });
    let search = json!({ "query": "x", "message_options": {} });
    let since = json!({ "channel_cids": [], "last_sync_at": "2026-01-01T00:00:01Z" });
    let sync = |option: &str| {
        let mut request = since.clone();
        request[option] = json!(true);
        request
    };
    let pinned = query("/channels/messaging/c/pinned_messages", &json!({ "id_lt": "m1" }));
    let watchers = json!({ "watchers": { "id_gt": "a" } });
    for (start, body, expected) in [
        (pinned.as_str(), json!({}), 400),
        (&query("/members", &members), json!({}), 400),
        (&query("/search", &search), json!({}), 400),
        ("POST /sync", sync("limit"), 400),
        ("POST /sync", sync("watch"), 501),
        ("POST /channels/messaging/c/query", watchers, 400),
    ] {
        call_as(&emulator, "bob", start, body, expected).await;
    }
    let restored = json!({ "user_ids": ["bob"], "restore_messages": true });
    let response = post(&emulator, "users/reactivate", &restored).await;
    assert_eq!(status(&response), 501, "{response}");
    let response = post(&emulator, "chat/messages/m1/undelete", &json!({ "by": "bob" })).await;
    assert_eq!(status(&response), 400, "{response}");
}

#[tokio::test]
async fn sync_returns_no_events_of_others() {
    let (emulator, clock) = emulator_and_clock().await;
    for id in ["alice", "bob", "carol"] {
        emulator.create_user(id);
    }
    let data = json!({ "data": { "members": ["alice", "bob", "carol"] } });
    call_as(&emulator, "alice", "POST /channels/messaging/c/query", data, 201).await;
    advance(&clock, 5);
    let path = "chat/channels/messaging/c/message";
    for (id, viewers) in [("m1", json!(["carol"])), ("m2", json!(["bob"])), ("m3", json!([]))] {
        let message = json!({
            "id": id, "text": "hello", "user_id": "alice", "restricted_visibility": viewers,
        });
        let response = post(&emulator, path, &json!({ "message": message })).await;
        assert_eq!(status(&response), 201, "{response}");
    }
    let unread = json!({ "message_id": "m3" });
    for user in ["bob", "carol"] {
        call_as(&emulator, user, "POST /channels/messaging/c/unread", unread.clone(), 201).await;
    }
    call_as(&emulator, "bob", "POST /channels/messaging/c/hide", json!({}), 201).await;
    let sync = json!({
        "channel_cids": ["messaging:c"],
        "last_sync_at": "2026-01-01T00:00:01.000Z",
    });
    for (user, expected) in [
        ("bob", vec!["m2", "m3", "notification.mark_unread bob", "channel.hidden bob"]),
        ("carol", vec!["m1", "m3", "notification.mark_unread carol"]),
    ] {
        let missed = call_as(&emulator, user, "POST /sync", sync.clone(), 201).await;
        let events = missed["events"].as_array().expect("events");
        let name = |event: &Value| match event["message"]["id"].as_str() {
            Some(id) => id.to_owned(),
            None => format!("{} {}", event["type"], event["user"]["id"]).replace('"', ""),
        };
        assert_eq!(events.iter().map(name).collect::<Vec<_>>(), expected, "{user}");
        assert!(events.iter().all(|event| event.get("request_info").is_none()), "{missed}");
    }
}

#[tokio::test]
async fn events_name_the_kind_of_their_caller() {
    let emulator = emulator_with_channel().await;
    let message = json!({ "message": { "id": "m1", "text": "hello" } });
    call_as(&emulator, "bob", "POST /channels/messaging/c/message", message, 201).await;
    let message = json!({ "message": { "id": "m2", "text": "hello", "user_id": "bob" } });
    post(&emulator, "chat/channels/messaging/c/message", &message).await;
    let events = emulator.emitted_events();
    let sources: Vec<_> =
        events.iter().map(|event| (&event["type"], &event["request_info"]["type"])).collect();
    let expected =
        [("channel.created", "client"), ("message.new", "client"), ("message.new", "server")];
    assert_eq!(
        sources.iter().map(|(kind, source)| json!([kind, source])).collect::<Vec<_>>(),
        expected.map(|(kind, source)| json!([kind, source]))
    );
}

#[tokio::test]
async fn feature_without_emulation_says_so() {
    let emulator = emulator_with_channel().await;
    for (start, feature) in [
        ("POST /threads", "threads"),
        ("POST /channels/messaging/c/image", "uploads"),
        ("POST /channels/delivered", "delivery of messages"),
    ] {
        let refused = call_as(&emulator, "bob", start, json!({}), 501).await;
        let text = format!("{feature} is not emulated");
        assert!(refused["message"].as_str().is_some_and(|it| it.contains(&text)), "{refused}");
    }
}
