//! A JWS in compact form (RFC 7515), taken apart and checked; what it claims comes after.
//!
//! `jsonwebtoken` checks the signature of a shared secret, `ring` those of published keys.
//! `jsonwebtoken`'s own decoder also accepts `crit`, `zip`, `cty` and claims that stand twice, so
//! the header and the claims are parsed here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use crate::auth::Unauthenticated;
use crate::json;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// A token of good form with a good header. Whether anybody has signed it is not known yet.
pub(super) struct Token<'a> {
    header: Map<String, Value>,
    /// Header and claims, as they were signed.
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Unauthenticated> {
        if text.len() > LONGEST {
            return Err(Unauthenticated::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Unauthenticated::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Unauthenticated::Malformed)?;
        if claims.contains('.') {
            return Err(Unauthenticated::Malformed);
        }
        let header = object(header)?;
        check_header(&header)?;
        Ok(Self { header, signed, claims, signature })
    }

    /// The claims, if this secret verifies the signature. The algorithm is the key's: the header
    /// may only agree with it (RFC 8725, section 3.1).
    pub(super) fn verified_by(
        &self,
        secret: &DecodingKey,
    ) -> Result<Map<String, Value>, Unauthenticated> {
        if self.header("alg").and_then(Value::as_str) != Some("HS256") {
            return Err(Unauthenticated::Algorithm);
        }
        match crypto::verify(self.signature, self.signed.as_bytes(), secret, Algorithm::HS256) {
            Ok(true) => self.claims(),
            Ok(false) | Err(_) => Err(Unauthenticated::Signature),
        }
    }

    /// A parameter of the header.
    pub(super) fn header(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// What the token says, whoever says it.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Unauthenticated> {
        object(self.claims)
    }

    /// The bytes that the signature is over.
    pub(super) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// The signature's own bytes.
    pub(super) fn signature(&self) -> Result<Vec<u8>, Unauthenticated> {
        URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| Unauthenticated::Malformed)
    }
}

/// Base64url without padding, holding one JSON object without duplicate names.
fn object(part: &str) -> Result<Map<String, Value>, Unauthenticated> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Unauthenticated::Malformed)?;
    json::object(&bytes).map_err(|_| Unauthenticated::Malformed)
}

fn check_header(header: &Map<String, Value>) -> Result<(), Unauthenticated> {
    // An extension that must be understood, compression, encryption or a nested token: none of
    // them is part of a session token (RFC 7515 section 4.1.11, RFC 8725 sections 3.6 and 3.11).
    if ["crit", "zip", "enc", "cty"].iter().any(|name| header.contains_key(*name)) {
        return Err(Unauthenticated::Header);
    }
    let session = |typ: &Value| {
        typ.as_str()
            .is_some_and(|typ| ["jwt", "at+jwt"].iter().any(|t| typ.eq_ignore_ascii_case(t)))
    };
    if header.get("typ").is_some_and(|typ| !session(typ)) {
        return Err(Unauthenticated::Header);
    }
    Ok(())
}
