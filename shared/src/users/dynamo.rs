//! Users in the table: one item a user, `pk = USER#<userId>`, `sk = PROFILE`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use serde::Deserialize;

use crate::auth::StreamRole;
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, failed, key, names, number, read, text};
use crate::ids::UserId;
use crate::store::StoreError;
use crate::users::{Profile, ProfileChange, Synced, User, UserStore};

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
    role: StreamRole,
    version: u64,
    #[serde(default)]
    synced: u64,
    revoked_at: Option<Timestamp>,
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
            role: item.role,
        },
        version: item.version,
        synced: item.synced,
        revoked_at: item.revoked_at,
    })
}

fn role(role: &StreamRole) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(role).map_err(|error| StoreError::Broken(error.into()))
}

/// How often the table is asked for what it left out of an answer.
const ROUNDS: u32 = 3;

#[async_trait]
impl UserStore for DynamoUsers {
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let get = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .consistent_read(true);
        get.send().await.map_err(failed)?.item.map(user).transpose()
    }

    async fn unknown(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Seen {
            user_id: UserId,
            #[serde(default)]
            synced: u64,
        }
        let broken = |error| StoreError::Broken(error);
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(ids.iter().map(item_key).collect()))
            .consistent_read(true)
            .projection_expression("userId, synced")
            .build()
            .map_err(|error| broken(error.into()))?;
        let mut wanted = HashMap::from([(self.0.name.clone(), wanted)]);
        let mut known = BTreeSet::new();
        for _ in 0..ROUNDS {
            let batch = self.0.client.batch_get_item().set_request_items(Some(wanted));
            let output = batch.send().await.map_err(failed)?;
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                let seen: Seen = read(item)?;
                if seen.synced > 0 {
                    known.insert(seen.user_id);
                }
            }
            wanted = output.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(ids.iter().filter(|id| !known.contains(id)).cloned().collect());
            }
        }
        Err(StoreError::Unavailable("the table left keys out of its answers".into()))
    }

    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        let mut sets = vec![
            "#userId = :userId".to_owned(),
            "#updatedAt = :at".to_owned(),
            "#createdAt = if_not_exists(#createdAt, :at)".to_owned(),
        ];
        let mut attributes = vec!["userId", "updatedAt", "createdAt", "role", "version"];
        let mut values = HashMap::from([
            (":userId".to_owned(), text(id.as_str())),
            (":at".to_owned(), number(at.as_millis())),
            (":one".to_owned(), number(1)),
        ]);
        let custom = change.custom.as_ref().map(serde_json::to_string).transpose();
        let custom = custom.map_err(|error| StoreError::Broken(error.into()))?;
        let given = [
            ("name", &change.name),
            ("image", &change.image),
            ("language", &change.language),
            ("custom", &custom),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                sets.push(format!("#{name} = :{name}"));
                attributes.push(name);
                values.insert(format!(":{name}"), text(value.as_str()));
            }
        }
        if let Some(given) = &change.role {
            sets.push("#role = :role".to_owned());
            values.insert(":role".to_owned(), role(given)?);
        } else {
            sets.push("#role = if_not_exists(#role, :role)".to_owned());
            values.insert(":role".to_owned(), role(&StreamRole::default())?);
        }
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression(format!("SET {} ADD #version :one", sets.join(", ")))
            .set_expression_attribute_names(Some(names(&attributes)))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew);
        user(update.send().await.map_err(failed)?.attributes.unwrap_or_default())
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
            .expression_attribute_values(":version", number(version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = update.send().await else { return Ok(Synced::Confirmed) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                user(refused.item.clone().unwrap_or_default()).map(Synced::Overtaken)
            }
            _ => Err(failed(error)),
        }
    }
}
