//! Calls in the table: one item a call, `pk = CALL#<callId>`, `sk = CALL`.
//!
//! Beside the call itself an item holds `leaseUntil` while it is `creating`, its place in the
//! sparse index `due` (`dueShard`, `dueAt`) while something is left to do, and `ttl` once it has
//! ended.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use ring::digest;

use crate::calls::store::{LEASE, LOOK, RETRY_END, SECOND_LOOK, TOMBSTONE};
use crate::calls::{
    Activated, Begun, Call, CallState, CallStore, EndRequest, Ending, NewCall, TakenOver, Withdrawn,
};
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, Written, failed, key, names, number, read, text, write};
use crate::ids::CallId;
use crate::store::StoreError;

/// Over how many partitions of the index the open calls are spread.
const SHARDS: u8 = 16;

/// The calls of a table.
#[derive(Clone, Debug)]
pub struct DynamoCalls(Table);

impl DynamoCalls {
    /// The calls of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// A conditional update of one call.
    fn update(&self, id: &CallId, change: Change<'_>) -> UpdateItemFluentBuilder {
        self.0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .update_expression(change.update)
            .condition_expression(change.condition)
            .set_expression_attribute_names(Some(names(change.names)))
            .set_expression_attribute_values(Some(change.values))
            .return_values(ReturnValue::AllNew)
    }
}

/// The parts of an update.
struct Change<'a> {
    update: &'a str,
    condition: &'a str,
    names: &'a [&'a str],
    values: HashMap<String, AttributeValue>,
}

fn item_key(id: &CallId) -> Item {
    key(format!("CALL#{id}"), "CALL")
}

/// The partition of the index that a call is in: an even spread, the same every time.
fn shard(id: &CallId) -> AttributeValue {
    let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
    text(format!("DUE#{}", digest.as_ref()[0] % SHARDS))
}

