//! The store of users.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::rate_limiter::Quota;
use crate::store::StoreError;
use crate::users::{Account, AccountWriter, Ban, Profile, ProfileChange, UserStatus};

/// Who changes a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileWriter {
    /// The user. A deactivated or banned user changes nothing.
    User,
    /// A service. It reactivates a deactivated user, and may change the profile of a banned one.
    Service,
}

/// A user in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The profile.
    pub profile: Profile,
    /// The version of the profile, from 1. Each change increments it.
    pub version: u64,
    /// The latest version that Stream has confirmed; 0 if none.
    pub synced_version: u64,
    /// The revocation cutoff: Stream rejects tokens whose `iat` is earlier.
    pub revoked_at: Option<Timestamp>,
    /// Sessions that began earlier get no Stream token.
    pub sessions_revoked_at: Option<Timestamp>,
    /// The status of the account at Stream.
    pub status: UserStatus,
    /// The last ban, if there was one.
    pub ban: Option<Ban>,
}

impl User {
    /// Whether Stream has the current version of the profile.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced_version == self.version
    }

    /// The account of the user.
    #[must_use]
    pub fn account(&self) -> Account {
        Account { status: self.status, ban: self.ban, exists_at_stream: self.synced_version > 0 }
    }
}

/// The result of [`UserStore::merge`] and [`UserStore::fill_missing`].
#[derive(Clone, Debug, PartialEq)]
pub enum MergeResult {
    /// The user with the changed profile.
    Merged(User),
    /// The user may not change the profile, and it is unchanged.
    Inactive(User),
    /// The custom data would exceed its size limit, and the profile is unchanged.
    CustomTooLarge,
    /// Concurrent requests keep changing the custom data.
    Conflict,
}

/// Why a profile is pushed to Stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushPurpose {
    /// The first push of a user, or a push by a service. It may use the whole quota.
    Provision,
    /// A change by the user, which may use half of the quota.
    Change,
}

/// A profile that waits for its push to Stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedPush {
    /// The user.
    pub user: UserId,
    /// When the push was queued.
    pub at: Timestamp,
}

/// The revocation of a user's tokens and sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Sessions that began before this second get no Stream token.
    pub sessions_before: Timestamp,
    /// The revocation cutoff, a whole second: Stream rejects tokens whose `iat` is earlier.
    pub tokens_before: Timestamp,
}

/// The result of [`UserStore::revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeResult {
    /// The revocation is stored.
    Recorded,
    /// Another request has stored this revocation, whose cutoff is not earlier than the new one.
    AlreadyRevoked(Revocation),
    /// The user does not exist.
    UserNotFound,
}

/// The result of [`UserStore::get_and_count`].
#[derive(Clone, Debug, PartialEq)]
pub enum GetAndCountResult {
    /// The user, and the number of requests in the window.
    Counted(User, u32),
    /// The user is deleted, and the request was not counted.
    UserDeleted(User),
    /// The request exceeds the limit, and was not counted.
    LimitExceeded,
    /// The user does not exist, and the request was not counted.
    UserNotFound,
}

/// The result of [`UserStore::confirm_version`].
#[derive(Clone, Debug, PartialEq)]
pub enum SyncResult {
    /// The version is the newest.
    Confirmed,
    /// The user has this newer version.
    Superseded(User),
}

/// The store of users: profiles, revocations and pushes. Each method sends one request, with two
/// exceptions: [`UserStore::get_and_count`], and a change of custom data, which sends one request per
/// attempt.
#[async_trait]
pub trait UserStore: AccountWriter {
    /// Reads a user.
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// Reads a user and counts a token request, unless the quota is exhausted. The second and later
    /// requests of a window cost a second write.
    async fn get_and_count(
        &self,
        id: &UserId,
        quota: Quota,
    ) -> Result<GetAndCountResult, StoreError>;

    /// Merges a change into the profile, or creates it, and increments the version.
    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        writer: ProfileWriter,
        at: Timestamp,
    ) -> Result<MergeResult, StoreError>;

    /// Adds only the fields that the profile does not have yet, and increments the version.
    async fn fill_missing(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<MergeResult, StoreError>;

    /// Stores that Stream has this version, if it is still the newest.
    async fn confirm_version(&self, id: &UserId, version: u64) -> Result<SyncResult, StoreError>;

    /// Makes the profile count as not pushed: an older version may have reached Stream after the
    /// newest one.
    async fn retract_confirmation(&self, id: &UserId) -> Result<(), StoreError>;

    /// Stores a revocation if its cutoff is later than the stored one.
    async fn revoke(&self, id: &UserId, revocation: Revocation)
    -> Result<RevokeResult, StoreError>;

    /// Takes one push from the quota of the minute. False if none is left for this purpose.
    async fn acquire_push_quota(
        &self,
        purpose: PushPurpose,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Queues the push of a user's profile.
    async fn queue_push(&self, id: &UserId, at: Timestamp) -> Result<(), StoreError>;
}

/// The store of queued pushes. Each method sends one request; [`QueuedPushStore::load_users`] may send
/// a second one.
#[async_trait]
pub trait QueuedPushStore: Send + Sync {
    /// Lists at most `limit` queued pushes.
    async fn list_queued(&self, limit: u16) -> Result<Vec<QueuedPush>, StoreError>;

    /// Reads the users of at most 100 queued pushes. Users who do not exist are left out. Sends a
    /// second request if the table leaves keys unprocessed.
    async fn load_users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;

    /// Removes a queued push, unless it was queued again.
    async fn remove_queued(&self, push: &QueuedPush) -> Result<(), StoreError>;
}
