//! Checks that the model's table behaves like the real one: the same sequence of operations returns
//! the same results and leaves the same data.
//!
//! The real table is a [`DynamoCallStore`] on a separate DynamoDB: the embedded one, or the one of
//! `STORE_TEST_ENDPOINT` (in CI, DynamoDB Local from AWS).

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};
use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_dynamodb::config::Credentials;
use local::{Backends, Options, Stack, StreamChoice};
use shared::calls::dynamo::DynamoCallStore;
use shared::calls::outcome::EndedBy;
use shared::calls::presence::{Interval, Join, Leave, Presence};
use shared::calls::rejects::{RejectReason, Rejects};
use shared::calls::sweep::{DueCall, DueEntry, DuePage, DueStore, SettleRequest, Shard};
use shared::calls::{
    ActivateResult, BeginResult, Call, CallScore, CallState, CallStore, CallType,
    ConfirmLimitResult, EndReason, EndRequest, EndResult, ExtendRequest, ExtendResult, MemberSet,
    NewCall, OpenCallPointer, Precondition, PresenceUpdate, ReplaceMembersResult,
    SetOpenCallResult, SettledFrom, Settlement, TakeOverResult, UpdatePresenceResult,
    WithdrawResult,
};
use shared::clock::Timestamp;
use shared::config::StoreConfig;
use shared::ids::{CallCid, CallId, CallTypeName, SessionId, UserId};
use shared::quality_band::Band;
use shared::score_model::ScoreModel;
use shared::store::StoreError;

use crate::explore::{self, Chooser as _, RandomChooser};
use crate::hash::Fnv;
use crate::mutants::Mutant;
use crate::sim::Sim;
use crate::state::ModelState;
use crate::store::ModelStore;

/// The number of random operations in a sequence, before the remaining data is compared.
const SEQUENCE_LENGTH: usize = 60;
/// The earliest time.
const START_TIME: Timestamp = Timestamp::from_secs(1_767_225_600);
/// The possible attempts.
const ATTEMPTS: [&str; 2] = ["a", "b"];
/// The number of distinct outcomes that [`outcome_name`] returns.
const OUTCOME_COUNT: usize = 59;

/// The ids of a sequence. Each sequence has different ids, since all sequences share the real
/// table.
struct SequenceFixture {
    shard: Shard,
    /// Two calls of the shard, which contains no other calls.
    ids: [CallId; 2],
    members: [Vec<UserId>; 2],
}

/// The call types of calls and events.
static CALL_TYPES: LazyLock<[CallTypeName; 2]> = LazyLock::new(|| {
    [CallTypeName::default(), CallTypeName::try_from("private".to_owned()).unwrap()]
});

impl SequenceFixture {
    fn from_shard(shard: Shard) -> Self {
        let id = |letter: char| {
            let mut ids = (0..).map(|n| CallId::try_from(format!("{letter}{n}")).unwrap());
            ids.find(|id| Shard::from_call_id(id) == shard).unwrap()
        };
        let user = |name: &str| UserId::try_from(format!("{name}-{}", shard.number())).unwrap();
        Self {
            shard,
            ids: [id('x'), id('y')],
            members: [vec![user("alice"), user("bob")], vec![user("alice"), user("carol")]],
        }
    }

    fn new_call(&self, id: CallId) -> NewCall {
        let members = self.members[0].clone();
        NewCall {
            id,
            owner: members[0].clone(),
            members,
            call_type: CallType::Video,
            stream_call_type: CallTypeName::default(),
            fingerprint: "f".to_owned(),
            parallel: false,
            ring: false,
            attempt: "other".to_owned(),
            at: START_TIME,
            max_duration_seconds: None,
        }
    }
}

