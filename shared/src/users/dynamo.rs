//! Users in the table: one item per user with `pk = USER#<userId>` and `sk = PROFILE`, and one with
//! `sk = IN_CALL` for the call that the user joined last, which expires by `ttl`. A queued push
//! has `pk = PROFILES` and `sk = <userId>`: there are few at a time, so one partition is enough.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::StreamRole;
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, Table, UpdateItemRequest, attribute_names, delete_conditionally, key,
    map_sdk_error, number, parse_item, text, update_conditionally,
};
use crate::error::ApiError;
use crate::ids::{CallId, UserId};
use crate::minute_quota::MinuteQuota;
use crate::rate_limiter::Quota;
use crate::store::StoreError;
use crate::stream::event::MAX_CLOCK_SKEW;
use crate::users::patch::{FieldPatch, merge_objects};
use crate::users::{
    Account, AccountReader, AccountWriter, Ban, CallMembers, GetAndCountResult, JoinedCall,
    JoinedCallWriter, MemberReader, MergeResult, NameReader, Profile, ProfileChange, ProfileWriter,
    PushPurpose, QueuedPush, QueuedPushStore, Revocation, RevokeResult, SyncResult, User,
    UserStatus, UserStore,
};

/// The quota of profile pushes. Stream allows 300 `UpdateUsers` requests per minute and app, and
/// the sweeper needs some of them.
const MAX_PUSHES_PER_MINUTE: u32 = 240;
/// A user's own changes leave the other half of the quota to new users and to services.
const MAX_CHANGES_PER_MINUTE: u32 = 120;
/// The maximum size of a user's custom data as JSON, in bytes. With the longest other fields it
/// stays below Stream's limit of 5 KB for a user.
const MAX_CUSTOM_BYTES: usize = 2_048;
/// How long the call that a user joined last is stored: longer than the longest call.
const JOINED_CALL_TTL: Duration = Duration::from_hours(3 * 24);
/// The attempts to merge custom data while concurrent requests change it.
const MAX_MERGE_ATTEMPTS: u32 = 10;

/// The store of users in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoUserStore {
    table: Table,
    push_quota: MinuteQuota,
    change_quota: MinuteQuota,
}

impl DynamoUserStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        // Both are the same counter.
        let quota = |limit| MinuteQuota::new(table.clone(), "push-profile", limit);
        let (push_quota, change_quota) =
            (quota(MAX_PUSHES_PER_MINUTE), quota(MAX_CHANGES_PER_MINUTE));
        Self { table, push_quota, change_quota }
    }
}

/// The key of a profile.
pub(crate) fn item_key(id: &UserId) -> Item {
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
    ban_until: Option<Timestamp>,
}

/// The attributes of a user's account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountItem {
    user_id: UserId,
    #[serde(default)]
    synced: u64,
    #[serde(default)]
    status: UserStatus,
    ban_until: Option<Timestamp>,
}

impl AccountItem {
    const PROJECTION: &str = "userId, synced, #status, banUntil";

    fn into_account(self) -> (UserId, Account) {
        let Self { user_id, synced, status, ban_until } = self;
        let ban = ban_until.map(|until| Ban { until });
        (user_id, Account { status, ban, exists_at_stream: synced > 0 })
    }
}

/// The name in a user's item.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameItem {
    user_id: UserId,
    name: Option<String>,
}

impl NameItem {
    const PROJECTION: &str = "userId, #name";
}

/// The call that a user joined last.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JoinedCallItem {
    call_id: CallId,
    joined_at: Timestamp,
}

impl JoinedCallItem {
    const PROJECTION: &str = "callId, joinedAt";
}

/// The key of the item with the call that a user joined last. It is apart from the profile, because
/// the user's joins and profile changes must not conflict.
pub(crate) fn joined_call_key(id: &UserId) -> Item {
    key(format!("USER#{id}"), "IN_CALL")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueuedItem {
    user_id: UserId,
    at: Timestamp,
}

fn queue_key(id: &UserId) -> Item {
    key("PROFILES", id.as_str())
}

fn parse_custom(text: &str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Internal(error.into()))
}

