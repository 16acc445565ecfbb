//! What a deployment requires of its Stream app.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::auth::StreamRoleMap;
use shared::calls::timeouts;
use shared::config::{ConfigError, Env};
use shared::ids::{CallTypeName, UserId};
use shared::stream::call_type::RingSettings;
use shared::stream_names;

/// The deployment's requirements for the app.
#[derive(Debug)]
pub(crate) struct Requirements {
    /// The call type of new calls.
    pub(crate) call_type: CallTypeName,
    /// The user who creates the channels of calls.
    pub(crate) service_user: UserId,
    /// The roles that the functions assign to users.
    pub(crate) roles: BTreeSet<String>,
    /// How long a call waits for a member to join.
    pub(crate) ring_timeout: Duration,
    /// The longest duration of a call.
    pub(crate) max_duration: Duration,
}

impl Requirements {
    /// Reads the variables that the functions read. `call_type` replaces `STREAM_CALL_TYPE`.
    pub(crate) fn from_env(
        env: &Env,
        call_type: Option<&CallTypeName>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            call_type: match call_type {
                Some(name) => name.clone(),
                None => stream_names::call_type(env)?,
            },
            service_user: stream_names::service_user(env)?,
            roles: StreamRoleMap::from_env(env)?.names(),
            ring_timeout: timeouts::ring_timeout(env)?,
            max_duration: timeouts::max_duration(env)?,
        })
    }

    /// The ring settings of the call type.
    pub(crate) fn ring_settings(&self) -> RingSettings {
        RingSettings::for_timeout(self.ring_timeout)
    }
}
