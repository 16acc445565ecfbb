//! Implements [`CallReader`] and [`CallStore`]: call states, open-call pointers and the channel
//! deletion quota.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::Deserialize;

use super::{
    CallUpdate, DynamoCallStore, attribute_value, attribute_values, due_value, has_call_type,
    has_presence_version, is_alias, item_key, parse_call, pointer_key, shard_value, state_value,
    timestamp_value, version_values,
};
use crate::calls::sweep::Shard;
use crate::calls::timeouts::{
    CLEANUP_RECHECK, LEASE_DURATION, OPEN_CALL_POINTER_TTL, TOMBSTONE_TTL,
};
use crate::calls::{
    ActivateResult, Alias, BeginResult, Call, CallCleanupStore, CallEndStore, CallEventStore,
    CallExtendStore, CallMemberStore, CallReader, CallState, CallStore, ConfirmLimitResult,
    EndRequest, EndResult, ExtendRequest, ExtendResult, MemberSet, NewCall, OpenCallPointer,
    Precondition, PresenceUpdate, ReplaceMembersResult, SetOpenCallResult, TakeOverResult,
    UpdatePresenceResult, WithdrawResult,
};
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, attribute_names, delete_conditionally, number, parse_item,
    put_conditionally, text, update_conditionally,
};
use crate::ids::{CallCid, CallId, UserId};
use crate::store::StoreError;
use crate::stream::event::MAX_CLOCK_SKEW;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PointerItem {
    call_id: CallId,
    at: Timestamp,
}

fn members_value(members: &[UserId]) -> AttributeValue {
    AttributeValue::L(members.iter().map(|id| text(id.as_str())).collect())
}

/// An alias, in the place of a call item. `expires` is in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AliasItem {
    fingerprint: String,
    answered_with: CallId,
}

#[async_trait]
impl CallReader for DynamoCallStore {
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        parse_call(self.table.get(item_key(id)).await?)
    }
}

#[async_trait]
impl CallEndStore for DynamoCallStore {
    async fn end(&self, request: EndRequest<'_>) -> Result<EndResult, StoreError> {
        let mut attributes =
            vec!["state", "endingAt", "endReason", "endedBy", "dueAt", "leaseUntil", "tries"];
        let mut values = attribute_values([
            (":ending", state_value(CallState::Ending)),
            (":creating", state_value(CallState::Creating)),
            (":active", state_value(CallState::Active)),
            (":at", timestamp_value(request.at)),
            (":reason", text(request.reason.as_str())),
            (":endedBy", attribute_value(request.ended_by)?),
            (":due", timestamp_value(request.due_at)),
        ]);
        let mut condition = "#state IN (:creating, :active)".to_owned();
        if let Some(member) = request.member {
            condition.push_str(" AND contains(#members, :member)");
            attributes.push("members");
            values.insert(":member".to_owned(), text(member.as_str()));
        }
        match request.precondition {
            Some(Precondition::DueAt(due_at)) => {
                condition.push_str(" AND #dueAt = :seen");
                values.insert(":seen".to_owned(), timestamp_value(due_at));
            }
            Some(Precondition::Attempt(attempt)) => {
                condition.push_str(" AND #attempt = :seen");
                attributes.push("attempt");
                values.insert(":seen".to_owned(), text(attempt));
            }
            Some(Precondition::Event { at, call_type }) => {
                condition.push_str(" AND #createdAt <= :seen");
                attributes.push("createdAt");
                values.insert(":seen".to_owned(), timestamp_value(at.plus(MAX_CLOCK_SKEW)));
                if let Some(call_type) = call_type {
                    condition.push_str(" AND ");
                    condition.push_str(has_call_type(call_type));
                    attributes.push("streamCallType");
                    values.insert(":callType".to_owned(), text(call_type.as_str()));
                }
            }
            None => {}
        }
        if let Some(version) = request.presence_version {
            let (has_version, names) = has_presence_version(version);
            condition.push_str(" AND ");
            condition.push_str(has_version);
            attributes.extend(names);
            values.extend(version_values(version));
        }
        match request.limit_version {
            Some(0) => {
                condition.push_str(" AND attribute_not_exists(#limitVersion)");
                attributes.push("limitVersion");
            }
            Some(version) => {
                condition.push_str(" AND #limitVersion = :limitVersion");
                attributes.push("limitVersion");
                values.insert(":limitVersion".to_owned(), number(version));
            }
            None => {}
        }
        let update = self.update(
            request.id,
            CallUpdate {
                expression: "SET #state = :ending, #endingAt = :at, #endReason = :reason, \
                         #endedBy = :endedBy, #dueAt = :due REMOVE #leaseUntil, #tries",
                condition: &condition,
                names: &attributes,
                values,
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => EndResult::Ending(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => {
                parse_call(item)?.map_or(EndResult::Missing, EndResult::Unchanged)
            }
        })
    }
}

#[async_trait]
impl CallCleanupStore for DynamoCallStore {
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "SET #state = :ended, #endedAt = :at, #dueAt = :due, #ttl = :ttl \
                         REMOVE #tries",
                condition: "#state = :ending",
                names: &["state", "endedAt", "dueAt", "ttl", "tries"],
                values: attribute_values([
                    (":ended", state_value(CallState::Ended)),
                    (":ending", state_value(CallState::Ending)),
                    (":at", timestamp_value(at)),
                    (":due", due_value(at, CLEANUP_RECHECK)),
                    (":ttl", number(at.plus(TOMBSTONE_TTL).as_secs())),
                ]),
            },
        );
        let call = match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => Some(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => parse_call(item)?,
        };
        Ok(call.filter(|call: &Call| call.state == CallState::Ended))
    }

    async fn clear_open_call(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut condition = "#callId = :id".to_owned();
        let mut attributes = vec!["callId"];
        let mut values = attribute_values([(":id", text(id.as_str()))]);
        if let Some(attempt) = attempt {
            condition.push_str(" AND #attempt = :attempt");
            attributes.push("attempt");
            values.insert(":attempt".to_owned(), text(attempt));
        }
        let delete = self
            .table
            .delete_item(pointer_key(members))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(attribute_names(&attributes)))
            .set_expression_attribute_values(Some(values));
        delete_conditionally(delete).await.map(|_| ())
    }

    async fn acquire_delete_quota(&self, at: Timestamp) -> Result<bool, StoreError> {
        self.delete_quota.acquire(at).await
    }
}

