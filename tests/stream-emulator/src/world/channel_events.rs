//! Events that users send to a channel: typing and custom events. They change no state.

use serde::Deserialize;
use serde_json::json;

use super::acting_user::ActingUser;
use super::cid::Cid;
use super::reads::channel_event;
use super::users::UserRef;
use super::validation::require;
use super::{ApiResult, CustomFields, World, merge, strip_nulls};
use crate::timestamp::Timestamp;

/// The first parts of the types that only Stream emits.
const RESERVED_TYPES: [&str; 12] = [
    "ai_indicator",
    "call",
    "channel",
    "connection",
    "health",
    "member",
    "message",
    "notification",
    "poll",
    "reaction",
    "thread",
    "user",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendEvent {
    event: EventRequest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventRequest {
    #[serde(rename = "type")]
    kind: String,
    user_id: Option<String>,
    user: Option<UserRef>,
    parent_id: Option<String>,
    custom: Option<CustomFields>,
}

impl SendEvent {
    pub(super) fn is_custom(&self) -> bool {
        !matches!(self.event.kind.as_str(), "typing.start" | "typing.stop")
    }
}

impl World {
    pub(crate) fn send_event(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: SendEvent,
        now: Timestamp,
    ) -> ApiResult {
        let EventRequest { kind, user_id, user, parent_id, custom } = request.event;
        let family = kind.split('.').next().unwrap_or_default();
        require(!family.is_empty(), "event.type is a required field")?;
        require(!RESERVED_TYPES.contains(&family), "event.type is reserved for Stream")?;
        let user_id = ActingUser::new(user_id, user).resolve("event", token_user)?;
        self.find_channel(cid)?;
        self.check_users_exist_for("send event", [user_id.as_str()])?;
        let fields = strip_nulls(json!({
            "user": self.user_response(&user_id),
            "parent_id": parent_id,
            "custom": custom,
        }));
        self.emit_channel(&kind, cid, now, fields.clone());
        Ok(json!({ "event": merge(channel_event(&kind, cid, now), fields) }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, world_with_users,
    };
    use super::*;

    #[test]
    fn typing_and_custom_events_are_emitted() {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        world.take_events();
        let mut send = |event: serde_json::Value| {
            let request = from_json(json!({ "event": event }));
            world.send_event(Some("alice"), &messaging_cid("c"), request, at(5))
        };
        send(json!({ "type": "typing.start" })).expect("sent");
        let custom = json!({ "type": "my.event", "custom": { "x": 1 } });
        let response = send(custom).expect("sent");
        assert_eq!(response["event"]["custom"], json!({ "x": 1 }));
        for kind in ["", "message.new", "user.banned"] {
            assert_eq!(expect_error(send(json!({ "type": kind }))).1, 4, "{kind}");
        }
        let events = world.take_events();
        assert_eq!(event_types(&events), ["typing.start", "my.event"]);
        assert_eq!(events[0]["user"]["id"], json!("alice"));
    }
}
