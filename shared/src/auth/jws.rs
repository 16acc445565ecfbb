//! A JWS in compact form (RFC 7515), taken apart and checked; what it claims comes after.
//!
//! `jsonwebtoken` checks the signature. Its own decoder also accepts `crit`, `zip`, `cty` and
//! claims that stand twice, so the header and the claims are parsed here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use crate::auth::Unauthenticated;
use crate::json;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// The claims of a token whose signature `key` verifies. The algorithm is the key's: the header
/// may only agree with it (RFC 8725, section 3.1).
pub(super) fn verify(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<Map<String, Value>, Unauthenticated> {
    if token.len() > LONGEST {
        return Err(Unauthenticated::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Unauthenticated::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Unauthenticated::Malformed)?;
    if claims.contains('.') {
        return Err(Unauthenticated::Malformed);
    }
    check_header(&object(header)?, algorithm)?;
    match crypto::verify(signature, signed.as_bytes(), key, algorithm) {
        Ok(true) => object(claims),
        Ok(false) | Err(_) => Err(Unauthenticated::Signature),
    }
}

/// Base64url without padding, holding one JSON object without duplicate names.
fn object(part: &str) -> Result<Map<String, Value>, Unauthenticated> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Unauthenticated::Malformed)?;
    json::object(&bytes).map_err(|_| Unauthenticated::Malformed)
}

fn check_header(header: &Map<String, Value>, expected: Algorithm) -> Result<(), Unauthenticated> {
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Unauthenticated::Malformed)?;
    if algorithm.parse::<Algorithm>() != Ok(expected) {
        return Err(Unauthenticated::Algorithm);
    }
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
