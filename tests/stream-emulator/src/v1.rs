//! The shapes of v1 of the chat API, converted to and from those of v2.
//!
//! In v1 of chat, the custom fields of users, channels, members, messages and reactions are at the
//! top level of their objects; v2 and video have them in `custom`. Responses and events of v1 have
//! RFC 3339 times.

use serde_json::{Map, Value, json};

use crate::route::Route;
use crate::world::format_timestamps;

const CUSTOM: &str = "custom";

/// The fields of one kind of object in the requests of v1.
struct Shape {
    /// The fields that a request can set.
    known: &'static [&'static str],
    /// The fields of responses that clients send back, and that no request can set.
    read_only: &'static [&'static str],
}

const USER: Shape = Shape {
    known: &["id", "role", "name", "image", "language", "invisible", "teams", "teams_role"],
    read_only: &[
        "ban_expires",
        "banned",
        "blocked_user_ids",
        "channel_mutes",
        "created_at",
        "deactivated_at",
        "deleted_at",
        "devices",
        "last_active",
        "mutes",
        "online",
        "revoke_tokens_issued_before",
        "shadow_banned",
        "total_unread_count",
        "unread_channels",
        "unread_count",
        "unread_threads",
        "updated_at",
    ],
};

const CHANNEL: Shape = Shape {
    known: &[
        "config_overrides",
        "created_by",
        "created_by_id",
        "disabled",
        "filter_tags",
        "frozen",
        "invites",
        "members",
        "team",
    ],
    read_only: &[
        "cid",
        "config",
        "created_at",
        "deleted_at",
        "hidden",
        "id",
        "last_message_at",
        "member_count",
        "message_count",
        "own_capabilities",
        "truncated_at",
        "type",
        "updated_at",
    ],
};

const MEMBER: Shape = Shape {
    known: &["user_id", "user", "channel_role"],
    read_only: &[
        "banned",
        "created_at",
        "invited",
        "is_moderator",
        "notifications_muted",
        "role",
        "shadow_banned",
        "status",
        "updated_at",
    ],
};

const MESSAGE: Shape = Shape {
    known: &[
        "attachments",
        "html",
        "id",
        "mentioned_users",
        "mml",
        "parent_id",
        "pin_expires",
        "pinned",
        "poll_id",
        "quoted_message_id",
        "restricted_visibility",
        "show_in_channel",
        "silent",
        "text",
        "type",
        "user",
        "user_id",
    ],
    read_only: &[
        "channel",
        "cid",
        "command",
        "created_at",
        "deleted_at",
        "deleted_reply_count",
        "i18n",
        "latest_reactions",
        "mentioned_channel",
        "mentioned_here",
        "message_text_updated_at",
        "own_reactions",
        "pinned_at",
        "pinned_by",
        "quoted_message",
        "reaction_counts",
        "reaction_groups",
        "reaction_scores",
        "reply_count",
        "shadowed",
        "thread_participants",
        "updated_at",
    ],
};

const REACTION: Shape = Shape {
    known: &["type", "score", "user", "user_id", "emoji_code"],
    read_only: &["message_id", "created_at", "updated_at"],
};

const EVENT: Shape = Shape {
    known: &["type", "user", "user_id", "parent_id"],
    read_only: &["cid", "channel_id", "channel_type", "created_at", "received_at"],
};

/// Whether Stream defines a field of channels, so that no custom field can have the name.
pub(crate) fn is_channel_field(name: &str) -> bool {
    CHANNEL.defines(name)
}

/// Whether Stream defines a field of members, so that no custom field can have the name.
pub(crate) fn is_member_field(name: &str) -> bool {
    MEMBER.defines(name)
}

/// Whether Stream defines a field of messages, so that no custom field can have the name.
pub(crate) fn is_message_field(name: &str) -> bool {
    MESSAGE.defines(name)
}

impl Shape {
    fn defines(&self, name: &str) -> bool {
        self.known.contains(&name) || self.read_only.contains(&name)
    }

