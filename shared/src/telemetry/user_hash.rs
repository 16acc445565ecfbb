//! A keyed hash that identifies a user in the log without the user id.

use std::fmt;

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use crate::ids::UserId;

/// The hash of a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHash(String);

impl UserHash {
    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes user ids with a key. Ids are short and can be guessed, so a digest without a key would
/// reveal them.
pub(crate) struct UserHasher(hmac::Key);

impl UserHasher {
    /// A hasher with the app's secret, which every function has. The prefix of the hashed text
    /// differs from all texts that Stream signs with that secret.
    pub(crate) fn new(secret: &SecretString) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    }

    /// The first 64 bits of HMAC-SHA256 over `log-user:` and the id, in hexadecimal.
    pub(crate) fn hash(&self, user: &UserId) -> UserHash {
        let digest = hmac::sign(&self.0, format!("log-user:{user}").as_bytes());
        UserHash(hex::encode(&digest.as_ref()[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_hash_matches_the_openssl_digest() {
        let user = |name: &str| UserId::try_from(name.to_owned()).unwrap();
        let hasher = UserHasher::new(&SecretString::from("key"));
        // printf %s log-user:alice | openssl dgst -sha256 -hmac key | cut -d' ' -f2 | cut -c1-16
        assert_eq!(hasher.hash(&user("alice")).as_str(), "7232488e1396cc5c");
        assert_ne!(hasher.hash(&user("alice")), hasher.hash(&user("bob")));
        let other_hasher = UserHasher::new(&SecretString::from("another key"));
        assert_ne!(hasher.hash(&user("alice")), other_hasher.hash(&user("alice")));
    }
}
