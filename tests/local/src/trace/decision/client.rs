//! What a client did at the Stream emulator.

use super::facts::Facts;

/// The sentence of a request of a client.
pub(super) fn explain(facts: &Facts<'_>) -> Option<String> {
    if facts.status().is_none() {
        return Some(
            "The connection was closed without a response, by an injected fault.".to_owned(),
        );
    }
    let operation = facts.steps().next()?.operation.as_str();
    if facts.is_error() {
        let message = facts.text("message")?;
        return Some(format!("Stream refused it: {}.", message.trim_end_matches('.')));
    }
    let caller = facts.caller();
    Some(match operation {
        "JoinCall" => format!("{caller} joined the call."),
        "AcceptCall" => format!("{caller} accepted the call."),
        "RejectCall" => match facts.request["reason"].as_str() {
            Some("busy") => {
                format!("{caller} is busy, so the phone of {caller} rejected the call.")
            }
            Some("timeout") => {
                format!("The phone of {caller} rejected the call after its timeout.")
            }
            Some("cancel") => format!("{caller} cancelled the call."),
            _ => format!("{caller} rejected the call."),
        },
        "EndCall" => format!("{caller} ended the call for all members."),
        "RingCall" => format!("{caller} rang the members again."),
        "SendMessage" => format!("{caller} sent a message to the channel."),
        "CreateDevice" => format!("{caller} registered a device for push notifications."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::explain;
    use super::super::facts::samples::{record, stream};
    use crate::trace::record::RequestKind;

    fn sentence(operation: &str, request: &Value, status: u16, response: &Value) -> Option<String> {
        let mut record = record(RequestKind::Client, "", request, status, response);
        record.start.function = None;
        record.add_step(stream(operation, Some(status), false));
        explain(&record)
    }

    #[test]
    fn action_of_a_client_is_named() {
        for (operation, request, expected) in [
            ("JoinCall", json!({}), Some("alice joined the call.")),
            ("AcceptCall", json!({}), Some("alice accepted the call.")),
            ("RejectCall", json!({"reason": "decline"}), Some("alice rejected the call.")),
            (
                "RejectCall",
                json!({"reason": "busy"}),
                Some("alice is busy, so the phone of alice rejected the call."),
            ),
            ("RejectCall", json!({"reason": "cancel"}), Some("alice cancelled the call.")),
            ("EndCall", json!({}), Some("alice ended the call for all members.")),
            ("SendMessage", json!({}), Some("alice sent a message to the channel.")),
            ("QueryChannels", json!({}), None),
        ] {
            assert_eq!(sentence(operation, &request, 201, &json!({})).as_deref(), expected);
        }
    }

    #[test]
    fn refusal_has_the_message_of_stream() {
        let response = json!({"code": 17, "message": "User is not allowed to join."});
        let text = sentence("JoinCall", &json!({}), 403, &response).unwrap();
        assert_eq!(text, "Stream refused it: User is not allowed to join.");
        let mut lost = record(RequestKind::Client, "", &json!({}), 200, &json!({}));
        lost.end.as_mut().unwrap().status = None;
        let expected = "The connection was closed without a response, by an injected fault.";
        assert_eq!(explain(&lost).unwrap(), expected);
    }
}
