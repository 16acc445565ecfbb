//! Creating a call: remember it (W1), make its channel and its call at Stream, say that it is
//! active (W2).
//!
//! Any attempt may die at any point; whoever comes next with the same request helps the call
//! along, since every step is the same when done twice. Where its members have a call open
//! already, that one is the answer (see [`super::glare`]).

use std::mem;
use std::time::Duration;

use futures_util::future::join4;

use crate::calls::verdict::{Verdict, judge};
use crate::calls::{
    Activated, Ask, Begun, Call, CallState, Calls, EndReason, EndRequest, Ending, Limits, Marked,
    MemberSet, NewCall, TakenOver,
};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::limits::Admission;
use crate::store::StoreError;
use crate::stream::StreamError;
use crate::stream::ops::{GetOrCreateCall, GetOrCreateChannel};

/// A call that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The call.
    pub call: Call,
    /// Whether this request made it so, rather than an earlier one.
    pub created: bool,
}

/// What came of the first step.
pub(super) enum Entry {
    /// There is nothing left to do.
    Done(Created),
    /// The call is in this attempt's hands.
    InHand(NewCall),
    /// It was withdrawn meanwhile: the id is free again.
    Again,
}

/// How often a call is tried that others keep withdrawing.
const ROUNDS: u32 = 3;

impl Calls {
    /// Creates the call, or helps it along, or finds it there already.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_not_found`, `call_not_found` (the id of somebody else's call of
    /// other members), `call_id_reused`, `call_ended`, `call_not_active`, `store_unavailable`, and
    /// what Stream's failures become.
    ///
    /// The call may be another one than was asked for: the one that its members have open.
    pub async fn create(
        &self,
        ask: &Ask,
        limits: Limits,
        mut admission: Admission<'_>,
        deadline: Deadline,
    ) -> Result<Created, ApiError> {
        for _ in 0..ROUNDS {
            if deadline.remaining(self.clock.now()).is_zero() {
                break;
            }
            // However many rounds it takes, it is one request.
            match self.enter(ask, limits, mem::take(&mut admission), deadline).await? {
                Entry::Done(created) => return Ok(created),
                Entry::InHand(new) => return self.build(ask, &new, limits, deadline).await,
                Entry::Again => {}
            }
        }
        Err(not_active_yet())
    }

    /// W1, with the members looked up, their open call marked and the request counted at the same
    /// time: an unknown member, an open call, and a request too many, take this one back before
    /// anything of it exists at Stream.
    async fn enter(
        &self,
        ask: &Ask,
        limits: Limits,
        admission: Admission<'_>,
        deadline: Deadline,
    ) -> Result<Entry, ApiError> {
        let at = self.clock.now();
        let new = NewCall {
            id: ask.id.clone(),
            owner: ask.owner.clone(),
            members: ask.members.clone(),
            call_type: ask.call_type,
            fingerprint: ask.fingerprint(),
            parallel: ask.parallel,
            attempt: self.random.uuid_v7(at).to_string(),
            at,
        };
        let set = MemberSet::of(&new.members);
        let mark = async {
            if new.parallel {
                Ok(Marked::Ours { alone: false })
            } else {
                self.store.mark(&set, &new, at, None).await
            }
        };
        let (begun, unknown, marked, counted) = join4(
            self.store.begin(&new),
            self.users.unknown(&new.members),
            mark,
            admission.counted(),
        )
        .await;
        let alone = matches!(marked, Ok(Marked::Ours { alone: true }));
        if let Err(refused) = counted {
            // What was written without an answer goes as well.
            if !matches!(begun, Ok(Begun::Exists(_))) {
                self.withdraw(&new).await;
            }
            if alone {
                self.unmark(&new.members, &new.id, Some(&new.attempt)).await;
            }
            return Err(refused);
        }
        let before = match begun? {
            Begun::Started => None,
            Begun::Exists(call) => match judge(&call, &new) {
                Verdict::Same => return Ok(Entry::Done(Created { call, created: false })),
                Verdict::Help => Some(call),
                Verdict::Meet => return self.wait_for(call, at, deadline).await,
                Verdict::Refused(code) => return Err(ApiError::plain(code)),
            },
        };
        let met = match all_known(unknown).and_then(|()| Ok(marked?)) {
            Ok(Marked::Ours { .. }) => Ok(None),
            Ok(Marked::Theirs(mark)) => self.meet(&set, &new, mark, limits, deadline).await,
            Err(error) => Err(error),
        };
        let Some(met) = met.transpose() else {
            return match before {
                None => Ok(Entry::InHand(new)),
                Some(_) => self.take_over(new).await,
            };
        };
        match before {
            None => {
                self.withdraw(&new).await;
                if alone {
                    self.unmark(&new.members, &new.id, Some(&new.attempt)).await;
                }
            }
            // Another attempt may have made something of it at Stream.
            Some(call) if met.is_ok() => self.give_up(&call).await,
            Some(_) => {}
        }
        self.join_in(new, met?).await
    }

    /// Takes a call over from an attempt that may be dead. That attempt can no longer withdraw
    /// it, so what is made at Stream from here on always has its mapping.
    async fn take_over(&self, new: NewCall) -> Result<Entry, ApiError> {
        match self.store.take_over(&new).await? {
            TakenOver::Taken => Ok(Entry::InHand(new)),
            TakenOver::Gone => Ok(Entry::Again),
            TakenOver::Moved(call) => match judge(&call, &new) {
                Verdict::Same => Ok(Entry::Done(Created { call, created: false })),
                Verdict::Refused(code) => Err(ApiError::plain(code)),
                Verdict::Help | Verdict::Meet => Ok(Entry::Again),
            },
        }
    }