fn parse_user(item: Item) -> Result<User, StoreError> {
    let item: UserItem = parse_item(item)?;
    Ok(User {
        id: item.user_id,
        profile: Profile {
            name: item.name,
            image: item.image,
            language: item.language,
            custom: item.custom.as_deref().map(parse_custom).transpose()?,
            role: item.role.unwrap_or_default(),
        },
        version: item.version,
        synced_version: item.synced,
        revoked_at: item.revoked_at,
        sessions_revoked_at: item.sessions_revoked_at,
        status: item.status,
        ban: item.ban_until.map(|until| Ban { until }),
    })
}

fn parse_counted(item: Item) -> Result<GetAndCountResult, StoreError> {
    let count = item.get("tokenCount").and_then(|count| count.as_n().ok());
    let count = count.and_then(|count| count.parse().ok());
    let count = count.ok_or_else(|| StoreError::Internal("tokenCount is not a count".into()))?;
    Ok(GetAndCountResult::Counted(parse_user(item)?, count))
}

/// What an update does with a field that the profile has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConflictPolicy {
    /// Replaces it.
    Replace,
    /// Keeps it.
    KeepExisting,
}

/// An update of the profile in the table.
struct ProfileUpdate<'a> {
    change: &'a ProfileChange,
    on_conflict: ConflictPolicy,
    writer: ProfileWriter,
    at: Timestamp,
}

/// The change of the attribute with the custom data.
enum CustomUpdate {
    /// The attribute is unchanged.
    Keep,
    /// The attribute is set or removed, if it still has the expected value.
    Replace { expected: Option<String>, merged: Option<String> },
    /// The merged data is too large.
    TooLarge,
}

impl ProfileUpdate<'_> {
    /// Merges the custom data into that in the table.
    fn merge_custom(&self, expected: Option<&str>) -> Result<CustomUpdate, StoreError> {
        let current = expected.map(parse_custom).transpose()?;
        let merged = match (&self.change.custom, self.on_conflict) {
            (FieldPatch::Keep, _) => return Ok(CustomUpdate::Keep),
            (FieldPatch::Set(imported), ConflictPolicy::KeepExisting) => {
                let mut merged = imported.clone();
                merge_objects(&mut merged, current.unwrap_or_default());
                Some(merged)
            }
            _ => self.change.merge_custom(current),
        };
        let merged = merged.filter(|custom| !custom.is_empty());
        let merged = merged.map(|custom| Value::Object(custom).to_string());
        // Data from Stream may be larger. It may also shrink to a size above the limit.
        let max_bytes = match self.on_conflict {
            ConflictPolicy::Replace => MAX_CUSTOM_BYTES.max(expected.map_or(0, str::len)),
            ConflictPolicy::KeepExisting => usize::MAX,
        };
        if merged.as_ref().is_some_and(|text| text.len() > max_bytes) {
            return Ok(CustomUpdate::TooLarge);
        }
        Ok(CustomUpdate::Replace { expected: expected.map(str::to_owned), merged })
    }

    fn may_write(&self, user: &User) -> bool {
        match self.writer {
            ProfileWriter::User => user.account().require_active(self.at).is_ok(),
            ProfileWriter::Service => user.status == UserStatus::Active,
        }
    }

    /// Prepares the update.
    fn request(&self, table: &Table, id: &UserId, custom: &CustomUpdate) -> UpdateItemRequest {
        let mut names = vec!["userId", "updatedAt", "createdAt", "version", "status"];
        let mut values = HashMap::from([
            (":userId".to_owned(), text(id.as_str())),
            (":at".to_owned(), number(self.at.as_millis())),
            (":one".to_owned(), number(1)),
            (":active".to_owned(), text("active")),
        ]);
        let mut set = vec![
            "#userId = :userId".to_owned(),
            "#updatedAt = :at".to_owned(),
            "#createdAt = if_not_exists(#createdAt, :at)".to_owned(),
        ];
        let mut remove = Vec::new();
        // A deleted user is not created again, and a deactivated user is not changed.
        let mut condition = "(attribute_not_exists(#status) OR #status = :active)".to_owned();
        if self.writer == ProfileWriter::User {
            names.push("banUntil");
            condition.push_str(" AND (attribute_not_exists(#banUntil) OR #banUntil <= :at)");
        }
        let ProfileChange { name, image, language, role, .. } = self.change;
        let role = FieldPatch::from(role.as_ref().map(StreamRole::as_str));
        let fields = [
            ("name", name.as_ref().map(String::as_str)),
            ("image", image.as_ref().map(String::as_str)),
            ("language", language.as_ref().map(String::as_str)),
            ("role", role),
        ];
        for (field, patch) in fields {
            match patch {
                FieldPatch::Keep => continue,
                FieldPatch::Remove => remove.push(format!("#{field}")),
                FieldPatch::Set(value) => {
                    set.push(match self.on_conflict {
                        ConflictPolicy::Replace => format!("#{field} = :{field}"),
                        ConflictPolicy::KeepExisting => {
                            format!("#{field} = if_not_exists(#{field}, :{field})")
                        }
                    });
                    values.insert(format!(":{field}"), text(value));
                }
            }
            names.push(field);
        }
        if let CustomUpdate::Replace { expected, merged } = custom {
            names.push("custom");
            match expected {
                None => condition.push_str(" AND attribute_not_exists(#custom)"),
                Some(expected) => {
                    condition.push_str(" AND #custom = :expectedCustom");
                    values.insert(":expectedCustom".to_owned(), text(expected.as_str()));
                }
            }
            match merged {
                None => remove.push("#custom".to_owned()),
                Some(merged) => {
                    set.push("#custom = :custom".to_owned());
                    values.insert(":custom".to_owned(), text(merged.as_str()));
                }
            }
        }
        let mut expression = format!("SET {} ADD #version :one", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&remove.join(", "));
        }
        table
            .update_item(item_key(id))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(attribute_names(&names)))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
    }
}