fn millis(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

fn state(state: CallState) -> AttributeValue {
    text(match state {
        CallState::Creating => "creating",
        CallState::Active => "active",
        CallState::Ending => "ending",
        CallState::Ended => "ended",
    })
}

fn values<const N: usize>(pairs: [(&str, AttributeValue); N]) -> HashMap<String, AttributeValue> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn due(at: Timestamp, span: Duration) -> AttributeValue {
    millis(at.plus(span))
}

#[async_trait]
impl CallStore for DynamoCalls {
    async fn begin(&self, new: &NewCall) -> Result<Begun, StoreError> {
        let call = Call {
            call_id: new.id.clone(),
            owner: new.owner.clone(),
            members: new.members.clone(),
            call_type: new.call_type,
            state: CallState::Creating,
            fingerprint: new.fingerprint.clone(),
            attempt: new.attempt.clone(),
            created_at: new.at,
            active_at: None,
            ending_at: None,
            ended_at: None,
            end_reason: None,
        };
        let mut item: Item =
            serde_dynamo::to_item(&call).map_err(|error| StoreError::Broken(error.into()))?;
        item.extend(item_key(&new.id));
        item.insert("leaseUntil".to_owned(), due(new.at, LEASE));
        item.insert("dueShard".to_owned(), shard(&new.id));
        item.insert("dueAt".to_owned(), due(new.at, LEASE));
        let put = self
            .0
            .client
            .put_item()
            .table_name(&self.0.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Begun::Started) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let found: Call = read(refused.item.clone().unwrap_or_default())?;
                // Our own write, whose first answer was lost on the way.
                let ours = found.attempt == new.attempt && found.state == CallState::Creating;
                Ok(if ours { Begun::Started } else { Begun::Exists(found) })
            }
            _ => Err(failed(error)),
        }
    }

    async fn take_over(&self, new: &NewCall) -> Result<TakenOver, StoreError> {
        let update = self.update(
            &new.id,
            Change {
                update: "SET #attempt = :attempt, #leaseUntil = :due, #dueAt = :due",
                condition: "#state = :creating AND #fingerprint = :fingerprint",
                names: &["attempt", "leaseUntil", "dueAt", "state", "fingerprint"],
                values: values([
                    (":attempt", text(new.attempt.as_str())),
                    (":due", due(new.at, LEASE)),
                    (":creating", state(CallState::Creating)),
                    (":fingerprint", text(new.fingerprint.as_str())),
                ]),
            },
        );
        Ok(match write(update).await? {
            Written::New(_) => TakenOver::Taken,
            Written::Refused(Some(item)) => TakenOver::Moved(read(item)?),
            Written::Refused(None) => TakenOver::Gone,
        })
    }

    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<Withdrawn, StoreError> {
        let delete = self
            .0
            .client
            .delete_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(id)))
            .condition_expression("#state = :creating AND #attempt = :attempt")
            .set_expression_attribute_names(Some(names(&["state", "attempt"])))
            .set_expression_attribute_values(Some(values([
                (":creating", state(CallState::Creating)),
                (":attempt", text(attempt)),
            ])))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = delete.send().await else { return Ok(Withdrawn::Removed) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(refused)) => {
                Ok(if refused.item.is_some() { Withdrawn::Kept } else { Withdrawn::Removed })
            }
            _ => Err(failed(error)),
        }
    }

    async fn activate(&self, new: &NewCall, at: Timestamp) -> Result<Activated, StoreError> {
        let update = self.update(
            &new.id,
            Change {
                update: "SET #state = :active, #activeAt = :at, #attempt = :attempt, \
                         #dueAt = :due REMOVE #leaseUntil",
                condition: "#state = :creating AND #fingerprint = :fingerprint",
                names: &["state", "activeAt", "attempt", "dueAt", "leaseUntil", "fingerprint"],
                values: values([
                    (":active", state(CallState::Active)),
                    (":creating", state(CallState::Creating)),
                    (":at", millis(at)),
                    (":attempt", text(new.attempt.as_str())),
                    (":due", due(at, LOOK)),
                    (":fingerprint", text(new.fingerprint.as_str())),
                ]),
            },
        );
        Ok(match write(update).await? {
            Written::New(item) => Activated::Now(read(item)?),
            Written::Refused(Some(item)) => Activated::Was(read(item)?),
            Written::Refused(None) => Activated::Missing,
        })
    }

    async fn end(&self, request: EndRequest<'_>) -> Result<Ending, StoreError> {
        let mut attributes = vec!["state", "endingAt", "endReason", "dueAt", "leaseUntil"];
        let mut with = values([
            (":ending", state(CallState::Ending)),
            (":creating", state(CallState::Creating)),
            (":active", state(CallState::Active)),
            (":at", millis(request.at)),
            (":reason", text(request.reason.as_str())),
            (":due", due(request.at, RETRY_END)),
        ]);
        let mut condition = "#state IN (:creating, :active)".to_owned();
        if let Some(member) = request.by {
            condition.push_str(" AND contains(#members, :member)");
            attributes.push("members");
            with.insert(":member".to_owned(), text(member.as_str()));
        }
        let update = self.update(
            request.id,
            Change {
                update: "SET #state = :ending, #endingAt = :at, #endReason = :reason, \
                         #dueAt = :due REMOVE #leaseUntil",
                condition: &condition,
                names: &attributes,
                values: with,
            },
        );
        Ok(match write(update).await? {
            Written::New(item) => Ending::Now(read(item)?),
            Written::Refused(Some(item)) => Ending::Was(read(item)?),
            Written::Refused(None) => Ending::Missing,
        })
    }

    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError> {
        let update = self.update(
            id,
            Change {
                update: "SET #state = :ended, #endedAt = :at, #dueAt = :due, #ttl = :ttl",
                condition: "#state = :ending",
                names: &["state", "endedAt", "dueAt", "ttl"],
                values: values([
                    (":ended", state(CallState::Ended)),
                    (":ending", state(CallState::Ending)),
                    (":at", millis(at)),
                    (":due", due(at, SECOND_LOOK)),
                    (":ttl", number(at.plus(TOMBSTONE).as_secs())),
                ]),
            },
        );
        let call: Call = match write(update).await? {
            Written::New(item) | Written::Refused(Some(item)) => read(item)?,
            Written::Refused(None) => return Ok(None),
        };
        Ok(Some(call).filter(|call| call.state == CallState::Ended))
    }

    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        self.0.get(item_key(id)).await?.map(read).transpose()
    }
}