#[async_trait]
impl CallExtendStore for DynamoCallStore {
    async fn extend(&self, request: ExtendRequest<'_>) -> Result<ExtendResult, StoreError> {
        let joined_in_time = "(attribute_not_exists(#startedAt) OR #startedAt > :joinedAfter \
                              OR #createdAt > :joinedAfter)";
        let differs = "(attribute_not_exists(#maxDurationSeconds) \
                       OR #maxDurationSeconds <> :limit)";
        let update = self.update(
            request.id,
            CallUpdate {
                expression: "SET #maxDurationSeconds = :limit, #dueAt = :due \
                         ADD #limitVersion :one",
                condition: &format!("#state = :active AND {joined_in_time} AND {differs}"),
                names: &[
                    "maxDurationSeconds",
                    "dueAt",
                    "limitVersion",
                    "state",
                    "startedAt",
                    "createdAt",
                ],
                values: attribute_values([
                    (":limit", number(request.max_duration_seconds)),
                    (":due", timestamp_value(request.due_at)),
                    (":one", number(1)),
                    (":active", state_value(CallState::Active)),
                    (":joinedAfter", timestamp_value(request.joined_after)),
                ]),
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => ExtendResult::Extended(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => {
                parse_call(item)?.map_or(ExtendResult::Missing, ExtendResult::Unchanged)
            }
        })
    }

    async fn confirm_limit(
        &self,
        id: &CallId,
        version: u64,
    ) -> Result<ConfirmLimitResult, StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "SET #limitSynced = :version",
                condition: "#limitVersion = :version",
                names: &["limitSynced", "limitVersion"],
                values: attribute_values([(":version", number(version))]),
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => ConfirmLimitResult::Confirmed(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => parse_call(item)?
                .map_or(ConfirmLimitResult::Missing, ConfirmLimitResult::Superseded),
        })
    }
}

