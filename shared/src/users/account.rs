//! The account of a user at Stream: its status and its bans.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::join;
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::store::StoreError;
use crate::stream::ops::StreamUser;

/// The status of a user's account at Stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// The user is active.
    #[default]
    Active,
    /// The user was deactivated, and can be reactivated.
    Deactivated,
    /// The user was deleted; the id cannot be used again.
    Deleted,
}

impl UserStatus {
    /// Returns an error unless the user is active.
    pub fn require_active(self) -> Result<(), ApiError> {
        match self {
            Self::Active => Ok(()),
            Self::Deactivated => Err(ApiError::from_code(Code::UserDeactivated)),
            Self::Deleted => Err(ApiError::from_code(Code::UserDeleted)),
        }
    }
}

/// A ban from the whole app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// When the ban ends. A ban without an end has [`Ban::FOREVER`].
    pub until: Timestamp,
}

impl Ban {
    /// The end of a ban without an end: the last second of the year 9999.
    pub const FOREVER: Timestamp = Timestamp::from_secs(253_402_300_799);

    /// The ban of a user at Stream.
    #[must_use]
    pub fn from_stream(user: &StreamUser) -> Option<Self> {
        let until = user.ban_expires.map_or(Self::FOREVER, |at| at.0);
        user.banned.then_some(Self { until })
    }

    /// Whether the ban is in force.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// The account of a user in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The status.
    pub status: UserStatus,
    /// The last ban, if there was one.
    pub ban: Option<Ban>,
    /// Whether the user exists at Stream.
    pub exists_at_stream: bool,
}

impl Account {
    /// Returns an error if the user is deactivated, deleted or banned.
    ///
    /// # Errors
    ///
    /// `user_deactivated`, `user_deleted`, `user_banned`.
    pub fn require_active(&self, now: Timestamp) -> Result<(), ApiError> {
        self.status.require_active()?;
        if self.ban.is_some_and(|ban| ban.is_in_force(now)) {
            return Err(ApiError::from_code(Code::UserBanned));
        }
        Ok(())
    }

    /// Whether the user can become a member of a call.
    #[must_use]
    pub fn can_be_called(&self, now: Timestamp) -> bool {
        self.exists_at_stream && self.require_active(now).is_ok()
    }
}

/// The call that a user joined last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinedCall {
    /// The call.
    pub call_id: CallId,
    /// When the user joined it, by Stream's clock.
    pub joined_at: Timestamp,
}

/// The members of a new call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMembers {
    /// The accounts. Users who do not exist are left out.
    pub accounts: BTreeMap<UserId, Account>,
    /// The call that the callee joined last.
    pub joined_call: Option<JoinedCall>,
}

/// Reads accounts.
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// Reads the account of a user, with eventual consistency. Sends one request.
    async fn get_account(&self, id: &UserId) -> Result<Option<Account>, StoreError>;
}

/// Reads the members of new calls.
#[async_trait]
pub trait MemberReader: Send + Sync {
    /// Reads the accounts of at most 100 users with strong consistency, and with the same request the
    /// call that the callee joined last. With a callee, there are at most 99 users. Sends one request,
    /// or a second one if the table leaves keys unprocessed.
    async fn get_members(
        &self,
        ids: &[UserId],
        callee: Option<&UserId>,
    ) -> Result<CallMembers, StoreError>;
}

/// Writes the status and the bans of accounts. Each method sends one request.
#[async_trait]
pub trait AccountWriter: Send + Sync {
    /// Stores the status of an existing user. The newest event wins, and a deletion is final. An
    /// event from before the user's item is ignored.
    async fn set_status(
        &self,
        id: &UserId,
        status: UserStatus,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores the ban of an existing user, or that it is lifted. The newest event wins. An event
    /// from before the user's item is ignored.
    async fn set_ban(&self, id: &UserId, ban: Option<Ban>, at: Timestamp)
    -> Result<(), StoreError>;
}

/// Writes accounts, and the calls that users join. Each method sends one request.
#[async_trait]
pub trait JoinedCallWriter: AccountWriter {
    /// Stores the call that a user joined, unless the user joined another call later.
    async fn set_joined_call(&self, user: &UserId, joined: &JoinedCall) -> Result<(), StoreError>;
}

/// Reads names. Each method sends one request, or a second one if the table leaves keys
/// unprocessed.
#[async_trait]
pub trait NameReader: Send + Sync {
    /// Reads the names of at most 100 users. Users without a name are left out.
    async fn get_names(&self, ids: &[UserId]) -> Result<BTreeMap<UserId, String>, StoreError>;
}

/// Rejects a caller who is deactivated, deleted or banned. A service is not rejected: it acts for
/// other users. Neither is a user who is not in the table, who is not a member of any call.
///
/// # Errors
///
/// `user_deactivated`, `user_deleted`, `user_banned`, `store_unavailable`.
async fn require_active(
    accounts: &dyn AccountReader,
    caller: &Caller,
    now: Timestamp,
) -> Result<(), ApiError> {
    if caller.is_service {
        return Ok(());
    }
    match accounts.get_account(&caller.user).await? {
        Some(account) => account.require_active(now),
        None => Ok(()),
    }
}

/// Runs an operation concurrently with the check of the account, whose error takes precedence.
///
/// # Errors
///
/// Those of the check and of the operation.
pub async fn require_active_alongside<T, E>(
    accounts: &dyn AccountReader,
    caller: &Caller,
    now: Timestamp,
    operation: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, ApiError>
where
    ApiError: From<E>,
{
    let (account, result) = join(require_active(accounts, caller, now), operation).await;
    account?;
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    #[test]
    fn account_is_rejected_by_status_and_ban() {
        use UserStatus::{Active, Deactivated, Deleted};
        for (status, banned_until, now, code) in [
            (Active, None, 0, None),
            (Deactivated, None, 0, Some(Code::UserDeactivated)),
            (Deleted, None, 0, Some(Code::UserDeleted)),
            (Active, Some(at(60)), 59, Some(Code::UserBanned)),
            (Active, Some(at(60)), 60, None),
            (Active, Some(Ban::FOREVER), i64::from(u32::MAX), Some(Code::UserBanned)),
            (Deactivated, Some(Ban::FOREVER), 0, Some(Code::UserDeactivated)),
        ] {
            let ban = banned_until.map(|until| Ban { until });
            let account = Account { status, ban, exists_at_stream: true };
            let rejected = account.require_active(at(now)).err().map(|error| error.code());
            assert_eq!(rejected, code, "{status:?} {banned_until:?} {now}");
            assert_eq!(account.can_be_called(at(now)), code.is_none());
        }
        assert!(!Account::default().can_be_called(at(0)));
    }

    #[test]
    fn ban_at_stream_ends_at_its_expiry() {
        let user = |json| serde_json::from_value::<StreamUser>(json).unwrap();
        for (user, until) in [
            (user(serde_json::json!({"id": "a", "banned": false})), None),
            (user(serde_json::json!({"id": "a", "banned": true})), Some(Ban::FOREVER)),
            (
                user(serde_json::json!({
                    "id": "a", "banned": true, "ban_expires": "2026-01-01T00:01:00Z"
                })),
                Some(at(60)),
            ),
        ] {
            assert_eq!(Ban::from_stream(&user).map(|ban| ban.until), until);
        }
    }
}