impl DynamoUserStore {
    async fn update_profile(
        &self,
        id: &UserId,
        update: ProfileUpdate<'_>,
    ) -> Result<MergeResult, StoreError> {
        // Most users have no custom data. If that is wrong, the failed condition returns the data.
        let mut expected_custom: Option<String> = None;
        for _ in 0..MAX_MERGE_ATTEMPTS {
            let custom = update.merge_custom(expected_custom.as_deref())?;
            if matches!(custom, CustomUpdate::TooLarge) {
                return Ok(MergeResult::CustomTooLarge);
            }
            let request = update.request(&self.table, id, &custom);
            let item = match update_conditionally(request).await? {
                ConditionalResult::Applied(item) => {
                    return parse_user(item).map(MergeResult::Merged);
                }
                ConditionalResult::ConditionFailed(item) => item.unwrap_or_default(),
            };
            if item.is_empty() {
                expected_custom = None;
                continue;
            }
            expected_custom = item.get("custom").and_then(|text| text.as_s().ok()).cloned();
            let user = parse_user(item)?;
            if !update.may_write(&user) {
                return Ok(MergeResult::Inactive(user));
            }
        }
        Ok(MergeResult::Conflict)
    }

    /// Updates the status or the ban of an existing user by an event of this time. An event from
    /// before the item is ignored.
    fn update_by_event(&self, id: &UserId, at: Timestamp) -> UpdateItemRequest {
        let latest_start = at.plus(MAX_CLOCK_SKEW).as_millis();
        self.table
            .update_item(item_key(id))
            .expression_attribute_names("#createdAt", "createdAt")
            .expression_attribute_values(":latestStart", number(latest_start))
            .expression_attribute_values(":at", number(at.as_millis()))
    }
}

/// The condition that an event is not from before the user's item. A tombstone has no start.
const EXISTS_SINCE_EVENT: &str = "attribute_exists(pk) AND (attribute_not_exists(#createdAt) \
                                  OR #createdAt <= :latestStart)";

