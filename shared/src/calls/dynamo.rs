//! Calls in the table: one item a call, `pk = CALL#<callId>`, `sk = CALL`.
//!
//! Beside the call itself an item holds its place in the sparse index `due` (`dueShard`, `dueAt`)
//! while something is left to do, how often that was tried in vain (`tries`), and `ttl` once it
//! has ended. The open call of a set of members is marked in an item of the set's own,
//! `pk = MEMBERS#<digest>`, `sk = OPEN`; how many of a minute's single channel deletions are taken
//! is counted in `pk = LIMIT#delete-channel`, `sk = <minute>`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, Select,
};
use serde::Deserialize;

use crate::calls::store::{LEASE, MARK, SECOND_LOOK, TOMBSTONE};
use crate::calls::sweep::{DueCall, DuePage, DuePlace, DueStore, Shard};
use crate::calls::{
    Activated, Begun, Call, CallState, CallStore, EndRequest, Ending, Mark, Marked, MemberSet,
    NewCall, Seen, TakenOver, Withdrawn,
};
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, Written, failed, key, names, number, read, text, write};
use crate::error::ApiError;
use crate::ids::CallId;
use crate::store::StoreError;

/// How many single channel deletions a minute may have. Stream allows 60 a minute and app, in
/// minutes of its own: no minute of its own overlaps more than two of ours.
const DELETIONS: i64 = 30;

/// The calls of a table.
#[derive(Clone, Debug)]
pub struct DynamoCalls {
    table: Table,
    /// The last minute whose single channel deletions are known to be used up.
    used_up: Arc<AtomicI64>,
}

impl DynamoCalls {
    /// The calls of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, used_up: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Has an active call looked at no later than `due`, if the condition holds.
    async fn look(&self, id: &CallId, due: Timestamp, condition: &str) -> Result<(), StoreError> {
        let update = self.update(
            id,
            Change {
                update: "SET #dueAt = :due",
                condition,
                names: &["dueAt", "state"],
                values: values([(":due", millis(due)), (":active", state(CallState::Active))]),
            },
        );
        write(update).await.map(|_| ())
    }

