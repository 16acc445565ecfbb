//! The parsing of a key set (RFC 7517, section 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::jwk::{JwkError, PublicKey, key_id};
use crate::json;

/// The maximum number of keys. Issuers publish far fewer.
const MAX_KEYS: usize = 32;

/// The usable keys of an issuer by their ids, at least one, and the skipped keys.
#[derive(Debug)]
pub(super) struct KeySet {
    usable: BTreeMap<String, Arc<PublicKey>>,
    skipped: Vec<(Option<String>, JwkError)>,
}

/// An error of parsing a key set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("the key set is not a JSON object")]
    InvalidJson(#[from] serde_json::Error),
    #[error("the key set has no 'keys' array")]
    MissingKeys,
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// Replacing the cached keys with this set would reject every token until the next fetch.
    #[error("none of the {0} keys is usable")]
    NoUsableKeys(usize),
}

impl KeySet {
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set = json::parse_object(text)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::MissingKeys)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let (mut usable, mut skipped) = (BTreeMap::new(), Vec::new());
        for jwk in keys {
            let id = key_id(jwk.get("kid"));
            match parse_key(jwk, id, keys) {
                Ok((id, key)) => {
                    usable.insert(id.to_owned(), Arc::new(key));
                }
                Err(reason) => skipped.push((id.map(str::to_owned), reason)),
            }
        }
        if usable.is_empty() {
            return Err(KeySetError::NoUsableKeys(keys.len()));
        }
        Ok(Self { usable, skipped })
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<PublicKey>> {
        self.usable.get(id)
    }

    /// Logs the result. A skipped key of a supported type is a warning, because the issuer intends
    /// it to be used.
    pub(super) fn log(&self) {
        for (id, reason) in &self.skipped {
            let id = id.as_deref();
            if *reason == JwkError::Unsupported {
                tracing::debug!(id, %reason, "skipping a key of the issuer");
            } else {
                tracing::warn!(id, %reason, "skipping a key of the issuer");
            }
        }
        tracing::info!(keys = self.usable.len(), "JWKS fetch succeeded");
    }
}

/// Parses a key that has an id of its own. All keys with the same id are skipped, even unusable
/// ones, because a token with that id is ambiguous.
fn parse_key<'a>(
    jwk: &Value,
    id: Option<&'a str>,
    keys: &[Value],
) -> Result<(&'a str, PublicKey), JwkError> {
    let key = PublicKey::from_jwk(jwk.as_object().ok_or(JwkError::Malformed)?)?;
    let id = id.ok_or(JwkError::MissingKeyId)?;
    let occurrences = keys.iter().filter(|other| key_id(other.get("kid")) == Some(id)).count();
    if occurrences == 1 { Ok((id, key)) } else { Err(JwkError::DuplicateKeyId) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::jwks::{self as test_support, TestSigner};

    fn parse_keys(keys: &Value) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
    }

    fn usable_ids(keys: &Value) -> Vec<String> {
        parse_keys(keys).map_or(Vec::new(), |set| set.usable.into_keys().collect())
    }

    #[test]
    fn usable_keys_are_found_by_key_id() {
        let (a, b, rsa) = (
            TestSigner::generate_p256("a"),
            TestSigner::generate_ed25519("b"),
            test_support::published_key("rs256").0,
        );
        let set = parse_keys(&json!([a.jwk(), b.jwk(), rsa])).unwrap();
        assert!(set.skipped.is_empty());
        for id in ["a", "b", "rsa-2048"] {
            assert!(set.get(id).is_some(), "{id}");
        }
        for id in ["", "A", "a ", "c"] {
            assert!(set.get(id).is_none(), "{id}");
        }
    }

    #[test]
    fn unusable_keys_are_skipped() {
        let good = TestSigner::generate_p256("good").jwk();
        let mut without_kid = TestSigner::generate_p256("x").jwk();
        without_kid.as_object_mut().unwrap().remove("kid");
        let mut numeric_kid = TestSigner::generate_p256("x").jwk();
        numeric_kid["kid"] = json!(7);
        let mut private = TestSigner::generate_ed25519("private").jwk();
        private["d"] = private["x"].clone();
        let mut encryption_only = TestSigner::generate_p256("encrypting").jwk();
        encryption_only["use"] = json!("enc");
        let (rsa, _) = test_support::published_key("rs256");
        // A verifier that trusted the header's algorithm would use this key for HS256.
        let symmetric = json!({"kty": "oct", "kid": "confusing", "alg": "HS256", "k": rsa["n"]});
        for (other, reason) in [
            (without_kid, JwkError::MissingKeyId),
            (numeric_kid, JwkError::MissingKeyId),
            (TestSigner::generate_p256("").jwk(), JwkError::MissingKeyId),
            (TestSigner::generate_p256(&"x".repeat(257)).jwk(), JwkError::MissingKeyId),
            (private, JwkError::PrivateKey),
            (encryption_only, JwkError::NotForVerification),
            (symmetric, JwkError::Unsupported),
            (json!({"kty": "AKP", "kid": "later"}), JwkError::Unsupported),
            (json!({}), JwkError::Unsupported),
            (json!("good"), JwkError::Malformed),
            (Value::Null, JwkError::Malformed),
        ] {
            let set = parse_keys(&json!([other, good])).unwrap();
            assert_eq!(set.usable.into_keys().collect::<Vec<_>>(), ["good"], "{other}");
            let reasons: Vec<_> = set.skipped.iter().map(|(_, reason)| *reason).collect();
            assert_eq!(reasons, [reason], "{other}");
            assert!(
                matches!(parse_keys(&json!([other])), Err(KeySetError::NoUsableKeys(1))),
                "{other}"
            );
        }
        let longest = "x".repeat(256);
        assert_eq!(usable_ids(&json!([TestSigner::generate_p256(&longest).jwk()])), [longest]);
    }

    #[test]
    fn duplicate_key_ids_are_skipped() {
        let (once, twice) =
            (TestSigner::generate_p256("once").jwk(), TestSigner::generate_p256("twice").jwk());
        let mut private = twice.clone();
        private["d"] = twice["x"].clone();
        for other in [
            twice.clone(),
            TestSigner::generate_ed25519("twice").jwk(),
            private,
            json!({"kty": "oct", "kid": "twice", "k": twice["x"]}),
        ] {
            for keys in [json!([once, twice, other]), json!([other, once, twice])] {
                assert_eq!(usable_ids(&keys), ["once"], "{keys}");
            }
        }
        assert!(matches!(parse_keys(&json!([twice, twice])), Err(KeySetError::NoUsableKeys(2))));
    }

    #[test]
    fn key_set_has_at_most_32_keys() {
        let set = |count: usize| {
            let key = |n: usize| TestSigner::generate_ed25519(&format!("key-{n}")).jwk();
            parse_keys(&(0..count).map(key).collect())
        };
        assert_eq!(set(32).unwrap().usable.len(), 32);
        assert!(matches!(set(33), Err(KeySetError::TooManyKeys)));
    }

    #[test]
    fn malformed_key_sets_are_rejected() {
        let key = TestSigner::generate_p256("a").jwk();
        for text in [
            String::new(),
            "<html>".to_owned(),
            "null".to_owned(),
            json!([key]).to_string(),
            key.to_string(),
            json!({"keys": {"a": key}}).to_string(),
            json!({"keys": []}).to_string(),
            format!(r#"{{"keys":[{key}],"keys":[]}}"#),
            format!(r#"{{"keys":[{key},{{"kid":"b","kid":"c"}}]}}"#),
            format!(r#"{{"keys":[{key}]}} {{}}"#),
        ] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