/// An operation on a store.
#[derive(Debug)]
enum Op {
    Begin(NewCall),
    TakeOver(NewCall),
    Withdraw(CallId, &'static str),
    ReplaceByAlias(NewCall, CallId, Timestamp),
    Activate(NewCall, Timestamp, Timestamp),
    End {
        id: CallId,
        by: Option<UserId>,
        reason: EndReason,
        ended_by: EndedBy,
        at: Timestamp,
        due: Timestamp,
        precondition: Option<Precondition<'static>>,
        presence_version: Option<u64>,
        limit_version: Option<u64>,
    },
    Finish(CallId, Timestamp),
    ReplaceMembers {
        id: CallId,
        expected: Vec<UserId>,
        members: Vec<UserId>,
    },
    Extend {
        id: CallId,
        max_duration_seconds: u64,
        joined_after: Timestamp,
        due: Timestamp,
    },
    ConfirmLimit(CallId, u64),
    Get(CallId),
    RecordRing(CallId, Timestamp, Timestamp),
    RecordStart(CallCid, Timestamp),
    UpdatePresence {
        cid: CallCid,
        expected_version: u64,
        presence: Presence,
        rejects: Rejects,
        started_at: Option<Timestamp>,
        first_answered_at: Option<Timestamp>,
        at: Timestamp,
    },
    ScheduleCheck(CallCid, Timestamp),
    SetNextCheck(CallCid, Timestamp),
    SetPointer {
        members: MemberSet,
        call: NewCall,
        at: Timestamp,
        replaces: Option<OpenCallPointer>,
    },
    ClearPointer(MemberSet, CallId, Option<&'static str>),
    Load(Vec<CallId>),
    Reschedule {
        id: CallId,
        expected_due_at: Timestamp,
        until: Timestamp,
        tries: u32,
    },
    RemoveFromIndex(CallId, Timestamp, Option<CallScore>),
    Settle {
        call: Box<Call>,
        expected_version: u64,
        expected_due_at: Timestamp,
        next_check: Option<Timestamp>,
    },
    ScheduleSettlement(CallCid, Timestamp, Timestamp),
    ListDue {
        shard: Shard,
        now: Timestamp,
        after: Option<DueEntry>,
        limit: u16,
    },
}

/// The result of an operation. For operations without a result, it is the call afterwards.
#[derive(Debug, PartialEq)]
enum OpResult {
    Begin(BeginResult),
    TakeOver(TakeOverResult),
    Withdraw(WithdrawResult),
    Activate(ActivateResult),
    End(EndResult),
    Extend(ExtendResult),
    ConfirmLimit(ConfirmLimitResult),
    Call(Option<Call>),
    ReplaceMembers(ReplaceMembersResult),
    Presence(UpdatePresenceResult),
    Rung(bool),
    SetPointer(SetOpenCallResult),
    PointerCleared,
    Loaded(Vec<DueCall>),
    DuePage(DuePage),
}

#[expect(clippy::too_many_lines, reason = "one arm for each operation")]
async fn apply_op<S: CallStore + DueStore>(store: &S, op: &Op) -> Result<OpResult, StoreError> {
    Ok(match op {
        Op::Begin(new) => OpResult::Begin(store.begin(new).await?),
        Op::TakeOver(new) => OpResult::TakeOver(store.take_over(new).await?),
        Op::Withdraw(id, attempt) => OpResult::Withdraw(store.withdraw(id, attempt).await?),
        Op::ReplaceByAlias(new, answered_with, expires_at) => {
            OpResult::Withdraw(store.replace_by_alias(new, answered_with, *expires_at).await?)
        }
        Op::Activate(new, at, due) => OpResult::Activate(store.activate(new, *at, *due).await?),
        Op::End {
            id,
            by,
            reason,
            ended_by,
            at,
            due,
            precondition,
            presence_version,
            limit_version,
        } => {
            let request = EndRequest {
                id,
                member: by.as_ref(),
                reason,
                ended_by,
                at: *at,
                due_at: *due,
                precondition: *precondition,
                presence_version: *presence_version,
                limit_version: *limit_version,
            };
            OpResult::End(store.end(request).await?)
        }
        Op::Finish(id, at) => OpResult::Call(store.finish(id, *at).await?),
        Op::ReplaceMembers { id, expected, members } => {
            OpResult::ReplaceMembers(store.replace_members(id, expected, members).await?)
        }
        Op::Extend { id, max_duration_seconds, joined_after, due } => {
            let request = ExtendRequest {
                id,
                max_duration_seconds: *max_duration_seconds,
                joined_after: *joined_after,
                due_at: *due,
            };
            OpResult::Extend(store.extend(request).await?)
        }
        Op::ConfirmLimit(id, version) => {
            OpResult::ConfirmLimit(store.confirm_limit(id, *version).await?)
        }
        Op::Get(id) => OpResult::Call(store.get(id).await?),
        Op::RecordRing(id, at, last_before) => {
            OpResult::Rung(store.record_ring(id, *at, *last_before).await?)
        }
        Op::RecordStart(cid, at) => {
            store.record_start(cid, *at).await?;
            load_sorted(store, slice::from_ref(&cid.id)).await?
        }
        Op::UpdatePresence {
            cid,
            expected_version,
            presence,
            rejects,
            started_at,
            first_answered_at,
            at,
        } => {
            let update = PresenceUpdate {
                expected_version: *expected_version,
                presence,
                rejects,
                started_at: *started_at,
                first_answered_at: *first_answered_at,
                at: *at,
            };
            OpResult::Presence(store.update_presence(cid, update).await?)
        }
        Op::ScheduleCheck(cid, due) => {
            store.schedule_check(cid, *due).await?;
            load_sorted(store, slice::from_ref(&cid.id)).await?
        }
        Op::SetNextCheck(cid, now) => {
            store.set_next_check(cid, *now).await?;
            load_sorted(store, slice::from_ref(&cid.id)).await?
        }
        Op::SetPointer { members, call, at, replaces } => {
            OpResult::SetPointer(store.set_open_call(members, call, *at, replaces.as_ref()).await?)
        }
        Op::ClearPointer(members, id, attempt) => {
            store.clear_open_call(members, id, *attempt).await?;
            OpResult::PointerCleared
        }
        Op::Load(ids) => load_sorted(store, ids).await?,
        Op::Reschedule { id, expected_due_at, until, tries } => {
            store.reschedule(id, *expected_due_at, *until, *tries).await?;
            load_sorted(store, slice::from_ref(id)).await?
        }
        Op::RemoveFromIndex(id, expected_due_at, quality) => {
            store.remove_from_index(id, *expected_due_at, quality.as_ref()).await?;
            load_sorted(store, slice::from_ref(id)).await?
        }
        Op::Settle { call, expected_version, expected_due_at, next_check } => {
            let (expected_version, expected_due_at) = (*expected_version, *expected_due_at);
            let next_check = *next_check;
            let request = SettleRequest { call, expected_version, expected_due_at, next_check };
            store.settle(request).await?;
            load_sorted(store, slice::from_ref(&call.call_id)).await?
        }
        Op::ScheduleSettlement(cid, settle_by, due_at) => {
            store.schedule_settlement(cid, *settle_by, *due_at).await?;
            load_sorted(store, slice::from_ref(&cid.id)).await?
        }
        Op::ListDue { shard, now, after, limit } => {
            OpResult::DuePage(store.list_due(*shard, *now, after.as_ref(), *limit).await?)
        }
    })
}

/// Loads calls, sorted by id, since DynamoDB returns them in any order.
async fn load_sorted<S: DueStore>(store: &S, ids: &[CallId]) -> Result<OpResult, StoreError> {
    let mut due_calls = store.load(ids).await?;
    due_calls.sort_by(|a, b| a.call.call_id.cmp(&b.call.call_id));
    Ok(OpResult::Loaded(due_calls))
}

/// Whether two results are equal. For a full page, DynamoDB may report `has_more` although no entry
/// follows.
fn results_match(op: &Op, model: &OpResult, real: &OpResult) -> bool {
    match (op, model, real) {
        (Op::ListDue { limit, .. }, OpResult::DuePage(model), OpResult::DuePage(real)) => {
            let is_full = real.entries.len() == usize::from(*limit);
            real.entries == model.entries
                && (real.has_more == model.has_more || (real.has_more && is_full))
        }
        _ => model == real,
    }
}

/// The name of an operation's outcome.
fn outcome_name(op: &Op, result: &OpResult, changed: bool) -> &'static str {
    match (op, result) {
        (_, OpResult::Begin(BeginResult::Inserted)) if changed => "begun",
        (_, OpResult::Begin(BeginResult::Inserted)) => "already begun",
        (_, OpResult::Begin(BeginResult::Exists(_))) => "not begun: call exists",
        (_, OpResult::Begin(BeginResult::Aliased(_))) => "not begun: alias exists",
        (_, OpResult::TakeOver(TakeOverResult::Acquired)) => "taken over",
        (_, OpResult::TakeOver(TakeOverResult::Changed(_))) => "not taken over: call changed",
        (_, OpResult::TakeOver(TakeOverResult::Missing)) => "not taken over: call missing",
        (Op::ReplaceByAlias(..), OpResult::Withdraw(WithdrawResult::Removed)) if changed => {
            "replaced by an alias"
        }
        (Op::ReplaceByAlias(..), OpResult::Withdraw(_)) => "not replaced by an alias",
        (_, OpResult::Rung(true)) => "ring recorded",
        (_, OpResult::Rung(false)) => "ring not recorded",
        (_, OpResult::Withdraw(WithdrawResult::Removed)) if changed => "withdrawn",
        (_, OpResult::Withdraw(WithdrawResult::Removed)) => "already withdrawn",
        (_, OpResult::Withdraw(WithdrawResult::NotOwned)) => "not withdrawn",
        (_, OpResult::Activate(ActivateResult::Activated(_))) => "activated",
        (_, OpResult::Activate(ActivateResult::Unchanged(_))) => "not activated",
        (_, OpResult::Activate(ActivateResult::Missing)) => "not activated: call missing",
        (_, OpResult::End(EndResult::Ending(_))) => "ending",
        (_, OpResult::End(EndResult::Unchanged(_))) => "not ending",
        (_, OpResult::End(EndResult::Missing)) => "not ending: call missing",
        (_, OpResult::Extend(ExtendResult::Extended(_))) => "extended",
        (_, OpResult::Extend(ExtendResult::Unchanged(_))) => "not extended",
        (_, OpResult::Extend(ExtendResult::Missing)) => "not extended: call missing",
        (_, OpResult::ConfirmLimit(ConfirmLimitResult::Confirmed(_))) => "limit confirmed",
        (_, OpResult::ConfirmLimit(ConfirmLimitResult::Superseded(_))) => "limit not confirmed",
        (_, OpResult::ConfirmLimit(ConfirmLimitResult::Missing)) => {
            "limit not confirmed: call missing"
        }
        (Op::Finish(..), OpResult::Call(Some(_))) if changed => "finished",
        (Op::Finish(..), OpResult::Call(Some(_))) => "already finished",
        (Op::Finish(..), OpResult::Call(None)) => "not finished",
        (_, OpResult::Call(Some(_))) => "got",
        (_, OpResult::Call(None)) => "not found",
        (_, OpResult::ReplaceMembers(ReplaceMembersResult::Replaced(_))) => "members replaced",
        (_, OpResult::ReplaceMembers(ReplaceMembersResult::Unchanged(_))) => "members not replaced",
        (_, OpResult::ReplaceMembers(ReplaceMembersResult::Missing)) => {
            "members not replaced: call missing"
        }
        (_, OpResult::Presence(UpdatePresenceResult::Updated(_))) => "presence stored",
        (_, OpResult::Presence(UpdatePresenceResult::Conflict(_))) => "presence not stored",
        (_, OpResult::Presence(UpdatePresenceResult::Missing)) => {
            "presence not stored: call missing"
        }
        (_, OpResult::SetPointer(SetOpenCallResult::Set { is_exclusive: true })) => {
            "pointer set, exclusive"
        }
        (_, OpResult::SetPointer(SetOpenCallResult::Set { is_exclusive: false })) => "pointer set",
        (_, OpResult::SetPointer(SetOpenCallResult::Occupied(_))) => "pointer occupied",
        (_, OpResult::PointerCleared) if changed => "pointer cleared",
        (_, OpResult::PointerCleared) => "pointer not cleared",
        (_, OpResult::DuePage(page)) if page.has_more => "due page, more follow",
        (_, OpResult::DuePage(_)) => "last due page",
        (Op::RecordStart(..), _) if changed => "start recorded",
        (Op::RecordStart(..), _) => "start not recorded",
        (Op::ScheduleCheck(..), _) if changed => "check moved forward",
        (Op::ScheduleCheck(..), _) => "check not moved forward",
        (Op::SetNextCheck(..), _) if changed => "check scheduled now",
        (Op::SetNextCheck(..), _) => "check not scheduled now",
        (Op::Reschedule { .. }, _) if changed => "rescheduled",
        (Op::Reschedule { .. }, _) => "not rescheduled",
        (Op::Settle { .. }, _) if changed => "settled",
        (Op::Settle { .. }, _) => "not settled",
        (Op::ScheduleSettlement(..), _) if changed => "settlement scheduled",
        (Op::ScheduleSettlement(..), _) => "settlement not scheduled",
        (Op::RemoveFromIndex(..), _) if changed => "removed from index",
        (Op::RemoveFromIndex(..), _) => "not removed from index",
        _ => "loaded",
    }
}

/// Generates operations. It reads the model's state, since few random operations would meet their
/// conditions.
struct OpGenerator<'a> {
    chooser: RandomChooser<'a>,
    fixture: &'a SequenceFixture,
    sim: &'a Sim,
}

