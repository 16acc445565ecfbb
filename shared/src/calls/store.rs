//! The stores of calls: conditional writes that need no read before them. Each method sends at most
//! one request.
//!
//! There is a trait for each use, since a function contains every method of the traits that it uses
//! (`docs/adr/0041-narrow-store-traits.md`).

use async_trait::async_trait;

use crate::calls::outcome::EndedBy;
use crate::calls::presence::Presence;
use crate::calls::rejects::Rejects;
use crate::calls::timeouts::END_RETRY_INTERVAL;
use crate::calls::{Call, EndReason, MemberSet, NewCall};
use crate::clock::Timestamp;
use crate::ids::{CallCid, CallId, CallTypeName, UserId};
use crate::store::StoreError;

/// The result of [`CallStore::begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginResult {
    /// The call is `creating`, and this attempt holds its lease.
    Inserted,
    /// The id exists already.
    Exists(Call),
    /// The id was answered with another call.
    Aliased(Alias),
}

/// The alias that replaces a call whose create returned another call. It makes a repeat with the
/// same `Idempotency-Key` return that call again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias {
    /// The fingerprint of the create.
    pub fingerprint: String,
    /// The id of the call that the create returned.
    pub answered_with: CallId,
}

/// The result of [`CallStore::take_over`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOverResult {
    /// This attempt holds the lease, for its full duration.
    Acquired,
    /// The call is no longer `creating` by the same request.
    Changed(Call),
    /// The call was withdrawn.
    Missing,
}

/// The result of [`CallStore::withdraw`] and [`CallStore::replace_by_alias`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawResult {
    /// The item does not exist any more.
    Removed,
    /// Another attempt holds the lease, or the call is no longer `creating`.
    NotOwned,
}

/// The result of [`CallStore::activate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivateResult {
    /// This attempt has activated the call.
    Activated(Call),
    /// The call was not `creating` by the same request, and is unchanged.
    Unchanged(Call),
    /// The call does not exist.
    Missing,
}

/// A request to move a call to `ending`.
#[derive(Clone, Copy, Debug)]
pub struct EndRequest<'a> {
    /// The id of the call.
    pub id: &'a CallId,
    /// The user who must be a member of the call; `None` for a service or the sweeper.
    pub member: Option<&'a UserId>,
    /// The reason of the end.
    pub reason: &'a EndReason,
    /// The actor.
    pub ended_by: &'a EndedBy,
    /// When the call was over for its members.
    pub at: Timestamp,
    /// When the sweeper cleans the call up, if that has not happened by then.
    pub due_at: Timestamp,
    /// If the precondition does not hold, the call stays open. `None` ends the call in any case.
    pub precondition: Option<Precondition<'a>>,
    /// If the presence has another version, the call stays open. `None` if the decision does not
    /// depend on the presence and the rejects.
    pub presence_version: Option<u64>,
    /// The limit version on which the decision is based. If the call has another one, it stays open.
    pub limit_version: Option<u64>,
}

/// The state of the call on which the decision to end it is based.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition<'a> {
    /// The call was due at this time. Every state transition changes that time.
    DueAt(Timestamp),
    /// This attempt held the lease.
    Attempt(&'a str),
    /// The call existed at the time of this event, and has this type at Stream. `None` is any type.
    Event {
        /// The time of the event.
        at: Timestamp,
        /// The call type of the event.
        call_type: Option<&'a CallTypeName>,
    },
}

impl<'a> EndRequest<'a> {
    /// A request without a precondition, now.
    #[must_use]
    pub fn new(
        id: &'a CallId,
        reason: &'a EndReason,
        ended_by: &'a EndedBy,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            member: None,
            reason,
            ended_by,
            at: now,
            due_at: now.plus(END_RETRY_INTERVAL),
            precondition: None,
            presence_version: None,
            limit_version: None,
        }
    }
}

/// The result of [`CallEndStore::end`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndResult {
    /// The call is `ending` by this request.
    Ending(Call),
    /// The call was `ending` or `ended` before, the user is not a member, the precondition does not
    /// hold, or the presence has another version.
    Unchanged(Call),
    /// The call does not exist.
    Missing,
}

