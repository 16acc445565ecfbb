//! The table: the same conditional writes as the real one's, each at one instant. That the two
//! agree is for `agreement.rs` to say.

use async_trait::async_trait;
use shared::calls::sweep::{DueCall, DuePage, DuePlace, DueStore, Shard};
use shared::calls::{
    Activated, Begun, Call, CallState, CallStore, EndRequest, Ending, LEASE, Mark, Marked,
    MemberSet, NewCall, SECOND_LOOK, Seen, TakenOver, Withdrawn,
};
use shared::clock::Timestamp;
use shared::ids::{CallId, UserId};
use shared::limits::Quota;
use shared::quality::{Batch, Evidence, EvidenceStore, Kept, Slot};
use shared::store::StoreError;
use shared::stream::event::{Rating, Report};
use shared::users::{
    Counted, ProfileChange, Revocation, Revoked, Synced, User, UserStatus, UserStore,
};

use crate::mutants::Mutant;
use crate::sim::{Kind, NoAnswer, Sim};
use crate::world::{Item, Marking, World};

/// The table of a run.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) sim: Sim,
    pub(crate) mutant: Option<Mutant>,
    /// The shard that every call of the run is in; the others are empty.
    pub(crate) shard: Shard,
}

impl Table {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    async fn write<T: std::fmt::Debug>(
        &self,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut World) -> T + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.sim.step(Kind::Write, label, effect).await.map_err(unavailable)
    }

    async fn read<T: std::fmt::Debug>(
        &self,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut World) -> T + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.sim.step(Kind::Read, label, effect).await.map_err(unavailable)
    }
}

fn unavailable(_: NoAnswer) -> StoreError {
    StoreError::Unavailable("no answer".into())
}

fn item(call: Call, due_at: Timestamp) -> Item {
    Item { call, due_at: Some(due_at), tries: 0 }
}

#[async_trait]
impl CallStore for Table {
    async fn begin(&self, new: &NewCall) -> Result<Begun, StoreError> {
        let (new, last) = (new.clone(), self.is(Mutant::MappingWrittenLast));
        let reuse = self.is(Mutant::IdsReusable);
        let label = format!("begin {} by {}", new.id, new.attempt);
        let effect = move |world: &mut World| {
            world.ledger.begun.insert(new.id.clone());
            if let Some(found) = world.items.get(&new.id) {
                let call = &found.call;
                let ours = call.attempt == new.attempt && call.state == CallState::Creating;
                if ours {
                    return Begun::Started;
                }
                if !(reuse && call.state == CallState::Ended) {
                    return Begun::Exists(call.clone());
                }
            }
            if world.ledger.over.contains(&new.id) {
                world.accuse(|| format!("{} begins a second time", new.id));
            }
            if !last {
                let item = item(Call::begun(&new), new.at.plus(LEASE));
                world.items.insert(new.id.clone(), item);
            }
            Begun::Started
        };
        self.write(|| label, effect).await
    }

    async fn take_over(&self, new: &NewCall) -> Result<TakenOver, StoreError> {
        let new = new.clone();
        let label = format!("take {} over for {}", new.id, new.attempt);
        let effect = move |world: &mut World| {
            let Some(item) = world.items.get_mut(&new.id) else { return TakenOver::Gone };
            let call = &mut item.call;
            if call.state != CallState::Creating || call.fingerprint != new.fingerprint {
                return TakenOver::Moved(call.clone());
            }
            call.attempt.clone_from(&new.attempt);
            call.lease_until = Some(new.at.plus(LEASE));
            item.due_at = Some(new.at.plus(LEASE));
            TakenOver::Taken
        };
        self.write(|| label, effect).await
    }

    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<Withdrawn, StoreError> {
        let (id, attempt) = (id.clone(), attempt.to_owned());
        let any = self.is(Mutant::WithdrawsAnything);
        let label = format!("withdraw {id} by {attempt}");
        let effect = move |world: &mut World| {
            let Some(item) = world.items.get(&id) else { return Withdrawn::Removed };
            let ours = item.call.state == CallState::Creating && item.call.attempt == attempt;
            if !ours && !any {
                return Withdrawn::Kept;
            }
            world.items.remove(&id);
            Withdrawn::Removed
        };
        self.write(|| label, effect).await
    }

