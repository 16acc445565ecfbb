//! Who may create calls.

use crate::auth::Caller;
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;

/// The callers who may create calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallCreators {
    /// Every signed-in user, and services.
    Users,
    /// Services only. They check first whether the user may call.
    Service,
}

impl CallCreators {
    /// Reads `CALL_CREATORS`: `users` (the default) or `service`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const NAME: &str = "CALL_CREATORS";
        match env.get_or(NAME, "users") {
            "users" => Ok(Self::Users),
            "service" => Ok(Self::Service),
            _ => Err(ConfigError::invalid(NAME, "must be users or service")),
        }
    }

    /// The owner of a new call: the user whom a service names, or the caller.
    ///
    /// # Errors
    ///
    /// `creators_restricted`, `user_mismatch`, and `invalid_body` if a service must name the owner.
    pub fn resolve_owner(
        self,
        caller: &Caller,
        requested: Option<UserId>,
    ) -> Result<UserId, ApiError> {
        if self == Self::Service && !caller.is_service {
            return Err(ApiError::from_code(Code::CreatorsRestricted));
        }
        match requested {
            Some(owner) if caller.may_act_for(&owner) => Ok(owner),
            Some(_) => Err(ApiError::new(
                Code::UserMismatch,
                "ownerId must be the id of the signed-in user",
            )),
            None if self == Self::Service => {
                Err(ApiError::invalid_field("/ownerId", "ownerId is required"))
            }
            None => Ok(caller.user.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::user_id;

    #[test]
    fn creators_are_users_by_default() {
        for (value, creators) in [
            ("", Some(CallCreators::Users)),
            ("users", Some(CallCreators::Users)),
            ("service", Some(CallCreators::Service)),
            ("Service", None),
            ("members", None),
        ] {
            let env = Env::from([("CALL_CREATORS", value)]);
            assert_eq!(CallCreators::from_env(&env).ok(), creators, "{value}");
        }
    }

    #[test]
    fn owner_is_the_caller_or_named_by_a_service() {
        use CallCreators::{Service, Users};
        let cases = [
            // creators, caller is a service, requested owner, result
            (Users, false, None, Ok("alice")),
            (Users, false, Some("alice"), Ok("alice")),
            (Users, false, Some("bob"), Err(Code::UserMismatch)),
            (Users, true, None, Ok("alice")),
            (Users, true, Some("bob"), Ok("bob")),
            (Service, false, None, Err(Code::CreatorsRestricted)),
            (Service, false, Some("alice"), Err(Code::CreatorsRestricted)),
            (Service, true, None, Err(Code::InvalidBody)),
            (Service, true, Some("bob"), Ok("bob")),
        ];
        for (creators, is_service, requested, expected) in cases {
            let user = user_id("alice");
            let caller = Caller { user, role: None, is_service, session_started_at: None };
            let owner = creators.resolve_owner(&caller, requested.map(user_id));
            let owner = owner.map_err(|error| error.code());
            assert_eq!(owner, expected.map(user_id), "{creators:?} {is_service} {requested:?}");
        }
    }
}
