//! What the life of a call asks of the table: conditional writes that decide without a read.

use std::time::Duration;

use async_trait::async_trait;

use crate::calls::{Call, CallType, EndReason, MemberSet};
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::store::StoreError;

/// How long an attempt to create a call has before it counts as dead. It is twice the function's
/// timeout, so no living attempt is ever taken for a dead one.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long an active call goes unseen. After the five minutes in which Stream waits for somebody
/// to come back, and with the minute between two sweeps, that is ten of the eleven minutes within
/// which a call is over that everybody has left, though nobody tells us.
pub const LOOK: Duration = Duration::from_mins(4);
/// When a call that could not be ended is tried again.
pub const RETRY_END: Duration = Duration::from_secs(30);
/// When an ended call is looked at once more: a request that was on its way may have brought an
/// empty channel back.
pub const SECOND_LOOK: Duration = Duration::from_mins(3);
/// How long an ended call's id stays taken.
pub const TOMBSTONE: Duration = Duration::from_hours(30 * 24);
/// How long the mark of a set of members' open call is kept: longer than any call lasts.
pub const MARK: Duration = Duration::from_hours(3 * 24);

/// A call to be remembered before anything of it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// The call.
    pub id: CallId,
    /// Who makes it.
    pub owner: UserId,
    /// Everybody in it, the owner first.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// A digest of the request.
    pub fingerprint: String,
    /// Whether its members may have other calls open.
    pub parallel: bool,
    /// This attempt.
    pub attempt: String,
    /// When it is asked for.
    pub at: Timestamp,
}

/// What came of remembering a new call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is `creating`, in this attempt's hands.
    Started,
    /// The id is taken.
    Exists(Call),
}

/// What came of taking a `creating` call over from another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOver {
    /// It is in this attempt's hands, for a full lease.
    Taken,
    /// It has moved on.
    Moved(Call),
    /// It was withdrawn.
    Gone,
}

/// What came of withdrawing a call of which nothing was made, or nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It never was.
    Removed,
    /// Another attempt has it in hand.
    Kept,
}

/// What came of activating a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activated {
    /// It is `active` by this attempt.
    Now(Call),
    /// It is in this state by somebody else's doing.
    Was(Call),
    /// There is no such call.
    Missing,
}

/// Who ends a call, when and why.
#[derive(Clone, Copy, Debug)]
pub struct EndRequest<'a> {
    /// The call.
    pub id: &'a CallId,
    /// The member who asks; nobody where it need not be one.
    pub by: Option<&'a UserId>,
    /// Why.
    pub reason: &'a EndReason,
    /// When it was over for everybody.
    pub at: Timestamp,
    /// When somebody has to see to it, if it is not cleared away by then.
    pub due: Timestamp,
    /// What the decision hangs on; a call of which it holds no longer stays open. `None` where the
    /// decision stands whatever has happened.
    pub unless_moved: Option<Seen<'a>>,
}

/// What a call looked like as a decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// It was due then. Every step of a call's life moves that.
    Due(Timestamp),
    /// This attempt had it in hand.
    Attempt(&'a str),
}

impl<'a> EndRequest<'a> {
    /// An end that does not depend on what the call looks like.
    #[must_use]
    pub fn now(id: &'a CallId, reason: &'a EndReason, now: Timestamp) -> Self {
        Self { id, by: None, reason, at: now, due: now.plus(RETRY_END), unless_moved: None }
    }
}

/// What came of asking for a call's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is `ending` now.
    Now(Call),
    /// It was `ending` or `ended` before, or it is not the caller's, or it has moved since it was
    /// seen.
    Was(Call),
    /// There is no such call.
    Missing,
}

/// The mark that a set of members leaves on its open call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The call.
    pub call: CallId,
    /// When it was last set. The call itself may be written a moment later.
    pub at: Timestamp,
}

/// What came of marking a call as the open one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It is.
    Ours {
        /// Whether no other attempt is known to have marked it too.
        alone: bool,
    },
    /// Another one is marked.
    Theirs(Mark),
}

/// The table, as far as calls go. Each method is one request at most.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Remembers a new call as `creating`, if its id is free.
    async fn begin(&self, call: &NewCall) -> Result<Begun, StoreError>;

    /// Takes a call over that is `creating` by the same request.
    async fn take_over(&self, call: &NewCall) -> Result<TakenOver, StoreError>;

    /// Forgets a call that is still `creating` in this attempt's hands.
    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<Withdrawn, StoreError>;

    /// Moves a call from `creating` to `active`, to be looked at when it is due.
    async fn activate(
        &self,
        call: &NewCall,
        at: Timestamp,
        due: Timestamp,
    ) -> Result<Activated, StoreError>;

    /// Moves a call that is open, that member's to end, and as it was seen, to `ending`.
    async fn end(&self, request: EndRequest<'_>) -> Result<Ending, StoreError>;

    /// Moves a call from `ending` to `ended`; `None` where there is no such call, or it is open.
    /// One that has `ended` already is as good as moved.
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError>;

    /// Reads a call.
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError>;

    /// Remembers when somebody first joined a call; the earliest that is heard of stands. A call
    /// that is not there stays so.
    async fn started(&self, id: &CallId, at: Timestamp) -> Result<(), StoreError>;

    /// Has an active call looked at by then, if not earlier anyway.
    async fn look_by(&self, id: &CallId, due: Timestamp) -> Result<(), StoreError>;

    /// Has an active call looked at after this instant, even if it is being looked at now: its
    /// place in the index changes, so that whoever has it in hand does not put it off.
    async fn look_now(&self, id: &CallId, now: Timestamp) -> Result<(), StoreError>;

    /// Marks a call as the open one of its members, if none is marked, or it is itself, or the
    /// one that is known to be over.
    async fn mark(
        &self,
        members: &MemberSet,
        call: &NewCall,
        at: Timestamp,
        over: Option<&Mark>,
    ) -> Result<Marked, StoreError>;

    /// Takes the mark off a call, if it is still on it; one of this attempt's alone where an
    /// attempt is given.
    async fn unmark(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Takes one of the minute's single channel deletions; whether there was one left.
    async fn take_deletion(&self, at: Timestamp) -> Result<bool, StoreError>;
}
