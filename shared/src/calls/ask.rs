//! What somebody asks for who wants a call.

use ring::digest;
use serde_json::{Map, Value, json};

use crate::calls::CallType;
use crate::hex;
use crate::ids::{CallId, UserId};

/// A call that somebody asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The id that it is to have.
    pub id: CallId,
    /// Who asks.
    pub owner: UserId,
    /// Everybody in it, the owner first, nobody twice.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// Whether the members' phones ring.
    pub ring: bool,
    /// Data of the apps' own.
    pub custom: Option<Map<String, Value>>,
    /// Whether its members may have other calls open: otherwise an open one is the answer.
    pub parallel: bool,
}

impl Ask {
    /// A digest of everything that makes two requests the same.
    pub(super) fn fingerprint(&self) -> String {
        let mut members = self.members.clone();
        members.sort_unstable();
        // Names stand in their order in the text, at every depth.
        let canonical = json!({
            "owner": self.owner,
            "members": members,
            "callType": self.call_type,
            "ring": self.ring,
            "custom": self.custom,
            "parallel": self.parallel,
        });
        hex::encode(digest::digest(&digest::SHA256, canonical.to_string().as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    fn ask() -> Ask {
        Ask {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: user("alice"),
            members: vec![user("alice"), user("bob"), user("carol")],
            call_type: CallType::Video,
            ring: false,
            custom: serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap(),
            parallel: false,
        }
    }

    #[test]
    fn a_fingerprint_tells_requests_apart_by_what_they_ask_for() {
        let base = ask().fingerprint();
        let mut same = ask();
        same.members.swap(1, 2);
        same.custom = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(same.fingerprint(), base);
        let changes: [fn(&mut Ask); 6] = [
            |ask| ask.owner = ask.members[1].clone(),
            |ask| ask.members.truncate(2),
            |ask| ask.call_type = CallType::Voice,
            |ask| ask.ring = true,
            |ask| ask.custom = None,
            |ask| ask.parallel = true,
        ];
        for change in changes {
            let mut other = ask();
            change(&mut other);
            assert_ne!(other.fingerprint(), base);
        }
    }
}
