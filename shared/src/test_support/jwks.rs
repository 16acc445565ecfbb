//! Signing keys and a fake JWKS server for tests. RSA keys are fixtures, because `ring` cannot
//! generate them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
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
    Ed25519(Ed25519KeyPair),
}

impl TestSigner {
    pub(crate) fn generate_p256(id: &str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), key_pair: TestKeyPair::P256(pair) }
    }

    pub(crate) fn generate_ed25519(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self { id: id.to_owned(), key_pair: TestKeyPair::Ed25519(pair) }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key_pair {
            TestKeyPair::P256(_) => "ES256",
            TestKeyPair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key, as the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.key_pair {
            TestKeyPair::P256(pair) => {
                // The first byte marks an uncompressed point; both coordinates follow.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            TestKeyPair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm());
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = match &self.key_pair {
            TestKeyPair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap(),
            TestKeyPair::Ed25519(pair) => pair.sign(message),
        };
        signature.as_ref().to_vec()
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

/// A public RSA key, `good` or too `short`, and a token of Alice that it verifies until 2100. The
/// private keys no longer exist.
pub(crate) fn rs256_fixture(name: &str) -> (Value, String) {
    let fixtures: Value = serde_json::from_str(include_str!("rs256.json")).unwrap();
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
