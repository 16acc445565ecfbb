//! A set of members, which has one open call at a time. The order and the owner do not matter.

use ring::digest;

use crate::ids::UserId;

/// A digest of the members: the same for the same members in any order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberSet(String);

impl MemberSet {
    /// The set of these users.
    #[must_use]
    pub fn new(members: &[UserId]) -> Self {
        let mut ids: Vec<&str> = members.iter().map(UserId::as_str).collect();
        ids.sort_unstable();
        // A user id contains no zero byte, so two sets never have the same text.
        Self(hex::encode(digest::digest(&digest::SHA256, ids.join("\0").as_bytes()).as_ref()))
    }

    /// The digest: 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> MemberSet {
        let users: Vec<_> =
            names.iter().map(|name| UserId::try_from((*name).to_owned()).unwrap()).collect();
        MemberSet::new(&users)
    }

    #[test]
    fn member_set_ignores_order() {
        assert_eq!(set(&["alice", "bob"]), set(&["bob", "alice"]));
        for other in [&["alice"][..], &["alice", "bob", "carol"], &["aliceb", "ob"], &["alicebob"]]
        {
            assert_ne!(set(&["alice", "bob"]), set(other));
        }
    }
}
