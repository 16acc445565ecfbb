//! The model of the table, with the same conditional writes as the real one. `conformance.rs`
//! checks that both behave alike.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use shared::calls::sweep::{DueCall, DueEntry, DuePage, DueStore, SettleRequest, Shard};
use shared::calls::timeouts::{CLEANUP_RECHECK, LEASE_DURATION};
use shared::calls::{
    ActivateResult, Alias, BeginResult, Call, CallCleanupStore, CallEndStore, CallEventStore,
    CallExtendStore, CallMemberStore, CallReader, CallScore, CallState, CallStore,
    ConfirmLimitResult, EndReason, EndRequest, EndResult, ExtendRequest, ExtendResult, MemberSet,
    NewCall, OpenCallPointer, Precondition, PresenceUpdate, ReplaceMembersResult,
    SetOpenCallResult, TakeOverResult, UpdatePresenceResult, WithdrawResult,
};
use shared::clock::Timestamp;
use shared::ids::{CallCid, CallId, CallTypeName, UserId};
use shared::quality::{ReportStore, SummaryInvalidator};
use shared::quality_band::Band;
use shared::score_model::ScoreModel;
use shared::store::StoreError;
use shared::stream::event::{Rating, StatsReport};
use shared::users::{
    Account, AccountWriter, Ban, CallMembers, JoinedCall, JoinedCallWriter, MemberReader,
    UserStatus,
};

use crate::mutants::Mutant;
use crate::sim::{NoResponse, Sim, StepKind};
use crate::state::{CallItem, ModelState, StoredAlias, StoredPointer};

/// The table of a run.
#[derive(Clone)]
pub(crate) struct ModelStore {
    pub(crate) sim: Sim,
    pub(crate) mutant: Option<Mutant>,
    /// The shard of all calls of the run. The other shards are empty.
    pub(crate) shard: Shard,
}

impl ModelStore {
    fn has_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    async fn write<T: std::fmt::Debug>(
        &self,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut ModelState) -> T + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.sim.step(StepKind::Write, label, effect).await.map_err(unavailable)
    }

    async fn read<T: std::fmt::Debug>(
        &self,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut ModelState) -> T + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.sim.step(StepKind::Read, label, effect).await.map_err(unavailable)
    }
}

fn unavailable(_: NoResponse) -> StoreError {
    StoreError::Unavailable("no response".into())
}

fn scheduled_item(call: Call, due_at: Timestamp) -> CallItem {
    CallItem { call, due_at: Some(due_at), tries: 0 }
}

fn any_score() -> CallScore {
    CallScore { mos: 4.0.into(), label: Band::Fair, data_complete: true, model: ScoreModel::V2 }
}

#[async_trait]
impl CallReader for ModelStore {
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        let id = id.clone();
        let label = format!("get {id}");
        self.read(|| label, move |model| model.items.get(&id).map(|item| item.call.clone())).await
    }
}