impl OpGenerator<'_> {
    /// Any operation on one of the two calls.
    fn random_op(&mut self) -> Op {
        let call = self.chooser.choose(2);
        let id = self.fixture.ids[call].clone();
        match self.chooser.choose(31) {
            0..=2 => self.next_lifecycle_op(call),
            3 => Op::Begin(self.random_new_call(call)),
            4 => Op::TakeOver(self.random_new_call(call)),
            5 => Op::Withdraw(id, self.random_attempt()),
            6 => Op::Activate(
                self.random_new_call(call),
                self.random_time(call),
                self.random_time(call),
            ),
            7 | 27 | 28 => self.end_op(call),
            8 => Op::Finish(id, self.random_time(call)),
            9 if self.random_bool() => {
                let settle_by = self.random_expected_due_at(call);
                Op::ScheduleSettlement(self.random_cid(id), settle_by, self.random_time(call))
            }
            9 => Op::Get(id),
            10 => Op::RecordStart(self.random_cid(id), self.random_time(call)),
            11 if self.random_bool() => {
                Op::SetNextCheck(self.random_cid(id), self.random_time(call))
            }
            11 => Op::ScheduleCheck(self.random_cid(id), self.random_time(call)),
            12 | 13 => self.set_pointer_op(call),
            14 => {
                let attempt = self.random_attempt();
                let attempt = self.random_bool().then_some(attempt);
                Op::ClearPointer(self.random_members(), id, attempt)
            }
            15 => Op::Load(self.fixture.ids.to_vec()),
            16 => {
                let tries = u32::try_from(self.chooser.choose(3)).unwrap();
                Op::Reschedule {
                    id,
                    expected_due_at: self.random_expected_due_at(call),
                    until: self.random_time(call),
                    tries,
                }
            }
            17 if self.random_bool() => self.settle_op(call),
            17 => Op::RemoveFromIndex(id, self.random_expected_due_at(call), self.random_quality()),
            18 => self.replace_members_op(call),
            19 | 20 => Op::Extend {
                id,
                max_duration_seconds: [60, 90][self.chooser.choose(2)],
                joined_after: self.random_time(call),
                due: self.random_time(call),
            },
            21 => self.confirm_limit_op(call),
            22 | 23 => self.update_presence_op(call),
            24 => Op::RecordRing(id, self.random_time(call), self.random_time(call)),
            25 | 26 => self.replace_by_alias_op(call),
            _ => self.list_due_op(call),
        }
    }

    /// The next operation in the lifecycle of a call.
    fn next_lifecycle_op(&mut self, call: usize) -> Op {
        let id = self.fixture.ids[call].clone();
        let item = self.sim.lock().model.items.get(&id).cloned();
        let (new, at, due) =
            (self.random_new_call(call), self.random_time(call), self.random_time(call));
        let Some(item) = item else { return Op::Begin(new) };
        match item.call.state {
            CallState::Creating => {
                Op::Activate(NewCall { fingerprint: item.call.fingerprint, ..new }, at, due)
            }
            CallState::Active => {
                let reason = EndReason::default();
                Op::End {
                    id,
                    by: None,
                    reason,
                    ended_by: EndedBy::Service,
                    at,
                    due,
                    precondition: None,
                    presence_version: None,
                    limit_version: None,
                }
            }
            CallState::Ending => Op::Finish(id, at),
            CallState::Ended if self.random_bool() => self.settle_op(call),
            CallState::Ended => {
                Op::RemoveFromIndex(id, item.due_at.unwrap_or(at), self.random_quality())
            }
        }
    }

    fn random_quality(&mut self) -> Option<CallScore> {
        let label = if self.random_bool() { Band::Fair } else { Band::Good };
        self.random_bool().then(|| CallScore {
            mos: 4.0.into(),
            label,
            data_complete: true,
            model: ScoreModel::V2,
        })
    }

    /// Settles a call, mostly by its current presence and due time.
    fn settle_op(&mut self, call: usize) -> Op {
        let id = self.fixture.ids[call].clone();
        let item = self.sim.lock().model.items.get(&id).cloned();
        let (at, due_at) = (self.random_time(call), self.random_expected_due_at(call));
        let mut settled = match item {
            Some(item) => item.call,
            None => Call::new(&self.random_new_call(call)),
        };
        let expected_version = if self.chooser.choose(4) == 0 {
            self.random_version(call)
        } else {
            settled.presence.version()
        };
        settled.presence.increment_version();
        settled.started_at = settled.started_at.or(Some(at));
        settled.settlement = Some(Settlement {
            settled_at: at,
            settled_from: SettledFrom::Stream,
            answered_at: None,
            duration: Duration::from_millis(1_500),
            talk_time: Duration::from_millis(1_250),
        });
        settled.first_answered_at = settled.first_answered_at.or(self.random_bool().then_some(at));
        settled.quality = self.random_quality();
        let next_check = self.random_bool().then_some(at);
        Op::Settle {
            call: Box::new(settled),
            expected_version,
            expected_due_at: due_at,
            next_check,
        }
    }

    /// Replaces a call by an alias of the other call, by the current attempt or a random one.
    fn replace_by_alias_op(&mut self, call: usize) -> Op {
        let mut new = self.random_new_call(call);
        let item = self.sim.lock().model.items.get(&new.id).cloned();
        if let Some(item) = item
            && self.random_bool()
        {
            new.attempt = item.call.attempt;
        }
        let expires_at = self.random_time_among(call, 12);
        Op::ReplaceByAlias(new, self.fixture.ids[1 - call].clone(), expires_at)
    }

    fn end_op(&mut self, call: usize) -> Op {
        let by = match self.chooser.choose(3) {
            0 => None,
            n => self.fixture.members[n - 1].last().cloned(),
        };
        let precondition = match self.chooser.choose(4) {
            0 => None,
            3 => {
                let call_type = match self.chooser.choose(3) {
                    0 => None,
                    n => Some(&CALL_TYPES[n - 1]),
                };
                Some(Precondition::Event { at: self.random_time(call), call_type })
            }
            1 => Some(Precondition::DueAt(self.random_expected_due_at(call))),
            _ => Some(Precondition::Attempt(self.random_attempt())),
        };
        Op::End {
            id: self.fixture.ids[call].clone(),
            by,
            reason: EndReason::LEFT.into(),
            ended_by: EndedBy::User { user_id: self.fixture.members[0][1].clone() },
            at: self.random_time(call),
            due: self.random_time(call),
            precondition,
            presence_version: self.random_bool().then(|| self.random_version(call)),
            limit_version: (self.chooser.choose(3) == 0).then(|| self.random_limit_version(call)),
        }
    }

    /// The stored limit version, or zero.
    fn random_limit_version(&mut self, call: usize) -> u64 {
        let id = &self.fixture.ids[call];
        let stored = self.sim.lock().model.items.get(id).map(|item| item.call.limit_version);
        if self.random_bool() { 0 } else { stored.unwrap_or(0) }
    }

    /// Mostly expects the stored members, if the call exists.
    fn replace_members_op(&mut self, call: usize) -> Op {
        let id = self.fixture.ids[call].clone();
        let stored = self.sim.lock().model.items.get(&id).map(|item| item.call.members.clone());
        let other = self.fixture.members[self.chooser.choose(2)].clone();
        let expected = if self.chooser.choose(4) == 0 { None } else { stored };
        let mut members = self.fixture.members[self.chooser.choose(2)].clone();
        if self.random_bool() {
            members.reverse();
        }
        Op::ReplaceMembers { id, expected: expected.unwrap_or(other), members }
    }

    /// Mostly the limit version of the item.
    fn confirm_limit_op(&mut self, call: usize) -> Op {
        let id = self.fixture.ids[call].clone();
        let current = self.sim.lock().model.items.get(&id).map(|item| item.call.limit_version);
        let version = match self.chooser.choose(4) {
            0 => 7,
            _ => current.unwrap_or(1).max(1),
        };
        Op::ConfirmLimit(id, version)
    }

    /// A change of the stored presence and rejects, with the right version or another one.
    fn update_presence_op(&mut self, call: usize) -> Op {
        let id = self.fixture.ids[call].clone();
        let stored = self.sim.lock().model.items.get(&id).map(|item| item.call.clone());
        let (mut presence, mut rejects) =
            stored.map(|call| (call.presence, call.rejects)).unwrap_or_default();
        let expected_version = self.random_version(call);
        let user = self.fixture.members[0][self.chooser.choose(2)].clone();
        let session = SessionId::try_from("s1".to_owned()).unwrap();
        let at = self.random_time(call);
        match self.chooser.choose(3) {
            0 => {
                presence.record_join(&Join { user, session, joined_at: at });
            }
            1 => {
                let open =
                    presence.intervals().into_iter().find(|interval| interval.left.is_none());
                let leave = match open {
                    Some(Interval { user, session: Some(session), joined_at, .. }) => {
                        let joined_at = Some(joined_at);
                        Leave { user, session, joined_at, at, duration: None }
                    }
                    _ => Leave { user, session, joined_at: None, at, duration: None },
                };
                presence.record_leave(&leave);
            }
            _ => {
                rejects.record(&user, RejectReason::Busy, at);
                presence.increment_version();
            }
        }
        Op::UpdatePresence {
            cid: self.random_cid(id),
            expected_version,
            presence,
            rejects,
            started_at: self.random_bool().then(|| self.random_time(call)),
            first_answered_at: self.random_bool().then(|| self.random_time(call)),
            at: self.random_time(call),
        }
    }

    /// The version of the stored presence, or zero, which is that of an absent one.
    fn random_version(&mut self, call: usize) -> u64 {
        let version = self.presence_version(call);
        if self.chooser.choose(4) == 0 { 0 } else { version }
    }

    fn presence_version(&self, call: usize) -> u64 {
        let core = self.sim.lock();
        let item = core.model.items.get(&self.fixture.ids[call]);
        item.map_or(0, |item| item.call.presence.version())
    }

    fn set_pointer_op(&mut self, call: usize) -> Op {
        let members = self.random_members();
        let current = self
            .sim
            .lock()
            .model
            .open_call_pointers
            .get(&members)
            .map(|stored| stored.pointer.clone());
        let other = OpenCallPointer {
            call_id: self.fixture.ids[1 - call].clone(),
            at: self.random_time(call),
        };
        let replaces = match self.chooser.choose(3) {
            0 => None,
            1 => current,
            _ => Some(other),
        };
        Op::SetPointer {
            members,
            call: self.random_new_call(call),
            at: self.random_time(call),
            replaces,
        }
    }

    fn list_due_op(&mut self, call: usize) -> Op {
        let now = self.random_time_among(call, 25);
        let id = self.fixture.ids[call].clone();
        let due_at = match self.chooser.choose(3) {
            0 => None,
            1 => self.due_at(call),
            _ => Some(self.random_time(call)),
        };
        // DynamoDB rejects a start key outside the queried range.
        let after = due_at.filter(|due_at| *due_at <= now).map(|due_at| DueEntry { due_at, id });
        let limit = [1, 2, 100][self.chooser.choose(3)];
        Op::ListDue { shard: self.fixture.shard, now, after, limit }
    }

    /// Mostly the default type, which an item does not store.
    fn random_call_type(&mut self) -> CallTypeName {
        CALL_TYPES[usize::from(self.chooser.choose(4) == 0)].clone()
    }

    fn random_cid(&mut self, id: CallId) -> CallCid {
        CallCid { call_type: self.random_call_type(), id }
    }

    fn random_new_call(&mut self, call: usize) -> NewCall {
        NewCall {
            members: self.fixture.members[self.chooser.choose(2)].clone(),
            call_type: if self.random_bool() { CallType::Video } else { CallType::Voice },
            stream_call_type: self.random_call_type(),
            fingerprint: ["f", "g"][self.chooser.choose(2)].to_owned(),
            parallel: self.random_bool(),
            ring: self.random_bool(),
            attempt: self.random_attempt().to_owned(),
            at: self.random_time(call),
            max_duration_seconds: [None, Some(60)][self.chooser.choose(2)],
            ..self.fixture.new_call(self.fixture.ids[call].clone())
        }
    }

    fn random_bool(&mut self) -> bool {
        self.chooser.choose(2) == 0
    }

    fn random_attempt(&mut self) -> &'static str {
        ATTEMPTS[self.chooser.choose(2)]
    }

    fn random_members(&mut self) -> MemberSet {
        MemberSet::new(&self.fixture.members[self.chooser.choose(2)])
    }

    /// One of few times, so that equal times are frequent.
    fn random_time(&mut self, call: usize) -> Timestamp {
        self.random_time_among(call, 6)
    }

    /// One of this number of times. The two calls never share a time, since DynamoDB does not order
    /// entries with the same due time.
    fn random_time_among(&mut self, call: usize, instants: usize) -> Timestamp {
        let millis = i64::try_from(self.chooser.choose(instants) * 10_000 + call).unwrap();
        Timestamp::from_millis(START_TIME.as_millis() + millis)
    }

    /// The due time of the call, or a random time.
    fn random_expected_due_at(&mut self, call: usize) -> Timestamp {
        let random_time = self.random_time(call);
        if self.random_bool() { self.due_at(call).unwrap_or(random_time) } else { random_time }
    }

    fn due_at(&self, call: usize) -> Option<Timestamp> {
        self.sim.lock().model.items.get(&self.fixture.ids[call]).and_then(|item| item.due_at)
    }
}