#[async_trait]
impl UserStore for DynamoUserStore {
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.table.get(item_key(id)).await?.map(parse_user).transpose()
    }

    async fn get_and_count(
        &self,
        id: &UserId,
        quota: Quota,
    ) -> Result<GetAndCountResult, StoreError> {
        let Quota { window, max_requests } = quota;
        let update = |change: &str, condition: &str| {
            self.table
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

    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        writer: ProfileWriter,
        at: Timestamp,
    ) -> Result<MergeResult, StoreError> {
        let on_conflict = ConflictPolicy::Replace;
        self.update_profile(id, ProfileUpdate { change, on_conflict, writer, at }).await
    }

    async fn fill_missing(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<MergeResult, StoreError> {
        let (on_conflict, writer) = (ConflictPolicy::KeepExisting, ProfileWriter::Service);
        self.update_profile(id, ProfileUpdate { change, on_conflict, writer, at }).await
    }

    async fn confirm_version(&self, id: &UserId, version: u64) -> Result<SyncResult, StoreError> {
        let update = self
            .table
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

    async fn retract_confirmation(&self, id: &UserId) -> Result<(), StoreError> {
        // Version 0 of `synced` means that the user does not exist at Stream.
        let update = self
            .table
            .update_item(item_key(id))
            .update_expression("SET #synced = #version - :one")
            .condition_expression("#synced = #version AND #version > :one")
            .set_expression_attribute_names(Some(attribute_names(&["synced", "version"])))
            .expression_attribute_values(":one", number(1));
        update_conditionally(update).await.map(|_| ())
    }

    async fn revoke(
        &self,
        id: &UserId,
        revocation: Revocation,
    ) -> Result<RevokeResult, StoreError> {
        let Revocation { sessions_before, tokens_before } = revocation;
        let update = self
            .table
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
                let user = parse_user(item)?;
                RevokeResult::AlreadyRevoked(Revocation {
                    sessions_before: user.sessions_revoked_at.unwrap_or(sessions_before),
                    tokens_before: user.revoked_at.unwrap_or(tokens_before),
                })
            }
        })
    }

    async fn acquire_push_quota(
        &self,
        purpose: PushPurpose,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        match purpose {
            PushPurpose::Provision => self.push_quota.acquire(at).await,
            PushPurpose::Change => self.change_quota.acquire(at).await,
        }
    }

    async fn queue_push(&self, id: &UserId, at: Timestamp) -> Result<(), StoreError> {
        let update = self
            .table
            .update_item(queue_key(id))
            .update_expression("SET #userId = :user, #at = :at")
            .set_expression_attribute_names(Some(attribute_names(&["userId", "at"])))
            .expression_attribute_values(":user", text(id.as_str()))
            .expression_attribute_values(":at", number(at.as_millis()));
        update.send().await.map(|_| ()).map_err(map_sdk_error)
    }
}

#[async_trait]
impl QueuedPushStore for DynamoUserStore {
    async fn list_queued(&self, limit: u16) -> Result<Vec<QueuedPush>, StoreError> {
        let query = self
            .table
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text("PROFILES"))
            .limit(limit.into());
        let items = query.send().await.map_err(map_sdk_error)?.items.unwrap_or_default();
        let mut queued = Vec::new();
        for item in items {
            // A malformed item must not block the others.
            match parse_item(item) {
                Ok(QueuedItem { user_id, at }) => queued.push(QueuedPush { user: user_id, at }),
                Err(error) => {
                    ApiError::from(error).log("skipping malformed queued push", &"PROFILES");
                }
            }
        }
        Ok(queued)
    }

    async fn load_users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let keys = ids.iter().map(item_key).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys));
        self.table.batch_get(request).await?.into_iter().map(parse_user).collect()
    }

    async fn remove_queued(&self, push: &QueuedPush) -> Result<(), StoreError> {
        let delete = self
            .table
            .delete_item(queue_key(&push.user))
            .condition_expression("#at = :at")
            .set_expression_attribute_names(Some(attribute_names(&["at"])))
            .expression_attribute_values(":at", number(push.at.as_millis()));
        delete_conditionally(delete).await.map(|_| ())
    }
}

#[async_trait]
impl NameReader for DynamoUserStore {
    async fn get_names(&self, ids: &[UserId]) -> Result<BTreeMap<UserId, String>, StoreError> {
        let keys = ids.iter().map(item_key).collect();
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .projection_expression(NameItem::PROJECTION)
            .set_expression_attribute_names(Some(attribute_names(&["name"])));
        let mut names = BTreeMap::new();
        for item in self.table.batch_get(request).await? {
            if let NameItem { user_id, name: Some(name) } = parse_item(item)? {
                names.insert(user_id, name);
            }
        }
        Ok(names)
    }
}