    async fn activate(
        &self,
        new: &NewCall,
        at: Timestamp,
        due: Timestamp,
    ) -> Result<Activated, StoreError> {
        let new = new.clone();
        let (last, always) =
            (self.is(Mutant::MappingWrittenLast), self.is(Mutant::UnconditionalActivate));
        let label = format!("activate {} by {}", new.id, new.attempt);
        let effect = move |world: &mut World| {
            if last && !world.items.contains_key(&new.id) {
                world.items.insert(new.id.clone(), item(Call::begun(&new), due));
            }
            let Some(item) = world.items.get_mut(&new.id) else { return Activated::Missing };
            let call = &mut item.call;
            let ours = call.state == CallState::Creating && call.fingerprint == new.fingerprint;
            if !ours && !always {
                return Activated::Was(call.clone());
            }
            call.active_at = Some(at);
            call.attempt.clone_from(&new.attempt);
            call.lease_until = None;
            (item.due_at, item.tries) = (Some(due), 0);
            world.move_to(&new.id, CallState::Active);
            Activated::Now(world.items[&new.id].call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn end(&self, request: EndRequest<'_>) -> Result<Ending, StoreError> {
        let EndRequest { id, by, reason, at, due, unless_moved } = request;
        let (id, by, reason) = (id.clone(), by.cloned(), reason.clone());
        let (seen, attempt) = match unless_moved {
            Some(Seen::Due(due)) => (Some(due), None),
            Some(Seen::Attempt(attempt)) => (None, Some(attempt.to_owned())),
            None => (None, None),
        };
        if self.is(Mutant::ChannelDeletedBeforeEnding) {
            let channel = id.channel().to_string();
            let label = format!("delete {channel} too early");
            self.write(|| label, move |world| world.channels.remove(&channel)).await?;
        }
        let label = format!("end {id}, {}", reason.as_str());
        let effect = move |world: &mut World| {
            let Some(item) = world.items.get_mut(&id) else { return Ending::Missing };
            let allowed = by.as_ref().is_none_or(|member| item.call.has(member))
                && attempt.as_ref().is_none_or(|attempt| *attempt == item.call.attempt)
                && seen.is_none_or(|seen| item.due_at == Some(seen));
            if !allowed || item.call.state > CallState::Active {
                return Ending::Was(item.call.clone());
            }
            item.call.ending_at = Some(at);
            item.call.end_reason = Some(reason.clone());
            item.call.lease_until = None;
            (item.due_at, item.tries) = (Some(due), 0);
            world.move_to(&id, CallState::Ending);
            Ending::Now(world.items[&id].call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError> {
        let id = id.clone();
        let due = match self.mutant {
            Some(Mutant::NoSecondLook) => None,
            Some(Mutant::SecondLookTooEarly) => Some(at.plus(SECOND_LOOK / 18)),
            _ => Some(at.plus(SECOND_LOOK)),
        };
        let label = format!("finish {id}");
        let effect = move |world: &mut World| {
            let item = world.items.get_mut(&id)?;
            if item.call.state == CallState::Ending {
                item.call.ended_at = Some(at);
                (item.due_at, item.tries) = (due, 0);
                world.move_to(&id, CallState::Ended);
            }
            let call = &world.items.get(&id)?.call;
            (call.state == CallState::Ended).then(|| call.clone())
        };
        self.write(|| label, effect).await
    }

    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        let id = id.clone();
        let label = format!("get {id}");
        self.read(|| label, move |world| world.items.get(&id).map(|item| item.call.clone())).await
    }

    async fn started(&self, id: &CallId, at: Timestamp) -> Result<(), StoreError> {
        let id = id.clone();
        let label = format!("note that {id} has started");
        let effect = move |world: &mut World| {
            if let Some(item) = world.items.get_mut(&id)
                && item.call.started_at.is_none_or(|known| known > at)
            {
                item.call.started_at = Some(at);
            }
        };
        self.write(|| label, effect).await
    }

    async fn look_by(&self, id: &CallId, due: Timestamp) -> Result<(), StoreError> {
        let id = id.clone();
        let label = format!("have {id} looked at by {due}");
        let effect = move |world: &mut World| {
            if let Some(item) = world.items.get_mut(&id)
                && item.call.state == CallState::Active
            {
                item.due_at = item.due_at.min(Some(due));
            }
        };
        self.write(|| label, effect).await
    }

    async fn look_now(&self, id: &CallId, now: Timestamp) -> Result<(), StoreError> {
        let id = id.clone();
        let ends = self.is(Mutant::SessionEndEndsTheCall);
        let label = format!("have {id} looked at");
        let effect = move |world: &mut World| {
            let Some(item) = world.items.get_mut(&id) else { return };
            if item.call.state != CallState::Active {
                return;
            }
            item.due_at = Some(now);
            if ends {
                world.move_to(&id, CallState::Ending);
                let session = world.calls.get(id.as_str()).and_then(|live| live.session.as_ref());
                if session.is_some_and(|session| session.ended_at.is_none()) {
                    world.accuse(|| format!("an earlier session's end ends {id}"));
                }
            }
        };
        self.write(|| label, effect).await
    }

    async fn mark(
        &self,
        members: &MemberSet,
        new: &NewCall,
        at: Timestamp,
        over: Option<&Mark>,
    ) -> Result<Marked, StoreError> {
        let (members, over) = (members.clone(), over.cloned());
        let (id, attempt) = (new.id.clone(), new.attempt.clone());
        let always = self.is(Mutant::MarkTakenFromAnybody);
        let label = format!("mark {id} at {at} by {attempt}");
        let effect = move |world: &mut World| {
            let found = world.marks.get(&members).map(|marking| &marking.mark);
            if let Some(mark) = found
                && mark.call != id
                && Some(mark) != over.as_ref()
                && !always
            {
                return Marked::Theirs(mark.clone());
            }
            let alone = found.is_none_or(|mark| mark.call != id);
            let mark = Mark { call: id.clone(), at };
            world.marks.insert(members.clone(), Marking { mark, attempt: attempt.clone() });
            Marked::Ours { alone }
        };
        self.write(|| label, effect).await
    }

    async fn unmark(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError> {
        let any = self.is(Mutant::UnmarksAnybody);
        let attempt = attempt.filter(|_| !any).map(str::to_owned);
        let (members, id) = (members.clone(), id.clone());
        let label = format!("unmark {id} by {attempt:?}");
        let effect = move |world: &mut World| {
            let found = world.marks.get(&members).is_some_and(|marking| {
                marking.mark.call == id
                    && attempt.as_ref().is_none_or(|attempt| *attempt == marking.attempt)
            });
            if found {
                world.marks.remove(&members);
            }
        };
        self.write(|| label, effect).await
    }

    /// There is always one left. Where there is none, or the table does not say, the channel is
    /// left to the sweeper.
    async fn take_deletion(&self, _: Timestamp) -> Result<bool, StoreError> {
        self.read(|| "take a deletion".to_owned(), |_| true).await
    }
}

#[async_trait]
impl DueStore for Table {
    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        after: Option<&DuePlace>,
        most: u16,
    ) -> Result<DuePage, StoreError> {
        if shard != self.shard {
            return Ok(DuePage::default());
        }
        let after = after.cloned();
        let skip = self.is(Mutant::SweeperSkipsCreating);
        let effect = move |world: &mut World| {
            let mut places: Vec<DuePlace> = world
                .items
                .iter()
                .filter(|(_, item)| !(skip && item.call.state == CallState::Creating))
                .filter_map(|(id, item)| Some(DuePlace { due_at: item.due_at?, id: id.clone() }))
                .filter(|place| place.due_at <= now)
                .filter(|place| after.as_ref().is_none_or(|after| place > after))
                .collect();
            places.sort_unstable();
            let more = places.len() > usize::from(most);
            places.truncate(most.into());
            DuePage { places, more }
        };
        self.read(|| "read what is due".to_owned(), effect).await
    }

    async fn load(&self, ids: &[CallId]) -> Result<Vec<DueCall>, StoreError> {
        let ids = ids.to_vec();
        let effect = move |world: &mut World| {
            let found = ids.iter().filter_map(|id| world.items.get(id));
            found
                .map(|Item { call, due_at, tries }| DueCall {
                    call: call.clone(),
                    due_at: *due_at,
                    tries: *tries,
                })
                .collect::<Vec<_>>()
        };
        self.read(|| "load what is due".to_owned(), effect).await
    }

    async fn put_off(
        &self,
        id: &CallId,
        seen: Timestamp,
        until: Timestamp,
        tries: u32,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let label = format!("put {id} off until {until}");
        let effect = move |world: &mut World| {
            if let Some(item) = world.items.get_mut(&id)
                && item.due_at == Some(seen)
            {
                (item.due_at, item.tries) = (Some(until), tries);
            }
        };
        self.write(|| label, effect).await
    }

    async fn rest(&self, id: &CallId, seen: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        let label = format!("let {id} rest");
        let effect = move |world: &mut World| {
            if let Some(item) = world.items.get_mut(&id)
                && item.due_at == Some(seen)
                && item.call.state == CallState::Ended
            {
                (item.due_at, item.tries) = (None, 0);
                return true;
            }
            false
        };
        self.write(|| label, effect).await
    }

    async fn bookmark(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn set_bookmark(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Everybody is known, and stays as they are: what becomes of users is no part of a call's life.
#[async_trait]
impl UserStore for Table {
    async fn get(&self, _: &UserId) -> Result<Option<User>, StoreError> {
        Ok(None)
    }

    async fn get_counted(&self, _: &UserId, _: Quota) -> Result<Counted, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn unknown(&self, _: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        self.read(|| "look the members up".to_owned(), |_| Vec::new()).await
    }

    async fn merge(&self, _: &UserId, _: &ProfileChange, _: Timestamp) -> Result<User, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn fill(&self, _: &UserId, _: &ProfileChange, _: Timestamp) -> Result<User, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn confirm(&self, _: &UserId, _: u64) -> Result<Synced, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn revoke(&self, _: &UserId, _: Revocation) -> Result<Revoked, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn set_status(&self, _: &UserId, _: UserStatus, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl EvidenceStore for Table {
    async fn keep_report(&self, _: &CallId, _: &Report, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn keep_rating(&self, _: &CallId, _: &Rating, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn keep_batch(&self, _: &CallId, _: &Batch, _: Slot) -> Result<Kept, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn forget(&self, _: &CallId, _: &UserId) -> Result<(), StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }

    async fn evidence(&self, _: &CallId) -> Result<Evidence, StoreError> {
        Err(StoreError::Broken("not asked for".into()))
    }
}
