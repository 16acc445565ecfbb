//! Authentication of callers by bearer token.

mod claims;
pub mod crypto;
mod error;
pub(crate) mod jwks;
mod jwks_verifier;
mod jws;
#[cfg(test)]
mod provider_tests;
mod roles;
mod user_id_encoding;
mod verifier;

pub use error::{AuthError, TokenError};
pub use roles::{StreamRole, StreamRoleMap};
pub use verifier::Verifier;

use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::UserId;

/// The authenticated caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user in the token, in the encoding of `JWT_USER_ID_ENCODING`.
    pub user: UserId,
    /// The role in the token, one of the roles of the apps.
    pub role: Option<String>,
    /// Whether the caller is a service, which may act for other users.
    pub is_service: bool,
    /// When the session began, if the token contains that claim: `iat`, or the claim of
    /// `JWT_AUTH_TIME_CLAIM`.
    pub session_started_at: Option<Timestamp>,
}

impl Caller {
    /// Whether the caller may act for this user.
    #[must_use]
    pub fn may_act_for(&self, user: &UserId) -> bool {
        self.is_service || *user == self.user
    }

    /// Rejects a caller who is not a service.
    pub fn require_service(&self, detail: &'static str) -> Result<(), ApiError> {
        if self.is_service { Ok(()) } else { Err(ApiError::new(Code::UserMismatch, detail)) }
    }

    /// The user that a request acts for: `requested` if it is the caller or the caller is a
    /// service, and the caller if `requested` is `None`.
    pub fn resolve_user(&self, requested: Option<UserId>) -> Result<UserId, ApiError> {
        match requested {
            None => Ok(self.user.clone()),
            Some(user) if self.may_act_for(&user) => Ok(user),
            Some(_) => Err(ApiError::new(
                Code::UserMismatch,
                "userId must be the id of the signed-in user",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_may_act_for_other_users() {
        let user = |name: &str| UserId::try_from(name.to_owned()).unwrap();
        let caller = |service| Caller {
            user: user("alice"),
            role: None,
            is_service: service,
            session_started_at: None,
        };
        assert_eq!(caller(false).resolve_user(None).unwrap(), user("alice"));
        assert_eq!(caller(false).resolve_user(Some(user("alice"))).unwrap(), user("alice"));
        assert_eq!(caller(true).resolve_user(Some(user("bob"))).unwrap(), user("bob"));
        let error = caller(false).resolve_user(Some(user("bob"))).unwrap_err();
        assert_eq!(error.code(), Code::UserMismatch);
    }
}
