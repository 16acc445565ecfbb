//! Implements [`DueStore`]: the due index and the reconciliation checkpoint.

use std::fmt::Write as _;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};
use serde::Deserialize;

use super::{
    CallUpdate, DynamoCallStore, attribute_value, attribute_values, has_presence_version, is_alias,
    item_key, shard_value, state_value, timestamp_value, version_values,
};
use crate::calls::sweep::{DueCall, DueEntry, DuePage, DueStore, SettleRequest, Shard};
use crate::calls::{Call, CallScore, CallState};
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, attribute_names, key, map_sdk_error, number, parse_item, text,
    update_conditionally,
};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;

/// The attributes that the due index projects.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DueIndexItem {
    pk: String,
    due_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DueItem {
    #[serde(flatten)]
    call: Call,
    /// Absent once the call has left the due index.
    due_at: Option<Timestamp>,
    #[serde(default)]
    tries: u32,
}

fn parse_due_entry(item: Item) -> Result<DueEntry, StoreError> {
    let DueIndexItem { pk, due_at } = parse_item(item)?;
    let id = pk.strip_prefix("CALL#").unwrap_or_default().to_owned();
    let id = CallId::try_from(id).map_err(|error| StoreError::Internal(error.into()))?;
    Ok(DueEntry { due_at, id })
}

impl DynamoCallStore {
    /// Counts the calls in a shard of the due index.
    pub(in crate::calls) async fn count(&self, shard: Shard) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0, None);
        loop {
            let query = self
                .table
                .query()
                .index_name("due")
                .select(Select::Count)
                .key_condition_expression("#dueShard = :shard")
                .set_expression_attribute_names(Some(attribute_names(&["dueShard"])))
                .expression_attribute_values(":shard", shard_value(shard))
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(map_sdk_error)?;
            count += u64::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}

