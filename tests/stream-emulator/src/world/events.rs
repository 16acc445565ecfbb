//! Events: one for each change that Stream reports. The world only collects them; `realtime`
//! and `webhooks` deliver them.

use serde_json::{Value, json};

use super::cid::Cid;
use super::{World, merge};
use crate::timestamp::Timestamp;

/// The maximum number of members in a channel event.
const MAX_EVENT_MEMBERS: usize = 50;

/// The kind of caller whose request emits the events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum RequestSource {
    /// Assumed for events without a request, such as those of a timeout.
    #[default]
    Server,
    Client,
}

impl RequestSource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl World {
    /// Takes the events emitted since the last call, in order.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// Emits a complete event.
    pub(crate) fn push_event(&mut self, event: Value) {
        self.events.push(event);
    }

    /// Emits an event with the given type and fields.
    pub(super) fn emit(&mut self, kind: &str, now: Timestamp, fields: Value) {
        let mut event = merge(json!({ "type": kind, "created_at": now }), fields);
        format_timestamps(&mut event);
        self.events.push(event);
    }

    /// Emits an event with the current state of a call. If the call does not exist, nothing
    /// happens.
    pub(super) fn emit_call(&mut self, kind: &str, cid: &Cid, now: Timestamp, fields: Value) {
        let Some(call) = self.calls.get(cid) else { return };
        let call = json!({ "call_cid": cid, "call": call.response(self) });
        self.emit(kind, now, merge(call, fields));
    }

    /// Emits an event of a channel, which need not exist.
    pub(super) fn emit_channel(&mut self, kind: &str, cid: &Cid, now: Timestamp, fields: Value) {
        let channel = json!({
            "cid": cid,
            "channel_type": cid.kind,
            "channel_id": cid.id,
            "custom": {},
            "request_info": self.request_info(),
        });
        self.emit(kind, now, merge(channel, fields));
    }

    /// Emits an event with the current state of a user.
    pub(super) fn emit_user(&mut self, kind: &str, id: &str, now: Timestamp, fields: Value) {
        let user = json!({
            "user": self.user_response(id),
            "custom": {},
            "request_info": self.request_info(),
        });
        self.emit(kind, now, merge(user, fields));
    }

    pub(crate) const fn set_request_source(&mut self, source: RequestSource) {
        self.request_source = source;
    }

    /// The `request_info` of an event.
    fn request_info(&self) -> Value {
        let kind = self.request_source.as_str();
        json!({ "type": kind, "ip": "127.0.0.1", "user_agent": "", "sdk": "" })
    }

    /// The members of a channel, for its events.
    pub(super) fn event_members(&self, cid: &Cid) -> Vec<Value> {
        let Some(channel) = self.channels.get(cid) else { return Vec::new() };
        channel.member_responses(channel.members.iter().take(MAX_EVENT_MEMBERS), self)
    }
}

/// Converts the world's nanoseconds to RFC 3339, the format of webhooks and of v1. Custom data and
/// attachments are not changed.
pub(crate) fn format_timestamps(value: &mut Value) {
    convert_timestamps(value, &|value| {
        if let Some(nanos) = value.as_i64() {
            *value = json!(Timestamp::from_nanos(nanos).to_rfc3339());
        }
    });
}

/// Converts RFC 3339 to nanoseconds, as the reverse of [`format_timestamps`].
pub(crate) fn timestamps_to_nanos(value: &mut Value) {
    convert_timestamps(value, &|value| {
        if let Some(timestamp) = value.as_str().and_then(Timestamp::parse) {
            *value = json!(timestamp);
        }
    });
}

/// Applies a conversion to every instant.
fn convert_timestamps(value: &mut Value, convert: &impl Fn(&mut Value)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match key.as_str() {
                    "custom" | "channel_custom" | "attachments" => {}
                    "accepted_by" | "missed_by" | "rejected_by" => {
                        if let Value::Object(instants) = value {
                            instants.values_mut().for_each(convert);
                        }
                    }
                    "revoke_tokens_issued_before"
                    | "ban_expires"
                    | "expiration"
                    | "expires"
                    | "last_active"
                    | "last_read"
                    | "pin_expires" => convert(value),
                    key if key.ends_with("_at") => convert(value),
                    _ => convert_timestamps(value, convert),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                convert_timestamps(element, convert);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, from_json, send_message, world_with_users,
    };
    use super::*;

    #[test]
    fn timestamps_are_rfc3339_at_every_depth() {
        let mut world = World::default();
        let second = at(0).as_nanos();
        let fields = json!({
            "call": {
                "created_at": second + 1,
                "session": { "rejected_by": { "bob": second }, "participants": [] },
                "settings": { "limits": { "max_duration_seconds": 7 } },
                "custom": { "seen_at": 5 },
            },
            "members": [{ "created_at": second }, { "deleted_at": null }],
            "user": { "revoke_tokens_issued_before": second },
        });
        world.emit("call.updated", at(1), fields);
        assert_eq!(
            world.take_events(),
            [json!({
                "type": "call.updated",
                "created_at": "2026-01-01T00:00:01.000000000Z",
                "call": {
                    "created_at": "2026-01-01T00:00:00.000000001Z",
                    "session": {
                        "rejected_by": { "bob": "2026-01-01T00:00:00.000000000Z" },
                        "participants": [],
                    },
                    "settings": { "limits": { "max_duration_seconds": 7 } },
                    "custom": { "seen_at": 5 },
                },
                "members": [
                    { "created_at": "2026-01-01T00:00:00.000000000Z" },
                    { "deleted_at": null },
                ],
                "user": { "revoke_tokens_issued_before": "2026-01-01T00:00:00.000000000Z" },
            })]
        );
        assert!(world.take_events().is_empty());
    }

    #[test]
    fn nanoseconds_are_the_reverse_of_rfc3339() {
        let event = json!({
            "created_at": at(0).as_nanos() + 1,
            "call": {
                "session": { "missed_by": { "bob": at(1) } },
                "custom": { "seen_at": "2026-01-01T00:00:00Z" },
                "starts_at": null,
            },
            "expiration": at(2),
            "channel_last_message_at": "never",
        });
        let mut converted = event.clone();
        format_timestamps(&mut converted);
        assert_eq!(converted["created_at"], json!("2026-01-01T00:00:00.000000001Z"));
        timestamps_to_nanos(&mut converted);
        assert_eq!(converted, event);
    }

    #[test]
    fn channel_and_message_changes_emit_events() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        create_channel(&mut world, &["alice"]).expect("the channel");
        send_message(&mut world, "m1").expect("a message");
        send_message(&mut world, "m1").expect_err("an error");
        let request = from_json(json!({ "cids": ["messaging:c"] }));
        world.delete_channels(&request, at(3)).expect("deleted");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["channel.created", "message.new", "channel.deleted"]);
        for event in &events {
            assert_eq!(event["cid"], json!("messaging:c"));
            assert_eq!(event["channel_type"], json!("messaging"));
            assert_eq!(event["channel_id"], json!("c"));
            assert_eq!(event["members"][1]["user_id"], json!("bob"));
        }
        assert_eq!(events[0]["channel"]["created_at"], events[0]["created_at"]);
        assert_eq!(events[1]["message_id"], json!("m1"));
        assert_eq!(events[1]["message"]["text"], json!("hello"));
        assert_eq!(events[1]["user"]["id"], json!("alice"));
        assert_eq!(events[2]["channel"]["deleted_at"], json!("2026-01-01T00:00:03.000000000Z"));
    }
}
