//! What stands in the log for a user: the same for the same user, and nobody's name.

use std::fmt;

use ring::hmac;

use crate::hex;
use crate::ids::UserId;
use crate::secret::Secret;

/// What stands in the log for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTag(String);

impl UserTag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes tags. Ids are short and can be guessed, so a digest alone would hide nothing: it takes a
/// key.
pub(crate) struct Tagger(hmac::Key);

impl Tagger {
    /// With the app's secret, which every function has. What is signed begins like nothing that
    /// Stream signs with it.
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// The first 64 bits of HMAC-SHA256 over `log-user:` and the id.
    pub(crate) fn tag(&self, user: &UserId) -> UserTag {
        let tag = hmac::sign(&self.0, format!("log-user:{user}").as_bytes());
        UserTag(hex::encode(&tag.as_ref()[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_can_be_made_by_hand() {
        let user = |name: &str| UserId::try_from(name.to_owned()).unwrap();
        let tagger = Tagger::new(&Secret::new("key"));
        // printf %s log-user:alice | openssl dgst -sha256 -hmac key | cut -d' ' -f2 | cut -c1-16
        assert_eq!(tagger.tag(&user("alice")).as_str(), "7232488e1396cc5c");
        assert_ne!(tagger.tag(&user("alice")), tagger.tag(&user("bob")));
        let other = Tagger::new(&Secret::new("another key"));
        assert_ne!(tagger.tag(&user("alice")), other.tag(&user("alice")));
    }
}
