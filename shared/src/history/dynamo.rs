//! History rows in the table: a row has `pk = USER#<userId>` and
//! `sk = HISTORY#<OPEN or ENDED>#<createdAt>#<callId>`, with the 13 digits of the time in
//! milliseconds. It expires by `ttl`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, WriteRequest};
use serde::{Deserialize, Serialize};

use crate::calls::{self, CallView};
use crate::clock::Timestamp;
use crate::dynamo::{
    Item, Table, attribute_names, key, map_sdk_error, number, parse_item, put_conditionally, text,
};
use crate::error::ApiError;
use crate::history::{
    CurrentState, HistoryReader, HistoryRow, HistoryWriter, RowKey, RowPage, RowState,
};
use crate::ids::{CallId, UserId};
use crate::store::StoreError;
use crate::users::{self, UserStatus};

/// The number of keys in a `BatchGetItem` request.
const MAX_KEYS: usize = 100;
/// The number of writes in a `BatchWriteItem` request.
const MAX_WRITES: usize = 25;
/// The number of requests of a batch deletion, including the retries for unprocessed rows.
const MAX_ATTEMPTS: u32 = 3;

/// The store of history rows in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoHistoryStore(Table);

#[derive(Serialize, Deserialize)]
struct RowItem {
    #[serde(flatten)]
    view: CallView,
    version: u64,
    /// In seconds.
    ttl: i64,
}