#[async_trait]
impl CallEndStore for ModelStore {
    async fn end(&self, request: EndRequest<'_>) -> Result<EndResult, StoreError> {
        let EndRequest {
            id,
            member,
            reason,
            ended_by,
            at,
            due_at,
            precondition,
            presence_version,
            limit_version,
        } = request;
        let (id, member) = (id.clone(), member.cloned());
        let (reason, ended_by) = (reason.clone(), ended_by.clone());
        let ignores_presence = self.has_mutant(Mutant::EndIgnoresPresence);
        let (mut expected_due_at, mut expected_attempt, mut event) = (None, None, None);
        match precondition {
            Some(Precondition::DueAt(due_at)) => expected_due_at = Some(due_at),
            Some(Precondition::Attempt(attempt)) => expected_attempt = Some(attempt.to_owned()),
            Some(Precondition::Event { at, call_type }) => event = Some((at, call_type.cloned())),
            None => {}
        }
        if self.has_mutant(Mutant::ChannelDeletedBeforeEnding) {
            let channel = id.channel().to_string();
            let label = format!("delete {channel} too early");
            self.write(|| label, move |model| model.stream_channels.remove(&channel)).await?;
        }
        let label = format!("end {id}, {}", reason.as_str());
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else { return EndResult::Missing };
            let allowed = member.as_ref().is_none_or(|member| item.call.is_member(member))
                && event.as_ref().is_none_or(|(at, call_type)| {
                    let has_type = |name: &CallTypeName| item.call.stream_call_type == *name;
                    item.call.existed_at(*at) && call_type.as_ref().is_none_or(has_type)
                })
                && expected_attempt.as_ref().is_none_or(|attempt| *attempt == item.call.attempt)
                && expected_due_at.is_none_or(|due_at| item.due_at == Some(due_at))
                && limit_version.is_none_or(|version| version == item.call.limit_version)
                && (ignores_presence
                    || presence_version
                        .is_none_or(|version| version == item.call.presence.version()));
            if !allowed || item.call.state > CallState::Active {
                return EndResult::Unchanged(item.call.clone());
            }
            item.call.ending_at = Some(at);
            item.call.end_reason = Some(reason.clone());
            item.call.ended_by = Some(ended_by.clone());
            item.call.lease_until = None;
            (item.due_at, item.tries) = (Some(due_at), 0);
            let is_unanswered = [EndReason::NOT_JOINED, EndReason::NOT_ANSWERED]
                .iter()
                .any(|unanswered| unanswered.as_str() == reason.as_str());
            let is_cancelled = reason.as_str() == EndReason::CANCELLED.as_str();
            let has_owner_rejected = model
                .stream_calls
                .get(id.as_str())
                .is_some_and(|live| live.rejecting_users.contains(&item.call.owner));
            let is_declined = reason.as_str() == EndReason::DECLINED.as_str();
            let is_busy =
                |user: &UserId| model.history.reported_busy.contains(&(id.clone(), user.clone()));
            let is_declined_as_busy = is_declined && item.call.members.iter().any(is_busy);
            let joined = item.call.presence.joined_users();
            let has_callee_joined = joined.iter().any(|user| *user != item.call.owner);
            if is_declined_as_busy {
                model.record_violation(|| format!("{id} ends as declined by a busy member"));
            }
            if is_unanswered && has_callee_joined {
                model.record_violation(|| format!("{id} ends as unanswered after a join"));
            }
            if is_cancelled && !has_owner_rejected {
                model.record_violation(|| format!("{id} ends as cancelled without its caller"));
            }
            model.transition(&id, CallState::Ending);
            EndResult::Ending(model.items[&id].call.clone())
        };
        self.write(|| label, effect).await
    }
}