    /// How many calls are in a shard of the index.
    pub(super) async fn count(&self, part: Shard) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0, None);
        loop {
            let query = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .index_name("due")
                .select(Select::Count)
                .key_condition_expression("#dueShard = :shard")
                .set_expression_attribute_names(Some(names(&["dueShard"])))
                .expression_attribute_values(":shard", shard(part))
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(failed)?;
            count += u64::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// A conditional update of one call.
    fn update(&self, id: &CallId, change: Change<'_>) -> UpdateItemFluentBuilder {
        self.table
            .client
            .update_item()
            .table_name(&self.table.name)
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

fn mark_key(members: &MemberSet) -> Item {
    key(format!("MEMBERS#{}", members.as_str()), "OPEN")
}

/// The partition of the index.
fn shard(shard: Shard) -> AttributeValue {
    text(format!("DUE#{}", shard.number()))
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
        let call = Call::begun(new);
        let mut item: Item =
            serde_dynamo::to_item(&call).map_err(|error| StoreError::Broken(error.into()))?;
        item.extend(item_key(&new.id));
        item.insert("dueShard".to_owned(), shard(Shard::of(&new.id)));
        item.insert("dueAt".to_owned(), due(new.at, LEASE));
        let put = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
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
            .table
            .client
            .delete_item()
            .table_name(&self.table.name)
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

    async fn activate(
        &self,
        new: &NewCall,
        at: Timestamp,
        due: Timestamp,
    ) -> Result<Activated, StoreError> {
        let update = self.update(
            &new.id,
            Change {
                update: "SET #state = :active, #activeAt = :at, #attempt = :attempt, \
                         #dueAt = :due REMOVE #leaseUntil, #tries",
                condition: "#state = :creating AND #fingerprint = :fingerprint",
                names: &[
                    "state",
                    "activeAt",
                    "attempt",
                    "dueAt",
                    "leaseUntil",
                    "tries",
                    "fingerprint",
                ],
                values: values([
                    (":active", state(CallState::Active)),
                    (":creating", state(CallState::Creating)),
                    (":at", millis(at)),
                    (":attempt", text(new.attempt.as_str())),
                    (":due", millis(due)),
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
        let mut attributes = vec!["state", "endingAt", "endReason", "dueAt", "leaseUntil", "tries"];
        let mut with = values([
            (":ending", state(CallState::Ending)),
            (":creating", state(CallState::Creating)),
            (":active", state(CallState::Active)),
            (":at", millis(request.at)),
            (":reason", text(request.reason.as_str())),
            (":due", millis(request.due)),
        ]);
        let mut condition = "#state IN (:creating, :active)".to_owned();
        if let Some(member) = request.by {
            condition.push_str(" AND contains(#members, :member)");
            attributes.push("members");
            with.insert(":member".to_owned(), text(member.as_str()));
        }
        match request.unless_moved {
            Some(Seen::Due(due)) => {
                condition.push_str(" AND #dueAt = :seen");
                with.insert(":seen".to_owned(), millis(due));
            }
            Some(Seen::Attempt(attempt)) => {
                condition.push_str(" AND #attempt = :seen");
                attributes.push("attempt");
                with.insert(":seen".to_owned(), text(attempt));
            }
            None => {}
        }
        let update = self.update(
            request.id,
            Change {
                update: "SET #state = :ending, #endingAt = :at, #endReason = :reason, \
                         #dueAt = :due REMOVE #leaseUntil, #tries",
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
                update: "SET #state = :ended, #endedAt = :at, #dueAt = :due, #ttl = :ttl \
                         REMOVE #tries",
                condition: "#state = :ending",
                names: &["state", "endedAt", "dueAt", "ttl", "tries"],
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
        self.table.get(item_key(id)).await?.map(read).transpose()
    }

    async fn started(&self, id: &CallId, at: Timestamp) -> Result<(), StoreError> {
        let update = self.update(
            id,
            Change {
                update: "SET #startedAt = :at",
                condition: "attribute_exists(pk) AND \
                            (attribute_not_exists(#startedAt) OR #startedAt > :at)",
                names: &["startedAt"],
                values: values([(":at", millis(at))]),
            },
        );
        write(update).await.map(|_| ())
    }

    async fn look_by(&self, id: &CallId, due: Timestamp) -> Result<(), StoreError> {
        self.look(id, due, "#state = :active AND #dueAt > :due").await
    }

    async fn look_now(&self, id: &CallId, now: Timestamp) -> Result<(), StoreError> {
        self.look(id, now, "#state = :active").await
    }

    async fn mark(
        &self,
        members: &MemberSet,
        call: &NewCall,
        at: Timestamp,
        over: Option<&Mark>,
    ) -> Result<Marked, StoreError> {
        let id = &call.id;
        let mut condition = "attribute_not_exists(pk) OR #callId = :id".to_owned();
        let mut with = values([(":id", text(id.as_str()))]);
        let mut attributes = vec!["callId"];
        if let Some(over) = over {
            condition.push_str(" OR (#callId = :over AND #at = :overAt)");
            attributes.push("at");
            with.insert(":over".to_owned(), text(over.call.as_str()));
            with.insert(":overAt".to_owned(), millis(over.at));
        }
        let mut item = mark_key(members);
        item.insert("callId".to_owned(), text(id.as_str()));
        item.insert("at".to_owned(), millis(at));
        item.insert("attempt".to_owned(), text(call.attempt.as_str()));
        item.insert("ttl".to_owned(), number(at.plus(MARK).as_secs()));
        let put = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(&attributes)))
            .set_expression_attribute_values(Some(with))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match put.send().await {
            Ok(output) => {
                let before = output.attributes.filter(|before| !before.is_empty());
                let before: Option<MarkItem> = before.map(read).transpose()?;
                // A mark of our own, too, may have replaced another's: its answer was lost.
                let alone = before.is_none_or(|before| before.call_id != *id);
                return Ok(Marked::Ours { alone });
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let MarkItem { call_id, at } = read(refused.item.clone().unwrap_or_default())?;
                Ok(Marked::Theirs(Mark { call: call_id, at }))
            }
            _ => Err(failed(error)),
        }
    }

    async fn unmark(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut condition = "#callId = :id".to_owned();
        let mut attributes = vec!["callId"];
        let mut with = values([(":id", text(id.as_str()))]);
        if let Some(attempt) = attempt {
            condition.push_str(" AND #attempt = :attempt");
            attributes.push("attempt");
            with.insert(":attempt".to_owned(), text(attempt));
        }
        let delete = self
            .table
            .client
            .delete_item()
            .table_name(&self.table.name)
            .set_key(Some(mark_key(members)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(&attributes)))
            .set_expression_attribute_values(Some(with));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed(error)),
            },
        }
    }

    async fn take_deletion(&self, at: Timestamp) -> Result<bool, StoreError> {
        let minute = at.as_secs().div_euclid(60);
        // Not asked again: a minute's counter is one item, which many ends at once would wear out.
        if self.used_up.load(Ordering::Relaxed) == minute {
            return Ok(false);
        }
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key("LIMIT#delete-channel", minute.to_string())))
            .update_expression("SET #ttl = :ttl ADD #used :one")
            .condition_expression("attribute_not_exists(#used) OR #used < :most")
            .set_expression_attribute_names(Some(names(&["ttl", "used"])))
            .set_expression_attribute_values(Some(values([
                (":ttl", number((minute + 10) * 60)),
                (":one", number(1)),
                (":most", number(DELETIONS)),
            ])));
        let taken = matches!(write(update).await?, Written::New(_));
        if !taken {
            self.used_up.store(minute, Ordering::Relaxed);
        }
        Ok(taken)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkItem {
    call_id: CallId,
    at: Timestamp,
}

/// What the index shows of a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexItem {
    pk: String,
    due_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DueItem {
    #[serde(flatten)]
    call: Call,
    /// Not there where nothing is due any more.
    due_at: Option<Timestamp>,
    #[serde(default)]
    tries: u32,
}

fn place(item: Item) -> Result<DuePlace, StoreError> {
    let IndexItem { pk, due_at } = read(item)?;
    let id = pk.strip_prefix("CALL#").unwrap_or_default().to_owned();
    let id = CallId::try_from(id).map_err(|error| StoreError::Broken(error.into()))?;
    Ok(DuePlace { due_at, id })
}

#[async_trait]
impl DueStore for DynamoCalls {
    async fn due(
        &self,
        part: Shard,
        now: Timestamp,
        after: Option<&DuePlace>,
        most: u16,
    ) -> Result<DuePage, StoreError> {
        let start = after.map(|place| {
            let mut start = item_key(&place.id);
            start.insert("dueShard".to_owned(), shard(part));
            start.insert("dueAt".to_owned(), millis(place.due_at));
            start
        });
        let query = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .index_name("due")
            .key_condition_expression("#dueShard = :shard AND #dueAt <= :now")
            .set_expression_attribute_names(Some(names(&["dueShard", "dueAt"])))
            .set_expression_attribute_values(Some(values([
                (":shard", shard(part)),
                (":now", millis(now)),
            ])))
            .limit(most.into())
            .set_exclusive_start_key(start);
        let output = query.send().await.map_err(failed)?;
        let mut places = Vec::new();
        for item in output.items.unwrap_or_default() {
            // What nobody can read must not keep the others from being seen to.
            match place(item) {
                Ok(place) => places.push(place),
                Err(error) => ApiError::from(error).note("a place in the index is not one", &part),
            }
        }
        Ok(DuePage { places, more: output.last_evaluated_key.is_some() })
    }

    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
        let keys = ids.iter().map(item_key).collect();
        let found = self.table.get_many(KeysAndAttributes::builder().set_keys(Some(keys))).await?;
        let due = |item| {
            let DueItem { call, due_at, tries } = read(item)?;
            Ok(DueCall { call, due_at, tries })
        };
        found.into_iter().map(due).collect()
    }

    async fn put_off(
        &self,
        id: &CallId,
        seen: Timestamp,
        until: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError> {
        let update = self.update(
            id,
            Change {
                update: "SET #dueAt = :until, #tries = :tries",
                condition: "#dueAt = :seen",
                names: &["dueAt", "tries"],
                values: values([
                    (":until", millis(until)),
                    (":tries", number(tries)),
                    (":seen", millis(seen)),
                ]),
            },
        );
        write(update).await.map(|_| ())
    }

    async fn rest(&self, id: &CallId, seen: Timestamp) -> Result<bool, StoreError> {
        let update = self.update(
            id,
            Change {
                update: "REMOVE #dueShard, #dueAt, #tries",
                condition: "#state = :ended AND #dueAt = :seen",
                names: &["dueShard", "dueAt", "tries", "state"],
                values: values([(":ended", state(CallState::Ended)), (":seen", millis(seen))]),
            },
        );
        Ok(matches!(write(update).await?, Written::New(_)))
    }

    async fn bookmark(&self) -> Result<Option<String>, StoreError> {
        #[derive(Deserialize)]
        struct Bookmark {
            place: String,
        }
        let item = self.table.get(key("SWEEP", "RECONCILE")).await?;
        item.map(read::<Bookmark>).transpose().map(|found| found.map(|mark| mark.place))
    }

    async fn set_bookmark(&self, place: &str) -> Result<(), StoreError> {
        let mut item = key("SWEEP", "RECONCILE");
        item.insert("place".to_owned(), text(place));
        let put = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(failed)
    }
}
