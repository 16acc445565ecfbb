//! Erasures in the table: one item each, `pk = ERASURES`, `sk = <userId>`, for as long as they
//! last. They are few at a time, so one partition is enough for the sweeper to find them in.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, Written, failed, key, names, number, read, text, write};
use crate::erasure::{Begun, Erasure, ErasureStore};
use crate::error::ApiError;
use crate::ids::UserId;
use crate::store::StoreError;

/// The erasures of a table.
#[derive(Clone, Debug)]
pub struct DynamoErasures(Table);

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
struct Stone {
    erased_at: Option<Timestamp>,
}

impl DynamoErasures {
    /// The erasures of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

fn item_key(user: &UserId) -> Item {
    key("ERASURES", user.as_str())
}

fn erasure(item: Item) -> Result<Erasure, StoreError> {
    let ErasureItem { user_id, begun_at, next, task } = read(item)?;
    Ok(Erasure { user: user_id, begun_at, next, task })
}

#[async_trait]
impl ErasureStore for DynamoErasures {
    async fn begin(&self, user: &UserId, at: Timestamp) -> Result<Begun, StoreError> {
        let profile = [
            "name",
            "image",
            "language",
            "custom",
            "role",
            "createdAt",
            "updatedAt",
            "tokenMinute",
            "tokenCount",
        ];
        let gone = profile.map(|name| format!("#{name}")).join(", ");
        let attributes: Vec<&str> = profile.into_iter().chain(["status", "statusAt"]).collect();
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(key(format!("USER#{user}"), "PROFILE")))
            .update_expression(format!("SET #status = :deleted, #statusAt = :at REMOVE {gone}"))
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(names(&attributes)))
            .expression_attribute_values(":deleted", text("deleted"))
            .expression_attribute_values(":at", number(at.as_millis()))
            .return_values(ReturnValue::AllNew);
        let stone: Stone = match write(update).await? {
            Written::New(item) => read(item)?,
            Written::Refused(_) => return Ok(Begun::Missing),
        };
        if stone.erased_at.is_some() {
            return Ok(Begun::Done);
        }
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(user)))
            .update_expression("SET #userId = :user, #begunAt = if_not_exists(#begunAt, :at)")
            .set_expression_attribute_names(Some(names(&["userId", "begunAt"])))
            .expression_attribute_values(":user", text(user.as_str()))
            .expression_attribute_values(":at", number(at.as_millis()))
            .return_values(ReturnValue::AllNew);
        let item = update.send().await.map_err(failed)?.attributes.unwrap_or_default();
        erasure(item).map(Begun::Now)
    }

    async fn begun(&self) -> Result<Vec<Erasure>, StoreError> {
        let query = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text("ERASURES"));
        let mut begun = Vec::new();
        for item in query.send().await.map_err(failed)?.items.unwrap_or_default() {
            // What nobody can read must not keep the others from being seen to.
            match erasure(item) {
                Ok(erasure) => begun.push(erasure),
                Err(error) => ApiError::from(error).note("an erasure is not one", &"ERASURES"),
            }
        }
        Ok(begun)
    }

    async fn save(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let mut item = item_key(&erasure.user);
        item.insert("userId".to_owned(), text(erasure.user.as_str()));
        item.insert("begunAt".to_owned(), number(erasure.begun_at.as_millis()));
        for (name, value) in [("next", &erasure.next), ("task", &erasure.task)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), text(value.as_str()));
            }
        }
        let put = self.0.client.put_item().table_name(&self.0.name).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(failed)
    }

    async fn finish(&self, user: &UserId, at: Timestamp) -> Result<(), StoreError> {
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(key(format!("USER#{user}"), "PROFILE")))
            .update_expression("SET #erasedAt = :at")
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(names(&["erasedAt"])))
            .expression_attribute_values(":at", number(at.as_millis()));
        write(update).await?;
        let delete = self.0.client.delete_item().table_name(&self.0.name);
        delete.set_key(Some(item_key(user))).send().await.map(|_| ()).map_err(failed)
    }
}
