//! Authentication: the app's API key and a bare JWT, signed HS256 with the app's secret.
//!
//! Tokens are verified with a plain HMAC: a JWT library that the client uses too could make the
//! same mistake on both sides.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::hmac;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::StreamError;
use crate::request::Query;
use crate::settings::Settings;
use crate::timestamp::Timestamp;

/// The unverified credentials of a request.
pub(crate) struct Credentials {
    api_key: Option<String>,
    auth_type: Option<String>,
    token: Option<String>,
}

/// A verified token.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Claims {
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    server: bool,
    pub(crate) iat: Option<f64>,
    pub(crate) exp: Option<f64>,
    nbf: Option<f64>,
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) call_cids: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl Credentials {
    pub(crate) fn from_request(headers: &HeaderMap, query: &Query) -> Self {
        let text = |value: Option<&http::HeaderValue>| {
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Self {
            api_key: query.get_owned("api_key"),
            auth_type: text(headers.get("stream-auth-type")),
            token: text(headers.get(AUTHORIZATION)),
        }
    }

    /// The credentials of a socket, whose token is not in a header.
    pub(crate) fn from_query(query: &Query, token: Option<String>) -> Self {
        let auth_type = query.get_owned("stream-auth-type");
        Self { api_key: query.get_owned("api_key"), auth_type, token }
    }

    /// The unverified `Authorization` header.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether the request has no token, and says so.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.auth_type.as_deref() == Some("anonymous") && self.token.is_none()
    }

    /// Verifies the key and the token. The caller checks what the token permits.
    pub(crate) fn verify(
        &self,
        settings: &Settings,
        signature_check: SignatureCheck,
        now: Timestamp,
    ) -> Result<Claims, StreamError> {
        if self.api_key.as_ref() != Some(&settings.api_key) {
            return Err(StreamError::unauthenticated(2, "api_key not valid"));
        }
        if self.auth_type.as_deref() != Some("jwt") {
            return Err(StreamError::unauthenticated(5, "stream-auth-type missing or invalid"));
        }
        let Some(token) = &self.token else {
            return Err(StreamError::unauthenticated(5, "Authorization token missing"));
        };
        Claims::from_token(token, &settings.api_secret(), signature_check, now)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("api_key", &self.api_key)
            .field("auth_type", &self.auth_type)
            .field("token", &self.token.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// Whether token signatures are verified. An app can turn this off (`disable_auth_checks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    Enabled,
    Disabled,
}

impl Claims {
    /// Parses and verifies a token. `exp`, `nbf` and `iat` are compared without leeway.
    pub(crate) fn from_token(
        token: &str,
        secret: &str,
        signature_check: SignatureCheck,
        now: Timestamp,
    ) -> Result<Self, StreamError> {
        let malformed = || StreamError::unauthenticated(5, "Token is not valid");
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(malformed)?;
        let header: Header = decode(header).ok_or_else(malformed)?;
        let claims: Self = decode(payload).ok_or_else(malformed)?;
        if header.alg != "HS256" {
            return Err(malformed());
        }
        if signature_check == SignatureCheck::Enabled {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            URL_SAFE_NO_PAD
                .decode(signature)
                .ok()
                .filter(|signature| hmac::verify(&key, signing_input.as_bytes(), signature).is_ok())
                .ok_or_else(|| StreamError::unauthenticated(43, "Token signature is invalid"))?;
        }
        claims.validate_times(now)?;
        Ok(claims)
    }

    fn validate_times(&self, now: Timestamp) -> Result<(), StreamError> {
        let now = now.as_numeric_date();
        let reject = |code, message| Err(StreamError::unauthenticated(code, message));
        if self.exp.is_some_and(|exp| now >= exp) {
            return reject(40, "Token is expired");
        }
        if self.nbf.is_some_and(|nbf| now < nbf) {
            return reject(41, "token used before not-before time (nbf)");
        }
        if self.iat.is_some_and(|iat| now < iat) {
            return reject(42, "token used before issue at (iat)");
        }
        Ok(())
    }

    /// The user of the token, or `None` for a server token: one with `server` set or without a
    /// user.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user_id.as_deref().filter(|_| !self.server)
    }
}

fn decode<T: DeserializeOwned>(segment: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(segment).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "test-secret-0123456789abcdef0123456789abcdef";
    const SERVER_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                          PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";
    const EMPTY_CLAIMS_TOKEN: &str =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.W5uxOA3WDSZWmcykZfe4wDH6_i7pmmUbMFiJMuWmSFg";
    const ALICE_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                         eyJ1c2VyX2lkIjoiYWxpY2UiLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyOTIwMH0.\
                         WttwdvmW-p-phUd9xKhGSp1knM_iX1sleiBbf4gDiFc";
    const ISSUED_AT: u64 = 1_767_225_600;
    const EXPIRES_AT: u64 = 1_767_229_200;

    fn timestamp(seconds: u64) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn verify_token(token: &str, now: u64) -> Result<Claims, Value> {
        Claims::from_token(token, SECRET, SignatureCheck::Enabled, timestamp(now))
            .map_err(|error| error.body()["code"].clone())
    }

    fn sign(header: &Value, payload: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signing_input = format!("{}.{}", encode(header), encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signing_input.as_bytes()));
        format!("{signing_input}.{signature}")
    }

    #[test]
    fn tokens_of_the_official_sdk_are_accepted() {
        for token in [SERVER_TOKEN, EMPTY_CLAIMS_TOKEN] {
            assert_eq!(verify_token(token, ISSUED_AT).expect("a server's token").user(), None);
        }
        let alice = verify_token(ALICE_TOKEN, ISSUED_AT).expect("a user's token");
        assert_eq!(alice.user(), Some("alice"));
    }

    #[test]
    fn exp_nbf_and_iat_have_no_leeway() {
        assert_eq!(verify_token(ALICE_TOKEN, ISSUED_AT - 1), Err(json!(42)));
        assert!(verify_token(ALICE_TOKEN, ISSUED_AT).is_ok());
        assert!(verify_token(ALICE_TOKEN, EXPIRES_AT - 1).is_ok());
        assert_eq!(verify_token(ALICE_TOKEN, EXPIRES_AT), Err(json!(40)));
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let token = sign(&header, &json!({ "user_id": "alice", "nbf": ISSUED_AT }));
        assert_eq!(verify_token(&token, ISSUED_AT - 1), Err(json!(41)));
        assert!(verify_token(&token, ISSUED_AT).is_ok());
    }

    #[test]
    fn token_with_a_wrong_signature_is_rejected() {
        let forged = ALICE_TOKEN.replace(".Wttw", ".Xttw");
        assert_eq!(verify_token(&forged, ISSUED_AT), Err(json!(43)));
        assert!(
            Claims::from_token(&forged, SECRET, SignatureCheck::Disabled, timestamp(ISSUED_AT))
                .is_ok()
        );
        let other = Claims::from_token(
            ALICE_TOKEN,
            "another secret",
            SignatureCheck::Enabled,
            timestamp(ISSUED_AT),
        );
        assert_eq!(other.map_err(|error| error.status()), Err(401));
    }

    #[test]
    fn malformed_or_non_hs256_token_is_rejected() {
        let none = sign(&json!({ "alg": "none" }), &json!({ "server": true }));
        assert_eq!(verify_token(&none, ISSUED_AT), Err(json!(5)));
        assert_eq!(verify_token("Bearer x", ISSUED_AT), Err(json!(5)));
        assert_eq!(verify_token(&format!("{ALICE_TOKEN}.x"), ISSUED_AT), Err(json!(5)));
    }
}
