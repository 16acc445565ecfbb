//! The user who performs an operation: the user of the token or, with a server token, the user whom
//! the request names.

use serde::Deserialize;

use super::users::UserRef;
use crate::error::StreamError;

/// The user in a request, which a user token does not need.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ActingUser {
    user_id: Option<String>,
    user: Option<UserRef>,
}

impl ActingUser {
    pub(super) const fn new(user_id: Option<String>, user: Option<UserRef>) -> Self {
        Self { user_id, user }
    }

    /// The user of the token, or the named one. `object` is the part of the request that names it.
    pub(super) fn resolve(
        self,
        object: &str,
        token_user: Option<&str>,
    ) -> Result<String, StreamError> {
        let named = self.user_id.or(self.user.map(|user| user.id));
        token_user.map(str::to_owned).or(named).ok_or_else(|| {
            StreamError::invalid_input(format!(
                "either {object}.user or {object}.user_id must be provided when using server side \
                 auth."
            ))
        })
    }
}
