//! A key of a key set (RFC 7517). All its members are checked when it is parsed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::auth::TokenError;

/// The key id of a key or of a token, if it is a string of 1 to 256 bytes.
pub(in crate::auth) fn key_id(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|id| (1..=256).contains(&id.len()))
}

/// A public key and its algorithm.
#[derive(Debug)]
pub(in crate::auth) struct PublicKey {
    algorithm: Algorithm,
    material: KeyMaterial,
}

#[derive(Debug)]
enum KeyMaterial {
    Rsa(RsaPublicKeyComponents<Vec<u8>>, &'static RsaParameters),
    EllipticCurve(UnparsedPublicKey<Vec<u8>>),
}

/// The reason why a key of a key set is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwkError {
    /// The key may be valid, but no verifier here supports it.
    #[error("the type or algorithm of the key is not supported")]
    Unsupported,
    #[error("the key is not for verifying signatures")]
    NotForVerification,
    #[error("the key has no key id of 1 to 256 bytes")]
    MissingKeyId,
    #[error("another key of the set has the same key id")]
    DuplicateKeyId,
    #[error("the key has a private member")]
    PrivateKey,
    #[error("a member of the key is missing or malformed")]
    Malformed,
    #[error("the modulus does not have 2048 to 8192 bits")]
    InvalidModulus,
    #[error("the public exponent is even, below 65537 or over 32 bits")]
    InvalidExponent,
}

/// Members of private and of symmetric keys (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl PublicKey {
    /// Parses a key.
    pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, JwkError> {
        let algorithm = parse_algorithm(jwk)?;
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkError::PrivateKey);
        }
        if !is_for_verification(jwk) {
            return Err(JwkError::NotForVerification);
        }
        let material = match algorithm {
            Algorithm::Rs256 => parse_rsa(jwk, &RSA_PKCS1_2048_8192_SHA256)?,
            Algorithm::Rs384 => parse_rsa(jwk, &RSA_PKCS1_2048_8192_SHA384)?,
            Algorithm::Rs512 => parse_rsa(jwk, &RSA_PKCS1_2048_8192_SHA512)?,
            Algorithm::Ps256 => parse_rsa(jwk, &RSA_PSS_2048_8192_SHA256)?,
            Algorithm::Es256 => parse_ecdsa(jwk, &ECDSA_P256_SHA256_FIXED, 32)?,
            Algorithm::Es384 => parse_ecdsa(jwk, &ECDSA_P384_SHA384_FIXED, 48)?,
            Algorithm::EdDsa => {
                let point = decode_curve_bytes(jwk, "x", 32)?;
                KeyMaterial::EllipticCurve(UnparsedPublicKey::new(&ED25519, point))
            }
        };
        Ok(Self { algorithm, material })
    }

    /// Verifies the signature of `message`. The token's algorithm must be that of the key (RFC
    /// 8725, section 3.1).
    pub(in crate::auth) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        if algorithm != self.algorithm {
            return Err(TokenError::AlgorithmMismatch);
        }
        let result = match &self.material {
            KeyMaterial::Rsa(key, parameters) => key.verify(parameters, message, signature),
            KeyMaterial::EllipticCurve(key) => key.verify(message, signature),
        };
        result.map_err(|_| TokenError::InvalidSignature)
    }
}

/// The algorithm of a key's type and curve. If the key has `alg`, it must agree. An RSA key without
/// `alg` is for RS256.
fn parse_algorithm(jwk: &Map<String, Value>) -> Result<Algorithm, JwkError> {
    let possible: &[Algorithm] = match (string_member(jwk, "kty"), string_member(jwk, "crv")) {
        (Some("RSA"), _) => {
            &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256]
        }
        (Some("EC"), Some("P-256")) => &[Algorithm::Es256],
        (Some("EC"), Some("P-384")) => &[Algorithm::Es384],
        (Some("OKP"), Some("Ed25519")) => &[Algorithm::EdDsa],
        _ => return Err(JwkError::Unsupported),
    };
    let agrees = |algorithm: &Algorithm| jwk.get("alg").is_none_or(|alg| alg == algorithm.name());
    possible.iter().copied().find(agrees).ok_or(JwkError::Unsupported)
}