#[async_trait]
impl CallCleanupStore for ModelStore {
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError> {
        let id = id.clone();
        let due = match self.mutant {
            Some(Mutant::NoCleanupRecheck) => None,
            _ => Some(at.plus(CLEANUP_RECHECK)),
        };
        let label = format!("finish {id}");
        let stores_score = self.has_mutant(Mutant::ScoreStoredEarly);
        let effect = move |model: &mut ModelState| {
            let item = model.items.get_mut(&id)?;
            if item.call.state == CallState::Ending {
                item.call.ended_at = Some(at);
                if stores_score {
                    item.call.quality = Some(any_score());
                }
                (item.due_at, item.tries) = (due, 0);
                model.transition(&id, CallState::Ended);
            }
            let call = &model.items.get(&id)?.call;
            (call.state == CallState::Ended).then(|| call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn clear_open_call(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError> {
        let is_unconditional = self.has_mutant(Mutant::UnconditionalClearPointer);
        let attempt = attempt.filter(|_| !is_unconditional).map(str::to_owned);
        let (members, id) = (members.clone(), id.clone());
        let label = format!("clear the pointer to {id} by {attempt:?}");
        let effect = move |model: &mut ModelState| {
            let is_current = model.open_call_pointers.get(&members).is_some_and(|stored| {
                stored.pointer.call_id == id
                    && attempt.as_ref().is_none_or(|attempt| *attempt == stored.attempt)
            });
            if is_current {
                model.open_call_pointers.remove(&members);
            }
        };
        self.write(|| label, effect).await
    }

    /// Always acquires the quota. Without it, the channel would be left to the sweeper.
    async fn acquire_delete_quota(&self, _: Timestamp) -> Result<bool, StoreError> {
        self.read(|| "acquire the delete quota".to_owned(), |_| true).await
    }
}

#[async_trait]
impl CallExtendStore for ModelStore {
    async fn extend(&self, request: ExtendRequest<'_>) -> Result<ExtendResult, StoreError> {
        let ExtendRequest { id, max_duration_seconds, joined_after, due_at } = request;
        let id = id.clone();
        let keeps_version = self.has_mutant(Mutant::ExtendKeepsVersion);
        let confirms = self.has_mutant(Mutant::ExtendConfirmsLimit);
        let due_at = if self.has_mutant(Mutant::ExtendPostponesCheck) {
            due_at.plus(Duration::from_secs(max_duration_seconds))
        } else {
            due_at
        };
        let label = format!("extend {id} to {max_duration_seconds} s");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else { return ExtendResult::Missing };
            let call = &mut item.call;
            let is_changed = call.max_duration_seconds != Some(max_duration_seconds);
            let is_in_time = call.joined_at().is_none_or(|at| at > joined_after);
            if call.state != CallState::Active || !is_changed || !is_in_time {
                return ExtendResult::Unchanged(call.clone());
            }
            call.max_duration_seconds = Some(max_duration_seconds);
            call.limit_version += u64::from(!keeps_version);
            if confirms {
                call.limit_synced = call.limit_version;
            }
            item.due_at = Some(due_at);
            ExtendResult::Extended(item.call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn confirm_limit(
        &self,
        id: &CallId,
        version: u64,
    ) -> Result<ConfirmLimitResult, StoreError> {
        let id = id.clone();
        let label = format!("confirm the limit of {id}, version {version}");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else { return ConfirmLimitResult::Missing };
            let call = &mut item.call;
            if call.limit_version == 0 || call.limit_version != version {
                return ConfirmLimitResult::Superseded(call.clone());
            }
            call.limit_synced = version;
            ConfirmLimitResult::Confirmed(call.clone())
        };
        self.write(|| label, effect).await
    }
}

#[async_trait]
impl CallEventStore for ModelStore {
    async fn record_start(&self, cid: &CallCid, at: Timestamp) -> Result<(), StoreError> {
        let (id, cid) = (cid.id.clone(), cid.clone());
        let label = format!("record the start of {id}");
        let effect = move |model: &mut ModelState| {
            if let Some(item) = model.items.get_mut(&id)
                && item.call.cid() == cid
                && item.call.existed_at(at)
                && item.call.started_at.is_none_or(|known| known > at)
                && item.call.settlement.is_none()
            {
                item.call.started_at = Some(at);
            }
        };
        self.write(|| label, effect).await
    }

    async fn update_presence(
        &self,
        cid: &CallCid,
        update: PresenceUpdate<'_>,
    ) -> Result<UpdatePresenceResult, StoreError> {
        let PresenceUpdate {
            expected_version,
            presence,
            rejects,
            started_at,
            first_answered_at,
            at,
        } = update;
        let (cid, presence, rejects) = (cid.clone(), presence.clone(), rejects.clone());
        let is_unconditional = self.has_mutant(Mutant::UnconditionalPresence);
        let loses_leave = self.has_mutant(Mutant::LeaveNotStored);
        let is_recomputed = self.has_mutant(Mutant::FirstAnswerRecomputed);
        let label = format!("store presence {} of {}", presence.version(), cid.id);
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&cid.id) else {
                return UpdatePresenceResult::Missing;
            };
            let call = &mut item.call;
            let is_current = is_unconditional || call.presence.version() == expected_version;
            let is_first_start = started_at
                .is_none_or(|started_at| call.started_at.is_none_or(|known| known >= started_at));
            let is_settled = call.settlement.is_some();
            if call.cid() != cid
                || !call.existed_at(at)
                || !is_current
                || !is_first_start
                || is_settled
            {
                return UpdatePresenceResult::Conflict(call.clone());
            }
            let is_lost =
                loses_leave && presence.present_users().len() < call.presence.present_users().len();
            if !is_lost {
                call.presence.clone_from(&presence);
            }
            call.rejects.clone_from(&rejects);
            call.started_at = started_at.or(call.started_at);
            call.first_answered_at = call.first_answered_at.or(first_answered_at);
            if is_recomputed {
                call.first_answered_at = call.answered_at();
            }
            UpdatePresenceResult::Updated(call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn schedule_check(&self, cid: &CallCid, due: Timestamp) -> Result<(), StoreError> {
        let (id, cid) = (cid.id.clone(), cid.clone());
        let label = format!("schedule a check of {id} by {due}");
        let effect = move |model: &mut ModelState| {
            if let Some(item) = model.items.get_mut(&id)
                && item.call.cid() == cid
                && item.call.state == CallState::Active
            {
                item.due_at = item.due_at.min(Some(due));
            }
        };
        self.write(|| label, effect).await
    }

    async fn schedule_settlement(
        &self,
        cid: &CallCid,
        settle_by: Timestamp,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let id = cid.id.clone();
        let label = format!("schedule the settlement of {id}");
        let effect = move |model: &mut ModelState| {
            if let Some(item) = model.items.get_mut(&id)
                && item.call.state == CallState::Ended
                && item.call.settlement.is_none()
                && item.due_at == Some(settle_by)
            {
                item.due_at = Some(due_at);
            }
        };
        self.write(|| label, effect).await
    }

    async fn set_next_check(&self, cid: &CallCid, now: Timestamp) -> Result<(), StoreError> {
        let (id, cid) = (cid.id.clone(), cid.clone());
        let ends_call = self.has_mutant(Mutant::SessionEndEndsCall);
        let label = format!("schedule a check of {id} now");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else { return };
            if item.call.state != CallState::Active || item.call.cid() != cid {
                return;
            }
            item.due_at = Some(now);
            if ends_call {
                model.transition(&id, CallState::Ending);
                let session =
                    model.stream_calls.get(id.as_str()).and_then(|live| live.session.as_ref());
                if session.is_some_and(|session| session.ended_at.is_none()) {
                    model.record_violation(|| format!("the end of an earlier session ends {id}"));
                }
            }
        };
        self.write(|| label, effect).await
    }
}

#[async_trait]
impl CallMemberStore for ModelStore {
    async fn replace_members(
        &self,
        id: &CallId,
        expected: &[UserId],
        members: &[UserId],
    ) -> Result<ReplaceMembersResult, StoreError> {
        let (id, expected, members) = (id.clone(), expected.to_vec(), members.to_vec());
        let label = format!("replace the members of {id}");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else {
                return ReplaceMembersResult::Missing;
            };
            let call = &mut item.call;
            if call.state != CallState::Active || call.members != expected {
                return ReplaceMembersResult::Unchanged(call.clone());
            }
            call.members.clone_from(&members);
            ReplaceMembersResult::Replaced(call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn set_open_call(
        &self,
        members: &MemberSet,
        new: &NewCall,
        at: Timestamp,
        replaces: Option<&OpenCallPointer>,
    ) -> Result<SetOpenCallResult, StoreError> {
        let (members, replaces) = (members.clone(), replaces.cloned());
        let (id, attempt) = (new.id.clone(), new.attempt.clone());
        let is_unconditional = self.has_mutant(Mutant::UnconditionalSetPointer);
        let label = format!("set the pointer to {id} at {at} by {attempt}");
        let effect = move |model: &mut ModelState| {
            let current = model.open_call_pointers.get(&members).map(|stored| &stored.pointer);
            if let Some(pointer) = current
                && pointer.call_id != id
                && Some(pointer) != replaces.as_ref()
                && !is_unconditional
            {
                return SetOpenCallResult::Occupied(pointer.clone());
            }
            let is_exclusive = current.is_none_or(|pointer| pointer.call_id != id);
            let pointer = OpenCallPointer { call_id: id.clone(), at };
            model
                .open_call_pointers
                .insert(members.clone(), StoredPointer { pointer, attempt: attempt.clone() });
            SetOpenCallResult::Set { is_exclusive }
        };
        self.write(|| label, effect).await
    }
}

#[async_trait]
impl CallStore for ModelStore {
    async fn begin(&self, new: &NewCall) -> Result<BeginResult, StoreError> {
        let (new, stores_last) = (new.clone(), self.has_mutant(Mutant::CallItemWrittenLast));
        let allows_reuse = self.has_mutant(Mutant::CallIdsReusable);
        let ignores_alias = self.has_mutant(Mutant::AliasIgnored);
        let label = format!("begin {} by {}", new.id, new.attempt);
        let effect = move |model: &mut ModelState| {
            model.history.requested.insert(new.id.clone());
            *model.history.begins.entry(new.id.clone()).or_default() += 1;
            if let Some(existing) = model.items.get(&new.id) {
                let call = &existing.call;
                let is_own_attempt =
                    call.attempt == new.attempt && call.state == CallState::Creating;
                if is_own_attempt {
                    return BeginResult::Inserted;
                }
                if !(allows_reuse && call.state == CallState::Ended) {
                    return BeginResult::Exists(call.clone());
                }
            }
            if let Some(stored) = model.aliases.get(&new.id)
                && stored.expires_at > new.at
                && !ignores_alias
            {
                return BeginResult::Aliased(stored.alias.clone());
            }
            model.aliases.remove(&new.id);
            if model.history.ended.contains(&new.id) {
                model.record_violation(|| format!("{} was begun again after its end", new.id));
            }
            if !stores_last {
                let item = scheduled_item(Call::new(&new), new.at.plus(LEASE_DURATION));
                model.items.insert(new.id.clone(), item);
            }
            BeginResult::Inserted
        };
        self.write(|| label, effect).await
    }

    async fn take_over(&self, new: &NewCall) -> Result<TakeOverResult, StoreError> {
        let new = new.clone();
        let label = format!("take over {} for {}", new.id, new.attempt);
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&new.id) else { return TakeOverResult::Missing };
            let call = &mut item.call;
            if call.state != CallState::Creating || call.fingerprint != new.fingerprint {
                return TakeOverResult::Changed(call.clone());
            }
            call.attempt.clone_from(&new.attempt);
            call.lease_until = Some(new.at.plus(LEASE_DURATION));
            item.due_at = Some(new.at.plus(LEASE_DURATION));
            TakeOverResult::Acquired
        };
        self.write(|| label, effect).await
    }

    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<WithdrawResult, StoreError> {
        let (id, attempt) = (id.clone(), attempt.to_owned());
        let is_unconditional = self.has_mutant(Mutant::UnconditionalWithdraw);
        let is_ignored = self.has_mutant(Mutant::WithdrawIgnored);
        let label = format!("withdraw {id} by {attempt}");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get(&id) else { return WithdrawResult::Removed };
            let is_own_attempt =
                item.call.state == CallState::Creating && item.call.attempt == attempt;
            if !is_own_attempt && !is_unconditional {
                return WithdrawResult::NotOwned;
            }
            if !is_ignored {
                model.items.remove(&id);
            }
            WithdrawResult::Removed
        };
        self.write(|| label, effect).await
    }

    async fn replace_by_alias(
        &self,
        new: &NewCall,
        answered_with: &CallId,
        expires_at: Timestamp,
    ) -> Result<WithdrawResult, StoreError> {
        let (new, answered_with) = (new.clone(), answered_with.clone());
        let label = format!("replace {} by an alias of {answered_with} by {}", new.id, new.attempt);
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get(&new.id) else { return WithdrawResult::Removed };
            if item.call.state != CallState::Creating || item.call.attempt != new.attempt {
                return WithdrawResult::NotOwned;
            }
            model.items.remove(&new.id);
            let alias = Alias {
                fingerprint: new.fingerprint.clone(),
                answered_with: answered_with.clone(),
            };
            model.aliases.insert(new.id.clone(), StoredAlias { alias, expires_at });
            WithdrawResult::Removed
        };
        self.write(|| label, effect).await
    }

    async fn activate(
        &self,
        new: &NewCall,
        at: Timestamp,
        due: Timestamp,
    ) -> Result<ActivateResult, StoreError> {
        let new = new.clone();
        let (stores_last, is_unconditional) = (
            self.has_mutant(Mutant::CallItemWrittenLast),
            self.has_mutant(Mutant::UnconditionalActivate),
        );
        let label = format!("activate {} by {}", new.id, new.attempt);
        let effect = move |model: &mut ModelState| {
            if stores_last && !model.items.contains_key(&new.id) {
                model.items.insert(new.id.clone(), scheduled_item(Call::new(&new), due));
            }
            let Some(item) = model.items.get_mut(&new.id) else { return ActivateResult::Missing };
            let call = &mut item.call;
            let is_same_request =
                call.state == CallState::Creating && call.fingerprint == new.fingerprint;
            if !is_same_request && !is_unconditional {
                return ActivateResult::Unchanged(call.clone());
            }
            call.active_at = Some(at);
            if new.ring {
                call.last_rung_at = Some(at);
            }
            call.attempt.clone_from(&new.attempt);
            call.lease_until = None;
            (item.due_at, item.tries) = (Some(due), 0);
            model.transition(&new.id, CallState::Active);
            ActivateResult::Activated(model.items[&new.id].call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn record_ring(
        &self,
        id: &CallId,
        at: Timestamp,
        last_before: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let is_unconditional = self.has_mutant(Mutant::UnconditionalRing);
        let is_refused = self.has_mutant(Mutant::RingRefused);
        let label = format!("record the ring of {id} at {at}");
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&id) else { return false };
            let call = &mut item.call;
            let may_ring = call.state == CallState::Active
                && !is_refused
                && (is_unconditional || call.last_rung_at.is_none_or(|last| last < last_before));
            if may_ring {
                call.last_rung_at = Some(at);
            }
            may_ring
        };
        self.write(|| label, effect).await
    }
}

#[async_trait]
impl DueStore for ModelStore {
    async fn list_due(
        &self,
        shard: Shard,
        now: Timestamp,
        after: Option<&DueEntry>,
        limit: u16,
    ) -> Result<DuePage, StoreError> {
        if shard != self.shard {
            return Ok(DuePage::default());
        }
        let after = after.cloned();
        let skips_creating = self.has_mutant(Mutant::SweeperSkipsCreating);
        let effect = move |model: &mut ModelState| {
            let mut entries: Vec<DueEntry> = model
                .items
                .iter()
                .filter(|(_, item)| !(skips_creating && item.call.state == CallState::Creating))
                .filter_map(|(id, item)| Some(DueEntry { due_at: item.due_at?, id: id.clone() }))
                .filter(|entry| entry.due_at <= now)
                .filter(|entry| after.as_ref().is_none_or(|after| entry > after))
                .collect();
            entries.sort_unstable();
            let has_more = entries.len() > usize::from(limit);
            entries.truncate(limit.into());
            DuePage { entries, has_more }
        };
        self.read(|| "list due calls".to_owned(), effect).await
    }

    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
        let ids = ids.to_vec();
        let effect = move |model: &mut ModelState| {
            let items = ids.iter().filter_map(|id| model.items.get(id));
            items
                .map(|CallItem { call, due_at, tries }| DueCall {
                    call: call.clone(),
                    due_at: *due_at,
                    tries: *tries,
                })
                .collect::<Vec<_>>()
        };
        self.read(|| "load due calls".to_owned(), effect).await
    }

    async fn reschedule(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        until: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let label = format!("reschedule {id} to {until}");
        let until = if self.has_mutant(Mutant::NextCheckTooLate) {
            until.plus(Duration::from_mins(2))
        } else {
            until
        };
        let effect = move |model: &mut ModelState| {
            if let Some(item) = model.items.get_mut(&id)
                && item.due_at == Some(expected_due_at)
            {
                (item.due_at, item.tries) = (Some(until), tries);
            }
        };
        self.write(|| label, effect).await
    }

    async fn settle(&self, request: SettleRequest<'_>) -> Result<bool, StoreError> {
        let SettleRequest { call: settled, expected_version, expected_due_at, next_check } =
            request;
        let settled = settled.clone();
        let is_lost = self.has_mutant(Mutant::SettlementLost);
        let is_unconditional = self.has_mutant(Mutant::UnconditionalSettlement);
        let label = format!("settle {}", settled.call_id);
        let effect = move |model: &mut ModelState| {
            let Some(item) = model.items.get_mut(&settled.call_id) else { return false };
            let is_current = item.call.presence.version() == expected_version;
            let is_settleable = item.call.state >= CallState::Ending
                && item.due_at == Some(expected_due_at)
                && item.call.settlement.is_none()
                && is_current;
            if !is_settleable && !is_unconditional {
                return false;
            }
            if is_lost {
                (item.due_at, item.tries) = (next_check, 0);
                return true;
            }
            let Call { settlement, presence, started_at, ending_at, end_reason, ended_by, .. } =
                settled.clone();
            let (answered_at, quality) = (settled.first_answered_at, settled.quality.clone());
            let call = &mut item.call;
            call.first_answered_at = answered_at.or(call.first_answered_at);
            call.quality = quality.or(call.quality.take());
            (call.settlement, call.presence, call.started_at) = (settlement, presence, started_at);
            (call.ending_at, call.end_reason, call.ended_by) = (ending_at, end_reason, ended_by);
            (item.due_at, item.tries) = (next_check, 0);
            true
        };
        self.write(|| label, effect).await
    }

    async fn remove_from_index(
        &self,
        id: &CallId,
        expected_due_at: Timestamp,
        quality: Option<&CallScore>,
    ) -> Result<bool, StoreError> {
        let (id, quality) = (id.clone(), quality.cloned());
        let label = format!("remove {id} from the index");
        let effect = move |model: &mut ModelState| {
            if let Some(item) = model.items.get_mut(&id)
                && item.due_at == Some(expected_due_at)
                && item.call.state == CallState::Ended
            {
                (item.due_at, item.tries) = (None, 0);
                item.call.quality = quality.clone().or(item.call.quality.take());
                return true;
            }
            false
        };
        self.write(|| label, effect).await
    }

    async fn load_checkpoint(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn store_checkpoint(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl MemberReader for ModelStore {
    /// Every user is active and exists at Stream.
    async fn get_members(
        &self,
        ids: &[UserId],
        callee: Option<&UserId>,
    ) -> Result<CallMembers, StoreError> {
        let account = Account { exists_at_stream: true, ..Account::default() };
        let accounts: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), account)).collect();
        let callee = callee.filter(|_| !self.has_mutant(Mutant::BusyCheckSkipped)).cloned();
        let effect = move |model: &mut ModelState| CallMembers {
            accounts: accounts.clone(),
            joined_call: callee.as_ref().and_then(|id| model.joined_calls.get(id).cloned()),
        };
        self.read(|| "look up the members".to_owned(), effect).await
    }
}

#[async_trait]
impl JoinedCallWriter for ModelStore {
    async fn set_joined_call(&self, user: &UserId, joined: &JoinedCall) -> Result<(), StoreError> {
        let (user, joined) = (user.clone(), joined.clone());
        let label = format!("{user} joined {} at {}", joined.call_id, joined.joined_at);
        let effect = move |model: &mut ModelState| {
            let known = model.joined_calls.get(&user);
            if known.is_none_or(|known| known.joined_at < joined.joined_at) {
                model.joined_calls.insert(user.clone(), joined.clone());
            }
        };
        self.write(|| label, effect).await
    }
}

/// Changes of accounts do not affect a call's lifecycle.
#[async_trait]
impl AccountWriter for ModelStore {
    async fn set_status(&self, _: &UserId, _: UserStatus, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn set_ban(&self, _: &UserId, _: Option<Ban>, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl SummaryInvalidator for ModelStore {
    async fn invalidate_summary(&self, _: &CallId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl ReportStore for ModelStore {
    async fn store_report(
        &self,
        _: &CallId,
        _: &StatsReport,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn store_rating(&self, _: &CallId, _: &Rating, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