/// Operations that reveal the remaining data: the calls, the index, and the open-call pointers with
/// their attempts.
fn final_state_ops(fixture: &SequenceFixture) -> Vec<Op> {
    let now = Timestamp::from_secs(START_TIME.as_secs() + 600);
    let mut ops = vec![
        Op::Load(fixture.ids.to_vec()),
        Op::ListDue { shard: fixture.shard, now, after: None, limit: 100 },
    ];
    for members in &fixture.members {
        let members = MemberSet::new(members);
        let set_pointer = |name: &str| {
            let id = CallId::try_from(format!("{name}-{}", fixture.shard.number())).unwrap();
            let (members, call) = (members.clone(), fixture.new_call(id));
            Op::SetPointer { members, call, at: START_TIME, replaces: None }
        };
        let clear_pointer =
            |id: &CallId| Op::ClearPointer(members.clone(), id.clone(), Some(ATTEMPTS[0]));
        ops.push(set_pointer("another"));
        ops.extend(fixture.ids.iter().map(clear_pointer));
        ops.push(set_pointer("yet-another"));
    }
    ops
}

/// The model and the real table.
struct StorePair<'a> {
    model: ModelStore,
    real: &'a DynamoCallStore,
    /// The operations with equal results.
    history: Vec<Op>,
}