    /// Moves the custom fields of an object into `custom`. Another value is not changed.
    fn gather(&self, value: &mut Value) {
        let Value::Object(fields) = value else { return };
        let (known, custom): (Map<String, Value>, Map<String, Value>) = std::mem::take(fields)
            .into_iter()
            .filter(|(key, _)| !self.read_only.contains(&key.as_str()))
            .partition(|(key, _)| self.known.contains(&key.as_str()));
        *fields = known;
        if !custom.is_empty() {
            fields.insert(CUSTOM.to_owned(), Value::Object(custom));
        }
    }

    fn gather_each(&self, values: &mut Value) {
        match values {
            Value::Array(values) => values.iter_mut().for_each(|value| self.gather(value)),
            Value::Object(values) => values.values_mut().for_each(|value| self.gather(value)),
            _ => {}
        }
    }
}

/// Converts the body of a chat request from v1 to v2.
pub(crate) fn from_v1(route: &Route, body: &mut Value) {
    let Value::Object(fields) = body else { return };
    let mut convert = |name: &str, conversion: &dyn Fn(&mut Value)| {
        if let Some(value) = fields.get_mut(name) {
            conversion(value);
        }
    };
    match route {
        Route::UpdateUsers => convert("users", &|users| USER.gather_each(users)),
        Route::GetOrCreateChannel(_) | Route::GetOrCreateDistinctChannel(_) => {
            convert("data", &gather_channel);
        }
        Route::UpdateChannel(_) => {
            convert("data", &gather_channel);
            for members in ["add_members", "invites", "assign_roles"] {
                convert(members, &|members| MEMBER.gather_each(members));
            }
            convert("message", &|message| MESSAGE.gather(message));
        }
        Route::TruncateChannel(_) | Route::SendMessage(_) | Route::UpdateMessage(_) => {
            convert("message", &|message| MESSAGE.gather(message));
        }
        Route::SendReaction(_) => convert("reaction", &|reaction| REACTION.gather(reaction)),
        Route::SendEvent(_) => convert("event", &|event| EVENT.gather(event)),
        _ => {}
    }
}

/// Converts the `user_details` of a connection from v1 to v2.
pub(crate) fn user_from_v1(details: &mut Value) {
    USER.gather(details);
}

fn gather_channel(data: &mut Value) {
    CHANNEL.gather(data);
    for members in ["members", "invites"] {
        if let Some(members) = data.get_mut(members) {
            MEMBER.gather_each(members);
        }
    }
}

/// Converts a response or an event of chat from v2 to v1.
pub(crate) fn to_v1(value: &mut Value) {
    // Custom fields must not be taken for times: formats before they are at the top level.
    format_timestamps(value);
    spread_custom(value);
}

/// Moves the fields in `custom` to the top level of each object. Fields of Stream win.
fn spread_custom(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(spread_custom),
        Value::Object(fields) => {
            let custom = fields.get(CUSTOM).is_some_and(Value::is_object);
            let custom = if custom { fields.remove(CUSTOM) } else { None };
            for (_, value) in fields.iter_mut().filter(|(key, _)| *key != "attachments") {
                spread_custom(value);
            }
            rename_moderation(fields);
            if let Some(Value::Object(custom)) = custom {
                for (key, value) in custom {
                    fields.entry(key).or_insert(value);
                }
            }
        }
        _ => {}
    }
}

