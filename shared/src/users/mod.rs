//! Users: the profile that we remember of each, and how Stream comes to know it.

pub mod dynamo;
mod profile;
mod revoke;
mod store;

pub use profile::{Profile, ProfileChange};
pub use store::{Counted, Revocation, Revoked, Synced, User, UserStatus, UserStore};

use std::sync::Arc;

use crate::auth::{Caller, StreamRole, StreamRoles};
use crate::clock::{Clock, Deadline};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::limits::Admission;
use crate::stream::ops::{QueryUser, ReactivateUser, UpsertUser};
use crate::stream::{Stream, StreamError};

/// What becomes of a token request by a user who is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownUsers {
    /// The user is made known.
    #[default]
    Provision,
    /// The request is refused: an upsert has to come first.
    Reject,
}

impl UnknownUsers {
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
pub struct Users {
    /// The profiles.
    pub store: Arc<dyn UserStore>,
    /// Stream.
    pub stream: Stream,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How often a profile is sent to Stream that others keep changing meanwhile.
const ROUNDS: u32 = 5;

impl Users {
    /// The user, if there is one, with this request counted by the same question to the table.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `store_unavailable`.
    pub async fn find_counted(
        &self,
        id: &UserId,
        admission: Admission<'_>,
    ) -> Result<Option<User>, ApiError> {
        let Some(quota) = admission.quota() else { return Ok(self.store.get(id).await?) };
        match self.store.get_counted(id, quota).await? {
            Counted::Within(user, count) => {
                admission.counted_as(Some(count))?;
                Ok(Some(user))
            }
            Counted::Deleted(user) => Ok(Some(user)),
            Counted::Over => admission.counted_as(None).map(|()| None),
            // Where nobody is, there is no place to count but the limit's own.
            Counted::Missing => admission.counted().await.map(|()| None),
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
    pub async fn known_or_provision(
        &self,
        caller: &Caller,
        id: &UserId,
        found: Option<User>,
        change: &ProfileChange,
        unknown: UnknownUsers,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        if let Some(user) = &found {
            user.status.require_active()?;
            user.require_session(caller)?;
        }
        match found {
            Some(user) if user.is_known() && !change.changes(&user.profile) => Ok(user),
            None if unknown == UnknownUsers::Reject => Err(ApiError::new(
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
        if user.synced == 0 {
            user = self.take_over(user, deadline).await?;
        }
        for _ in 0..ROUNDS {
            let upsert = UpsertUser { id, profile: &user.profile };
            self.stream.send(&upsert, deadline).await?;
            match self.store.confirm(id, user.version).await? {
                Synced::Confirmed => return Ok(user),
                Synced::Overtaken(newer) => user = newer,
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
        let deactivated =
            self.store.get(id).await?.is_some_and(|user| user.status == UserStatus::Deactivated);
        if deactivated {
            match self.stream.send(&ReactivateUser { id }, deadline).await {
                // It is active there already, and only the news of it was lost.
                Ok(_) | Err(StreamError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
            self.store.set_status(id, UserStatus::Active, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Adds what Stream knows of a user, and we do not.
    async fn take_over(&self, user: User, deadline: Deadline) -> Result<User, ApiError> {
        let found = self.stream.send(&QueryUser { id: &user.id }, deadline).await?;
        let Some(theirs) = found.users.into_iter().next() else { return Ok(user) };
        let known = ProfileChange {
            name: theirs.name,
            image: theirs.image,
            language: Some(theirs.language).filter(|language| !language.is_empty()),
            custom: Some(theirs.custom).filter(|custom| !custom.is_empty()),
            role: Some(theirs.role),
        };
        Ok(self.store.fill(&user.id, &known, self.clock.now()).await?)
    }
}

/// The role to store for a user: that of the caller's token where the caller is that user, and
/// otherwise none, which leaves it as it is.
#[must_use]
pub fn role_for(caller: &Caller, user: &UserId, roles: &StreamRoles) -> Option<StreamRole> {
    (caller.user == *user).then(|| roles.of(caller.role.as_deref()))
}
