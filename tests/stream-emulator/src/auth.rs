//! Who is asking: the app's key, and a bare JWT signed HS256 with the
//! app's secret.
//!
//! Written by hand on an HMAC, so that no library is trusted to agree with the client's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::hmac;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::request::Query;
use crate::settings::Settings;

/// What a request says about its sender.
#[derive(Debug)]
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
    pub(crate) fn of(headers: &HeaderMap, query: &Query) -> Self {
        let text = |value: Option<&http::HeaderValue>| {
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Self {
            api_key: query.owned("api_key"),
            auth_type: text(headers.get("stream-auth-type")),
            token: text(headers.get(AUTHORIZATION)),
        }
    }

    /// Checks the key and the token; whether the token may do anything is for the caller to say.
    pub(crate) fn verify(
        &self,
        settings: &Settings,
        signature: Signature,
        now: Moment,
    ) -> Result<Claims, StreamFailure> {
        if self.api_key.as_ref() != Some(&settings.api_key) {
            return Err(StreamFailure::unauthenticated(2, "api_key not valid"));
        }
        if self.auth_type.as_deref() != Some("jwt") {
            return Err(StreamFailure::unauthenticated(5, "stream-auth-type missing or invalid"));
        }
        let Some(token) = &self.token else {
            return Err(StreamFailure::unauthenticated(5, "Authorization token missing"));
        };
        Claims::of(token, &settings.api_secret(), signature, now)
    }
}

/// Whether signatures are looked at: an app can switch that off (`disable_auth_checks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Checked,
    Ignored,
}

impl Claims {
    /// Reads and verifies a token. Its times are compared with no leeway at all.
    pub(crate) fn of(
        token: &str,
        secret: &str,
        signature: Signature,
        now: Moment,
    ) -> Result<Self, StreamFailure> {
        let malformed = || StreamFailure::unauthenticated(5, "Token is not valid");
        let (signed, mark) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        let header: Header = decode(header).ok_or_else(malformed)?;
        let claims: Self = decode(payload).ok_or_else(malformed)?;
        if header.alg != "HS256" {
            return Err(malformed());
        }
        if signature == Signature::Checked {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            URL_SAFE_NO_PAD
                .decode(mark)
                .ok()
                .filter(|mark| hmac::verify(&key, signed.as_bytes(), mark).is_ok())
                .ok_or_else(|| StreamFailure::unauthenticated(43, "Token signature is invalid"))?;
        }
        claims.in_time(now)?;
        Ok(claims)
    }

    fn in_time(&self, now: Moment) -> Result<(), StreamFailure> {
        let now = now.numeric_date();
        let refused = |code, message| Err(StreamFailure::unauthenticated(code, message));
        if self.exp.is_some_and(|exp| now >= exp) {
            return refused(40, "Token is expired");
        }
        if self.nbf.is_some_and(|nbf| now < nbf) {
            return refused(41, "token used before not-before time (nbf)");
        }
        if self.iat.is_some_and(|iat| now < iat) {
            return refused(42, "token used before issue at (iat)");
        }
        Ok(())
    }

    /// The user that the token is for; none if it is a server's, as one without a user is.
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
    const SERVER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                          PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";
    const EMPTY: &str =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.W5uxOA3WDSZWmcykZfe4wDH6_i7pmmUbMFiJMuWmSFg";
    const ALICE: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                         eyJ1c2VyX2lkIjoiYWxpY2UiLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyOTIwMH0.\
                         WttwdvmW-p-phUd9xKhGSp1knM_iX1sleiBbf4gDiFc";
    const IAT: u64 = 1_767_225_600;
    const EXP: u64 = 1_767_229_200;

    fn at(seconds: u64) -> Moment {
        Moment::of(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn read(token: &str, now: u64) -> Result<Claims, Value> {
        Claims::of(token, SECRET, Signature::Checked, at(now))
            .map_err(|failure| failure.body()["code"].clone())
    }

    fn sign(header: &Value, payload: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let mark = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{mark}")
    }

    #[test]
    fn the_official_sdks_tokens_are_accepted() {
        for token in [SERVER, EMPTY] {
            assert_eq!(read(token, IAT).expect("a server's token").user(), None);
        }
        let alice = read(ALICE, IAT).expect("a user's token");
        assert_eq!(alice.user(), Some("alice"));
    }

    #[test]
    fn times_are_compared_without_leeway() {
        assert_eq!(read(ALICE, IAT - 1), Err(json!(42)));
        assert!(read(ALICE, IAT).is_ok());
        assert!(read(ALICE, EXP - 1).is_ok());
        assert_eq!(read(ALICE, EXP), Err(json!(40)));
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let token = sign(&header, &json!({ "user_id": "alice", "nbf": IAT }));
        assert_eq!(read(&token, IAT - 1), Err(json!(41)));
        assert!(read(&token, IAT).is_ok());
    }

    #[test]
    fn a_signature_must_be_ours() {
        let forged = ALICE.replace(".Wttw", ".Xttw");
        assert_eq!(read(&forged, IAT), Err(json!(43)));
        assert!(Claims::of(&forged, SECRET, Signature::Ignored, at(IAT)).is_ok());
        let other = Claims::of(ALICE, "another secret", Signature::Checked, at(IAT));
        assert_eq!(other.map_err(|failure| failure.status()), Err(401));
    }

    #[test]
    fn only_hs256_and_only_three_parts() {
        let none = sign(&json!({ "alg": "none" }), &json!({ "server": true }));
        assert_eq!(read(&none, IAT), Err(json!(5)));
        assert_eq!(read("Bearer x", IAT), Err(json!(5)));
        assert_eq!(read(&format!("{ALICE}.x"), IAT), Err(json!(5)));
    }
}
