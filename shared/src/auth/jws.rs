//! Parsing and verification of a JWS in compact form (RFC 7515). Other modules validate the claims.
//!
//! `jsonwebtoken` verifies signatures with a shared secret, and `ring` those with published keys.
//! The decoder of `jsonwebtoken` also accepts `crit`, `zip`, `cty` and duplicate claims, so this
//! module parses the header and the claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use crate::auth::TokenError;
use crate::json;

/// The maximum size of a token, in bytes. API Gateway limits all headers together to 10,240.
const MAX_TOKEN_BYTES: usize = 8192;

/// The accepted values of `typ`, in any case: a JWT (RFC 7519, section 5.1) or an access token (RFC
/// 9068, section 2.1). The prefix `application/` may be omitted (RFC 7515, section 4.1.9).
const SESSION_TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// A well-formed token with a valid header and an unverified signature.
pub(super) struct UnverifiedToken<'a> {
    header: Map<String, Value>,
    /// The encoded header and claims, over which the signature is computed.
    signing_input: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        let header = decode_object(header)?;
        check_header(&header)?;
        Ok(Self { header, signing_input, claims, signature })
    }

    /// The claims, if this secret verifies the signature. The key determines the algorithm, and the
    /// header must agree with it (RFC 8725, section 3.1).
    pub(super) fn verify(&self, secret: &DecodingKey) -> Result<Map<String, Value>, TokenError> {
        if self.header("alg").and_then(Value::as_str) != Some("HS256") {
            return Err(TokenError::AlgorithmMismatch);
        }
        match crypto::verify(
            self.signature,
            self.signing_input.as_bytes(),
            secret,
            Algorithm::HS256,
        ) {
            Ok(true) => self.unverified_claims(),
            Ok(false) | Err(_) => Err(TokenError::InvalidSignature),
        }
    }

    /// A parameter of the header.
    pub(super) fn header(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// The claims, without verification of the signature.
    pub(super) fn unverified_claims(&self) -> Result<Map<String, Value>, TokenError> {
        decode_object(self.claims)
    }

    /// The signed bytes.
    pub(super) fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The decoded signature.
    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| TokenError::Malformed)
    }
}

/// Decodes base64url without padding to a JSON object without duplicate names.
fn decode_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    json::parse_object(&bytes).map_err(|_| TokenError::Malformed)
}

fn check_header(header: &Map<String, Value>) -> Result<(), TokenError> {
    // A session token has no critical extensions, compression, encryption or nested token (RFC 7515
    // section 4.1.11, RFC 8725 sections 3.6 and 3.11).
    if ["crit", "zip", "enc", "cty"].iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::UnsupportedHeader);
    }
    let is_session_type = |typ: &Value| {
        typ.as_str().is_some_and(|typ| SESSION_TYPES.iter().any(|it| typ.eq_ignore_ascii_case(it)))
    };
    if header.get("typ").is_some_and(|typ| !is_session_type(typ)) {
        return Err(TokenError::UnsupportedHeader);
    }
    Ok(())
}