/// The result of [`CallMemberStore::replace_members`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplaceMembersResult {
    /// The call has the new members.
    Replaced(Call),
    /// The call is not active, or its members have changed.
    Unchanged(Call),
    /// The call does not exist.
    Missing,
}

/// A request to change the maximum duration of an active call.
#[derive(Clone, Copy, Debug)]
pub struct ExtendRequest<'a> {
    /// The id of the call.
    pub id: &'a CallId,
    /// The new maximum duration.
    pub max_duration_seconds: u64,
    /// If the first participant joined at this time or earlier, the call would be over by now, and
    /// is not changed.
    pub joined_after: Timestamp,
    /// When the sweeper checks the call. It pushes the maximum duration if that has not happened by
    /// then.
    pub due_at: Timestamp,
}

/// The result of [`CallExtendStore::extend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtendResult {
    /// The call has the new maximum duration, and a new limit version.
    Extended(Call),
    /// The call is not active, joined too early, or has this maximum duration already.
    Unchanged(Call),
    /// The call does not exist.
    Missing,
}

/// The result of [`CallExtendStore::confirm_limit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmLimitResult {
    /// Stream has the maximum duration of the item.
    Confirmed(Call),
    /// The item has another limit version.
    Superseded(Call),
    /// The call does not exist.
    Missing,
}

/// A new presence and new rejects of a call.
#[derive(Clone, Copy, Debug)]
pub struct PresenceUpdate<'a> {
    /// The version of the presence from which these ones were made. The rejects have no version of
    /// their own: each change of them increments the version of the presence.
    pub expected_version: u64,
    /// The presence, with a higher version.
    pub presence: &'a Presence,
    /// The rejects.
    pub rejects: &'a Rejects,
    /// When the first participant joined. It must not be later than the stored time.
    pub started_at: Option<Timestamp>,
    /// When the call was answered, by this presence. A stored time is not changed.
    pub first_answered_at: Option<Timestamp>,
    /// The time of the event or look. The call must have existed then.
    pub at: Timestamp,
}

/// The result of [`CallEventStore::update_presence`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdatePresenceResult {
    /// The call, with the new presence.
    Updated(Call),
    /// The presence has another version, the call started earlier, or it does not match the event.
    Conflict(Call),
    /// The call does not exist.
    Missing,
}

/// The open-call pointer of a set of members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenCallPointer {
    /// The id of the open call.
    pub call_id: CallId,
    /// When the pointer was last set. The call item may be written a moment later.
    pub at: Timestamp,
}

/// The result of [`CallMemberStore::set_open_call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOpenCallResult {
    /// The pointer points to the new call.
    Set {
        /// Whether no other attempt has set the pointer to the same call before.
        is_exclusive: bool,
    },
    /// The pointer points to another call.
    Occupied(OpenCallPointer),
}

/// Reads calls with strong consistency.
#[async_trait]
pub trait CallReader: Send + Sync {
    /// Reads a call.
    async fn get(&self, id: &CallId) -> Result<Option<Call>, StoreError>;
}

/// Ends calls for their members.
#[async_trait]
pub trait CallEndStore: Send + Sync {
    /// Moves an open call to `ending` if the member and the precondition match.
    async fn end(&self, request: EndRequest<'_>) -> Result<EndResult, StoreError>;
}

/// Stores the cleanup of `ending` calls: their end, their open-call pointer, and the quota of channel
/// deletions.
#[async_trait]
pub trait CallCleanupStore: CallEndStore {
    /// Moves a call from `ending` to `ended`. A call that is `ended` already is returned as it is.
    /// `None` if the call does not exist or is open.
    async fn finish(&self, id: &CallId, at: Timestamp) -> Result<Option<Call>, StoreError>;

