//! Changes to the pin of a message. A pin has an optional expiry.

use serde_json::{Map, Value};

use super::message::{Message, Pin};
use super::messages::MessageRequest;
use super::validation::parse_field;
use crate::error::StreamError;
use crate::timestamp::Timestamp;

pub(super) const EXPIRY_WITHOUT_PIN: &str = "pin_expires requires a pinned message";

/// A change to when a pin ends by itself.
#[derive(Clone, Copy, Debug, Default)]
enum PinExpiry {
    #[default]
    Unchanged,
    Never,
    At(Timestamp),
}

/// A change to the pin of a message. The pin is set before its expiry.
#[derive(Debug, Default)]
pub(super) struct PinChange {
    /// `None` if the message stays pinned or not pinned.
    is_pinned: Option<bool>,
    /// `None` if the request does not name the time of the pin.
    pinned_at: Option<Timestamp>,
    expiry: PinExpiry,
}

impl PinChange {
    /// The change in the new content of a message.
    pub(super) fn of_message(request: &MessageRequest) -> Result<Self, StreamError> {
        let expiry = request.pin_expires_at()?.map_or(PinExpiry::Unchanged, PinExpiry::At);
        Ok(Self { is_pinned: request.pinned, expiry, ..Self::default() })
    }

    /// Takes the changes of the pin out of those of a patch.
    pub(super) fn take(
        set: &mut Map<String, Value>,
        unset: &mut Vec<String>,
    ) -> Result<Self, StreamError> {
        let mut change = Self::default();
        if let Some(value) = set.remove("pinned") {
            change.is_pinned = Some(parse_field("pinned", value)?);
        }
        if let Some(value) = set.remove("pinned_at") {
            let text: Option<String> = parse_field("pinned_at", value)?;
            change.pinned_at =
                text.as_deref().map(|text| parse_pin_time("pinned_at", text)).transpose()?;
        }
        if let Some(value) = set.remove("pin_expires") {
            change.expiry = parse_field::<Option<String>>("pin_expires", value)?
                .filter(|text| !text.is_empty())
                .map_or(Ok(PinExpiry::Never), |text| {
                    parse_pin_time("pin_expires", &text).map(PinExpiry::At)
                })?;
        }
        unset.retain(|key| match key.as_str() {
            "pinned" => {
                change.is_pinned = Some(false);
                false
            }
            "pin_expires" => {
                change.expiry = PinExpiry::Never;
                false
            }
            _ => true,
        });
        Ok(change)
    }
}

impl Message {
    pub(super) fn change_pin(
        &mut self,
        change: &PinChange,
        acting_user: &str,
        now: Timestamp,
    ) -> Result<(), StreamError> {
        match change.is_pinned {
            Some(false) => self.pin = None,
            Some(true) if self.pin.is_none() => {
                self.pin = Some(Pin { by: acting_user.to_owned(), at: now, expires_at: None });
            }
            Some(true) | None => {}
        }
        if let (Some(pinned_at), Some(pin)) = (change.pinned_at, &mut self.pin) {
            pin.at = pinned_at;
        }
        match (change.expiry, &mut self.pin) {
            (PinExpiry::At(expires_at), Some(pin)) => pin.expires_at = Some(expires_at),
            (PinExpiry::At(_), None) => {
                return Err(StreamError::invalid_input(EXPIRY_WITHOUT_PIN));
            }
            (PinExpiry::Never, Some(pin)) => pin.expires_at = None,
            (PinExpiry::Never, None) | (PinExpiry::Unchanged, _) => {}
        }
        Ok(())
    }
}

pub(super) fn parse_pin_time(name: &str, text: &str) -> Result<Timestamp, StreamError> {
    Timestamp::parse(text)
        .ok_or_else(|| StreamError::invalid_input(format!("{name} is not an RFC 3339 time")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{
        at, create_channel, expect_error, from_json, send_message, world_with_users,
    };
    use super::super::{ApiResult, World};
    use super::*;

    fn patch(world: &mut World, request: Value) -> ApiResult {
        world.update_message_partial(None, "m1", from_json(request), at(5))
    }

    #[test]
    fn pin_expires_at_the_requested_time() {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        send_message(&mut world, "m1").expect("a message");
        let update = |world: &mut World, message: Value| {
            world.update_message(None, "m1", from_json(json!({ "message": message })), at(6))
        };
        let set = json!({ "pinned": true, "pin_expires": "2026-01-01T00:01:00Z" });
        let response = patch(&mut world, json!({ "set": set })).expect("updated");
        assert_eq!(response["message"]["pin_expires"], json!(at(60)));
        let message = json!({ "pinned": true, "pin_expires": "2026-01-01T00:02:00Z" });
        let response = update(&mut world, message).expect("updated");
        assert_eq!(response["message"]["pin_expires"], json!(at(120)));
        assert_eq!(response["message"]["pinned_at"], json!(at(5)));
        // A client library names the time of a pin, which can be null.
        for (pinned_at, expected) in [(json!(null), 5), (json!("2026-01-01T00:00:03Z"), 3)] {
            let set = json!({ "pinned": true, "pinned_at": pinned_at });
            let response = patch(&mut world, json!({ "set": set })).expect("updated");
            assert_eq!(response["message"]["pinned_at"], json!(at(expected)));
            assert_eq!(response["message"]["pin_expires"], json!(at(120)));
        }
        for request in [json!({ "pin_expires": "soon" }), json!({ "pin_expires": 1 })] {
            assert_eq!(expect_error(patch(&mut world, json!({ "set": request }))).1, 4);
        }
        let response = patch(&mut world, json!({ "unset": ["pin_expires"] })).expect("updated");
        assert_eq!(response["message"].get("pin_expires"), None);
        assert_eq!(response["message"]["pinned"], json!(true));
        // Without a pin there is no expiry.
        let response = patch(&mut world, json!({ "unset": ["pinned"] })).expect("updated");
        assert_eq!(response["message"]["pinned"], json!(false));
        let expiry = json!({ "pin_expires": "2026-01-01T00:01:00Z" });
        assert_eq!(expect_error(patch(&mut world, json!({ "set": expiry }))).1, 4);
        assert_eq!(expect_error(update(&mut world, expiry)).1, 4);
    }
}
