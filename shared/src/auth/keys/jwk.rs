//! One key of a set (RFC 7517): what it says of itself is checked once, when it is read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Map, Value};

use super::Algorithm;
use crate::auth::Unauthenticated;

/// A public key, and the one algorithm that it is for.
#[derive(Debug)]
pub(in crate::auth) struct PublicKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Curve(UnparsedPublicKey<Vec<u8>>),
}

/// Why a key of a set is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unused {
    /// Nothing is wrong with it, but it is not for us.
    #[error("it is of another kind or for another algorithm")]
    Foreign,
    #[error("it is not for verifying signatures")]
    Purpose,
    #[error("it has no key id of 1 to 256 bytes")]
    NoId,
    #[error("its key id stands twice in the set")]
    Twice,
    #[error("it holds a private part")]
    Private,
    #[error("one of its members is missing or malformed")]
    Malformed,
    #[error("its modulus does not have 2048 to 8192 bits")]
    Modulus,
    #[error("its public exponent is even, below 65537 or over 32 bits")]
    Exponent,
}

/// Members of private and of symmetric keys (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl PublicKey {
    /// Reads a key, unless it is one that is left alone.
    pub(super) fn read(jwk: &Map<String, Value>) -> Result<Self, Unused> {
        let algorithm = algorithm(jwk)?;
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(Unused::Private);
        }
        if !verifies(jwk) {
            return Err(Unused::Purpose);
        }
        let material = match algorithm {
            Algorithm::Rs256 => Material::Rsa(rsa(jwk)?),
            Algorithm::Es256 => {
                // Uncompressed (SEC 1, section 2.3.3). Whether the point is on the curve is
                // found out with each signature, and none holds where it is not.
                let point = [vec![4], curve_bytes(jwk, "x")?, curve_bytes(jwk, "y")?].concat();
                Material::Curve(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            Algorithm::EdDsa => {
                Material::Curve(UnparsedPublicKey::new(&ED25519, curve_bytes(jwk, "x")?))
            }
        };
        Ok(Self { algorithm, material })
    }

    /// Whether this key has signed `message`. The token's algorithm may only agree with the key's
    /// (RFC 8725, section 3.1).
    pub(in crate::auth) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Unauthenticated> {
        if algorithm != self.algorithm {
            return Err(Unauthenticated::Algorithm);
        }
        let verified = match &self.material {
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Material::Curve(key) => key.verify(message, signature),
        };
        verified.map_err(|_| Unauthenticated::Signature)
    }
}

/// The algorithm that a key of this kind is for; what it says of that itself may only agree.
fn algorithm(jwk: &Map<String, Value>) -> Result<Algorithm, Unused> {
    let algorithm = match (text(jwk, "kty"), text(jwk, "crv")) {
        (Some("RSA"), _) => Algorithm::Rs256,
        (Some("EC"), Some("P-256")) => Algorithm::Es256,
        (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
        _ => return Err(Unused::Foreign),
    };
    match jwk.get("alg") {
        Some(named) if named.as_str() != Some(algorithm.name()) => Err(Unused::Foreign),
        _ => Ok(algorithm),
    }
}

/// Whether a key is for verifying, by both members that can say so (RFC 7517, sections 4.2 and
/// 4.3).
fn verifies(jwk: &Map<String, Value>) -> bool {
    let signatures = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
    });
    signatures && operations
}

fn rsa(jwk: &Map<String, Value>) -> Result<RsaPublicKeyComponents<Vec<u8>>, Unused> {
    let (n, e) = (integer(jwk, "n")?, integer(jwk, "e")?);
    // Without leading zeros the first byte says whether 256 bytes are 2048 bits.
    let long_enough = n.len() > 256 || (n.len() == 256 && n.first() >= Some(&0x80));
    if !long_enough || n.len() > 1024 || is_even(&n) {
        return Err(Unused::Modulus);
    }
    // 65537 is the least that FIPS 186-5 (section 5.4) allows, and what nearly every key has.
    let exponent = e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if e.len() > 4 || exponent < 65_537 || is_even(&e) {
        return Err(Unused::Exponent);
    }
    Ok(RsaPublicKeyComponents { n, e })
}

fn is_even(bytes: &[u8]) -> bool {
    bytes.last().is_none_or(|last| last % 2 == 0)
}

/// A positive number in as few bytes as it needs (RFC 7518, section 2).
fn integer(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Unused> {
    let bytes = octets(jwk, name)?;
    if bytes.first().is_some_and(|first| *first != 0) { Ok(bytes) } else { Err(Unused::Malformed) }
}

/// A coordinate or a point of either curve: all 32 bytes, leading zeros included.
fn curve_bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Unused> {
    let bytes = octets(jwk, name)?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(Unused::Malformed) }
}

