//! Calls in the table.
//!
//! A call item has `pk = CALL#<callId>` and `sk = CALL`. While work remains, it is in the sparse
//! index `due` by `dueShard` and `dueAt`, and `tries` counts the failed attempts. Once the call has
//! ended, `ttl` is set.
//!
//! If a create with an `Idempotency-Key` returns another call, an alias replaces its item:
//! `answeredWith` is the id of that call, and `expires` the end of the alias.
//!
//! An open-call pointer has `pk = MEMBERS#<digest>` and `sk = OPEN`. The counter of single channel
//! deletions in a minute has `pk = LIMIT#delete-channel` and `sk = <minute>`.

mod call_store;
mod due_store;
mod reemit;

pub use reemit::{SettledCalls, SettledPosition};

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::Serialize;

use crate::calls::sweep::Shard;
use crate::calls::{Call, CallState, MemberSet};
use crate::clock::Timestamp;
use crate::dynamo::{
    Item, Table, UpdateItemRequest, attribute_names, key, number, parse_item, text,
    update_conditionally,
};
use crate::ids::{CallCid, CallId, CallTypeName};
use crate::minute_quota::MinuteQuota;
use crate::store::StoreError;

/// The quota of single channel deletions. Stream allows 60 per minute and app, and its minutes may
/// overlap two minutes of this clock.
const MAX_CHANNEL_DELETIONS_PER_MINUTE: u32 = 30;

/// The store of calls in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoCallStore {
    table: Table,
    delete_quota: MinuteQuota,
}

impl DynamoCallStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        let delete_quota =
            MinuteQuota::new(table.clone(), "delete-channel", MAX_CHANNEL_DELETIONS_PER_MINUTE);
        Self { table, delete_quota }
    }

    /// Sets when a call is due, if the condition holds.
    async fn update_due_at(
        &self,
        cid: &CallCid,
        due_at: Timestamp,
        condition: &str,
    ) -> Result<(), StoreError> {
        let update = self.update(
            &cid.id,
            CallUpdate {
                expression: "SET #dueAt = :due",
                condition: &format!("{condition} AND {}", has_call_type(&cid.call_type)),
                names: &["dueAt", "state", "streamCallType"],
                values: attribute_values([
                    (":callType", text(cid.call_type.as_str())),
                    (":due", timestamp_value(due_at)),
                    (":active", state_value(CallState::Active)),
                ]),
            },
        );
        update_conditionally(update).await.map(|_| ())
    }

    /// A conditional update of one call.
    fn update(&self, id: &CallId, change: CallUpdate<'_>) -> UpdateItemRequest {
        self.table
            .update_item(item_key(id))
            .update_expression(change.expression)
            .condition_expression(change.condition)
            .set_expression_attribute_names(Some(attribute_names(change.names)))
            .set_expression_attribute_values(Some(change.values))
            .return_values(ReturnValue::AllNew)
    }
}

struct CallUpdate<'a> {
    expression: &'a str,
    condition: &'a str,
    names: &'a [&'a str],
    values: HashMap<String, AttributeValue>,
}

/// The key of a call item.
pub(crate) fn item_key(id: &CallId) -> Item {
    key(format!("CALL#{id}"), "CALL")
}

/// The condition that a call has the type `:callType`. Calls of the default type do not store it.
fn has_call_type(call_type: &CallTypeName) -> &'static str {
    if call_type.is_default() {
        "(attribute_not_exists(#streamCallType) OR #streamCallType = :callType)"
    } else {
        "#streamCallType = :callType"
    }
}

/// The condition that the presence has the version `:version`, and its attributes. A presence
/// without a change is not stored.
fn has_presence_version(version: u64) -> (&'static str, &'static [&'static str]) {
    if version == 0 {
        ("attribute_not_exists(#presence)", &["presence"])
    } else {
        ("#presence.#version = :version", &["presence", "version"])
    }
}

/// The values of [`has_presence_version`].
fn version_values(version: u64) -> Option<(String, AttributeValue)> {
    (version > 0).then(|| (":version".to_owned(), number(version)))
}

/// A value as an attribute.
fn attribute_value(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| StoreError::Internal(error.into()))
}

/// Whether an item is an alias, which has the key of a call.
fn is_alias(item: &Item) -> bool {
    item.contains_key("answeredWith")
}

/// The call of an item, if there is one. An alias is not a call.
pub(crate) fn parse_call(item: Option<Item>) -> Result<Option<Call>, StoreError> {
    item.filter(|item| !is_alias(item)).map(parse_item).transpose()
}

fn pointer_key(members: &MemberSet) -> Item {
    key(format!("MEMBERS#{}", members.as_str()), "OPEN")
}

fn shard_value(shard: Shard) -> AttributeValue {
    text(format!("DUE#{}", shard.number()))
}

fn timestamp_value(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

fn state_value(state: CallState) -> AttributeValue {
    text(match state {
        CallState::Creating => "creating",
        CallState::Active => "active",
        CallState::Ending => "ending",
        CallState::Ended => "ended",
    })
}

fn attribute_values<const N: usize>(
    pairs: [(&str, AttributeValue); N],
) -> HashMap<String, AttributeValue> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn due_value(at: Timestamp, delay: Duration) -> AttributeValue {
    timestamp_value(at.plus(delay))
}
