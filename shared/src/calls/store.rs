//! What the life of a call asks of the table: conditional writes that decide without a read.

use std::time::Duration;

use async_trait::async_trait;

use crate::calls::{Call, CallType, EndReason};
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::store::StoreError;

/// How long an attempt to create a call has before it counts as dead. It is well above the
/// function's timeout, so no living attempt is ever taken for a dead one.
pub(super) const LEASE: Duration = Duration::from_mins(1);
/// When an active call is first looked at.
pub(super) const LOOK: Duration = Duration::from_mins(5);
/// When a call that could not be ended is tried again.
pub(super) const RETRY_END: Duration = Duration::from_secs(30);
/// When an ended call is looked at once more: a request that was on its way may have brought an
/// empty channel back.
pub(super) const SECOND_LOOK: Duration = Duration::from_mins(3);
/// How long an ended call's id stays taken.
pub(super) const TOMBSTONE: Duration = Duration::from_hours(30 * 24);

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

/// What came of withdrawing a call that was refused before anything of it was made.
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
    /// When.
    pub at: Timestamp,
}

/// What came of asking for a call's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is `ending` now.
    Now(Call),
    /// It was `ending` or `ended` before, or it is not the caller's.
    Was(Call),
    /// There is no such call.
    Missing,
}

/// The table, as far as calls go. Each method is one request.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Remembers a new call as `creating`, if its id is free.
    async fn begin(&self, call: &NewCall) -> Result<Begun, StoreError>;

    /// Takes a call over that is `creating` by the same request.
    async fn take_over(&self, call: &NewCall) -> Result<TakenOver, StoreError>;

    /// Forgets a call that is still `creating` in this attempt's hands.
    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<Withdrawn, StoreError>;

    /// Moves a call from `creating` to `active`.
    async fn activate(&self, call: &NewCall, at: Timestamp) -> Result<Activated, StoreError>;

    /// Moves a call that is open, and that member's to end, to `ending`.
    async fn end(&self, request: EndRequest<'_>) -> Result<Ending, StoreError>;

    /// Moves a call from `ending` to `ended`; `None` where there is no such call, or it is open.
    /// One that has `ended` already is as good as moved.
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError>;

    /// Reads a call.
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError>;
}