#[derive(Deserialize)]
struct Keys {
    sk: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileItem {
    user_id: UserId,
    #[serde(default)]
    status: UserStatus,
}

impl DynamoHistoryStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

fn partition(user: &UserId) -> String {
    format!("USER#{user}")
}

fn row_key(user: &UserId, row: &RowKey) -> Item {
    key(partition(user), format!("{}{row}", RowKey::PREFIX))
}

fn parse_row(user: &UserId, item: Item) -> Result<HistoryRow, StoreError> {
    let Keys { sk } = parse_item(item.clone())?;
    let key = sk.strip_prefix(RowKey::PREFIX).and_then(RowKey::parse);
    let key = key.ok_or_else(|| StoreError::Internal("the sort key of a row is invalid".into()))?;
    let RowItem { view, version, ttl } = parse_item(item)?;
    let expires_at = Timestamp::from_secs(ttl);
    Ok(HistoryRow { user: user.clone(), key, view, version, expires_at })
}

/// Deletes all rows of a user.
pub(crate) async fn delete_all(table: &Table, user: &UserId) -> Result<(), StoreError> {
    let mut start = None;
    loop {
        let query = table
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :user AND begins_with(sk, :prefix)")
            .expression_attribute_values(":user", text(partition(user)))
            .expression_attribute_values(":prefix", text(RowKey::PREFIX))
            .projection_expression("pk, sk")
            .set_exclusive_start_key(start);
        let output = query.send().await.map_err(map_sdk_error)?;
        for keys in output.items.unwrap_or_default().chunks(MAX_WRITES) {
            delete_batch(table, keys).await?;
        }
        start = output.last_evaluated_key;
        if start.is_none() {
            return Ok(());
        }
    }
}

async fn delete_batch(table: &Table, keys: &[Item]) -> Result<(), StoreError> {
    let delete = |key: &Item| {
        let request = DeleteRequest::builder().set_key(Some(key.clone())).build();
        let request = request.map_err(|error| StoreError::Internal(error.into()))?;
        Ok(WriteRequest::builder().delete_request(request).build())
    };
    let writes = keys.iter().map(delete).collect::<Result<Vec<_>, StoreError>>()?;
    let mut pending = HashMap::from([(table.name.clone(), writes)]);
    for _ in 0..MAX_ATTEMPTS {
        let request = table.batch_write_item().set_request_items(Some(pending));
        let output = request.send().await.map_err(map_sdk_error)?;
        pending = output.unprocessed_items.unwrap_or_default();
        if pending.is_empty() {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("BatchWriteItem left rows unprocessed".into()))
}

#[async_trait]
impl HistoryReader for DynamoHistoryStore {
    async fn list(
        &self,
        user: &UserId,
        state: Option<RowState>,
        after: Option<&RowKey>,
        limit: u8,
    ) -> Result<RowPage, StoreError> {
        let state = state.map(|state| format!("{}#", state.as_str())).unwrap_or_default();
        let query = self
            .0
            .query()
            .key_condition_expression("pk = :user AND begins_with(sk, :prefix)")
            .expression_attribute_values(":user", text(partition(user)))
            .expression_attribute_values(":prefix", text(format!("{}{state}", RowKey::PREFIX)))
            .scan_index_forward(false)
            .limit(limit.into())
            .set_exclusive_start_key(after.map(|after| row_key(user, after)));
        let output = query.send().await.map_err(map_sdk_error)?;
        let mut rows = Vec::new();
        for item in output.items.unwrap_or_default() {
            // A malformed row must not block the others.
            match parse_row(user, item) {
                Ok(row) => rows.push(row),
                Err(error) => ApiError::from(error).log("skipping malformed history row", user),
            }
        }
        let next = output.last_evaluated_key.as_ref().and_then(parse_position);
        Ok(RowPage { rows, next })
    }
}

#[async_trait]
impl HistoryWriter for DynamoHistoryStore {
    async fn put(&self, row: &HistoryRow) -> Result<(), StoreError> {
        let HistoryRow { user, key, view, version, expires_at } = row;
        let row = RowItem { view: view.clone(), version: *version, ttl: expires_at.as_secs() };
        let mut item: Item =
            serde_dynamo::to_item(&row).map_err(|error| StoreError::Internal(error.into()))?;
        item.extend(row_key(user, key));
        let put = self
            .0
            .put_item(item)
            .condition_expression("attribute_not_exists(pk) OR #version <= :version")
            .set_expression_attribute_names(Some(attribute_names(&["version"])))
            .expression_attribute_values(":version", number(*version));
        put_conditionally(put).await.map(|_| ())
    }

    async fn delete(&self, user: &UserId, key: &RowKey) -> Result<(), StoreError> {
        let delete = self.0.delete_item(row_key(user, key));
        delete.send().await.map(|_| ()).map_err(map_sdk_error)
    }

    async fn load_current(
        &self,
        call_ids: &BTreeSet<CallId>,
        user_ids: &BTreeSet<UserId>,
    ) -> Result<CurrentState, StoreError> {
        let call_keys = call_ids.iter().map(calls::dynamo::item_key);
        let keys: Vec<Item> =
            call_keys.chain(user_ids.iter().map(users::dynamo::item_key)).collect();
        let mut current = CurrentState::default();
        for keys in keys.chunks(MAX_KEYS) {
            let request = KeysAndAttributes::builder().set_keys(Some(keys.to_vec()));
            for item in self.0.batch_get(request).await? {
                if item.get("sk").is_some_and(|sort| *sort == text("PROFILE")) {
                    // A malformed profile must not block the histories of others.
                    match parse_item(item) {
                        Ok(ProfileItem { user_id, status: UserStatus::Deleted }) => {
                            current.deleted_users.insert(user_id);
                        }
                        Ok(ProfileItem { .. }) => {}
                        Err(error) => {
                            ApiError::from(error).log("skipping malformed profile", &"history");
                        }
                    }
                } else if let Some(call) = calls::dynamo::parse_call(Some(item))? {
                    current.calls.insert(call.call_id.clone(), call);
                }
            }
        }
        Ok(current)
    }
}

fn parse_position(key: &Item) -> Option<RowKey> {
    let AttributeValue::S(sort) = key.get("sk")? else { return None };
    RowKey::parse(sort.strip_prefix(RowKey::PREFIX)?)
}
