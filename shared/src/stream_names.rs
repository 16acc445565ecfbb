//! The configured names at Stream: the call type of new calls, and the user who creates channels.

use crate::config::{ConfigError, Env};
use crate::ids::{CallTypeName, UserId};

/// Reads `STREAM_CALL_TYPE`: the call type of new calls, `default` by default.
pub fn call_type(env: &Env) -> Result<CallTypeName, ConfigError> {
    const NAME: &str = "STREAM_CALL_TYPE";
    let Some(name) = env.get(NAME) else { return Ok(CallTypeName::default()) };
    CallTypeName::try_from(name.to_owned())
        .map_err(|error| ConfigError::invalid(NAME, error.to_string()))
}

/// Reads `STREAM_SERVICE_USER`: the user who creates the channels of calls, `stream-functions` by
/// default. The id is reserved: no caller can sign in as that user.
pub fn service_user(env: &Env) -> Result<UserId, ConfigError> {
    const NAME: &str = "STREAM_SERVICE_USER";
    UserId::try_from(env.get_or(NAME, "stream-functions").to_owned())
        .map_err(|error| ConfigError::invalid(NAME, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_defaults_and_must_be_ids() {
        let env = Env::default();
        assert_eq!(call_type(&env).unwrap().as_str(), "default");
        assert_eq!(service_user(&env).unwrap().as_str(), "stream-functions");
        let env = Env::from([("STREAM_CALL_TYPE", "private"), ("STREAM_SERVICE_USER", "bot")]);
        assert_eq!(call_type(&env).unwrap().as_str(), "private");
        assert_eq!(service_user(&env).unwrap().as_str(), "bot");
        let env = Env::from([("STREAM_CALL_TYPE", "a:b"), ("STREAM_SERVICE_USER", "a b")]);
        assert!(call_type(&env).is_err() && service_user(&env).is_err());
    }
}