/// Gives the moderation result of a message the name and the action that it has in v1.
fn rename_moderation(fields: &mut Map<String, Value>) {
    if !fields.get("moderation").is_some_and(|it| it["original_text"].is_string()) {
        return;
    }
    let Some(mut details) = fields.remove("moderation") else { return };
    let action = details["action"].as_str().unwrap_or_default().to_uppercase();
    details["action"] = json!(format!("MESSAGE_RESPONSE_ACTION_{action}"));
    fields.insert("moderation_details".to_owned(), details);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Cid;

    fn cid() -> Cid {
        Cid::new("messaging", "c")
    }

    fn converted(route: &Route, mut body: Value) -> Value {
        from_v1(route, &mut body);
        body
    }

    #[test]
    fn custom_fields_of_requests_are_gathered() {
        let users = json!({ "users": { "a": { "id": "a", "name": "A", "plan": "pro" } } });
        let expected =
            json!({ "users": { "a": { "id": "a", "name": "A", "custom": { "plan": "pro" } } } });
        assert_eq!(converted(&Route::UpdateUsers, users), expected);
        let channel = json!({
            "data": {
                "members": ["a", { "user_id": "b", "seat": 1 }],
                "created_by": { "id": "a" },
                "name": "N",
                "image": "I",
                "cid": "messaging:c",
                "own_capabilities": [],
            },
            "state": false,
        });
        let expected = json!({
            "data": {
                "members": ["a", { "user_id": "b", "custom": { "seat": 1 } }],
                "created_by": { "id": "a" },
                "custom": { "name": "N", "image": "I" },
            },
            "state": false,
        });
        assert_eq!(converted(&Route::GetOrCreateChannel(cid()), channel), expected);
        let message = json!({ "message": { "text": "t", "user": { "id": "a" }, "mood": "good" } });
        let expected = json!({
            "message": { "text": "t", "user": { "id": "a" }, "custom": { "mood": "good" } },
        });
        assert_eq!(converted(&Route::SendMessage(cid()), message), expected);
    }

    #[test]
    fn other_values_are_not_changed() {
        for (route, body) in [
            (Route::UpdateChannel(cid()), json!({ "add_members": ["x"], "message": null })),
            (Route::UpdateUsersPartial, json!({ "users": [{ "id": "a", "set": { "x": 1 } }] })),
            (Route::UpdateApp, json!({ "event_hooks": [] })),
            (Route::UpdateUsers, json!([])),
        ] {
            assert_eq!(converted(&route, body.clone()), body);
        }
    }

    #[test]
    fn custom_fields_of_responses_are_at_the_top_level() {
        let mut response = json!({
            "channel": {
                "cid": "messaging:c",
                "created_at": 1_767_225_600_000_000_000_i64,
                "created_by": { "id": "a", "custom": { "plan": "pro", "id": "ignored" } },
                "custom": { "name": "N", "custom": { "x": 1 }, "seen_at": 5 },
            },
            "members": [{ "user_id": "a", "custom": {} }],
            "messages": [{ "attachments": [{ "custom": { "kept": true } }], "custom": { "a": 1 } }],
            "roles": [{ "custom": false }],
        });
        to_v1(&mut response);
        let expected = json!({
            "channel": {
                "cid": "messaging:c",
                "created_at": "2026-01-01T00:00:00.000000000Z",
                "created_by": { "id": "a", "plan": "pro" },
                "name": "N",
                "custom": { "x": 1 },
                "seen_at": 5,
            },
            "members": [{ "user_id": "a" }],
            "messages": [{ "attachments": [{ "custom": { "kept": true } }], "a": 1 }],
            "roles": [{ "custom": false }],
        });
        assert_eq!(response, expected);
    }

    #[test]
    fn moderation_result_has_the_name_of_v1() {
        let moderation = json!({ "action": "remove", "original_text": "spam" });
        let mut response = json!({ "message": { "moderation": moderation } });
        to_v1(&mut response);
        let details =
            json!({ "action": "MESSAGE_RESPONSE_ACTION_REMOVE", "original_text": "spam" });
        assert_eq!(response, json!({ "message": { "moderation_details": details } }));
    }

    /// Objects with every known field and with custom fields of difficult names and values.
    #[test]
    fn round_trip_preserves_known_and_custom_fields() {
        let custom = json!({
            "custom": { "nested": { "custom": { "x": 1 } } },
            "expires_at": 1,
            "text2": "",
            "list": [{ "custom": 1 }, null],
            "null": null,
        });
        for shape in [USER, CHANNEL, MEMBER, MESSAGE, REACTION, EVENT] {
            for count in 0..=shape.known.len() {
                let known =
                    shape.known.iter().take(count).map(|key| ((*key).to_owned(), json!("x")));
                let mut original: Map<String, Value> = known.collect();
                original.extend(custom.as_object().cloned().unwrap_or_default());
                let original = Value::Object(original);
                let mut value = original.clone();
                shape.gather(&mut value);
                assert_eq!(value.as_object().map(Map::len), Some(count + 1));
                to_v1(&mut value);
                assert_eq!(value, original);
            }
        }
    }
}