/// Whether `use` and `key_ops` both allow verification (RFC 7517, sections 4.2 and 4.3).
fn is_for_verification(jwk: &Map<String, Value>) -> bool {
    let use_allows = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let ops_allow = jwk.get("key_ops").is_none_or(|operations| {
        operations
            .as_array()
            .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    });
    use_allows && ops_allow
}

fn parse_rsa(
    jwk: &Map<String, Value>,
    parameters: &'static RsaParameters,
) -> Result<KeyMaterial, JwkError> {
    let (n, e) = (decode_integer(jwk, "n")?, decode_integer(jwk, "e")?);
    // Without leading zero bytes, 256 bytes are 2048 bits only if the top bit is set.
    let long_enough = n.len() > 256 || (n.len() == 256 && n.first() >= Some(&0x80));
    if !long_enough || n.len() > 1024 || is_even(&n) {
        return Err(JwkError::InvalidModulus);
    }
    // FIPS 186-5 (section 5.4) requires at least 65537, the exponent of nearly every key.
    let exponent = e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if e.len() > 4 || exponent < 65_537 || is_even(&e) {
        return Err(JwkError::InvalidExponent);
    }
    Ok(KeyMaterial::Rsa(RsaPublicKeyComponents { n, e }, parameters))
}

/// A key of an elliptic curve whose coordinates have `length` bytes.
fn parse_ecdsa(
    jwk: &Map<String, Value>,
    algorithm: &'static EcdsaVerificationAlgorithm,
    length: usize,
) -> Result<KeyMaterial, JwkError> {
    let (x, y) = (decode_curve_bytes(jwk, "x", length)?, decode_curve_bytes(jwk, "y", length)?);
    // The uncompressed form (SEC 1, section 2.3.3). `ring` checks with each signature whether the
    // point is on the curve, and rejects the signature if it is not.
    let point = [vec![4], x, y].concat();
    Ok(KeyMaterial::EllipticCurve(UnparsedPublicKey::new(algorithm, point)))
}

fn is_even(bytes: &[u8]) -> bool {
    bytes.last().is_none_or(|last| last % 2 == 0)
}

/// A positive integer without leading zero bytes (RFC 7518, section 2).
fn decode_integer(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    let bytes = decode_base64(jwk, name)?;
    if bytes.first().is_some_and(|first| *first != 0) {
        Ok(bytes)
    } else {
        Err(JwkError::Malformed)
    }
}

/// A coordinate or a point: exactly `length` bytes, including leading zeros.
fn decode_curve_bytes(
    jwk: &Map<String, Value>,
    name: &str,
    length: usize,
) -> Result<Vec<u8>, JwkError> {
    let bytes = decode_base64(jwk, name)?;
    if bytes.len() == length { Ok(bytes) } else { Err(JwkError::Malformed) }
}

fn decode_base64(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    let text = string_member(jwk, name).ok_or(JwkError::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Malformed)
}

