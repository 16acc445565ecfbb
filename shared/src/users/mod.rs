//! Users: the profile that we remember of each, and how Stream comes to know it.

pub mod dynamo;
mod profile;
mod revoke;
mod store;

pub use profile::{Profile, ProfileChange};
pub use store::{
    GetAndCountResult, Revocation, RevokeResult, SyncResult, User, UserStatus, UserStore,
};

use std::sync::Arc;

use crate::auth::{Caller, StreamRole, StreamRoleMap};
use crate::clock::{Clock, Deadline};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Permit;
use crate::stream::ops::{QueryUser, ReactivateUser, UpsertUser};
use crate::stream::{StreamClient, StreamError};

/// What becomes of a token request by a user who is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownUserPolicy {
    /// The user is made known.
    #[default]
    Provision,
    /// The request is refused: an upsert has to come first.
    Reject,
}

impl UnknownUserPolicy {
    /// Reads `UNKNOWN_USERS`: `provision` (the default) or `reject`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.get_or("UNKNOWN_USERS", "provision") {
            "provision" => Ok(Self::Provision),
            "reject" => Ok(Self::Reject),
            _ => Err(ConfigError::invalid("UNKNOWN_USERS", "must be 'provision' or 'reject'")),
        }
    }
}

/// The users, in the table and at Stream.
#[derive(Clone)]
pub struct UserService {
    /// The profiles.
    pub store: Arc<dyn UserStore>,
    /// Stream.
    pub stream: StreamClient,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How often a profile is sent to Stream that others keep changing meanwhile.
const MAX_ATTEMPTS: u32 = 5;

impl UserService {
    /// The user, if there is one, with this request counted by the same question to the table.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `store_unavailable`.
    pub async fn find_and_count(
        &self,
        id: &UserId,
        permit: Permit<'_>,
    ) -> Result<Option<User>, ApiError> {
        let Some(quota) = permit.quota() else { return Ok(self.store.get(id).await?) };
        match self.store.get_and_count(id, quota).await? {
            GetAndCountResult::Counted(user, count) => {
                permit.record_count(Some(count))?;
                Ok(Some(user))
            }
            GetAndCountResult::UserDeleted(user) => Ok(Some(user)),
            GetAndCountResult::LimitExceeded => permit.record_count(None).map(|()| None),
            // Where nobody is, there is no place to count but the limit's own.
            GetAndCountResult::UserNotFound => permit.consume().await.map(|()| None),
        }
    }

    /// The user that was found, if known and as the change would have it; otherwise made so.
    ///
    /// A known user whom the change would not change costs no request at all.
    ///
    /// # Errors
    ///
    /// `user_not_found` where unknown users are rejected, `user_deactivated`, `session_revoked`
    /// where the caller's session is, and those of [`Users::upsert`].
    pub async fn get_or_provision(
        &self,
        caller: &Caller,
        id: &UserId,
        found: Option<User>,
        change: &ProfileChange,
        policy: UnknownUserPolicy,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        if let Some(user) = &found {
            user.status.require_active()?;
            user.require_session(caller)?;
        }
        match found {
            Some(user) if user.is_synced() && !change.changes(&user.profile) => Ok(user),
            None if policy == UnknownUserPolicy::Reject => Err(ApiError::new(
                Code::UserNotFound,
                "this user is not known; upsert the user first",
            )),
            _ => self.upsert(id, change, deadline).await,
        }
    }

    /// Merges a change into the profile and makes Stream know the whole of it. Of a user whom
    /// Stream knew before we did, what the change leaves out is taken over first: the whole of a
    /// profile replaces what is there.
    ///
    /// The table comes first and counts versions. Two changes may reach Stream in the wrong
    /// order; the one that was overtaken in the table finds that out when it confirms its version,
    /// and sends the newest once more.
    ///
    /// # Errors
    ///
    /// `user_deleted`, `user_deactivated`, `store_unavailable`, and what Stream's failures become.
    pub async fn upsert(
        &self,
        id: &UserId,
        change: &ProfileChange,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        let mut user = self.store.merge(id, change, self.clock.now()).await?;
        user.status.require_active()?;
        if user.synced_version == 0 {
            user = self.import_from_stream(user, deadline).await?;
        }
        for _ in 0..MAX_ATTEMPTS {
            let upsert = UpsertUser { id, data: user.profile.as_user_data() };
            self.stream.send(&upsert, deadline).await?;
            match self.store.confirm_version(id, user.version).await? {
                SyncResult::Confirmed => return Ok(user),
                SyncResult::Superseded(newer) => user = newer,
            }
        }
        Err(ApiError::new(Code::StoreUnavailable, "the profile is being changed by many at once"))
    }

    /// Lets a deactivated user in again, which only a service may ask for.
    ///
    /// # Errors
    ///
    /// `store_unavailable`, and what Stream's failures become.
    pub async fn reactivate(&self, id: &UserId, deadline: Deadline) -> Result<(), ApiError> {
        let is_deactivated =
            self.store.get(id).await?.is_some_and(|user| user.status == UserStatus::Deactivated);
        if is_deactivated {
            match self.stream.send(&ReactivateUser { id }, deadline).await {
                // It is active there already, and only the news of it was lost.
                Ok(_) | Err(StreamError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
            self.store.set_status(id, UserStatus::Active, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Adds what Stream knows of a user, and we do not.
    async fn import_from_stream(&self, user: User, deadline: Deadline) -> Result<User, ApiError> {
        let response = self.stream.send(&QueryUser { id: &user.id }, deadline).await?;
        let Some(stream_user) = response.users.into_iter().next() else { return Ok(user) };
        let imported = ProfileChange {
            name: stream_user.name,
            image: stream_user.image,
            language: Some(stream_user.language).filter(|language| !language.is_empty()),
            custom: Some(stream_user.custom).filter(|custom| !custom.is_empty()),
            role: Some(stream_user.role.map_or_else(StreamRole::default, StreamRole::new)),
        };
        Ok(self.store.fill_missing(&user.id, &imported, self.clock.now()).await?)
    }
}

/// The role to store for a user: that of the caller's token where the caller is that user, and
/// otherwise none, which leaves it as it is.
#[must_use]
pub fn role_for(caller: &Caller, user: &UserId, roles: &StreamRoleMap) -> Option<StreamRole> {
    (caller.user == *user).then(|| roles.map_role(caller.role.as_deref()))
}
