//! Which hooks want to hear of an event.

use serde_json::Value;

/// Where a hook wants to have an event of this type, if it wants it.
pub(super) fn address<'a>(hook: &'a Value, kind: &str) -> Option<&'a str> {
    let listens = hook["hook_type"] == "webhook" && hook["enabled"] == true;
    let product = hook["product"].as_str().unwrap_or_default();
    let of_product = matches!(product, "" | "all") || product == product_of(kind);
    let types = hook["event_types"].as_array().filter(|types| !types.is_empty());
    let of_type = types.is_none_or(|types| types.iter().any(|wanted| wanted == kind));
    hook["webhook_url"].as_str().filter(|_| listens && of_product && of_type)
}

fn product_of(kind: &str) -> &'static str {
    if kind.starts_with("call.") { "video" } else { "chat" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hook_has_what_it_asked_for() {
        let hook = |changed: Value| {
            let mut hook = json!({
                "hook_type": "webhook",
                "enabled": true,
                "webhook_url": "http://a/",
                "event_types": [],
                "product": "all",
            });
            if let (Value::Object(hook), Value::Object(changed)) = (&mut hook, changed) {
                hook.extend(changed);
            }
            hook
        };
        for (changed, of_call, of_message) in [
            (json!({}), true, true),
            (json!({ "product": null, "event_types": null }), true, true),
            (json!({ "product": "video" }), true, false),
            (json!({ "product": "chat" }), false, true),
            (json!({ "product": "feeds" }), false, false),
            (json!({ "event_types": ["call.ended", "call.created"] }), true, false),
            (json!({ "event_types": ["message.new"], "product": "video" }), false, false),
            (json!({ "enabled": false }), false, false),
            (json!({ "enabled": null }), false, false),
            (json!({ "hook_type": "sqs" }), false, false),
            (json!({ "webhook_url": null }), false, false),
        ] {
            let hook = hook(changed.clone());
            let wants = |kind: &str| address(&hook, kind) == Some("http://a/");
            let wanted = (wants("call.ended"), wants("message.new"));
            assert_eq!(wanted, (of_call, of_message), "{changed}");
        }
    }
}
