//! Session JWTs for the functions of a stack. The implementation is independent of the code under
//! test.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// The lifetime of a session token.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_hours(12);

/// The user id in the session token of a service.
pub(crate) const SERVICE_SUBJECT: &str = "demo-service";

/// Signs claims with the `JWT_SECRET` of these variables (HS256, RFC 7515).
pub(crate) fn sign(variables: &BTreeMap<String, String>, claims: &Value) -> String {
    let secret = variables.get("JWT_SECRET").map(String::as_str).unwrap_or_default();
    let encode_part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signing_input =
        format!("{}.{}", encode_part(&json!({"alg": "HS256", "typ": "JWT"})), encode_part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, signing_input.as_bytes());
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The holder of a session token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    /// A user with the role `user`.
    User(&'a str),
    /// A service, which may act for any user.
    Service,
}

/// The claim with the user of a session token.
pub(crate) fn user_id_claim(variables: &BTreeMap<String, String>) -> &str {
    setting(variables, "JWT_USER_ID_CLAIM").unwrap_or("sub")
}

/// The value of a variable, unless it is empty.
fn setting<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// A session token, issued now, with the claims that these variables require.
pub(crate) fn session_token(
    variables: &BTreeMap<String, String>,
    holder: Holder<'_>,
    now: SystemTime,
) -> String {
    let setting = |name: &str| setting(variables, name);
    let (user, role) = match holder {
        Holder::User(user) => (user, "user"),
        Holder::Service => (SERVICE_SUBJECT, setting("JWT_SERVICE_ROLE").unwrap_or("service")),
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut claims = json!({
        user_id_claim(variables): user,
        setting("JWT_ROLE_CLAIM").unwrap_or("role"): role,
        "iat": now,
        "exp": now + SESSION_LIFETIME.as_secs(),
    });
    let first = |name: &str| setting(name).and_then(|list| list.split(',').next()).map(str::trim);
    if let Some(issuer) = first("JWT_ISSUER") {
        claims["iss"] = json!(issuer);
    }
    if let Some(audience) = first("JWT_AUDIENCE") {
        claims[setting("JWT_AUDIENCE_CLAIM").unwrap_or("aud")] = json!(audience);
    }
    if let Some(claim) = setting("JWT_AUTH_TIME_CLAIM") {
        claims[claim] = json!(now);
    }
    for required in setting("JWT_REQUIRED_CLAIM").unwrap_or_default().split(',') {
        if let Some((claim, value)) = required.split_once('=') {
            claims[claim.trim()] = json!(value.trim());
        }
    }
    sign(variables, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn claims(token: &str) -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn signature_matches_reference_implementation() {
        // The output of Python's hmac module.
        let expected = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSJ9.\
                        EatpUa1U7XoJATgksux2oCD5aIuqDstE8_2mfcmaQXc";
        let variables = variables(&[("JWT_SECRET", "your-256-bit-secret")]);
        assert_eq!(sign(&variables, &json!({"sub": "alice"})), expected);
    }

    #[test]
    fn session_token_has_the_configured_claims() {
        let now = UNIX_EPOCH + Duration::from_hours(490_896);
        let default_claims =
            claims(&session_token(&variables(&[("JWT_SECRET", "s")]), Holder::User("alice"), now));
        assert_eq!(default_claims["sub"], "alice");
        assert_eq!(default_claims["role"], "user");
        assert_eq!(default_claims["iat"], 1_767_225_600);
        assert_eq!(default_claims["exp"], 1_767_225_600 + SESSION_LIFETIME.as_secs());
        assert!(default_claims.get("iss").is_none() && default_claims.get("aud").is_none());
        let service_claims = claims(&session_token(
            &variables(&[("JWT_SECRET", "s"), ("JWT_SERVICE_ROLE", "backend")]),
            Holder::Service,
            now,
        ));
        assert_eq!(service_claims["role"], "backend");

        let configured_claims = claims(&session_token(
            &variables(&[
                ("JWT_USER_ID_CLAIM", "uid"),
                ("JWT_ROLE_CLAIM", "kind"),
                ("JWT_ISSUER", "https://issuer, https://other"),
                ("JWT_AUDIENCE", "apps,web"),
                ("JWT_AUDIENCE_CLAIM", "client_id"),
                ("JWT_REQUIRED_CLAIM", "use=access, tier=1"),
                ("JWT_AUTH_TIME_CLAIM", "auth_time"),
            ]),
            Holder::User("bob"),
            now,
        ));
        assert_eq!(configured_claims["uid"], "bob");
        assert_eq!(configured_claims["kind"], "user");
        assert_eq!(configured_claims["iss"], "https://issuer");
        assert_eq!(configured_claims["client_id"], "apps");
        assert!(configured_claims.get("aud").is_none());
        assert_eq!(configured_claims["use"], "access");
        assert_eq!(configured_claims["tier"], "1");
        assert_eq!(configured_claims["auth_time"], 1_767_225_600);
    }
}
