//! The text frames that the server sends.

use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::audience::{Product, Target};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::world::{World, format_timestamps};

/// The first frame of a connection.
pub(super) fn first_frame(
    product: Product,
    connection_id: &str,
    me: Value,
    now: Timestamp,
) -> Utf8Bytes {
    let mut frame = match product {
        Product::Chat => health_check_body(product, connection_id, now),
        Product::Video => json!({
            "type": "connection.ok",
            "connection_id": connection_id,
            "created_at": now,
        }),
    };
    frame["me"] = me;
    to_frame(product, frame)
}

/// A health check. It has no `me`, with which a client would replace its user.
pub(super) fn health_check(product: Product, connection_id: &str, now: Timestamp) -> Utf8Bytes {
    to_frame(product, health_check_body(product, connection_id, now))
}

fn health_check_body(product: Product, connection_id: &str, now: Timestamp) -> Value {
    let mut frame = json!({
        "type": "health.check",
        "connection_id": connection_id,
        "created_at": now,
    });
    if product == Product::Chat {
        frame["cid"] = json!("*");
    }
    frame
}

/// The refusal of a connection.
pub(super) fn connection_error(error: &StreamError, now: Timestamp) -> Utf8Bytes {
    let frame = json!({
        "type": "connection.error",
        "connection_id": "",
        "created_at": now,
        "error": error.body(),
    });
    to_frame(Product::Video, frame)
}

/// An event for one user.
pub(super) fn event_frame(
    event: &Value,
    target: Target,
    product: Product,
    user_id: &str,
    watcher_count: usize,
    world: &World,
) -> Utf8Bytes {
    let mut frame = event.clone();
    if let (Value::Object(fields), Product::Chat) = (&mut frame, product) {
        // Only webhooks have it.
        fields.remove("request_info");
        let is_message = event["type"] == "message.new";
        if is_message {
            fields.insert("watcher_count".to_owned(), json!(watcher_count));
        }
        if let Some(kind) = target.notification {
            fields.insert("type".to_owned(), json!(kind));
            extend(fields, notification_fields(kind, event, user_id, world));
        }
        if target.notification.is_some() || is_message {
            extend(fields, world.unread_counts(user_id).fields());
        }
    }
    to_frame(product, frame)
}

/// The fields that a notification has in addition to the event.
fn notification_fields(kind: &str, event: &Value, user_id: &str, world: &World) -> Value {
    let cid = event["cid"].as_str().unwrap_or_default();
    let mut fields = world.notification_fields(cid, user_id);
    let is_about_member =
        matches!(kind, "notification.added_to_channel" | "notification.removed_from_channel");
    if !is_about_member {
        if let Value::Object(fields) = &mut fields {
            fields.remove("member");
        }
    } else if let Some(member) = fields.get("member") {
        fields["user"] = member["user"].clone();
    }
    fields
}

fn extend(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}

fn to_frame(product: Product, mut frame: Value) -> Utf8Bytes {
    format_timestamps(&mut frame);
    if product == Product::Chat {
        crate::v1::to_v1(&mut frame);
    }
    frame.to_string().into()
}
