//! Signing keys and a fake JWKS server for tests. The RSA key is a fixture, because `ring` cannot
//! generate one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use crate::auth::jwks::{FetchError, JwksSource};

/// A private key of an issuer, with its id.
pub(crate) struct TestSigner {
    id: String,
    key_pair: TestKeyPair,
}

enum TestKeyPair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// With the name of its algorithm.
    Rsa(RsaKeyPair, &'static str),
}

impl TestSigner {
    pub(crate) fn generate_p256(id: &str) -> Self {
        let pair = generate_ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self { id: id.to_owned(), key_pair: TestKeyPair::P256(pair) }
    }

    pub(crate) fn generate_p384(id: &str) -> Self {
        let pair = generate_ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self { id: id.to_owned(), key_pair: TestKeyPair::P384(pair) }
    }

    pub(crate) fn generate_ed25519(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self { id: id.to_owned(), key_pair: TestKeyPair::Ed25519(pair) }
    }

    /// The one RSA key of the tests, for `RS256`, `RS384`, `RS512` or `PS256`.
    pub(crate) fn rsa(id: &str, algorithm: &'static str) -> Self {
        // Generated for this file. No login uses it.
        let encoded = include_str!("rsa_signing_key.txt").trim_end();
        let pkcs8 = URL_SAFE_NO_PAD.decode(encoded).unwrap();
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
        Self { id: id.to_owned(), key_pair: TestKeyPair::Rsa(pair, algorithm) }
    }

    /// A signer of each algorithm, whose id is the name of the algorithm.
    pub(crate) fn of_every_algorithm() -> [Self; 7] {
        [
            Self::rsa("RS256", "RS256"),
            Self::rsa("RS384", "RS384"),
            Self::rsa("RS512", "RS512"),
            Self::rsa("PS256", "PS256"),
            Self::generate_p256("ES256"),
            Self::generate_p384("ES384"),
            Self::generate_ed25519("EdDSA"),
        ]
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key_pair {
            TestKeyPair::P256(_) => "ES256",
            TestKeyPair::P384(_) => "ES384",
            TestKeyPair::Ed25519(_) => "EdDSA",
            TestKeyPair::Rsa(_, algorithm) => algorithm,
        }
    }

    /// The public key, as the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.key_pair {
            TestKeyPair::P256(pair) => ecdsa_jwk("P-256", pair),
            TestKeyPair::P384(pair) => ecdsa_jwk("P-384", pair),
            TestKeyPair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            TestKeyPair::Rsa(pair, _) => {
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                let (n, e) = (URL_SAFE_NO_PAD.encode(&key.n), URL_SAFE_NO_PAD.encode(&key.e));
                json!({"kty": "RSA", "n": n, "e": e})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm());
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key_pair {
            TestKeyPair::P256(pair) | TestKeyPair::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            TestKeyPair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            TestKeyPair::Rsa(pair, algorithm) => {
                let encoding: &'static dyn RsaEncoding = match *algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    other => panic!("{other} is not an RSA algorithm"),
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with these claims and the header of this key.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.id});
        self.token_with(&header.to_string(), &claims.to_string())
    }

    /// A token with this header and these claims, encoded verbatim.
    pub(crate) fn token_with(&self, header: &str, claims: &str) -> String {
        let encode = |text| URL_SAFE_NO_PAD.encode(text);
        let signing_input = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signing_input.as_bytes()));
        format!("{signing_input}.{signature}")
    }
}

fn generate_ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
}

fn ecdsa_jwk(curve: &str, pair: &EcdsaKeyPair) -> Value {
    // The first byte marks an uncompressed point; both coordinates follow.
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    json!({"kty": "EC", "crv": curve, "x": x, "y": y})
}

/// A public key, and a token of Alice that OpenSSL has signed and that is valid until 2100. The
/// names are those of the algorithms, and `short` for an RSA key that is too short. The private
/// keys no longer exist.
pub(crate) fn published_key(name: &str) -> (Value, String) {
    let fixtures: Value = serde_json::from_str(include_str!("published_keys.json")).unwrap();
    let fixture = &fixtures[name];
    (fixture["jwk"].clone(), fixture["token"].as_str().unwrap().to_owned())
}

/// The response of a fake server.
#[derive(Clone)]
enum Behavior {
    Respond(String),
    RespondSlowly(String),
    Fail,
    Hang,
}

/// A fake JWKS server.
#[derive(Clone)]
pub(crate) struct FakeJwksServer(Arc<(Mutex<Behavior>, AtomicUsize)>);

impl Default for FakeJwksServer {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Behavior::Fail), AtomicUsize::new(0))))
    }
}

impl FakeJwksServer {
    pub(crate) fn respond_with(&self, text: &str) {
        self.set_behavior(Behavior::Respond(text.to_owned()));
    }

    pub(crate) fn fail(&self) {
        self.set_behavior(Behavior::Fail);
    }

    pub(crate) fn hang(&self) {
        self.set_behavior(Behavior::Hang);
    }

    /// Publishes keys with these ids.
    pub(crate) fn publish(&self, ids: &[&str]) {
        self.set_behavior(Behavior::Respond(Self::jwks_body(ids)));
    }

    /// As [`Self::publish`], with responses that yield to other tasks first.
    pub(crate) fn publish_slowly(&self, ids: &[&str]) {
        self.set_behavior(Behavior::RespondSlowly(Self::jwks_body(ids)));
    }

    /// The number of received requests.
    pub(crate) fn request_count(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn jwks_body(ids: &[&str]) -> String {
        let keys: Vec<_> = ids.iter().map(|id| TestSigner::generate_ed25519(id).jwk()).collect();
        json!({"keys": keys}).to_string()
    }

    fn set_behavior(&self, behavior: Behavior) {
        *self.0.0.lock().unwrap() = behavior;
    }
}

#[async_trait]
impl JwksSource for FakeJwksServer {
    async fn fetch(&self) -> Result<Bytes, FetchError> {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        let behavior = self.0.0.lock().unwrap().clone();
        match behavior {
            Behavior::Respond(text) => Ok(text.into()),
            Behavior::RespondSlowly(text) => {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok(text.into())
            }
            Behavior::Fail => Err(FetchError::Status(503)),
            Behavior::Hang => std::future::pending().await,
        }
    }
}