    /// Clears the open-call pointer if it still points to this call. If `attempt` is given, clears
    /// only a pointer that this attempt has set.
    async fn clear_open_call(
        &self,
        members: &MemberSet,
        id: &CallId,
        attempt: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Takes one single channel deletion from the quota of the minute. False if none is left.
    async fn acquire_delete_quota(&self, at: Timestamp) -> Result<bool, StoreError>;
}

/// Changes the maximum duration of calls.
#[async_trait]
pub trait CallExtendStore: Send + Sync {
    /// Changes the maximum duration of an active call. Increments its limit version.
    async fn extend(&self, request: ExtendRequest<'_>) -> Result<ExtendResult, StoreError>;

    /// Stores that Stream has the maximum duration of this limit version, if it is the newest.
    async fn confirm_limit(
        &self,
        id: &CallId,
        version: u64,
    ) -> Result<ConfirmLimitResult, StoreError>;
}

/// Stores what webhook events and looks at Stream tell about a call.
#[async_trait]
pub trait CallEventStore: CallReader + CallEndStore {
    /// Stores when the first participant joined. The earliest time wins. If the call does not
    /// exist, did not exist at that time, or has another type, nothing is written.
    async fn record_start(&self, cid: &CallCid, at: Timestamp) -> Result<(), StoreError>;

    /// Stores the presence and the rejects of a call in any state, if they have not changed since
    /// they were read.
    async fn update_presence(
        &self,
        cid: &CallCid,
        update: PresenceUpdate<'_>,
    ) -> Result<UpdatePresenceResult, StoreError>;

    /// Makes an active call due at `due_at`, unless it is due earlier.
    async fn schedule_check(&self, cid: &CallCid, due_at: Timestamp) -> Result<(), StoreError>;

    /// Makes a call that waits for its settlement until `settle_by` due at `due_at`.
    async fn schedule_settlement(
        &self,
        cid: &CallCid,
        settle_by: Timestamp,
        due_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Makes an active call due at `due_at`, also if it was due earlier. If a sweep is processing the
    /// call, its conditional reschedule fails, so the call is checked again.
    async fn set_next_check(&self, cid: &CallCid, due_at: Timestamp) -> Result<(), StoreError>;
}

/// Changes the members of calls.
#[async_trait]
pub trait CallMemberStore: CallReader {
    /// Replaces the members of an active call, if they are still `expected`. The first one of
    /// `members` becomes the owner. Does not change the open-call pointers.
    async fn replace_members(
        &self,
        id: &CallId,
        expected: &[UserId],
        members: &[UserId],
    ) -> Result<ReplaceMembersResult, StoreError>;

    /// Sets the open-call pointer of the members to a call, if no pointer exists, or it points to
    /// this call or equals `stale`.
    async fn set_open_call(
        &self,
        members: &MemberSet,
        new_call: &NewCall,
        at: Timestamp,
        stale: Option<&OpenCallPointer>,
    ) -> Result<SetOpenCallResult, StoreError>;
}

/// Creates calls. Includes the other traits.
#[async_trait]
pub trait CallStore: CallCleanupStore + CallEventStore + CallExtendStore + CallMemberStore {
    /// Inserts a new call as `creating` if its id is free. The id of an expired alias is free.
    async fn begin(&self, new_call: &NewCall) -> Result<BeginResult, StoreError>;

    /// Takes over the lease of a call that is `creating` by the same request.
    async fn take_over(&self, new_call: &NewCall) -> Result<TakeOverResult, StoreError>;

    /// Deletes a call that is still `creating` and whose lease this attempt holds.
    async fn withdraw(&self, id: &CallId, attempt: &str) -> Result<WithdrawResult, StoreError>;

    /// Replaces a call that is still `creating` and whose lease this attempt holds by an alias. The
    /// alias expires at `expires_at`, whether or not it is deleted by then.
    async fn replace_by_alias(
        &self,
        new_call: &NewCall,
        answered_with: &CallId,
        expires_at: Timestamp,
    ) -> Result<WithdrawResult, StoreError>;

    /// Moves a call from `creating` to `active`. The sweeper checks it at `due_at`. If the creation
    /// rings, this is the call's last ring.
    async fn activate(
        &self,
        new_call: &NewCall,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Result<ActivateResult, StoreError>;

    /// Stores that an active call rings now, if its last ring was before `last_before` or it has not
    /// rung. Returns whether that was stored.
    async fn record_ring(
        &self,
        id: &CallId,
        at: Timestamp,
        last_before: Timestamp,
    ) -> Result<bool, StoreError>;
}
