//! Keys for tests, made on the spot, but for RSA, of which `ring` makes none; and a key server and a
//! clock that do as they are told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};

use super::fetch::{KeySource, NotFetched};
use crate::clock::{Clock, Timestamp};

/// An issuer's private key, with its id.
pub(in crate::auth) struct Signer {
    id: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(in crate::auth) fn p256(id: &str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair: Pair::P256(pair) }
    }

    pub(in crate::auth) fn ed25519(id: &str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap();
        Self { id: id.to_owned(), pair: Pair::Ed25519(pair) }
    }

    pub(in crate::auth) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// What its issuer publishes of it.
    pub(in crate::auth) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::P256(pair) => {
                // One byte that says that both coordinates follow.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let part = |bytes| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "EC", "crv": "P-256", "x": part(x), "y": part(y)})
            }
            Pair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm());
        jwk["use"] = json!("sig");
        jwk
    }

    pub(in crate::auth) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap(),
            Pair::Ed25519(pair) => pair.sign(message),
        };
        signature.as_ref().to_vec()
    }

    /// A token with these claims and the header that belongs to them.
    pub(in crate::auth) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.id});
        self.token_with(&header.to_string(), &claims.to_string())
    }

    /// A token with a header and claims as they stand.
    pub(in crate::auth) fn token_with(&self, header: &str, claims: &str) -> String {
        let part = |text| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// A public RSA key, `good` or too `short`, and a token of Alice's that it verifies, until 2100.
/// Nobody has the private keys any more.
pub(in crate::auth) fn rs256(which: &str) -> (Value, String) {
    let samples: Value = serde_json::from_str(include_str!("rs256.json")).unwrap();
    let sample = &samples[which];
    (sample["jwk"].clone(), sample["token"].as_str().unwrap().to_owned())
}

/// What a key server does when it is asked.
#[derive(Clone)]
enum Manner {
    Says(String),
    SaysSlowly(String),
    Refuses,
    Hangs,
}

/// A key server.
#[derive(Clone)]
pub(in crate::auth) struct Server(Arc<(Mutex<Manner>, AtomicUsize)>);

impl Default for Server {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Manner::Refuses), AtomicUsize::new(0))))
    }
}

impl Server {
    pub(in crate::auth) fn says(&self, text: &str) {
        self.set(Manner::Says(text.to_owned()));
    }

    pub(in crate::auth) fn refuses(&self) {
        self.set(Manner::Refuses);
    }

    pub(in crate::auth) fn hangs(&self) {
        self.set(Manner::Hangs);
    }

    /// Shows keys with these ids.
    pub(in crate::auth) fn shows(&self, ids: &[&str]) {
        self.set(Manner::Says(Self::keys(ids)));
    }

    /// As [`Server::shows`], after others have had their turn.
    pub(in crate::auth) fn shows_slowly(&self, ids: &[&str]) {
        self.set(Manner::SaysSlowly(Self::keys(ids)));
    }

    /// How often it was asked.
    pub(in crate::auth) fn asked(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn keys(ids: &[&str]) -> String {
        let keys: Vec<_> = ids.iter().map(|id| Signer::ed25519(id).jwk()).collect();
        json!({"keys": keys}).to_string()
    }

    fn set(&self, manner: Manner) {
        *self.0.0.lock().unwrap() = manner;
    }
}

#[async_trait]
impl KeySource for Server {
    async fn fetch(&self) -> Result<Bytes, NotFetched> {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        let manner = self.0.0.lock().unwrap().clone();
        match manner {
            Manner::Says(text) => Ok(text.into()),
            Manner::SaysSlowly(text) => {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok(text.into())
            }
            Manner::Refuses => Err(NotFetched::Status(503)),
            Manner::Hangs => std::future::pending().await,
        }
    }
}

/// A clock that moves when it is told to, or when somebody sleeps.
pub(in crate::auth) struct Still(Mutex<Timestamp>);

impl Default for Still {
    fn default() -> Self {
        Self(Mutex::new(Timestamp::from_secs(1_767_225_600)))
    }
}

impl Still {
    pub(in crate::auth) fn pass(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(span);
    }
}

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, span: Duration) {
        self.pass(span);
    }
}
