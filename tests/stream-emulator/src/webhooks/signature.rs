//! The signature of webhooks: HMAC-SHA256 of the uncompressed body with the app's secret, in
//! lowercase hex.

use std::fmt::Write as _;

use ring::hmac;

pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut hex = String::new();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value comes from the official Node SDK.
    #[test]
    fn signature_equals_the_official_sdk() {
        let body = "{\"type\":\"call.session_ended\",\"call_cid\":\"default:c\",\
                    \"session_id\":\"s\",\"created_at\":\"2026-01-01T00:00:00Z\"}";
        let secret = "test-secret-0123456789abcdef0123456789abcdef";
        assert_eq!(
            sign(secret, body.as_bytes()),
            "5cca28a2b79eb270745e6b803a577922730fe2ba761d79f8a1d033f8759d6f45"
        );
        assert_ne!(sign("another", body.as_bytes()), sign(secret, body.as_bytes()));
    }
}
