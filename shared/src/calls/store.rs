//! What the life of a call asks of the table: conditional writes that decide without a read.

use async_trait::async_trait;

use crate::calls::timeouts::END_RETRY_INTERVAL;
use crate::calls::{Call, EndReason, MemberSet, NewCall};
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::store::StoreError;

/// What came of remembering a new call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginResult {
    /// It is `creating`, in this attempt's hands.
    Inserted,
    /// The id is taken.
    Exists(Call),
}

/// What came of taking a `creating` call over from another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOverResult {
    /// It is in this attempt's hands, for a full lease.
    Acquired,
    /// It has moved on.
    Changed(Call),
    /// It was withdrawn.
    Missing,
}

/// What came of withdrawing a call of which nothing was made, or nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawResult {
    /// It never was.
    Removed,
    /// Another attempt has it in hand.
    NotOwned,
}

/// What came of activating a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivateResult {
    /// It is `active` by this attempt.
    Activated(Call),
    /// It is in this state by somebody else's doing.
    Unchanged(Call),
    /// There is no such call.
    Missing,
}

/// Who ends a call, when and why.
#[derive(Clone, Copy, Debug)]
pub struct EndRequest<'a> {
    /// The call.
    pub id: &'a CallId,
    /// The member who asks; nobody where it need not be one.
    pub member: Option<&'a UserId>,
    /// Why.
    pub reason: &'a EndReason,
    /// When it was over for everybody.
    pub at: Timestamp,
    /// When somebody has to see to it, if it is not cleared away by then.
    pub due_at: Timestamp,
    /// What the decision hangs on; a call of which it holds no longer stays open. `None` where the
    /// decision stands whatever has happened.
    pub precondition: Option<Precondition<'a>>,
}

/// What a call looked like as a decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition<'a> {
    /// It was due then. Every step of a call's life moves that.
    DueAt(Timestamp),
    /// This attempt had it in hand.
    Attempt(&'a str),
}

impl<'a> EndRequest<'a> {
    /// An end that does not depend on what the call looks like.
    #[must_use]
    pub fn new(id: &'a CallId, reason: &'a EndReason, now: Timestamp) -> Self {
        Self {
            id,
            member: None,
            reason,
            at: now,
            due_at: now.plus(END_RETRY_INTERVAL),
            precondition: None,
        }
    }
}

/// What came of asking for a call's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndResult {
    /// It is `ending` now.
    Ending(Call),
    /// It was `ending` or `ended` before, or it is not the caller's, or it has moved since it was
    /// seen.
    Unchanged(Call),
    /// There is no such call.
    Missing,
}

/// The mark that a set of members leaves on its open call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenCallPointer {
    /// The call.
    pub call_id: CallId,
    /// When it was last set. The call itself may be written a moment later.
    pub at: Timestamp,
}

/// What came of marking a call as the open one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOpenCallResult {
    /// It is.
    Set {
        /// Whether no other attempt is known to have marked it too.
        is_exclusive: bool,
    },
    /// Another one is marked.
    Occupied(OpenCallPointer),
}

/// The table, as far as calls go. Each method is one request at most.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Remembers a new call as `creating`, if its id is free.
    async fn begin(&self, new_call: &NewCall) -> Result<BeginResult, StoreError>;

    /// Takes a call over that is `creating` by the same request.
    async fn take_over(&self, new_call: &NewCall) -> Result<TakeOverResult, StoreError>;

    /// Forgets a call that is still `creating` in this attempt's hands.
    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<WithdrawResult, StoreError>;

    /// Moves a call from `creating` to `active`, to be looked at when it is due.
    async fn activate(
        &self,
        new_call: &NewCall,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Result<ActivateResult, StoreError>;

    /// Moves a call that is open, that member's to end, and as it was seen, to `ending`.
    async fn end(&self, request: EndRequest<'_>) -> Result<EndResult, StoreError>;

    /// Moves a call from `ending` to `ended`; `None` where there is no such call, or it is open.
    /// One that has `ended` already is as good as moved.
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError>;

    /// Reads a call.
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError>;

    /// Remembers when somebody first joined a call; the earliest that is heard of stands. A call
    /// that is not there stays so.
    async fn record_start(&self, id: &CallId, at: Timestamp) -> Result<(), StoreError>;

    /// Has an active call looked at by then, if not earlier anyway.
    async fn schedule_check(&self, id: &CallId, due_at: Timestamp) -> Result<(), StoreError>;

    /// Has an active call looked at after this instant, even if it is being looked at now: its
    /// place in the index changes, so that whoever has it in hand does not put it off.
    async fn schedule_check_now(&self, id: &CallId, now: Timestamp) -> Result<(), StoreError>;

    /// Marks a call as the open one of its members, if none is marked, or it is itself, or the
    /// one that is known to be over.
    async fn set_open_call(
        &self,
        members: &MemberSet,
        new_call: &NewCall,
        at: Timestamp,
        stale: Option<&OpenCallPointer>,
    ) -> Result<SetOpenCallResult, StoreError>;

    /// Takes the mark off a call, if it is still on it; one of this attempt's alone where an
    /// attempt is given.
    async fn clear_open_call(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Takes one of the minute's single channel deletions; whether there was one left.
    async fn acquire_delete_quota(&self, at: Timestamp) -> Result<bool, StoreError>;
}
