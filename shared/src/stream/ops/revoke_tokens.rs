//! `PATCH /api/v2/users`: revokes the tokens of a user.

use http::Method;
use serde_json::json;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::stream::ops::UpdateUsersResponse;
use crate::stream::{Operation, Request};

/// Revokes the user's tokens whose `iat` is before the revocation cutoff.
#[derive(Debug)]
pub struct RevokeTokens<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The revocation cutoff.
    pub before: Timestamp,
}

impl Operation for RevokeTokens<'_> {
    type Response = UpdateUsersResponse;

    fn request(&self) -> Request {
        let set = json!({"revoke_tokens_issued_before": self.before.to_string()});
        let user = json!({"id": self.user, "set": set});
        Request::new(Method::PATCH, &["users"]).json(&json!({"users": [user]}))
    }

    /// The response must contain the user. The models of Stream leave open whether it contains the
    /// cutoff. If it does, the cutoff must not be an earlier one.
    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.users.get(self.user.as_str()).is_some_and(|user| {
            user.revoke_tokens_issued_before.is_none_or(|cutoff| cutoff.0 >= self.before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::user_id;

    #[test]
    fn response_must_contain_the_user_and_no_earlier_cutoff() {
        let alice = user_id("alice");
        let request =
            RevokeTokens { user: &alice, before: Timestamp::from_millis(1_767_225_600_000) };
        let user = |cutoff: serde_json::Value| {
            json!({"users": {"alice": {
                "id": "alice", "role": "user", "language": "", "banned": false, "custom": {},
                "revoke_tokens_issued_before": cutoff,
            }}})
        };
        for (body, is_done) in [
            (user(json!("2026-01-01T00:00:00Z")), true),
            (user(json!(1_767_225_600_000_000_000_i64)), true),
            (user(json!(null)), true),
            (user(json!("2025-12-31T23:59:59Z")), false),
            (json!({"users": {}}), false),
            (json!({"users": {"bob": {"id": "bob"}}}), false),
        ] {
            let response = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(request.is_answered_by(&response), is_done, "{body}");
        }
    }
}
