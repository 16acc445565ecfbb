//! The events that open sockets receive.

use super::socket_client::{Ended, KEY_AND_AUTH, SocketClient};
use super::webhook_receiver::{Webhook, WebhookReceiver};
use super::*;
use crate::{Fault, FaultRule, Operation, WebhookScript};

/// An emulator with a channel and a call, both created by alice, with the members alice and bob.
async fn emulator_with_objects() -> Emulator {
    let emulator = emulator().await;
    add_objects(&emulator).await;
    emulator
}

async fn add_objects(emulator: &Emulator) {
    for id in ["alice", "bob", "carol"] {
        emulator.create_user(id);
    }
    let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
    let data = json!({ "data": { "created_by_id": "alice", "members": members } });
    for path in ["video/call/default/c", "chat/channels/messaging/c/query"] {
        assert_eq!(status(&post(emulator, path, &data).await), 201, "{path}");
    }
}

/// Sends a request as a client whose socket is open.
async fn request(
    emulator: &Emulator,
    user: &str,
    start: &str,
    connection_id: &str,
    body: &Value,
) -> Value {
    let token = user_token(&json!({ "user_id": user }));
    let start = format!("{start}?api_key=testkey123&connection_id={connection_id}");
    let headers = format!("{AUTH_HEADERS}{token}");
    json_body(&send_raw(emulator, &start, &headers, &body.to_string()).await)
}

async fn watch_channel(emulator: &Emulator, user: &str, client: &SocketClient) -> Value {
    let body = json!({ "state": true, "watch": true, "presence": true });
    let start = "POST /channels/messaging/c/query";
    let response = request(emulator, user, start, client.connection_id(), &body).await;
    assert_eq!(response["channel"]["cid"], json!("messaging:c"), "{response}");
    response
}

/// A chat socket of a user that watches the channel.
async fn watching(emulator: &Emulator, user: &str) -> SocketClient {
    let client = SocketClient::chat(emulator, user).await;
    watch_channel(emulator, user, &client).await;
    client
}

/// A video socket of a user that watches the call.
async fn watching_call(emulator: &Emulator, user: &str) -> SocketClient {
    let client = SocketClient::video(emulator, user).await;
    let start = "GET /video/call/default/c";
    let response = request(emulator, user, start, client.connection_id(), &json!(null)).await;
    assert_eq!(response["call"]["cid"], json!("default:c"), "{response}");
    client
}

async fn send_message(emulator: &Emulator, id: &str) {
    let message = json!({ "id": id, "text": "hello", "user_id": "alice", "custom": { "mood": 1 } });
    let path = "chat/channels/messaging/c/message";
    assert_eq!(status(&post(emulator, path, &json!({ "message": message })).await), 201);
}

