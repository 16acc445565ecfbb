//! Channels without an id of their own: the members determine the id, so that the same members
//! always get the same channel.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

use super::channels::GetOrCreateChannel;
use super::cid::Cid;
use crate::error::StreamError;

/// The start of an id that Stream makes. No request can create a channel with it.
const PREFIX: &str = "!members-";

impl GetOrCreateChannel {
    /// The cid of the channel of the given type for the members in the request.
    pub(crate) fn distinct_cid(&self, kind: &str) -> Result<Cid, StreamError> {
        let members = self.distinct_members()?.join(",");
        let digest = digest::digest(&digest::SHA256, members.as_bytes());
        Ok(Cid::new(kind, &format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(digest))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::from_json;
    use super::*;

    #[test]
    fn members_determine_the_id_in_any_order() {
        let cid = |members: &[&str]| {
            let request: GetOrCreateChannel = from_json(json!({ "data": { "members": members } }));
            request.distinct_cid("messaging").map(|cid| cid.to_string())
        };
        assert_eq!(cid(&["a", "b"]), cid(&["b", "a", "b"]));
        assert_ne!(cid(&["a", "b"]), cid(&["a"]));
        assert!(cid(&["a"]).expect("a cid").starts_with("messaging:!members-"));
        assert_eq!(cid(&[]).map_err(|error| error.status()), Err(400));
    }
}