#[async_trait]
impl CallEventStore for DynamoCallStore {
    async fn record_start(&self, cid: &CallCid, at: Timestamp) -> Result<(), StoreError> {
        let is_first = "#createdAt <= :latestStart AND \
                        (attribute_not_exists(#startedAt) OR #startedAt > :at)";
        let update = self.update(
            &cid.id,
            CallUpdate {
                expression: "SET #startedAt = :at",
                condition: &format!(
                    "{is_first} AND {} AND attribute_not_exists(#settlement)",
                    has_call_type(&cid.call_type)
                ),
                names: &["startedAt", "createdAt", "streamCallType", "settlement"],
                values: attribute_values([
                    (":callType", text(cid.call_type.as_str())),
                    (":at", timestamp_value(at)),
                    (":latestStart", timestamp_value(at.plus(MAX_CLOCK_SKEW))),
                ]),
            },
        );
        update_conditionally(update).await.map(|_| ())
    }

    async fn update_presence(
        &self,
        cid: &CallCid,
        update: PresenceUpdate<'_>,
    ) -> Result<UpdatePresenceResult, StoreError> {
        let (has_version, version_names) = has_presence_version(update.expected_version);
        let mut expression = "SET #presence = :presence, #rejects = :rejects".to_owned();
        let mut condition = format!(
            "#createdAt <= :latestCreation AND {} AND {has_version} \
             AND attribute_not_exists(#settlement)",
            has_call_type(&cid.call_type)
        );
        let mut attributes =
            vec!["rejects", "createdAt", "streamCallType", "presence", "settlement"];
        attributes.extend(version_names);
        let mut values = attribute_values([
            (":presence", attribute_value(update.presence)?),
            (":rejects", attribute_value(update.rejects)?),
            (":callType", text(cid.call_type.as_str())),
            (":latestCreation", timestamp_value(update.at.plus(MAX_CLOCK_SKEW))),
        ]);
        values.extend(version_values(update.expected_version));
        if let Some(started_at) = update.started_at {
            expression.push_str(", #startedAt = :startedAt");
            condition
                .push_str(" AND (attribute_not_exists(#startedAt) OR #startedAt >= :startedAt)");
            attributes.push("startedAt");
            values.insert(":startedAt".to_owned(), timestamp_value(started_at));
        }
        if let Some(answered_at) = update.first_answered_at {
            expression
                .push_str(", #firstAnsweredAt = if_not_exists(#firstAnsweredAt, :firstAnsweredAt)");
            attributes.push("firstAnsweredAt");
            values.insert(":firstAnsweredAt".to_owned(), timestamp_value(answered_at));
        }
        let update = self.update(
            &cid.id,
            CallUpdate {
                expression: &expression,
                condition: &condition,
                names: &attributes,
                values,
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => UpdatePresenceResult::Updated(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => parse_call(item)?
                .map_or(UpdatePresenceResult::Missing, UpdatePresenceResult::Conflict),
        })
    }

    async fn schedule_check(&self, cid: &CallCid, due_at: Timestamp) -> Result<(), StoreError> {
        self.update_due_at(cid, due_at, "#state = :active AND #dueAt > :due").await
    }

    async fn schedule_settlement(
        &self,
        cid: &CallCid,
        settle_by: Timestamp,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self.update(
            &cid.id,
            CallUpdate {
                expression: "SET #dueAt = :due",
                condition: "#state = :ended AND #dueAt = :settleBy \
                            AND attribute_not_exists(#settlement)",
                names: &["dueAt", "state", "settlement"],
                values: attribute_values([
                    (":due", timestamp_value(due_at)),
                    (":settleBy", timestamp_value(settle_by)),
                    (":ended", state_value(CallState::Ended)),
                ]),
            },
        );
        update_conditionally(update).await.map(|_| ())
    }

    async fn set_next_check(&self, cid: &CallCid, now: Timestamp) -> Result<(), StoreError> {
        self.update_due_at(cid, now, "#state = :active").await
    }
}

#[async_trait]
impl CallMemberStore for DynamoCallStore {
    async fn replace_members(
        &self,
        id: &CallId,
        expected: &[UserId],
        members: &[UserId],
    ) -> Result<ReplaceMembersResult, StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "SET #members = :members",
                condition: "#state = :active AND #members = :expected",
                names: &["members", "state"],
                values: attribute_values([
                    (":active", state_value(CallState::Active)),
                    (":expected", members_value(expected)),
                    (":members", members_value(members)),
                ]),
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => ReplaceMembersResult::Replaced(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => parse_call(item)?
                .map_or(ReplaceMembersResult::Missing, ReplaceMembersResult::Unchanged),
        })
    }

    async fn set_open_call(
        &self,
        members: &MemberSet,
        new_call: &NewCall,
        at: Timestamp,
        stale: Option<&OpenCallPointer>,
    ) -> Result<SetOpenCallResult, StoreError> {
        let id = &new_call.id;
        let mut condition = "attribute_not_exists(pk) OR #callId = :id".to_owned();
        let mut values = attribute_values([(":id", text(id.as_str()))]);
        let mut attributes = vec!["callId"];
        if let Some(stale) = stale {
            condition.push_str(" OR (#callId = :over AND #at = :overAt)");
            attributes.push("at");
            values.insert(":over".to_owned(), text(stale.call_id.as_str()));
            values.insert(":overAt".to_owned(), timestamp_value(stale.at));
        }
        let mut item = pointer_key(members);
        item.insert("callId".to_owned(), text(id.as_str()));
        item.insert("at".to_owned(), timestamp_value(at));
        item.insert("attempt".to_owned(), text(new_call.attempt.as_str()));
        item.insert("ttl".to_owned(), number(at.plus(OPEN_CALL_POINTER_TTL).as_secs()));
        let put = self
            .table
            .put_item(item)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(attribute_names(&attributes)))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllOld);
        Ok(match put_conditionally(put).await? {
            ConditionalResult::Applied(previous) => {
                let previous = Some(previous).filter(|item| !item.is_empty());
                let previous: Option<PointerItem> = previous.map(parse_item).transpose()?;
                // A previous pointer to this call is from another attempt, or from this one after a
                // retry by the SDK.
                let is_exclusive = previous.is_none_or(|previous| previous.call_id != *id);
                SetOpenCallResult::Set { is_exclusive }
            }
            ConditionalResult::ConditionFailed(item) => {
                let PointerItem { call_id, at } = parse_item(item.unwrap_or_default())?;
                SetOpenCallResult::Occupied(OpenCallPointer { call_id, at })
            }
        })
    }
}