#[tokio::test]
async fn message_reaches_watchers_and_notifies_other_members() {
    let emulator = emulator_with_objects().await;
    let mut watcher = watching(&emulator, "alice").await;
    let mut member = SocketClient::chat(&emulator, "bob").await;
    watcher.expect("user.presence.changed").await;
    let mut stranger = SocketClient::chat(&emulator, "carol").await;
    let mut video = SocketClient::video(&emulator, "bob").await;
    send_message(&emulator, "m1").await;
    let event = watcher.expect("message.new").await;
    assert_eq!(event["cid"], json!("messaging:c"));
    assert_eq!((&event["message"]["id"], &event["message"]["mood"]), (&json!("m1"), &json!(1)));
    assert_eq!(event["message"].get("custom"), None);
    assert_eq!(event["message"]["created_at"], json!("2026-01-01T00:00:00.000000000Z"));
    assert_eq!((&event["user"]["id"], &event["watcher_count"]), (&json!("alice"), &json!(1)));
    assert_eq!(event.get("request_info"), None);
    let event = member.expect("notification.message_new").await;
    assert_eq!(event["message"]["id"], json!("m1"));
    assert_eq!(event["channel"]["cid"], json!("messaging:c"));
    assert!(event["total_unread_count"].is_number());
    for client in [&mut watcher, &mut member, &mut stranger, &mut video] {
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn sockets_and_webhooks_receive_the_same_order() {
    let emulator = emulator_with_objects().await;
    let mut watcher = watching(&emulator, "alice").await;
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    // The hook sends one webhook at a time, so that the order of arrival is the order of sending.
    let script = WebhookScript { concurrency: 1, ..WebhookScript::default() };
    emulator.set_webhook_script(script);
    emulator.set_event_hooks(vec![receiver.hook()]);
    for number in 0..20 {
        send_message(&emulator, &format!("m{number}")).await;
    }
    emulator.webhooks_idle().await;
    let ids = |events: Vec<Value>| -> Vec<Value> {
        let messages = events.into_iter().filter(|event| event["type"] == "message.new");
        messages.map(|event| event["message_id"].clone()).collect()
    };
    let expected: Vec<Value> = (0..20).map(|number| json!(format!("m{number}"))).collect();
    assert_eq!(ids(emulator.emitted_events()), expected);
    assert_eq!(ids(receiver.webhooks().iter().map(Webhook::event).collect()), expected);
    for id in expected {
        assert_eq!(watcher.expect("message.new").await["message_id"], id);
    }
}

#[tokio::test]
async fn recipients_are_those_at_the_due_time() {
    let (emulator, clock) = emulator_and_clock().await;
    add_objects(&emulator).await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    let removal = json!({ "remove_members": ["bob"], "user_id": "alice" });
    let message = json!({ "message": { "id": "m1", "text": "hello", "user_id": "alice" } });
    for (operation, path, body, delay) in [
        (Operation::SendMessage, "chat/channels/messaging/c/message", message, 5),
        (Operation::UpdateChannel, "chat/channels/messaging/c", removal, 10),
    ] {
        let fault = Fault::AppliedLateByClock(Duration::from_secs(delay));
        emulator.add_fault(FaultRule::for_operation(operation, fault).once());
        post(&emulator, path, &body).await;
    }
    advance(&clock, 60);
    let event = bob.expect("notification.message_new").await;
    assert_eq!(event["message"]["id"], json!("m1"));
    bob.expect("notification.removed_from_channel").await;
}

#[tokio::test]
async fn membership_changes_notify_the_member() {
    let emulator = emulator_with_objects().await;
    let mut watcher = watching(&emulator, "alice").await;
    let mut carol = SocketClient::chat(&emulator, "carol").await;
    let member = json!({ "user_id": "carol", "user": { "id": "carol" } });
    let emit = |kind: &str| {
        emulator.emit_event(json!({
            "type": kind,
            "cid": "messaging:c",
            "member": member,
            "user": { "id": "carol" },
        }));
    };
    emit("member.added");
    watcher.expect("member.added").await;
    let event = carol.expect("notification.added_to_channel").await;
    assert_eq!(event["channel"]["cid"], json!("messaging:c"));
    assert_eq!(event["member"]["user_id"], json!("carol"));
    emit("member.removed");
    watcher.expect("member.removed").await;
    carol.expect("notification.removed_from_channel").await;
    // A removed member no longer watches.
    emulator.emit_event(json!({
        "type": "member.removed",
        "cid": "messaging:c",
        "member": { "user_id": "alice" },
    }));
    watcher.expect("member.removed").await;
    send_message(&emulator, "m1").await;
    watcher.expect("notification.message_new").await;
}

#[tokio::test]
async fn deleted_channel_ends_its_watches() {
    let emulator = emulator_with_objects().await;
    let mut watcher = watching(&emulator, "alice").await;
    let mut member = SocketClient::chat(&emulator, "bob").await;
    watcher.expect("user.presence.changed").await;
    emulator.delete_channel("messaging:c");
    watcher.expect("channel.deleted").await;
    let event = member.expect("notification.channel_deleted").await;
    assert_eq!(event["channel"]["cid"], json!("messaging:c"));
    assert!(emulator.sockets()[0].watched_cids.is_empty());
    let data = json!({ "data": { "created_by_id": "alice", "members": ["bob"] } });
    post(&emulator, "chat/channels/messaging/new/query", &data).await;
    member.expect("notification.added_to_channel").await;
}

#[tokio::test]
async fn counts_of_unread_messages_follow_the_reads() {
    let emulator = emulator_with_objects().await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    for count in [1, 2] {
        send_message(&emulator, &format!("m{count}")).await;
        let event = bob.expect("notification.message_new").await;
        assert_eq!(event["total_unread_count"], json!(count));
        assert_eq!((&event["unread_channels"], &event["unread_count"]), (&json!(1), &json!(count)));
    }
    let params = json!({ "user_id": "bob" });
    let token = user_token(&params);
    let (_second, frame) = SocketClient::try_chat(&emulator, &params, &token, KEY_AND_AUTH).await;
    assert_eq!(frame["me"]["total_unread_count"], json!(2));
    let mut alice = watching(&emulator, "alice").await;
    let read = "POST /channels/messaging/c/read";
    request(&emulator, "bob", read, bob.connection_id(), &json!({})).await;
    let event = alice.expect("message.read").await;
    assert_eq!((&event["user"]["id"], &event["cid"]), (&json!("bob"), &json!("messaging:c")));
    assert!(event["created_at"].is_string());
    let event = bob.expect("notification.mark_read").await;
    assert_eq!(event["total_unread_count"], json!(0));
    assert_eq!(event["channel"]["cid"], json!("messaging:c"));
    alice.expect_nothing().await;
    // A socket that watches the channel gets no notification.
    watch_channel(&emulator, "bob", &bob).await;
    request(&emulator, "bob", read, bob.connection_id(), &json!({})).await;
    bob.expect("message.read").await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn typing_reaches_watchers_until_they_stop_watching() {
    let emulator = emulator_with_objects().await;
    let mut alice = watching(&emulator, "alice").await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    alice.expect("user.presence.changed").await;
    let start = "POST /channels/messaging/c/event";
    let typing = json!({ "event": { "type": "typing.start" } });
    request(&emulator, "bob", start, bob.connection_id(), &typing).await;
    let event = alice.expect("typing.start").await;
    assert_eq!(event["user"]["id"], json!("bob"));
    let stop = "POST /channels/messaging/c/stop-watching";
    // Another user cannot end the watch.
    request(&emulator, "bob", stop, alice.connection_id(), &json!({})).await;
    request(&emulator, "bob", start, bob.connection_id(), &typing).await;
    alice.expect("typing.start").await;
    request(&emulator, "alice", stop, alice.connection_id(), &json!({})).await;
    request(&emulator, "bob", start, bob.connection_id(), &typing).await;
    alice.expect_nothing().await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn blocked_user_cannot_reach_the_blocking_user() {
    let emulator = emulator_with_objects().await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    let block = json!({ "blocked_user_id": "alice" });
    request(&emulator, "bob", "POST /users/block", bob.connection_id(), &block).await;
    send_message(&emulator, "m1").await;
    bob.expect_nothing().await;
    request(&emulator, "bob", "POST /users/unblock", bob.connection_id(), &block).await;
    send_message(&emulator, "m2").await;
    bob.expect("notification.message_new").await;
}

#[tokio::test]
async fn channel_of_a_set_of_members_can_be_watched() {
    let emulator = emulator_with_objects().await;
    let mut alice = SocketClient::chat(&emulator, "alice").await;
    let body = json!({ "data": { "members": ["alice", "bob"] }, "watch": true, "state": true });
    let start = "POST /channels/messaging/query";
    let response = request(&emulator, "alice", start, alice.connection_id(), &body).await;
    assert_eq!(response["watcher_count"], json!(1), "{response}");
    alice.expect("notification.added_to_channel").await;
    let cid = response["channel"]["cid"].as_str().expect("a cid");
    let path = cid.replace(':', "/");
    let message = json!({ "message": { "text": "hello" } });
    let start = format!("POST /channels/{path}/message");
    request(&emulator, "alice", &start, alice.connection_id(), &message).await;
    assert_eq!(alice.expect("message.new").await["cid"], json!(cid));
}

#[tokio::test]
async fn pretended_participation_ends_with_the_last_video_socket() {
    let emulator = emulator_with_objects().await;
    emulator.set_join_mode(crate::JoinMode::Pretend);
    let mut alice = watching_call(&emulator, "alice").await;
    let bob = SocketClient::video(&emulator, "bob").await;
    let second = SocketClient::video(&emulator, "bob").await;
    let start = "POST /video/call/default/c/join";
    let body = json!({ "location": "AMS" });
    let response = request(&emulator, "bob", start, bob.connection_id(), &body).await;
    let endpoint = response["credentials"]["server"]["ws_endpoint"].as_str().expect("an address");
    alice.expect("call.session_started").await;
    alice.expect("call.session_participant_joined").await;
    bob.disconnect().await;
    alice.expect_nothing().await;
    second.disconnect().await;
    alice.expect("call.session_participant_left").await;
    // The end of the media socket ends the participation, too.
    let again = SocketClient::video(&emulator, "bob").await;
    let response = request(&emulator, "bob", start, again.connection_id(), &body).await;
    alice.expect("call.session_participant_joined").await;
    let path = |endpoint: &str| format!("/{}", endpoint.splitn(4, '/').last().expect("a path"));
    let stale = SocketClient::open(&emulator, &path(endpoint)).await;
    stale.disconnect().await;
    alice.expect_nothing().await;
    let endpoint = response["credentials"]["server"]["ws_endpoint"].as_str().expect("an address");
    let media = SocketClient::open(&emulator, &path(endpoint)).await;
    media.disconnect().await;
    alice.expect("call.session_participant_left").await;
}

#[tokio::test]
async fn ring_follows_the_creation_and_spares_the_creator() {
    let emulator = emulator_with_objects().await;
    let mut alice = SocketClient::video(&emulator, "alice").await;
    let mut bob = SocketClient::video(&emulator, "bob").await;
    let mut carol = SocketClient::video(&emulator, "carol").await;
    let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
    let data = json!({ "created_by_id": "alice", "members": members, "custom": { "a": 1 } });
    post(&emulator, "video/call/default/ring", &json!({ "ring": true, "data": data })).await;
    let created = bob.expect("call.created").await;
    assert_eq!(created["call"]["custom"], json!({ "a": 1 }));
    let ring = bob.expect("call.ring").await;
    assert_eq!(ring["call_cid"], json!("default:ring"));
    assert_eq!(ring["call"]["session"]["id"], ring["session_id"]);
    assert!(ring["call"]["egress"].is_object());
    assert_eq!(ring["call"]["created_at"], json!("2026-01-01T00:00:00.000000000Z"));
    alice.expect("call.created").await;
    emulator.accept("default:ring", "bob");
    for client in [&mut alice, &mut bob] {
        let accepted = client.expect("call.accepted").await;
        assert!(accepted["call"]["session"]["accepted_by"]["bob"].is_string());
    }
    emulator.reject_with("default:ring", "bob", Some("decline"));
    emulator.end_call("default:ring", Some("alice"), None);
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.expect("call.rejected").await["reason"], json!("decline"));
        client.expect("call.ended").await;
    }
    for client in [&mut alice, &mut bob, &mut carol] {
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn watcher_of_a_call_receives_its_session() {
    let emulator = emulator_with_objects().await;
    let mut carol = watching_call(&emulator, "carol").await;
    let mut bob = SocketClient::video(&emulator, "bob").await;
    let start = "POST /video/calls";
    let body = json!({ "watch": true, "filter_conditions": { "cid": "default:c" } });
    let response = request(&emulator, "bob", start, bob.connection_id(), &body).await;
    assert_eq!(response["calls"][0]["call"]["cid"], json!("default:c"), "{response}");
    assert!(emulator.join("default:c", "alice").is_some());
    for client in [&mut carol, &mut bob] {
        client.expect("call.session_started").await;
        let joined = client.expect("call.session_participant_joined").await;
        assert_eq!(joined["participant"]["user"]["id"], json!("alice"));
    }
    emulator.delete_call("default:c");
    carol.expect("call.deleted").await;
    bob.expect("call.deleted").await;
    assert!(emulator.sockets().iter().all(|socket| socket.watched_cids.is_empty()));
}

#[tokio::test]
async fn watch_requires_an_open_socket_of_the_user() {
    let emulator = emulator_with_objects().await;
    let chat = SocketClient::chat(&emulator, "alice").await;
    let video = SocketClient::video(&emulator, "alice").await;
    let watch = json!({ "watch": true });
    let query = "POST /channels/messaging/c/query";
    let get = "GET /video/call/default/c";
    for (user, start, connection_id, body, expected) in [
        ("alice", query, "unknown", &watch, json!(46)),
        ("alice", query, "", &watch, json!(4)),
        ("alice", query, "unknown", &json!({}), json!(null)),
        ("alice", query, video.connection_id(), &watch, json!(46)),
        ("bob", query, chat.connection_id(), &watch, json!(46)),
        ("alice", query, chat.connection_id(), &watch, json!(null)),
        ("alice", get, "unknown", &json!(null), json!(46)),
        ("alice", get, chat.connection_id(), &json!(null), json!(46)),
        ("alice", get, video.connection_id(), &json!(null), json!(null)),
    ] {
        let response = request(&emulator, user, start, connection_id, body).await;
        assert_eq!(response["code"], expected, "{user} {start} {connection_id}: {response}");
    }
    emulator.drop_sockets(Some("alice"), 1001);
    let response = request(&emulator, "alice", query, chat.connection_id(), &watch).await;
    assert_eq!(response["code"], json!(46));
    let again = watching(&emulator, "alice").await;
    assert_ne!(again.connection_id(), chat.connection_id());
}

#[tokio::test]
async fn presence_and_watchers_follow_the_sockets() {
    let emulator = emulator_with_objects().await;
    let mut alice = watching(&emulator, "alice").await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    let event = alice.expect("user.presence.changed").await;
    assert_eq!((&event["user"]["id"], &event["user"]["online"]), (&json!("bob"), &json!(true)));
    let response = watch_channel(&emulator, "bob", &bob).await;
    assert_eq!(response["watcher_count"], json!(2));
    assert_eq!(response["watchers"][0]["id"], json!("alice"));
    let event = alice.expect("user.watching.start").await;
    assert_eq!((&event["user"]["id"], &event["watcher_count"]), (&json!("bob"), &json!(2)));
    // A second socket changes nothing.
    let second = watching(&emulator, "bob").await;
    second.disconnect().await;
    bob.expect_nothing().await;
    alice.expect_nothing().await;
    bob.disconnect().await;
    let event = alice.expect("user.watching.stop").await;
    assert_eq!((&event["user"]["id"], &event["watcher_count"]), (&json!("bob"), &json!(1)));
    let event = alice.expect("user.presence.changed").await;
    assert_eq!(event["user"]["online"], json!(false));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn presence_can_be_asked_for_by_a_query_of_users() {
    let emulator = emulator_with_objects().await;
    let mut alice = SocketClient::chat(&emulator, "alice").await;
    let payload =
        "%7B%22presence%22%3Atrue%2C%22filter_conditions%22%3A%7B%22id%22%3A%22bob%22%7D%7D";
    let token = user_token(&json!({ "user_id": "alice" }));
    let id = alice.connection_id();
    let start = format!("GET /users?api_key=testkey123&payload={payload}&connection_id={id}");
    let response = send_raw(&emulator, &start, &format!("{AUTH_HEADERS}{token}"), "").await;
    assert_eq!(status(&response), 200, "{response}");
    let _bob = SocketClient::video(&emulator, "bob").await;
    let _carol = SocketClient::video(&emulator, "carol").await;
    let event = alice.expect("user.presence.changed").await;
    assert_eq!(event["user"]["id"], json!("bob"));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn ban_reaches_the_banned_user_only() {
    let emulator = emulator_with_objects().await;
    let mut alice = watching(&emulator, "alice").await;
    let mut bob = SocketClient::chat(&emulator, "bob").await;
    alice.expect("user.presence.changed").await;
    emulator.ban_user("bob", None);
    let event = bob.expect("user.banned").await;
    assert_eq!((&event["user"]["banned"], &event["total_bans"]), (&json!(true), &json!(1)));
    emulator.unban_user("bob");
    bob.expect("user.unbanned").await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn update_of_a_user_reaches_the_watchers_of_its_channels() {
    let emulator = emulator_with_objects().await;
    let mut alice = watching(&emulator, "alice").await;
    let mut carol = SocketClient::chat(&emulator, "carol").await;
    let bob = json!({ "users": [{ "id": "bob", "set": { "name": "Bob", "plan": "pro" } }] });
    send_request(&emulator, &format!("PATCH {USERS_PATH}"), &bob).await;
    let event = alice.expect("user.updated").await;
    assert_eq!((&event["user"]["name"], &event["user"]["plan"]), (&json!("Bob"), &json!("pro")));
    carol.expect_nothing().await;
}

#[tokio::test]
async fn client_only_events_have_no_webhooks() {
    let emulator = emulator_with_objects().await;
    let mut alice = watching(&emulator, "alice").await;
    let receiver = WebhookReceiver::with_statuses(&[]).await;
    emulator.set_event_hooks(vec![receiver.hook()]);
    for kind in ["typing.start", "message.read", "typing.stop", "member.updated"] {
        let user = json!({ "id": "bob" });
        emulator.emit_event(json!({ "type": kind, "cid": "messaging:c", "user": user }));
        alice.expect(kind).await;
    }
    emulator.webhooks_idle().await;
    let mut types = receiver.event_types();
    types.sort_unstable();
    assert_eq!(types, ["member.updated", "message.read"]);
}

#[tokio::test]
async fn client_that_reads_nothing_is_closed_and_blocks_nothing() {
    let emulator = emulator_with_objects().await;
    let mut slow = watching(&emulator, "alice").await;
    let padding = "x".repeat(20_000);
    let mut emitted = 0;
    while emulator.sockets().len() == 1 {
        emulator.emit_event(json!({
            "type": "custom.event",
            "cid": "messaging:c",
            "number": emitted,
            "padding": padding,
        }));
        emitted += 1;
        assert!(emitted < 10_000, "the queue is bounded");
        tokio::task::yield_now().await;
    }
    assert!(emitted > 1_000, "{emitted}");
    // The frames before the overflow arrive in order, and then the end.
    assert_eq!(slow.next().await["number"], json!(0));
    assert_eq!(slow.next().await["number"], json!(1));
    assert_eq!(slow.ended().await, Ended::Close(1011));
}
