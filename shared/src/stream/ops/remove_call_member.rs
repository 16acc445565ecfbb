//! `POST /api/v2/video/call/{type}/{id}/members`: removes a member of a call.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::{CallCid, UserId};
use crate::stream::lenient::entries;
use crate::stream::{Operation, Request, StreamTime};

/// Removes a member of the call, which goes on. Returns 404 if the call does not exist.
#[derive(Debug)]
pub struct RemoveCallMember<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The member.
    pub user: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct RemoveCallMemberResponse {
    /// The duration of the operation.
    pub duration: String,
    /// The members of the call.
    #[serde(deserialize_with = "entries")]
    pub members: Vec<CallMember>,
}

/// A member of a call at Stream.
#[derive(Debug, Deserialize)]
pub struct CallMember {
    /// The user.
    pub user_id: String,
    /// When the member was removed, or `None`.
    pub deleted_at: Option<StreamTime>,
}

impl Operation for RemoveCallMember<'_> {
    type Response = RemoveCallMemberResponse;

    fn request(&self) -> Request {
        let segments =
            ["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str(), "members"];
        Request::new(Method::POST, &segments).json(&json!({"remove_members": [self.user]}))
    }

    /// The response must not contain the user as a member. Stream's models leave open whether it
    /// contains all members, or none.
    fn is_answered_by(&self, response: &Self::Response) -> bool {
        let is_member = |member: &CallMember| {
            member.user_id == self.user.as_str() && member.deleted_at.is_none()
        };
        !response.members.iter().any(is_member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::user_id;

    #[test]
    fn response_must_not_contain_the_user_as_a_member() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let alice = user_id("alice");
        let request = RemoveCallMember { cid: &cid, user: &alice };
        for (members, is_done) in [
            (json!([]), true),
            (json!(null), true),
            (json!([{"user_id": "bob"}]), true),
            (json!([{"user_id": "alice", "deleted_at": "2026-01-01T00:00:00Z"}]), true),
            (json!([{"user_id": "bob"}, {"user_id": "alice"}]), false),
        ] {
            let body = json!({"duration": "1ms", "members": members});
            let response = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(request.is_answered_by(&response), is_done, "{body}");
        }
    }
}
