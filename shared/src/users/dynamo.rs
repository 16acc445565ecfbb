//! Users in the table: one item a user, `pk = USER#<userId>`, `sk = PROFILE`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::StreamRole;
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, Written, key, names, number, read, text, write};
use crate::ids::UserId;
use crate::limits::Quota;
use crate::store::StoreError;
use crate::users::{
    Counted, Profile, ProfileChange, Revocation, Revoked, Synced, User, UserStatus, UserStore,
};

/// The users of a table.
#[derive(Clone, Debug)]
pub struct DynamoUsers(Table);

impl DynamoUsers {
    /// The users of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

fn item_key(id: &UserId) -> Item {
    key(format!("USER#{id}"), "PROFILE")
}

/// A user's item. What the apps add of their own is kept as the JSON text that it came as, since
/// DynamoDB's numbers are not JSON's.
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

fn user(item: Item) -> Result<User, StoreError> {
    let item: UserItem = read(item)?;
    let custom = item.custom.map(|text| serde_json::from_str(&text)).transpose();
    Ok(User {
        id: item.user_id,
        profile: Profile {
            name: item.name,
            image: item.image,
            language: item.language,
            custom: custom.map_err(|error| StoreError::Broken(error.into()))?,
            role: item.role.unwrap_or_default(),
        },
        version: item.version,
        synced: item.synced,
        revoked_at: item.revoked_at,
        sessions_revoked_at: item.sessions_revoked_at,
        status: item.status,
    })
}

/// A user's item with its count.
fn counted(item: Item) -> Result<Counted, StoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        token_count: u32,
    }
    let Count { token_count } = read(item.clone())?;
    Ok(Counted::Within(user(item)?, token_count))
}

/// What becomes of a field that the profile has already.
#[derive(Clone, Copy)]
enum Clash {
    /// It takes the new value.
    Replace,
    /// It stays.
    Keep,
}

impl DynamoUsers {
    async fn change(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
        clash: Clash,
    ) -> Result<User, StoreError> {
        let custom = change.custom.clone().map(|custom| Value::Object(custom).to_string());
        let given = [
            ("name", change.name.as_deref()),
            ("image", change.image.as_deref()),
            ("language", change.language.as_deref()),
            ("custom", custom.as_deref()),
            ("role", change.role.as_ref().map(StreamRole::as_str)),
        ];
        let mut sets = vec![
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
        for (name, value) in given {
            let Some(value) = value else { continue };
            sets.push(match clash {
                Clash::Replace => format!("#{name} = :{name}"),
                Clash::Keep => format!("#{name} = if_not_exists(#{name}, :{name})"),
            });
            attributes.push(name);
            values.insert(format!(":{name}"), text(value));
        }
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression(format!("SET {} ADD #version :one", sets.join(", ")))
            // A user who was deleted is not remembered anew, and one who was deactivated stays
            // as it was.
            .condition_expression("attribute_not_exists(#status) OR #status = :active")
            .set_expression_attribute_names(Some(names(&attributes)))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew);
        match write(update).await? {
            Written::New(item) => user(item),
            Written::Refused(item) => user(item.unwrap_or_default()),
        }
    }
}

#[async_trait]
impl UserStore for DynamoUsers {
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.0.get(item_key(id)).await?.map(user).transpose()
    }

    async fn get_counted(&self, id: &UserId, quota: Quota) -> Result<Counted, StoreError> {
        let Quota { window, most } = quota;
        let update = |change: &str, condition: &str| {
            self.0
                .client
                .update_item()
                .table_name(&self.0.name)
                .set_key(Some(item_key(id)))
                .update_expression(change)
                .condition_expression(condition)
                .set_expression_attribute_names(Some(names(&["tokenMinute", "tokenCount"])))
                .expression_attribute_values(":minute", number(window.number()))
                .expression_attribute_values(":one", number(1))
                .return_values(ReturnValue::AllNew)
        };
        // Most are the first of their window.
        let first = update(
            "SET #tokenMinute = :minute, #tokenCount = :one",
            "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status <> :deleted) AND \
             (attribute_not_exists(#tokenMinute) OR #tokenMinute < :minute)",
        )
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":deleted", text("deleted"));
        let was = match write(first).await? {
            Written::New(item) => return counted(item),
            Written::Refused(None) => return Ok(Counted::Missing),
            Written::Refused(Some(item)) => user(item)?,
        };
        if was.status == UserStatus::Deleted {
            return Ok(Counted::Deleted(was));
        }
        let later =
            update("ADD #tokenCount :one", "#tokenMinute >= :minute AND #tokenCount < :most")
                .expression_attribute_values(":most", number(most));
        match write(later).await? {
            Written::New(item) => counted(item),
            Written::Refused(_) => Ok(Counted::Over),
        }
    }

    async fn unknown(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Seen {
            user_id: UserId,
            #[serde(default)]
            synced: u64,
            #[serde(default)]
            status: UserStatus,
        }
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(ids.iter().map(item_key).collect()))
            .projection_expression("userId, synced, #status")
            .set_expression_attribute_names(Some(names(&["status"])));
        let mut known = BTreeSet::new();
        for item in self.0.get_many(wanted).await? {
            let seen: Seen = read(item)?;
            if seen.synced > 0 && seen.status != UserStatus::Deleted {
                known.insert(seen.user_id);
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
        self.change(id, change, at, Clash::Replace).await
    }

    async fn fill(
        &self,
        id: &UserId,
        known: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        self.change(id, known, at, Clash::Keep).await
    }

    async fn confirm(&self, id: &UserId, version: u64) -> Result<Synced, StoreError> {
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression("SET #synced = :version")
            .condition_expression("#version = :version")
            .set_expression_attribute_names(Some(names(&["synced", "version"])))
            .expression_attribute_values(":version", number(version));
        match write(update).await? {
            Written::New(_) => Ok(Synced::Confirmed),
            Written::Refused(item) => user(item.unwrap_or_default()).map(Synced::Overtaken),
        }
    }

    async fn revoke(&self, id: &UserId, revocation: Revocation) -> Result<Revoked, StoreError> {
        let Revocation { sessions, tokens } = revocation;
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression("SET #revokedAt = :tokens, #sessionsRevokedAt = :sessions")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(#revokedAt) \
                 OR #revokedAt < :tokens)",
            )
            .set_expression_attribute_names(Some(names(&["revokedAt", "sessionsRevokedAt"])))
            .expression_attribute_values(":tokens", number(tokens.as_millis()))
            .expression_attribute_values(":sessions", number(sessions.as_millis()));
        Ok(match write(update).await? {
            Written::New(_) => Revoked::Now,
            Written::Refused(None) => Revoked::Missing,
            Written::Refused(Some(item)) => Revoked::Was(user(item)?.revoked_at.unwrap_or(tokens)),
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
        // Nothing brings a deleted user back, whatever comes in which order.
        let condition = if status == DELETED {
            "attribute_exists(pk)"
        } else {
            "attribute_exists(pk) AND (attribute_not_exists(#statusAt) \
             OR (#statusAt < :at AND #status <> :deleted))"
        };
        let mut update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression("SET #status = :status, #statusAt = :at")
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(&["status", "statusAt"])))
            .expression_attribute_values(":status", text(status))
            .expression_attribute_values(":at", number(at.as_millis()));
        if status != DELETED {
            update = update.expression_attribute_values(":deleted", text(DELETED));
        }
        write(update).await.map(|_| ())
    }
}