#[async_trait]
impl CallStore for DynamoCallStore {
    async fn begin(&self, new_call: &NewCall) -> Result<BeginResult, StoreError> {
        let call = Call::new(new_call);
        let mut item: Item =
            serde_dynamo::to_item(&call).map_err(|error| StoreError::Internal(error.into()))?;
        item.extend(item_key(&new_call.id));
        item.insert("dueShard".to_owned(), shard_value(Shard::from_call_id(&new_call.id)));
        item.insert("dueAt".to_owned(), due_value(new_call.at, LEASE_DURATION));
        let put = self
            .table
            .put_item(item)
            .condition_expression("attribute_not_exists(pk) OR #expires <= :now")
            .set_expression_attribute_names(Some(attribute_names(&["expires"])))
            .expression_attribute_values(":now", timestamp_value(new_call.at));
        let ConditionalResult::ConditionFailed(item) = put_conditionally(put).await? else {
            return Ok(BeginResult::Inserted);
        };
        let item = item.unwrap_or_default();
        if is_alias(&item) {
            let AliasItem { fingerprint, answered_with } = parse_item(item)?;
            return Ok(BeginResult::Aliased(Alias { fingerprint, answered_with }));
        }
        let existing: Call = parse_item(item)?;
        // The response to this attempt's own write was lost, and the SDK retried.
        let is_own_write =
            existing.attempt == new_call.attempt && existing.state == CallState::Creating;
        Ok(if is_own_write { BeginResult::Inserted } else { BeginResult::Exists(existing) })
    }