fn string_member<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::jwks::{self as test_support, TestSigner};

    fn parse(jwk: &Value) -> Result<PublicKey, JwkError> {
        PublicKey::from_jwk(jwk.as_object().unwrap())
    }

    /// A valid key of each type.
    fn valid_jwks() -> [Value; 4] {
        [
            TestSigner::generate_p256("a").jwk(),
            TestSigner::generate_p384("b").jwk(),
            TestSigner::generate_ed25519("c").jwk(),
            test_support::published_key("rs256").0,
        ]
    }

    #[test]
    fn key_verifies_its_own_signatures_only() {
        for signer in TestSigner::of_every_algorithm() {
            let key = parse(&signer.jwk()).unwrap();
            let signature = signer.sign(b"message");
            let algorithm = Algorithm::from_name(signer.algorithm()).unwrap();
            assert!(algorithm.is_signature_length(signature.len()));
            assert_eq!(key.verify(algorithm, b"message", &signature), Ok(()));
            let rejected = Err(TokenError::InvalidSignature);
            assert_eq!(key.verify(algorithm, b"massage", &signature), rejected);
            assert_eq!(key.verify(algorithm, b"message", &[]), rejected);
            assert_eq!(key.verify(algorithm, b"message", &[0; 64]), rejected);
            let rejected = Err(TokenError::AlgorithmMismatch);
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                assert_eq!(key.verify(other, b"message", &signature), rejected, "{other:?}");
            }
        }
    }

    #[test]
    fn rsa_key_without_alg_is_for_rs256() {
        for name in ["RS256", "RS384", "RS512", "PS256"] {
            let signer = TestSigner::rsa("a", name);
            let mut jwk = signer.jwk();
            jwk.as_object_mut().unwrap().remove("alg");
            let (key, signature) = (parse(&jwk).unwrap(), signer.sign(b"message"));
            let expected = if name == "RS256" { Ok(()) } else { Err(TokenError::InvalidSignature) };
            assert_eq!(key.verify(Algorithm::Rs256, b"message", &signature), expected, "{name}");
            let algorithm = Algorithm::from_name(name).unwrap();
            let expected =
                if name == "RS256" { Ok(()) } else { Err(TokenError::AlgorithmMismatch) };
            assert_eq!(key.verify(algorithm, b"message", &signature), expected, "{name}");
        }
    }

    #[test]
    fn use_and_key_ops_are_optional_and_must_allow_verification() {
        for jwk in valid_jwks() {
            for (name, value, is_accepted) in [
                ("use", json!("sig"), true),
                ("use", json!("enc"), false),
                ("use", json!(["sig"]), false),
                ("use", Value::Null, false),
                ("key_ops", json!(["verify"]), true),
                ("key_ops", json!(["sign", "verify"]), true),
                ("key_ops", json!(["encrypt"]), false),
                ("key_ops", json!([]), false),
                ("key_ops", json!("verify"), false),
            ] {
                let mut jwk = jwk.clone();
                jwk[name] = value;
                let error = (!is_accepted).then_some(JwkError::NotForVerification);
                assert_eq!(parse(&jwk).err(), error, "{jwk}");
            }
            let mut bare = jwk.clone();
            for name in ["use", "alg", "key_ops"] {
                bare.as_object_mut().unwrap().remove(name);
            }
            assert!(parse(&bare).is_ok(), "{bare}");
        }
    }

    #[test]
    fn key_type_curve_and_algorithm_must_match() {
        let [p256, p384, ed25519, rsa] = valid_jwks();
        for (jwk, name, value) in [
            (&p256, "kty", json!("RSA")),
            (&p256, "kty", json!("OKP")),
            (&p256, "crv", json!("P-384")),
            (&p256, "crv", json!("Ed25519")),
            (&p256, "alg", json!("ES384")),
            (&p256, "alg", json!("HS256")),
            (&p256, "alg", Value::Null),
            (&p384, "crv", json!("P-256")),
            (&p384, "crv", json!("P-521")),
            (&p384, "crv", json!("secp256k1")),
            (&p384, "alg", json!("ES256")),
            (&ed25519, "kty", json!("EC")),
            (&ed25519, "crv", json!("X25519")),
            (&ed25519, "crv", json!("Ed448")),
            (&ed25519, "alg", json!("ES256")),
            (&rsa, "kty", json!("oct")),
            (&rsa, "kty", json!("rsa")),
            (&rsa, "kty", json!(["RSA"])),
            (&rsa, "alg", json!("RS1")),
            (&rsa, "alg", json!("rs256")),
            (&rsa, "alg", json!("PS384")),
            (&rsa, "alg", json!("RSA-OAEP")),
            (&rsa, "alg", json!("ES256")),
            (&rsa, "alg", json!(["RS256"])),
            (&rsa, "alg", Value::Null),
            (&rsa, "alg", json!("none")),
        ] {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            assert_eq!(parse(&jwk).unwrap_err(), JwkError::Unsupported, "{jwk}");
        }
        // A symmetric key is not supported.
        let oct = json!({"kty": "oct", "kid": "c", "alg": "HS256", "k": rsa["n"]});
        assert_eq!(parse(&oct).unwrap_err(), JwkError::Unsupported);
    }

    #[test]
    fn private_key_is_rejected() {
        for jwk in valid_jwks() {
            for name in PRIVATE_MEMBERS {
                let mut jwk = jwk.clone();
                jwk[name] = json!("AAAA");
                assert_eq!(parse(&jwk).unwrap_err(), JwkError::PrivateKey, "{jwk}");
            }
        }
    }

    #[test]
    fn curve_coordinates_must_have_their_exact_length() {
        let [p256, p384, ed25519, _] = valid_jwks();
        for (jwk, name) in [(&p256, "x"), (&p256, "y"), (&p384, "x"), (&p384, "y"), (&ed25519, "x")]
        {
            let encoded = jwk[name].as_str().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
            let padded = [&[0][..], &bytes].concat();
            for invalid in [
                json!(URL_SAFE_NO_PAD.encode(&bytes[1..])),
                json!(URL_SAFE_NO_PAD.encode(padded)),
                json!(format!("{encoded}=")),
                json!(""),
                json!(7),
                Value::Null,
            ] {
                let mut jwk = jwk.clone();
                jwk[name] = invalid;
                assert_eq!(parse(&jwk).unwrap_err(), JwkError::Malformed, "{jwk}");
            }
        }
    }

    #[test]
    fn modulus_must_have_2048_to_8192_bits() {
        // A modulus with this top byte, this many bytes after it, and this last byte.
        let modulus = |top: u8, rest: usize, lowest: u8| {
            let mut bytes = vec![0x5a; rest + 1];
            bytes[0] = top;
            bytes[rest] = lowest;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let [.., rsa] = valid_jwks();
        for (n, error) in [
            (modulus(0x80, 255, 1), None),
            (modulus(0xff, 1023, 1), None),
            (modulus(0x7f, 255, 1), Some(JwkError::InvalidModulus)),
            (modulus(0xff, 127, 1), Some(JwkError::InvalidModulus)),
            (modulus(0x01, 1024, 1), Some(JwkError::InvalidModulus)),
            (modulus(0x80, 255, 2), Some(JwkError::InvalidModulus)),
            (modulus(0x00, 256, 1), Some(JwkError::Malformed)),
            (String::new(), Some(JwkError::Malformed)),
        ] {
            let mut jwk = rsa.clone();
            jwk["n"] = json!(n);
            assert_eq!(parse(&jwk).err(), error, "{n}");
        }
        let (short, _) = test_support::published_key("short");
        assert_eq!(parse(&short).unwrap_err(), JwkError::InvalidModulus);
    }

    #[test]
    fn exponent_must_be_odd_and_within_bounds() {
        let [.., rsa] = valid_jwks();
        for (bytes, error) in [
            (&[1_u8, 0, 1][..], None),
            (&[0xff, 0xff, 0xff, 0xff], None),
            (&[1], Some(JwkError::InvalidExponent)),
            (&[3], Some(JwkError::InvalidExponent)),
            (&[0xff, 0xff], Some(JwkError::InvalidExponent)),
            (&[1, 0, 0], Some(JwkError::InvalidExponent)),
            (&[1, 0, 2], Some(JwkError::InvalidExponent)),
            (&[1, 0, 0, 0, 1], Some(JwkError::InvalidExponent)),
            (&[0, 1, 0, 1], Some(JwkError::Malformed)),
            (&[0], Some(JwkError::Malformed)),
        ] {
            let mut jwk = rsa.clone();
            jwk["e"] = json!(URL_SAFE_NO_PAD.encode(bytes));
            assert_eq!(parse(&jwk).err(), error, "{bytes:?}");
        }
    }
}
