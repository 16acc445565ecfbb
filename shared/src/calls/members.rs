//! A set of members, whoever of them asks: who may have one open call at a time.

use ring::digest;

use crate::ids::UserId;

/// The set as a name: the same for the same members in any order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberSet(String);

impl MemberSet {
    /// The set of these users.
    #[must_use]
    pub fn new(members: &[UserId]) -> Self {
        let mut ids: Vec<&str> = members.iter().map(UserId::as_str).collect();
        ids.sort_unstable();
        // A user id has no zero byte, so two sets cannot run into each other.
        Self(hex::encode(digest::digest(&digest::SHA256, ids.join("\0").as_bytes()).as_ref()))
    }

    /// The name: 64 hexadecimal digits.
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