#[async_trait]
impl DueStore for DynamoCallStore {
    async fn list_due(
        &self,
        shard: Shard,
        now: Timestamp,
        after: Option<&DueEntry>,
        limit: u16,
    ) -> Result<DuePage, StoreError> {
        let start = after.map(|entry| {
            let mut start = item_key(&entry.id);
            start.insert("dueShard".to_owned(), shard_value(shard));
            start.insert("dueAt".to_owned(), timestamp_value(entry.due_at));
            start
        });
        let query = self
            .table
            .query()
            .index_name("due")
            .key_condition_expression("#dueShard = :shard AND #dueAt <= :now")
            .set_expression_attribute_names(Some(attribute_names(&["dueShard", "dueAt"])))
            .set_expression_attribute_values(Some(attribute_values([
                (":shard", shard_value(shard)),
                (":now", timestamp_value(now)),
            ])))
            .limit(limit.into())
            .set_exclusive_start_key(start);
        let output = query.send().await.map_err(map_sdk_error)?;
        let mut entries = Vec::new();
        for item in output.items.unwrap_or_default() {
            // A malformed entry must not block the others.
            match parse_due_entry(item) {
                Ok(entry) => entries.push(entry),
                Err(error) => ApiError::from(error).log("skipping malformed index entry", &shard),
            }
        }
        Ok(DuePage { entries, has_more: output.last_evaluated_key.is_some() })
    }

    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
        let keys = ids.iter().map(item_key).collect();
        let items = self.table.batch_get(KeysAndAttributes::builder().set_keys(Some(keys))).await?;
        let parse_due_call = |item| {
            let DueItem { call, due_at, tries } = parse_item(item)?;
            Ok(DueCall { call, due_at, tries })
        };
        items.into_iter().filter(|item| !is_alias(item)).map(parse_due_call).collect()
    }

    async fn reschedule(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        due_at: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "SET #dueAt = :until, #tries = :tries",
                condition: "#dueAt = :seen",
                names: &["dueAt", "tries"],
                values: attribute_values([
                    (":until", timestamp_value(due_at)),
                    (":tries", number(tries)),
                    (":seen", timestamp_value(expected_due_at)),
                ]),
            },
        );
        update_conditionally(update).await.map(|_| ())
    }

    async fn settle(&self, request: SettleRequest<'_>) -> Result<bool, StoreError> {
        let SettleRequest { call, expected_version, expected_due_at, next_check } = request;
        let (has_version, version_names) = has_presence_version(expected_version);
        let mut expression = "SET #settlement = :settlement, #presence = :presence".to_owned();
        let mut names = vec!["settlement", "presence", "state", "dueAt", "tries"];
        names.extend(version_names.iter().filter(|name| **name != "presence"));
        let mut values = attribute_values([
            (":settlement", attribute_value(&call.settlement)?),
            (":presence", attribute_value(&call.presence)?),
            (":ending", state_value(CallState::Ending)),
            (":ended", state_value(CallState::Ended)),
            (":seen", timestamp_value(expected_due_at)),
        ]);
        values.extend(version_values(expected_version));
        let changes = [
            ("startedAt", call.started_at.map(timestamp_value)),
            ("firstAnsweredAt", call.first_answered_at.map(timestamp_value)),
            ("quality", call.quality.as_ref().map(attribute_value).transpose()?),
            ("endingAt", call.ending_at.map(timestamp_value)),
            ("endReason", call.end_reason.as_ref().map(attribute_value).transpose()?),
            ("endedBy", call.ended_by.as_ref().map(attribute_value).transpose()?),
        ];
        for (name, value) in changes {
            if let Some(value) = value {
                let _ = write!(expression, ", #{name} = :{name}");
                names.push(name);
                values.insert(format!(":{name}"), value);
            }
        }
        if let Some(next_check) = next_check {
            expression.push_str(", #dueAt = :next REMOVE #tries");
            values.insert(":next".to_owned(), timestamp_value(next_check));
        } else {
            expression.push_str(" REMOVE #dueShard, #dueAt, #tries");
            names.push("dueShard");
        }
        let condition = format!(
            "#state IN (:ending, :ended) AND #dueAt = :seen \
             AND attribute_not_exists(#settlement) AND {has_version}"
        );
        let update = self.update(
            &call.call_id,
            CallUpdate { expression: &expression, condition: &condition, names: &names, values },
        );
        Ok(matches!(update_conditionally(update).await?, ConditionalResult::Applied(_)))
    }

    async fn remove_from_index(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        quality: Option<&CallScore>,
    ) -> Result<bool, StoreError> {
        let mut expression = "REMOVE #dueShard, #dueAt, #tries".to_owned();
        let mut names = vec!["dueShard", "dueAt", "tries", "state"];
        let mut values = attribute_values([
            (":ended", state_value(CallState::Ended)),
            (":seen", timestamp_value(expected_due_at)),
        ]);
        if let Some(quality) = quality {
            expression.push_str(" SET #quality = :quality");
            names.push("quality");
            values.insert(":quality".to_owned(), attribute_value(quality)?);
        }
        let condition = "#state = :ended AND #dueAt = :seen";
        let update = self
            .update(id, CallUpdate { expression: &expression, condition, names: &names, values });
        Ok(matches!(update_conditionally(update).await?, ConditionalResult::Applied(_)))
    }

    async fn load_checkpoint(&self) -> Result<Option<String>, StoreError> {
        #[derive(Deserialize)]
        struct CheckpointItem {
            place: String,
        }
        let item = self.table.get(key("SWEEP", "RECONCILE")).await?;
        item.map(parse_item::<CheckpointItem>)
            .transpose()
            .map(|item| item.map(|checkpoint| checkpoint.place))
    }

    async fn store_checkpoint(&self, checkpoint: &str) -> Result<(), StoreError> {
        let mut item = key("SWEEP", "RECONCILE");
        item.insert("place".to_owned(), text(checkpoint));
        let put = self.table.put_item(item);
        put.send().await.map(|_| ()).map_err(map_sdk_error)
    }
}