    async fn take_over(&self, new_call: &NewCall) -> Result<TakeOverResult, StoreError> {
        let update = self.update(
            &new_call.id,
            CallUpdate {
                expression: "SET #attempt = :attempt, #leaseUntil = :due, #dueAt = :due",
                condition: "#state = :creating AND #fingerprint = :fingerprint",
                names: &["attempt", "leaseUntil", "dueAt", "state", "fingerprint"],
                values: attribute_values([
                    (":attempt", text(new_call.attempt.as_str())),
                    (":due", due_value(new_call.at, LEASE_DURATION)),
                    (":creating", state_value(CallState::Creating)),
                    (":fingerprint", text(new_call.fingerprint.as_str())),
                ]),
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(_) => TakeOverResult::Acquired,
            ConditionalResult::ConditionFailed(item) => {
                parse_call(item)?.map_or(TakeOverResult::Missing, TakeOverResult::Changed)
            }
        })
    }

    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<WithdrawResult, StoreError> {
        let delete = self
            .table
            .delete_item(item_key(id))
            .condition_expression("#state = :creating AND #attempt = :attempt")
            .set_expression_attribute_names(Some(attribute_names(&["state", "attempt"])))
            .set_expression_attribute_values(Some(attribute_values([
                (":creating", state_value(CallState::Creating)),
                (":attempt", text(attempt)),
            ])));
        Ok(match delete_conditionally(delete).await? {
            ConditionalResult::ConditionFailed(Some(item)) if !is_alias(&item) => {
                WithdrawResult::NotOwned
            }
            ConditionalResult::ConditionFailed(_) | ConditionalResult::Applied(_) => {
                WithdrawResult::Removed
            }
        })
    }

    async fn replace_by_alias(
        &self,
        new_call: &NewCall,
        answered_with: &CallId,
        expires_at: Timestamp,
    ) -> Result<WithdrawResult, StoreError> {
        let mut item = item_key(&new_call.id);
        item.insert("fingerprint".to_owned(), text(new_call.fingerprint.as_str()));
        item.insert("answeredWith".to_owned(), text(answered_with.as_str()));
        item.insert("expires".to_owned(), timestamp_value(expires_at));
        item.insert("ttl".to_owned(), number(expires_at.as_secs()));
        let put = self
            .table
            .put_item(item)
            .condition_expression("#state = :creating AND #attempt = :attempt")
            .set_expression_attribute_names(Some(attribute_names(&["state", "attempt"])))
            .set_expression_attribute_values(Some(attribute_values([
                (":creating", state_value(CallState::Creating)),
                (":attempt", text(new_call.attempt.as_str())),
            ])));
        Ok(match put_conditionally(put).await? {
            ConditionalResult::ConditionFailed(Some(item)) if !is_alias(&item) => {
                WithdrawResult::NotOwned
            }
            // The alias exists already if the SDK has retried.
            ConditionalResult::ConditionFailed(_) | ConditionalResult::Applied(_) => {
                WithdrawResult::Removed
            }
        })
    }

    async fn activate(
        &self,
        new_call: &NewCall,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Result<ActivateResult, StoreError> {
        let mut attributes =
            vec!["state", "activeAt", "attempt", "dueAt", "leaseUntil", "tries", "fingerprint"];
        let mut last_rung_at = "";
        if new_call.ring {
            attributes.push("lastRungAt");
            last_rung_at = ", #lastRungAt = :at";
        }
        let update = self.update(
            &new_call.id,
            CallUpdate {
                expression: &format!(
                    "SET #state = :active, #activeAt = :at, #attempt = :attempt, \
                     #dueAt = :due{last_rung_at} REMOVE #leaseUntil, #tries"
                ),
                condition: "#state = :creating AND #fingerprint = :fingerprint",
                names: &attributes,
                values: attribute_values([
                    (":active", state_value(CallState::Active)),
                    (":creating", state_value(CallState::Creating)),
                    (":at", timestamp_value(at)),
                    (":attempt", text(new_call.attempt.as_str())),
                    (":due", timestamp_value(due_at)),
                    (":fingerprint", text(new_call.fingerprint.as_str())),
                ]),
            },
        );
        Ok(match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => ActivateResult::Activated(parse_item(item)?),
            ConditionalResult::ConditionFailed(item) => {
                parse_call(item)?.map_or(ActivateResult::Missing, ActivateResult::Unchanged)
            }
        })
    }

    async fn record_ring(
        &self,
        id: &CallId,
        at: Timestamp,
        last_before: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "SET #lastRungAt = :at",
                condition: "#state = :active AND \
                            (attribute_not_exists(#lastRungAt) OR #lastRungAt < :before)",
                names: &["lastRungAt", "state"],
                values: attribute_values([
                    (":active", state_value(CallState::Active)),
                    (":at", timestamp_value(at)),
                    (":before", timestamp_value(last_before)),
                ]),
            },
        );
        Ok(matches!(update_conditionally(update).await?, ConditionalResult::Applied(_)))
    }
}