#[async_trait]
impl AccountReader for DynamoUserStore {
    async fn get_account(&self, id: &UserId) -> Result<Option<Account>, StoreError> {
        let request = self
            .table
            .get_item(item_key(id))
            .projection_expression(AccountItem::PROJECTION)
            .expression_attribute_names("#status", "status");
        let item = request.send().await.map_err(map_sdk_error)?.item;
        let account = item.map(parse_item::<AccountItem>).transpose()?;
        Ok(account.map(|item| item.into_account().1))
    }
}

#[async_trait]
impl MemberReader for DynamoUserStore {
    async fn get_members(
        &self,
        ids: &[UserId],
        callee: Option<&UserId>,
    ) -> Result<CallMembers, StoreError> {
        let keys = ids.iter().map(item_key).chain(callee.map(joined_call_key)).collect();
        let projection = format!("{}, {}", AccountItem::PROJECTION, JoinedCallItem::PROJECTION);
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .projection_expression(projection)
            .set_expression_attribute_names(Some(attribute_names(&["status"])));
        let mut members = CallMembers::default();
        for item in self.table.batch_get(request).await? {
            if item.contains_key("callId") {
                let JoinedCallItem { call_id, joined_at } = parse_item(item)?;
                members.joined_call = Some(JoinedCall { call_id, joined_at });
            } else {
                let (id, account) = parse_item::<AccountItem>(item)?.into_account();
                members.accounts.insert(id, account);
            }
        }
        Ok(members)
    }
}

#[async_trait]
impl JoinedCallWriter for DynamoUserStore {
    async fn set_joined_call(&self, user: &UserId, joined: &JoinedCall) -> Result<(), StoreError> {
        let JoinedCall { call_id, joined_at } = joined;
        let update = self
            .table
            .update_item(joined_call_key(user))
            .update_expression("SET #callId = :callId, #joinedAt = :at, #ttl = :ttl")
            .condition_expression("attribute_not_exists(#joinedAt) OR #joinedAt < :at")
            .set_expression_attribute_names(Some(attribute_names(&["callId", "joinedAt", "ttl"])))
            .expression_attribute_values(":callId", text(call_id.as_str()))
            .expression_attribute_values(":at", number(joined_at.as_millis()))
            .expression_attribute_values(":ttl", number(joined_at.plus(JOINED_CALL_TTL).as_secs()));
        update_conditionally(update).await.map(|_| ())
    }
}

#[async_trait]
impl AccountWriter for DynamoUserStore {
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
            EXISTS_SINCE_EVENT.to_owned()
        } else {
            format!(
                "{EXISTS_SINCE_EVENT} AND (attribute_not_exists(#statusAt) \
                 OR (#statusAt < :at AND #status <> :deleted))"
            )
        };
        let mut update = self
            .update_by_event(id, at)
            .update_expression("SET #status = :status, #statusAt = :at")
            .condition_expression(condition)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#statusAt", "statusAt")
            .expression_attribute_values(":status", text(status));
        if status != DELETED {
            update = update.expression_attribute_values(":deleted", text(DELETED));
        }
        update_conditionally(update).await.map(|_| ())
    }

    async fn set_ban(
        &self,
        id: &UserId,
        ban: Option<Ban>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut update = self
            .update_by_event(id, at)
            .condition_expression(format!(
                "{EXISTS_SINCE_EVENT} AND (attribute_not_exists(#banAt) OR #banAt < :at)"
            ))
            .expression_attribute_names("#banAt", "banAt")
            .expression_attribute_names("#banUntil", "banUntil");
        update = match ban {
            Some(ban) => update
                .update_expression("SET #banAt = :at, #banUntil = :until")
                .expression_attribute_values(":until", number(ban.until.as_millis())),
            None => update.update_expression("SET #banAt = :at REMOVE #banUntil"),
        };
        update_conditionally(update).await.map(|_| ())
    }
}
