//! The call that a request concerns.

use serde_json::Value;

/// The prefix of a call's channel id.
const CHANNEL_PREFIX: &str = "call-";

/// The prefix of the partition key of a call item.
const CALL_KEY_PREFIX: &str = "CALL#";

/// The call of a channel id, such as `call-demo`.
pub(crate) fn call_id_of_channel(channel_id: &str) -> Option<&str> {
    channel_id.strip_prefix(CHANNEL_PREFIX).filter(|id| !id.is_empty())
}

/// The call of a cid, such as `default:demo` or `messaging:call-demo`.
pub(crate) fn call_id_of_cid(cid: &str) -> Option<&str> {
    let (kind, id) = cid.split_once(':')?;
    if kind == "messaging" { call_id_of_channel(id) } else { Some(id) }
}

/// The call that the members of an object name.
pub(crate) fn call_id_in_json(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let id = text("callId")
        .or_else(|| text("channelId").and_then(call_id_of_channel))
        .or_else(|| text("call_cid").and_then(call_id_of_cid))
        .or_else(|| text("cid").and_then(call_id_of_cid));
    id.filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The call of the stream records in the payload of a consumer, if all concern the same one.
pub(super) fn call_id_in_records(payload: &[u8]) -> Option<String> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    let records = payload.get("Records").unwrap_or(&payload).as_array()?;
    let mut ids = records.iter().map(|record| {
        record["dynamodb"]["Keys"]["pk"]["S"].as_str()?.strip_prefix(CALL_KEY_PREFIX)
    });
    let first = ids.next()??;
    ids.all(|id| id == Some(first)).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn object_names_its_call() {
        for (body, expected) in [
            (json!({"callId": "c1", "channelId": "call-c2"}), Some("c1")),
            (json!({"channelId": "call-c1"}), Some("c1")),
            (json!({"channelId": "other"}), None),
            (json!({"type": "call.ended", "call_cid": "default:c1"}), Some("c1")),
            (json!({"type": "message.new", "cid": "messaging:call-c1"}), Some("c1")),
            (json!({"type": "message.new", "cid": "messaging:other"}), None),
            (json!({"callId": ""}), None),
            (json!([]), None),
        ] {
            let found = call_id_in_json(body.to_string().as_bytes());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn records_name_their_call_if_it_is_one() {
        let record = |pk: &str| json!({"dynamodb": {"Keys": {"pk": {"S": pk}}}});
        for (payload, expected) in [
            (json!({"Records": [record("CALL#c1"), record("CALL#c1")]}), Some("c1")),
            (json!([record("CALL#c1")]), Some("c1")),
            (json!([record("CALL#c1"), record("CALL#c2")]), None),
            (json!([record("USER#alice")]), None),
            (json!([]), None),
        ] {
            let found = call_id_in_records(payload.to_string().as_bytes());
            assert_eq!(found.as_deref(), expected, "{payload}");
        }
    }
}
