//! Stream's webhooks: the event hook that sends the emulator's events to the API, and their
//! signature. The implementation is independent of the code under test.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ring::hmac;
use serde_json::{Value, json};

/// The path of the API's webhook route.
const WEBHOOK_PATH: &str = "/api/stream/webhook";

/// The URL of the API's webhook.
pub(crate) fn url(api_url: &str) -> String {
    format!("{api_url}{WEBHOOK_PATH}")
}

/// An event hook that sends all events of an app to this API.
pub(crate) fn event_hook(api_url: &str) -> Value {
    json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": url(api_url),
        "event_types": [],
        "product": "all",
    })
}

/// The `X-Signature` of a body: HMAC-SHA256 with the `STREAM_API_SECRET` of these variables, in
/// lower-case hexadecimal.
pub(crate) fn signature(variables: &BTreeMap<String, String>, body: &[u8]) -> String {
    let secret = variables.get("STREAM_API_SECRET").map(String::as_str).unwrap_or_default();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cargo_build::workspace_root;
    use crate::options::STREAM_API_SECRET;

    fn secret_variables(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("STREAM_API_SECRET".to_owned(), text.to_owned())])
    }

    #[test]
    fn signature_matches_reference_implementation() {
        // The output of Python's hmac module.
        let expected = "f9744e3b5c85bebcf49b014b9602b218201e1ca33960f586d495ae5217638e19";
        let body = br#"{"type":"call.ended"}"#;
        assert_eq!(signature(&secret_variables("a-secret-of-stream"), body), expected);
    }

    #[test]
    fn sample_event_is_signed_with_the_local_secret() {
        let path = workspace_root().join("events/webhook.json");
        let event: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let body = event["body"].as_str().unwrap();
        let expected = signature(&secret_variables(STREAM_API_SECRET), body.as_bytes());
        assert_eq!(event["headers"]["x-signature"], expected);
    }

    #[test]
    fn event_hook_url_is_a_template_route() {
        let hook = event_hook("http://api");
        assert_eq!(hook["webhook_url"], "http://api/api/stream/webhook");
        let routes = crate::template::route_keys().unwrap();
        assert!(routes.contains(&format!("POST {WEBHOOK_PATH}")), "{routes:?}");
    }
}
