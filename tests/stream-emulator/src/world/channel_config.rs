//! The `config` of channels. The emulator does not use it, but clients that decode whole objects
//! require it.

use serde_json::{Value, json};

use crate::timestamp::Timestamp;

pub(super) fn channel_config(kind: &str, created_at: Timestamp) -> Value {
    json!({
        "name": kind,
        "created_at": created_at,
        "updated_at": created_at,
        "automod": "disabled",
        "automod_behavior": "flag",
        "max_message_length": super::messages::MAX_TEXT_CHARS,
        "commands": [],
        "connect_events": true,
        "count_messages": false,
        "custom_events": true,
        "delivery_events": false,
        "mark_messages_pending": false,
        "message_retention": "infinite",
        "mutes": true,
        "polls": false,
        "push_notifications": true,
        "quotes": true,
        "reactions": true,
        "read_events": true,
        "reminders": false,
        "replies": true,
        "search": true,
        "shared_locations": false,
        "skip_last_msg_update_for_system_msgs": false,
        "typing_events": true,
        "uploads": true,
        "url_enrichment": true,
        "user_message_reminders": false,
    })
}
