//! Users in the table: one item per user with `pk = USER#<userId>` and `sk = PROFILE`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::StreamRole;
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, Table, attribute_names, key, number, parse_item, text,
    update_conditionally,
};
use crate::ids::UserId;
use crate::rate_limiter::Quota;
use crate::store::StoreError;
use crate::users::{
    GetAndCountResult, Profile, ProfileChange, Revocation, RevokeResult, SyncResult, User,
    UserStatus, UserStore,
};

/// The store of users in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoUserStore(Table);

impl DynamoUserStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

fn item_key(id: &UserId) -> Item {
    key(format!("USER#{id}"), "PROFILE")
}

/// A user's item. Custom data is stored as JSON text, since DynamoDB's numbers differ from JSON's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserItem {
    user_id: UserId,
    name: Option<String>,
    image: Option<String>,
    language: Option<String>,
    custom: Option<String>,
    role: Option<StreamRole>,
    version: u64,
    #[serde(default)]
    synced: u64,
    revoked_at: Option<Timestamp>,
    sessions_revoked_at: Option<Timestamp>,
    #[serde(default)]
    status: UserStatus,
}

fn parse_user(item: Item) -> Result<User, StoreError> {
    let item: UserItem = parse_item(item)?;
    let custom = item.custom.map(|text| serde_json::from_str(&text)).transpose();
    Ok(User {
        id: item.user_id,
        profile: Profile {
            name: item.name,
            image: item.image,
            language: item.language,
            custom: custom.map_err(|error| StoreError::Internal(error.into()))?,
            role: item.role.unwrap_or_default(),
        },
        version: item.version,
        synced_version: item.synced,
        revoked_at: item.revoked_at,
        sessions_revoked_at: item.sessions_revoked_at,
        status: item.status,
    })
}

fn parse_counted(item: Item) -> Result<GetAndCountResult, StoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CountItem {
        token_count: u32,
    }
    let CountItem { token_count } = parse_item(item.clone())?;
    Ok(GetAndCountResult::Counted(parse_user(item)?, token_count))
}

/// What an update does with a field that the profile has already.
#[derive(Clone, Copy)]
enum ConflictPolicy {
    /// Replaces it.
    Replace,
    /// Keeps it.
    KeepExisting,
}

impl DynamoUserStore {
    async fn update_profile(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
        on_conflict: ConflictPolicy,
    ) -> Result<User, StoreError> {
        let custom = change.custom.clone().map(|custom| Value::Object(custom).to_string());
        let fields = [
            ("name", change.name.as_deref()),
            ("image", change.image.as_deref()),
            ("language", change.language.as_deref()),
            ("custom", custom.as_deref()),
            ("role", change.role.as_ref().map(StreamRole::as_str)),
        ];
        let mut assignments = vec![
            "#userId = :userId".to_owned(),
            "#updatedAt = :at".to_owned(),
            "#createdAt = if_not_exists(#createdAt, :at)".to_owned(),
        ];
        let mut attributes = vec!["userId", "updatedAt", "createdAt", "version", "status"];
        let mut values = HashMap::from([
            (":userId".to_owned(), text(id.as_str())),
            (":at".to_owned(), number(at.as_millis())),
            (":one".to_owned(), number(1)),
            (":active".to_owned(), text("active")),
        ]);
        for (name, value) in fields {
            let Some(value) = value else { continue };
            assignments.push(match on_conflict {
                ConflictPolicy::Replace => format!("#{name} = :{name}"),
                ConflictPolicy::KeepExisting => {
                    format!("#{name} = if_not_exists(#{name}, :{name})")
                }
            });
            attributes.push(name);
            values.insert(format!(":{name}"), text(value));
        }
        let update = self
            .0
            .update_item(item_key(id))
            .update_expression(format!("SET {} ADD #version :one", assignments.join(", ")))
            // A deleted user is not created again, and a deactivated user is not changed.
            .condition_expression("attribute_not_exists(#status) OR #status = :active")
            .set_expression_attribute_names(Some(attribute_names(&attributes)))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew);
        match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => parse_user(item),
            ConditionalResult::ConditionFailed(item) => parse_user(item.unwrap_or_default()),
        }
    }
}