impl StorePair<'_> {
    /// Applies an operation to both stores. Returns its outcome if the results are equal.
    async fn apply(&mut self, op: Op) -> Result<&'static str, String> {
        let before = self.digest();
        let model = apply_op(&self.model, &op).await.unwrap();
        let changed = self.digest() != before;
        let real = apply_op(self.real, &op).await.unwrap();
        if !results_match(&op, &model, &real) {
            let history = &self.history;
            return Err(format!(
                "{op:?}\nmodel: {model:#?}\nreal: {real:#?}\nbefore: {history:#?}"
            ));
        }
        let outcome = outcome_name(&op, &model, changed);
        self.history.push(op);
        Ok(outcome)
    }

    /// A digest of the data in the model's table.
    fn digest(&self) -> u64 {
        let core = self.model.sim.lock();
        let mut hash = Fnv::default();
        let model = &core.model;
        (&model.items, &model.open_call_pointers, &model.aliases).hash(&mut hash);
        hash.finish()
    }
}

/// Runs the sequence of a shard, with the shard's number as the seed. Returns all outcomes, or the
/// first difference.
async fn run_sequence(
    shard: Shard,
    mutant: Option<Mutant>,
    real: &DynamoCallStore,
) -> Result<BTreeSet<&'static str>, String> {
    let fixture = SequenceFixture::from_shard(shard);
    let sim = Sim::new(ModelState::new(START_TIME), false);
    {
        let mut core = sim.lock();
        core.set_auto_steps(Some(u32::MAX));
        core.set_current_process(0);
    }
    let model = ModelStore { sim: sim.clone(), mutant, shard };
    let mut stores = StorePair { model, real, history: Vec::new() };
    let seed = u64::from(shard.number());
    let mut unused = explore::VisitedStates::default();
    let chooser = RandomChooser { rng_state: seed, visited: &mut unused };
    let mut generator = OpGenerator { chooser, fixture: &fixture, sim: &sim };
    let mut outcomes = BTreeSet::new();
    let with_seed = |mismatch: String| format!("seed {seed}: {mismatch}");
    for _ in 0..SEQUENCE_LENGTH {
        outcomes.insert(stores.apply(generator.random_op()).await.map_err(with_seed)?);
    }
    for op in final_state_ops(&fixture) {
        stores.apply(op).await.map_err(with_seed)?;
    }
    Ok(outcomes)
}