fn octets(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Unused> {
    let text = text(jwk, name).ok_or(Unused::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unused::Malformed)
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::keys::sample::{self, Signer};

    fn read(jwk: &Value) -> Result<PublicKey, Unused> {
        PublicKey::read(jwk.as_object().unwrap())
    }

    /// A key of each kind.
    fn good() -> [Value; 3] {
        [Signer::p256("a").jwk(), Signer::ed25519("b").jwk(), sample::rs256("good").0]
    }

    #[test]
    fn a_key_verifies_what_it_has_signed() {
        for signer in [Signer::p256("a"), Signer::ed25519("b")] {
            let key = read(&signer.jwk()).unwrap();
            let signature = signer.sign(b"message");
            let algorithm = Algorithm::named(signer.algorithm()).unwrap();
            assert!(algorithm.makes(signature.len()));
            assert_eq!(key.verify(algorithm, b"message", &signature), Ok(()));
            let refused = Err(Unauthenticated::Signature);
            assert_eq!(key.verify(algorithm, b"massage", &signature), refused);
            assert_eq!(key.verify(algorithm, b"message", &[]), refused);
            assert_eq!(key.verify(algorithm, b"message", &[0; 64]), refused);
            let refused = Err(Unauthenticated::Algorithm);
            assert_eq!(key.verify(Algorithm::Rs256, b"message", &signature), refused);
        }
    }

    #[test]
    fn purposes_are_optional_and_must_fit() {
        for jwk in good() {
            for (name, value, fits) in [
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
                let refused = (!fits).then_some(Unused::Purpose);
                assert_eq!(read(&jwk).err(), refused, "{jwk}");
            }
            let mut bare = jwk.clone();
            for name in ["use", "alg", "key_ops"] {
                bare.as_object_mut().unwrap().remove(name);
            }
            assert!(read(&bare).is_ok(), "{bare}");
        }
    }

    #[test]
    fn kind_curve_and_algorithm_must_agree() {
        let [p256, ed25519, rsa] = good();
        for (jwk, name, value) in [
            (&p256, "kty", json!("RSA")),
            (&p256, "kty", json!("OKP")),
            (&p256, "crv", json!("P-384")),
            (&p256, "crv", json!("Ed25519")),
            (&p256, "alg", json!("ES384")),
            (&p256, "alg", json!("HS256")),
            (&p256, "alg", Value::Null),
            (&ed25519, "kty", json!("EC")),
            (&ed25519, "crv", json!("X25519")),
            (&ed25519, "crv", json!("Ed448")),
            (&ed25519, "alg", json!("ES256")),
            (&rsa, "kty", json!("oct")),
            (&rsa, "kty", json!("rsa")),
            (&rsa, "kty", json!(["RSA"])),
            (&rsa, "alg", json!("PS256")),
            (&rsa, "alg", json!("RS512")),
            (&rsa, "alg", json!("none")),
        ] {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            assert_eq!(read(&jwk).unwrap_err(), Unused::Foreign, "{jwk}");
        }
        // What is symmetric is not even looked at.
        let oct = json!({"kty": "oct", "kid": "c", "alg": "HS256", "k": rsa["n"]});
        assert_eq!(read(&oct).unwrap_err(), Unused::Foreign);
    }

    #[test]
    fn a_private_key_is_refused() {
        for jwk in good() {
            for name in PRIVATE {
                let mut jwk = jwk.clone();
                jwk[name] = json!("AAAA");
                assert_eq!(read(&jwk).unwrap_err(), Unused::Private, "{jwk}");
            }
        }
    }

    #[test]
    fn points_have_all_their_bytes() {
        let [p256, ed25519, _] = good();
        for (jwk, name) in [(&p256, "x"), (&p256, "y"), (&ed25519, "x")] {
            let whole = jwk[name].as_str().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(whole).unwrap();
            let longer = [&[0][..], &bytes].concat();
            for bad in [
                json!(URL_SAFE_NO_PAD.encode(&bytes[1..])),
                json!(URL_SAFE_NO_PAD.encode(longer)),
                json!(format!("{whole}=")),
                json!(""),
                json!(7),
                Value::Null,
            ] {
                let mut jwk = jwk.clone();
                jwk[name] = bad;
                assert_eq!(read(&jwk).unwrap_err(), Unused::Malformed, "{jwk}");
            }
        }
    }

    #[test]
    fn a_modulus_has_2048_to_8192_bits() {
        // The top byte, the bytes after it, and the lowest of them.
        let modulus = |top: u8, rest: usize, lowest: u8| {
            let mut bytes = vec![0x5a; rest + 1];
            bytes[0] = top;
            bytes[rest] = lowest;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let [.., rsa] = good();
        for (n, refused) in [
            (modulus(0x80, 255, 1), None),
            (modulus(0xff, 1023, 1), None),
            (modulus(0x7f, 255, 1), Some(Unused::Modulus)),
            (modulus(0xff, 127, 1), Some(Unused::Modulus)),
            (modulus(0x01, 1024, 1), Some(Unused::Modulus)),
            (modulus(0x80, 255, 2), Some(Unused::Modulus)),
            (modulus(0x00, 256, 1), Some(Unused::Malformed)),
            (String::new(), Some(Unused::Malformed)),
        ] {
            let mut jwk = rsa.clone();
            jwk["n"] = json!(n);
            assert_eq!(read(&jwk).err(), refused, "{n}");
        }
        let (short, _) = sample::rs256("short");
        assert_eq!(read(&short).unwrap_err(), Unused::Modulus);
    }

    #[test]
    fn an_exponent_is_odd_and_neither_tiny_nor_huge() {
        let [.., rsa] = good();
        for (bytes, refused) in [
            (&[1_u8, 0, 1][..], None),
            (&[0xff, 0xff, 0xff, 0xff], None),
            (&[1], Some(Unused::Exponent)),
            (&[3], Some(Unused::Exponent)),
            (&[0xff, 0xff], Some(Unused::Exponent)),
            (&[1, 0, 0], Some(Unused::Exponent)),
            (&[1, 0, 2], Some(Unused::Exponent)),
            (&[1, 0, 0, 0, 1], Some(Unused::Exponent)),
            (&[0, 1, 0, 1], Some(Unused::Malformed)),
            (&[0], Some(Unused::Malformed)),
        ] {
            let mut jwk = rsa.clone();
            jwk["e"] = json!(URL_SAFE_NO_PAD.encode(bytes));
            assert_eq!(read(&jwk).err(), refused, "{bytes:?}");
        }
    }
}
