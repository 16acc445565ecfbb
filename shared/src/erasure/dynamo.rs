//! Erasures in the table: while an erasure is in progress, it has an item with `pk = ERASURES` and
//! `sk = <userId>`. There are few at a time, so one partition is enough.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, Table, attribute_names, key, map_sdk_error, number, parse_item, text,
    update_conditionally,
};
use crate::erasure::{BeginErasureResult, Erasure, ErasureStore};
use crate::error::ApiError;
use crate::history;
use crate::ids::UserId;
use crate::store::StoreError;
use crate::users::dynamo::joined_call_key;

/// The store of erasures in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoErasureStore(Table);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErasureItem {
    user_id: UserId,
    begun_at: Timestamp,
    next: Option<String>,
    task: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tombstone {
    erased_at: Option<Timestamp>,
}

impl DynamoErasureStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

fn item_key(user: &UserId) -> Item {
    key("ERASURES", user.as_str())
}

fn parse_erasure(item: Item) -> Result<Erasure, StoreError> {
    let ErasureItem { user_id, begun_at, next, task } = parse_item(item)?;
    Ok(Erasure { user: user_id, started_at: begun_at, next_page: next, task_id: task })
}

#[async_trait]
impl ErasureStore for DynamoErasureStore {
    async fn begin(&self, user: &UserId, at: Timestamp) -> Result<BeginErasureResult, StoreError> {
        let profile_attributes = [
            "name",
            "image",
            "language",
            "custom",
            "role",
            "createdAt",
            "updatedAt",
            "tokenMinute",
            "tokenCount",
            "banUntil",
            "banAt",
        ];
        let removed = profile_attributes.map(|name| format!("#{name}")).join(", ");
        let attributes: Vec<&str> =
            profile_attributes.into_iter().chain(["status", "statusAt"]).collect();
        let update = self
            .0
            .update_item(key(format!("USER#{user}"), "PROFILE"))
            .update_expression(format!("SET #status = :deleted, #statusAt = :at REMOVE {removed}"))
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(attribute_names(&attributes)))
            .expression_attribute_values(":deleted", text("deleted"))
            .expression_attribute_values(":at", number(at.as_millis()))
            .return_values(ReturnValue::AllNew);
        let tombstone: Tombstone = match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => parse_item(item)?,
            ConditionalResult::ConditionFailed(_) => return Ok(BeginErasureResult::UserNotFound),
        };
        if tombstone.erased_at.is_some() {
            return Ok(BeginErasureResult::AlreadyErased);
        }
        let update = self
            .0
            .update_item(item_key(user))
            .update_expression("SET #userId = :user, #begunAt = if_not_exists(#begunAt, :at)")
            .set_expression_attribute_names(Some(attribute_names(&["userId", "begunAt"])))
            .expression_attribute_values(":user", text(user.as_str()))
            .expression_attribute_values(":at", number(at.as_millis()))
            .return_values(ReturnValue::AllNew);
        let item = update.send().await.map_err(map_sdk_error)?.attributes.unwrap_or_default();
        parse_erasure(item).map(BeginErasureResult::InProgress)
    }

    async fn list_pending(&self) -> Result<Vec<Erasure>, StoreError> {
        let query = self
            .0
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text("ERASURES"));
        let mut pending = Vec::new();
        for item in query.send().await.map_err(map_sdk_error)?.items.unwrap_or_default() {
            // A malformed item must not block the others.
            match parse_erasure(item) {
                Ok(erasure) => pending.push(erasure),
                Err(error) => {
                    ApiError::from(error).log("skipping malformed erasure item", &"ERASURES");
                }
            }
        }
        Ok(pending)
    }

    async fn save(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let mut item = item_key(&erasure.user);
        item.insert("userId".to_owned(), text(erasure.user.as_str()));
        item.insert("begunAt".to_owned(), number(erasure.started_at.as_millis()));
        for (name, value) in [("next", &erasure.next_page), ("task", &erasure.task_id)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), text(value.as_str()));
            }
        }
        let put = self.0.put_item(item);
        put.send().await.map(|_| ()).map_err(map_sdk_error)
    }

    async fn finish(&self, user: &UserId, at: Timestamp) -> Result<(), StoreError> {
        // All calls of the user have ended, so the user joins no further call.
        self.0.delete_item(joined_call_key(user)).send().await.map_err(map_sdk_error)?;
        // The history's projector writes no further row of a deleted user.
        history::dynamo::delete_all(&self.0, user).await?;
        let update = self
            .0
            .update_item(key(format!("USER#{user}"), "PROFILE"))
            .update_expression("SET #erasedAt = :at")
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(attribute_names(&["erasedAt"])))
            .expression_attribute_values(":at", number(at.as_millis()));
        update_conditionally(update).await?;
        self.0.delete_item(item_key(user)).send().await.map(|_| ()).map_err(map_sdk_error)
    }
}