    /// Takes back a call that is not to be. If that fails its lease runs out, and the call with it.
    async fn withdraw(&self, new: &NewCall) {
        if let Err(error) = self.store.withdraw(&new.id, &new.attempt).await {
            ApiError::from(error).note("a refused call is not withdrawn", &new.id);
        }
    }

    /// Takes back a call whose id is somebody else's at Stream, and its mark with it.
    async fn take_back(&self, new: &NewCall) {
        self.withdraw(new).await;
        if !new.parallel {
            self.unmark(&new.members, &new.id, Some(&new.attempt)).await;
        }
    }

    /// Stream's part, and W2. The channel comes first: it names members that Stream does not
    /// know, before anybody's phone has rung.
    async fn build(
        &self,
        ask: &Ask,
        new: &NewCall,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Created, ApiError> {
        self.make_channel(new, deadline).await?;
        self.make_call(ask, new, limits, deadline).await?;
        self.settle(new, limits, deadline).await
    }

    async fn make_channel(&self, new: &NewCall, deadline: Deadline) -> Result<(), ApiError> {
        let id = new.id.channel();
        let get_channel =
            GetOrCreateChannel { id: &id, created_by: &new.owner, members: &new.members };
        let found = self.stream.send(&get_channel, deadline).await.map_err(member_unknown)?;
        if found.channel.created_by.id == new.owner.as_str() {
            return Ok(());
        }
        // Made by somebody else before we knew of it: not ours to use, nor to clear away.
        self.take_back(new).await;
        Err(ApiError::plain(Code::CallIdReused))
    }

    async fn make_call(
        &self,
        ask: &Ask,
        new: &NewCall,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let get_call = GetOrCreateCall {
            id: &new.id,
            created_by: &new.owner,
            members: &new.members,
            call_type: new.call_type,
            ring: ask.ring,
            custom: ask.custom.as_ref(),
            max_duration: limits.max_duration,
            inactivity_timeout: limits.inactivity_timeout,
        };
        let found = self.stream.send(&get_call, deadline).await.map_err(member_unknown)?.call;
        if found.created_by.id != new.owner.as_str() {
            // As with a channel; but the channel is ours, and keeps its mapping until it is gone.
            match self.delete_channel(&new.id, deadline).await {
                Ok(()) => self.take_back(new).await,
                Err(error) => error.note("a channel without a call", &new.id),
            }
            return Err(ApiError::plain(Code::CallIdReused));
        }
        if found.ended_at.is_some() {
            // It was there before, and is over: it can never be active again.
            self.say_over(new, deadline).await;
            return Err(ApiError::plain(Code::CallEnded));
        }
        Ok(())
    }

    /// W2.
    async fn settle(
        &self,
        new: &NewCall,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Created, ApiError> {
        let now = self.clock.now();
        let code = match self.store.activate(new, now, now.plus(limits.first_look())).await? {
            Activated::Now(call) => return Ok(Created { call, created: true }),
            Activated::Was(call) => match judge(&call, new) {
                Verdict::Same => {
                    let created = call.attempt == new.attempt;
                    return Ok(Created { call, created });
                }
                Verdict::Help | Verdict::Meet => Code::CallNotActive,
                Verdict::Refused(code) => code,
            },
            Activated::Missing => Code::CallEnded,
        };
        if code == Code::CallEnded {
            // Its end overtook its beginning: what was just made must go again.
            self.undo(new, deadline).await;
        }
        Err(ApiError::plain(code))
    }

    /// Says in the table, too, that a call is over.
    async fn say_over(&self, new: &NewCall, deadline: Deadline) {
        let reason = EndReason::default();
        let end = EndRequest::now(&new.id, &reason, self.clock.now());
        match self.store.end(end).await {
            Ok(Ending::Now(call) | Ending::Was(call)) if call.state == CallState::Ending => {
                self.close(call, deadline).await;
            }
            Ok(_) => self.undo(new, deadline).await,
            Err(error) => ApiError::from(error).note("a call that is over stays open", &new.id),
        }
    }

    async fn undo(&self, new: &NewCall, deadline: Deadline) {
        if let Err(error) = self.clear_own(&new.id, deadline).await {
            error.note("an undone call is left for the second look", &new.id);
        }
    }
}

/// The answer where a call is in somebody else's hands.
pub(super) fn not_active_yet() -> ApiError {
    ApiError::plain(Code::CallNotActive).with_retry_after(Some(Duration::from_secs(1)))
}

fn all_known(unknown: Result<Vec<UserId>, StoreError>) -> Result<(), ApiError> {
    let unknown = unknown?;
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unknown.iter().map(UserId::as_str).collect();
    Err(ApiError::new(Code::UserNotFound, format!("not known: {}", names.join(", "))))
}

/// Our table knows every member by now, so it is Stream that has lost one.
fn member_unknown(error: StreamError) -> ApiError {
    let lost = match &error {
        StreamError::Refused(failure) => failure.is_user_unknown(),
        StreamError::NotFound(failure) => failure.is_user_deleted(),
        _ => false,
    };
    if lost {
        ApiError::new(Code::UserNotFound, "a member is not known at Stream").with_source(error)
    } else {
        error.into()
    }
}
