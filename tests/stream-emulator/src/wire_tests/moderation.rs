//! Bans, commands and blocked words.

use super::*;

async fn send_message(emulator: &Emulator, text: &str) -> Value {
    let message = json!({ "message": { "text": text, "user_id": "alice" } });
    let response = post(emulator, "chat/channels/messaging/c/message", &message).await;
    assert_eq!(status(&response), 201, "{response}");
    json_body(&response)["message"].clone()
}

#[tokio::test]
async fn ban_lasts_until_its_timeout_or_an_unban() {
    let (emulator, clock) = emulator_and_clock().await;
    upsert_alice(&emulator).await;
    let request = json!({ "target_user_id": "alice", "timeout": 1 });
    let is_banned = || emulator.user("alice").is_some_and(|alice| alice.banned);
    assert_eq!(status(&post(&emulator, "moderation/ban", &request).await), 201);
    assert_eq!(emulator.bans()[0].expires_at, Some(nanos_after_start(60)));
    advance(&clock, 59);
    assert!(is_banned());
    advance(&clock, 1);
    assert!(!is_banned());
    for (method, path) in [("DELETE", "moderation/ban"), ("POST", "moderation/unban")] {
        emulator.ban_user("alice", None);
        assert!(is_banned());
        let uri = format!("/api/v2/{path}?api_key=testkey123&target_user_id=alice");
        let response = send_request(&emulator, &format!("{method} {uri}"), &json!({})).await;
        assert!(status(&response) < 300, "{response}");
        assert!(!is_banned());
    }
    emulator.ban_user("alice", Some(Duration::from_mins(1)));
    emulator.unban_user("alice");
    assert!(emulator.bans().is_empty());
    let events = emulator.emitted_events();
    let bans = events.iter().filter(|event| event["type"] == "user.banned").count();
    let unbans = events.iter().filter(|event| event["type"] == "user.unbanned").count();
    assert_eq!((bans, unbans), (4, 3));
}

#[tokio::test]
async fn blocked_words_are_scripted() {
    let emulator = emulator().await;
    create_channel(&emulator, "c").await;
    emulator.add_blocked_word("spam");
    assert_eq!(send_message(&emulator, "no spam").await["type"], json!("error"));
    emulator.clear_blocked_words();
    assert_eq!(send_message(&emulator, "no spam").await["type"], json!("regular"));
    let control = async |method: &str, body: Value| {
        let start = format!("{method} /_emulator/blocked_words");
        assert_eq!(status(&send_request(&emulator, &start, &body).await), 200);
    };
    control("POST", json!({ "word": "spam" })).await;
    assert_eq!(send_message(&emulator, "no spam").await["type"], json!("error"));
    control("DELETE", json!({})).await;
    assert_eq!(send_message(&emulator, "no spam").await["type"], json!("regular"));
    assert_eq!(emulator.messages("messaging:c").len(), 2);
}

#[tokio::test]
async fn moderation_command_of_a_server_is_executed() {
    let emulator = emulator().await;
    create_channel(&emulator, "c").await;
    for text in ["/ban @alice", "/mute @alice", "/flag @alice"] {
        assert_eq!(send_message(&emulator, text).await["type"], json!("ephemeral"), "{text}");
    }
    assert_eq!(emulator.bans()[0].channel_cid.as_deref(), Some("messaging:c"));
    assert_eq!((emulator.mutes().len(), emulator.flags().len()), (1, 1));
    assert!(emulator.messages("messaging:c").is_empty());
}