/// An empty table, and the backends that it runs on.
async fn start_dynamo() -> (DynamoCallStore, Option<Backends>) {
    let (endpoint, table, backends) = if let Ok(endpoint) = std::env::var("STORE_TEST_ENDPOINT") {
        let table = local::dynamo::create_table_at(&endpoint).await.unwrap();
        (endpoint, table, None)
    } else {
        let options = Options { stream: StreamChoice::Unconfigured, ..Options::default() };
        let backends = Stack::start_backends(options).await.unwrap();
        let proxy = backends.dynamo();
        (proxy.url().to_owned(), proxy.table_name().to_owned(), Some(backends))
    };
    let config = StoreConfig { table, region: local::REGION.to_owned(), endpoint: Some(endpoint) };
    let credentials = Credentials::new("local", "local", None, None, "test");
    let http = shared::net::client().unwrap();
    let table = shared::dynamo::Table::with_credentials(&config, http, credentials);
    (DynamoCallStore::new(table), backends)
}

#[tokio::test]
async fn model_matches_dynamodb() {
    let (real, _backends) = start_dynamo().await;
    let mut outcomes = BTreeSet::new();
    for shard in Shard::all() {
        match run_sequence(shard, None, &real).await {
            Ok(more) => outcomes.extend(more),
            Err(mismatch) => panic!("{mismatch}"),
        }
    }
    // Every outcome occurred.
    assert_eq!(outcomes.len(), OUTCOME_COUNT, "{outcomes:#?}");
}

