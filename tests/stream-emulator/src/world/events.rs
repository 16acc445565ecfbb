//! What changes is told: an event for each change that somebody outside may want to hear of. Here
//! they only arise; who hears of them is no concern of the world's.

use serde_json::{Value, json};

use super::cid::Cid;
use super::{World, merge};
use crate::timestamp::Timestamp;

/// How many members the event of a channel shows.
const MAX_EVENT_MEMBERS: usize = 50;

impl World {
    /// The events that arose since this was last asked, in order.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// Lets an event arise that was made elsewhere.
    pub(crate) fn push_event(&mut self, event: Value) {
        self.events.push(event);
    }

    /// Lets an event arise.
    pub(super) fn emit(&mut self, kind: &str, now: Timestamp, fields: Value) {
        let mut event = merge(json!({ "type": kind, "created_at": now }), fields);
        format_timestamps(&mut event);
        self.events.push(event);
    }

    /// An event of a call that exists, with the call as it now is.
    pub(super) fn emit_call(&mut self, kind: &str, cid: &Cid, now: Timestamp, fields: Value) {
        let Some(call) = self.calls.get(cid) else { return };
        let call = json!({ "call_cid": cid, "call": call.response(self) });
        self.emit(kind, now, merge(call, fields));
    }

    /// An event of a channel, which need not exist any more.
    pub(super) fn emit_channel(&mut self, kind: &str, cid: &Cid, now: Timestamp, fields: Value) {
        let channel = json!({
            "cid": cid,
            "channel_type": cid.kind,
            "channel_id": cid.id,
            "request_info": request_info(),
        });
        self.emit(kind, now, merge(channel, fields));
    }

    /// An event of a user, with the user as it now is.
    pub(super) fn emit_user(&mut self, kind: &str, id: &str, now: Timestamp, fields: Value) {
        let user = json!({ "user": self.user_response(id), "request_info": request_info() });
        self.emit(kind, now, merge(user, fields));
    }

    /// The members of a channel, as its events show them.
    pub(super) fn event_members(&self, cid: &Cid) -> Vec<Value> {
        let members = self.channels.get(cid).into_iter().flat_map(|channel| &channel.members);
        members.take(MAX_EVENT_MEMBERS).map(|member| member.response(self)).collect()
    }
}

/// Who asked: a server, as always here.
fn request_info() -> Value {
    json!({ "type": "server", "ip": "127.0.0.1", "user_agent": "", "sdk": "" })
}

/// Turns the world's nanoseconds into RFC 3339: that is how webhooks write instants. What others
/// put into an object is not touched, whatever they named it.
fn format_timestamps(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match key.as_str() {
                    "custom" | "channel_custom" | "attachments" => {}
                    "accepted_by" | "missed_by" | "rejected_by" => format_each(value),
                    "revoke_tokens_issued_before" => format_timestamp(value),
                    key if key.ends_with("_at") => format_timestamp(value),
                    _ => format_timestamps(value),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(format_timestamps),
        _ => {}
    }
}

fn format_each(timestamps: &mut Value) {
    if let Value::Object(timestamps) = timestamps {
        timestamps.values_mut().for_each(format_timestamp);
    }
}

fn format_timestamp(value: &mut Value) {
    if let Some(nanos) = value.as_i64() {
        *value = json!(Timestamp::from_nanos(nanos).to_rfc3339());
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
    fn channel_and_message_changes_emit_events() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        create_channel(&mut world, &["alice"]).expect("the channel");
        send_message(&mut world, "m1").expect("a message");
        send_message(&mut world, "m1").expect_err("a refusal");
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
