//! What an issuer publishes (RFC 7517, section 5), and which of it is of use.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::jwk::{PublicKey, Unused};
use super::key_id;
use crate::json;

/// More keys than any issuer has at a time.
const MOST: usize = 32;

/// The keys of an issuer, by their ids. There is at least one.
#[derive(Debug)]
pub(super) struct KeySet {
    usable: BTreeMap<String, Arc<PublicKey>>,
    unused: Vec<(Option<String>, Unused)>,
}

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub(in crate::auth) enum NoSet {
    #[error("it is not a JSON object")]
    Json(#[from] serde_json::Error),
    #[error("it has no array 'keys'")]
    NoKeys,
    #[error("it has more than {MOST} keys")]
    TooMany,
    /// To take it would be to let nobody in until the next one.
    #[error("none of its {0} keys can be used")]
    NoneUsable(usize),
}

impl KeySet {
    pub(super) fn read(text: &[u8]) -> Result<Self, NoSet> {
        let set = json::object(text)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(NoSet::NoKeys)?;
        if keys.len() > MOST {
            return Err(NoSet::TooMany);
        }
        let (mut usable, mut unused) = (BTreeMap::new(), Vec::new());
        for jwk in keys {
            let id = key_id(jwk.get("kid"));
            match read(jwk, id, keys) {
                Ok((id, key)) => {
                    usable.insert(id.to_owned(), Arc::new(key));
                }
                Err(reason) => unused.push((id.map(str::to_owned), reason)),
            }
        }
        if usable.is_empty() {
            return Err(NoSet::NoneUsable(keys.len()));
        }
        Ok(Self { usable, unused })
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<PublicKey>> {
        self.usable.get(id)
    }

    /// Tells the log what has come. A key that its issuer meant to be used, and that is not, is
    /// for somebody to mend.
    pub(super) fn note(&self) {
        for (id, reason) in &self.unused {
            let id = id.as_deref();
            if *reason == Unused::Foreign {
                tracing::debug!(id, %reason, "a key of the issuer's is not used");
            } else {
                tracing::warn!(id, %reason, "a key of the issuer's is not used");
            }
        }
        tracing::info!(keys = self.usable.len(), "the issuer's keys were fetched");
    }
}

/// A key with its id. Where an id stands twice, whatever it stands at, nobody can say which key it
/// means, and it means none.
fn read<'a>(
    jwk: &Value,
    id: Option<&'a str>,
    keys: &[Value],
) -> Result<(&'a str, PublicKey), Unused> {
    let key = PublicKey::read(jwk.as_object().ok_or(Unused::Malformed)?)?;
    let id = id.ok_or(Unused::NoId)?;
    let bearers = keys.iter().filter(|other| key_id(other.get("kid")) == Some(id)).count();
    if bearers == 1 { Ok((id, key)) } else { Err(Unused::Twice) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::keys::sample::{self, Signer};

    fn read(keys: &Value) -> Result<KeySet, NoSet> {
        KeySet::read(json!({"keys": keys}).to_string().as_bytes())
    }

    fn ids(keys: &Value) -> Vec<String> {
        read(keys).map_or(Vec::new(), |set| set.usable.into_keys().collect())
    }

    #[test]
    fn what_is_of_use_is_found_by_its_id() {
        let (a, b, rsa) = (Signer::p256("a"), Signer::ed25519("b"), sample::rs256("good").0);
        let set = read(&json!([a.jwk(), b.jwk(), rsa])).unwrap();
        assert!(set.unused.is_empty());
        for id in ["a", "b", "rsa-2048"] {
            assert!(set.get(id).is_some(), "{id}");
        }
        for id in ["", "A", "a ", "c"] {
            assert!(set.get(id).is_none(), "{id}");
        }
    }

    #[test]
    fn the_rest_is_left_alone() {
        let good = Signer::p256("good").jwk();
        let mut nameless = Signer::p256("x").jwk();
        nameless.as_object_mut().unwrap().remove("kid");
        let mut numbered = Signer::p256("x").jwk();
        numbered["kid"] = json!(7);
        let mut private = Signer::ed25519("private").jwk();
        private["d"] = private["x"].clone();
        let mut encrypting = Signer::p256("encrypting").jwk();
        encrypting["use"] = json!("enc");
        let (rsa, _) = sample::rs256("good");
        // A server that takes the header's algorithm at its word would check HS256 with this.
        let confusing = json!({"kty": "oct", "kid": "confusing", "alg": "HS256", "k": rsa["n"]});
        for (other, reason) in [
            (nameless, Unused::NoId),
            (numbered, Unused::NoId),
            (Signer::p256("").jwk(), Unused::NoId),
            (Signer::p256(&"x".repeat(257)).jwk(), Unused::NoId),
            (private, Unused::Private),
            (encrypting, Unused::Purpose),
            (confusing, Unused::Foreign),
            (json!({"kty": "AKP", "kid": "later"}), Unused::Foreign),
            (json!({}), Unused::Foreign),
            (json!("good"), Unused::Malformed),
            (Value::Null, Unused::Malformed),
        ] {
            let set = read(&json!([other, good])).unwrap();
            assert_eq!(set.usable.into_keys().collect::<Vec<_>>(), ["good"], "{other}");
            let reasons: Vec<_> = set.unused.iter().map(|(_, reason)| *reason).collect();
            assert_eq!(reasons, [reason], "{other}");
            assert!(matches!(read(&json!([other])), Err(NoSet::NoneUsable(1))), "{other}");
        }
        let longest = "x".repeat(256);
        assert_eq!(ids(&json!([Signer::p256(&longest).jwk()])), [longest]);
    }

    #[test]
    fn an_id_that_stands_twice_means_no_key() {
        let (once, twice) = (Signer::p256("once").jwk(), Signer::p256("twice").jwk());
        let mut private = twice.clone();
        private["d"] = twice["x"].clone();
        for other in [
            twice.clone(),
            Signer::ed25519("twice").jwk(),
            private,
            json!({"kty": "oct", "kid": "twice", "k": twice["x"]}),
        ] {
            for keys in [json!([once, twice, other]), json!([other, once, twice])] {
                assert_eq!(ids(&keys), ["once"], "{keys}");
            }
        }
        assert!(matches!(read(&json!([twice, twice])), Err(NoSet::NoneUsable(2))));
    }

    #[test]
    fn a_set_has_32_keys_at_most() {
        let set = |many: usize| {
            let key = |n: usize| Signer::ed25519(&format!("key-{n}")).jwk();
            read(&(0..many).map(key).collect())
        };
        assert_eq!(set(32).unwrap().usable.len(), 32);
        assert!(matches!(set(33), Err(NoSet::TooMany)));
    }

    #[test]
    fn texts_that_are_no_set() {
        let key = Signer::p256("a").jwk();
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
            assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
