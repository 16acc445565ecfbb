//! Matches events with the app's hooks.

use serde_json::Value;

use crate::realtime::Product;

/// The URL of the hook, if it subscribes to events of the product and the type of this event.
pub(super) fn target_url<'a>(hook: &'a Value, event: &Value) -> Option<&'a str> {
    let event_type = event["type"].as_str().unwrap_or_default();
    let is_active = hook["hook_type"] == "webhook" && hook["enabled"] == true;
    let product = hook["product"].as_str().unwrap_or_default();
    let matches_product =
        matches!(product, "" | "all") || product == Product::of_event(event).as_str();
    let types = hook["event_types"].as_array().filter(|types| !types.is_empty());
    let matches_type =
        types.is_none_or(|types| types.iter().any(|expected| expected == event_type));
    hook["webhook_url"].as_str().filter(|_| is_active && matches_product && matches_type)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hook_receives_only_matching_events() {
        let hook_with = |changed: Value| {
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
        for (changed, gets_call_event, gets_message_event) in [
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
            let hook = hook_with(changed.clone());
            let is_target =
                |kind: &str| target_url(&hook, &json!({ "type": kind })) == Some("http://a/");
            let actual = (is_target("call.ended"), is_target("message.new"));
            assert_eq!(actual, (gets_call_event, gets_message_event), "{changed}");
        }
    }
}