#[async_trait]
impl UserStore for DynamoUserStore {
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.0.get(item_key(id)).await?.map(parse_user).transpose()
    }

    async fn get_and_count(
        &self,
        id: &UserId,
        quota: Quota,
    ) -> Result<GetAndCountResult, StoreError> {
        let Quota { window, max_requests } = quota;
        let update = |change: &str, condition: &str| {
            self.0
                .update_item(item_key(id))
                .update_expression(change)
                .condition_expression(condition)
                .set_expression_attribute_names(Some(attribute_names(&[
                    "tokenMinute",
                    "tokenCount",
                ])))
                .expression_attribute_values(":minute", number(window.number()))
                .expression_attribute_values(":one", number(1))
                .return_values(ReturnValue::AllNew)
        };
        // Most requests are the first of their window.
        let first_in_window = update(
            "SET #tokenMinute = :minute, #tokenCount = :one",
            "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status <> :deleted) AND \
             (attribute_not_exists(#tokenMinute) OR #tokenMinute < :minute)",
        )
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":deleted", text("deleted"));
        let current = match update_conditionally(first_in_window).await? {
            ConditionalResult::Applied(item) => return parse_counted(item),
            ConditionalResult::ConditionFailed(None) => return Ok(GetAndCountResult::UserNotFound),
            ConditionalResult::ConditionFailed(Some(item)) => parse_user(item)?,
        };
        if current.status == UserStatus::Deleted {
            return Ok(GetAndCountResult::UserDeleted(current));
        }
        let next_in_window =
            update("ADD #tokenCount :one", "#tokenMinute >= :minute AND #tokenCount < :most")
                .expression_attribute_values(":most", number(max_requests));
        match update_conditionally(next_in_window).await? {
            ConditionalResult::Applied(item) => parse_counted(item),
            ConditionalResult::ConditionFailed(_) => Ok(GetAndCountResult::LimitExceeded),
        }
    }

    async fn find_unknown(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct SyncedUserItem {
            user_id: UserId,
            #[serde(default)]
            synced: u64,
            #[serde(default)]
            status: UserStatus,
        }
        let request = KeysAndAttributes::builder()
            .set_keys(Some(ids.iter().map(item_key).collect()))
            .projection_expression("userId, synced, #status")
            .set_expression_attribute_names(Some(attribute_names(&["status"])));
        let mut known = BTreeSet::new();
        for item in self.0.batch_get(request).await? {
            let item: SyncedUserItem = parse_item(item)?;
            if item.synced > 0 && item.status != UserStatus::Deleted {
                known.insert(item.user_id);
            }
        }
        Ok(ids.iter().filter(|id| !known.contains(id)).cloned().collect())
    }

    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        self.update_profile(id, change, at, ConflictPolicy::Replace).await
    }

    async fn fill_missing(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        self.update_profile(id, change, at, ConflictPolicy::KeepExisting).await
    }

    async fn confirm_version(&self, id: &UserId, version: u64) -> Result<SyncResult, StoreError> {
        let update = self
            .0
            .update_item(item_key(id))
            .update_expression("SET #synced = :version")
            .condition_expression("#version = :version")
            .set_expression_attribute_names(Some(attribute_names(&["synced", "version"])))
            .expression_attribute_values(":version", number(version));
        match update_conditionally(update).await? {
            ConditionalResult::Applied(_) => Ok(SyncResult::Confirmed),
            ConditionalResult::ConditionFailed(item) => {
                parse_user(item.unwrap_or_default()).map(SyncResult::Superseded)
            }
        }
    }

    async fn revoke(
        &self,
        id: &UserId,
        revocation: Revocation,
    ) -> Result<RevokeResult, StoreError> {
        let Revocation { sessions_before, tokens_before } = revocation;
        let update = self
            .0
            .update_item(item_key(id))
            .update_expression("SET #revokedAt = :tokens, #sessionsRevokedAt = :sessions")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(#revokedAt) \
                 OR #revokedAt < :tokens)",
            )
            .set_expression_attribute_names(Some(attribute_names(&[
                "revokedAt",
                "sessionsRevokedAt",
            ])))
            .expression_attribute_values(":tokens", number(tokens_before.as_millis()))
            .expression_attribute_values(":sessions", number(sessions_before.as_millis()));
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(_) => RevokeResult::Recorded,
            ConditionalResult::ConditionFailed(None) => RevokeResult::UserNotFound,
            ConditionalResult::ConditionFailed(Some(item)) => {
                let revoked_at = parse_user(item)?.revoked_at;
                RevokeResult::AlreadyRevoked(revoked_at.unwrap_or(tokens_before))
            }
        })
    }

    async fn set_status(
        &self,
        id: &UserId,
        status: UserStatus,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const DELETED: &str = "deleted";
        let status = match status {
            UserStatus::Active => "active",
            UserStatus::Deactivated => "deactivated",
            UserStatus::Deleted => DELETED,
        };
        // Events may arrive in any order, and a deletion is final.
        let condition = if status == DELETED {
            "attribute_exists(pk)"
        } else {
            "attribute_exists(pk) AND (attribute_not_exists(#statusAt) \
             OR (#statusAt < :at AND #status <> :deleted))"
        };
        let mut update = self
            .0
            .update_item(item_key(id))
            .update_expression("SET #status = :status, #statusAt = :at")
            .condition_expression(condition)
            .set_expression_attribute_names(Some(attribute_names(&["status", "statusAt"])))
            .expression_attribute_values(":status", text(status))
            .expression_attribute_values(":at", number(at.as_millis()));
        if status != DELETED {
            update = update.expression_attribute_values(":deleted", text(DELETED));
        }
        update_conditionally(update).await.map(|_| ())
    }
}