#[tokio::test]
async fn mutated_model_diverges_from_dynamodb() {
    /// The mutants that change the calls in the table. The others change Stream or the users.
    const STORE_MUTANTS: [Mutant; 24] = [
        Mutant::CallItemWrittenLast,
        Mutant::SweeperSkipsCreating,
        Mutant::UnconditionalActivate,
        Mutant::NoCleanupRecheck,
        Mutant::CallIdsReusable,
        Mutant::UnconditionalWithdraw,
        Mutant::UnconditionalSetPointer,
        Mutant::UnconditionalClearPointer,
        Mutant::SessionEndEndsCall,
        Mutant::UnconditionalPresence,
        Mutant::EndIgnoresPresence,
        Mutant::ExtendConfirmsLimit,
        Mutant::ExtendKeepsVersion,
        Mutant::ExtendPostponesCheck,
        Mutant::UnconditionalRing,
        Mutant::WithdrawIgnored,
        Mutant::NextCheckTooLate,
        Mutant::SettlementLost,
        Mutant::UnconditionalSettlement,
        Mutant::FirstAnswerRecomputed,
        Mutant::ScoreStoredEarly,
        Mutant::RingRefused,
        Mutant::LeaveNotStored,
        Mutant::AliasIgnored,
    ];
    for mutant in STORE_MUTANTS {
        let (real, _backends) = start_dynamo().await;
        let mut diverged = false;
        for shard in Shard::all() {
            diverged = run_sequence(shard, Some(mutant), &real).await.is_err();
            if diverged {
                break;
            }
        }
        assert!(diverged, "{mutant} matches DynamoDB");
    }
}
