//! Reserves a call: writes its item before its channel and call exist at Stream.

use std::collections::BTreeMap;

use futures_util::future::join4;

use crate::calls::existing_call::{ExistingCall, classify};
use crate::calls::glare::{ConflictingCall, Resolution};
use crate::calls::rollback::Written;
use crate::calls::{
    Alias, BeginResult, Call, CallService, CallState, CallTimeouts, CreateCall, MemberSet, NewCall,
    SetOpenCallResult, TakeOverResult, WhenBusy, not_active_yet,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Permit;
use crate::store::StoreError;
use crate::users::{Account, CallMembers, JoinedCall};

/// The result of reserving a call.
pub(super) enum Reservation {
    /// This call is active already, and is returned.
    Existing {
        /// The call.
        call: Call,
        /// Whether this request rang the members' phones.
        rung: bool,
    },
    /// The call is `creating`, and this attempt holds its lease.
    Acquired {
        /// The reservation.
        new_call: NewCall,
        /// The open call that it replaces, which has ended in the table.
        replaced: Option<Call>,
    },
    /// Another attempt withdrew the call meanwhile, so its id is free again.
    Retry,
}

impl CallService {
    /// Inserts the item, reads the members, sets the open-call pointer and counts the request, all
    /// concurrently. If the owner is not active, a member cannot be called, the callee is in another
    /// call, another call is open or the rate limit is exceeded, the reservation is released.
    pub(super) async fn reserve(
        &self,
        command: &CreateCall,
        timeouts: CallTimeouts,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<Reservation, ApiError> {
        let now = self.clock.now();
        let mut new_call = NewCall::new(command, &self.call_type, self.random.uuid_v7(now), now);
        let member_set = MemberSet::new(&new_call.members);
        let set_open_call = async {
            if new_call.parallel {
                Ok(SetOpenCallResult::Set { is_exclusive: false })
            } else {
                self.store.set_open_call(&member_set, &new_call, now, None).await
            }
        };
        let callee = new_call.callee().filter(|_| command.when_busy == WhenBusy::Reject);
        let (begun, members, open_call, counted) = join4(
            self.store.begin(&new_call),
            self.members.get_members(&new_call.members, callee),
            set_open_call,
            permit.consume(),
        )
        .await;
        let written = Written {
            // A write without a response may have been applied.
            item: !matches!(begun, Ok(BeginResult::Exists(_) | BeginResult::Aliased(_))),
            pointer: matches!(open_call, Ok(SetOpenCallResult::Set { is_exclusive: true })),
        };
        let admitted = match counted.and_then(|()| Ok(members?)) {
            Ok(members) => {
                require_active_owner(&new_call, &members.accounts, now).map(|()| members)
            }
            Err(error) => Err(error),
        };
        let members = match admitted {
            Ok(members) => members,
            Err(error) => {
                self.release(&new_call, written).await;
                return Err(error);
            }
        };
        let resumed = match begun? {
            BeginResult::Inserted => None,
            BeginResult::Exists(call) => match classify(&call, &new_call) {
                ExistingCall::Replay => return Ok(Reservation::Existing { call, rung: false }),
                ExistingCall::Resume => {
                    new_call.stream_call_type = call.stream_call_type.clone();
                    Some(call)
                }
                ExistingCall::Concurrent => {
                    let call = self.wait_until_active(call, now, deadline).await?;
                    return Ok(Reservation::Existing { call, rung: false });
                }
                ExistingCall::Rejected(code) => return Err(ApiError::from_code(code)),
            },
            BeginResult::Aliased(alias) => {
                self.release(&new_call, written).await;
                return self.follow_alias(&new_call, &alias).await;
            }
        };
        let resolution = self.resolve(&new_call, &members, open_call, timeouts, deadline).await;
        match (resolution, resumed) {
            (Ok(Resolution::New { replaced }), None) => {
                Ok(Reservation::Acquired { new_call, replaced })
            }
            (Ok(Resolution::New { replaced }), Some(_)) => self.take_over(new_call, replaced).await,
            (Ok(Resolution::Existing(conflict)), None) => {
                let answer_id = conflict.answer_id(&new_call).filter(|_| command.is_keyed).cloned();
                let joined =
                    self.join_existing(new_call.clone(), conflict, command.ring, deadline).await;
                // An alias is stored only after the ring, so that a repeat may ring until then.
                match answer_id.filter(|_| joined.is_ok()) {
                    Some(id) => self.release_with_alias(&new_call, &id, written).await,
                    None => self.release(&new_call, written).await,
                }
                joined
            }
            (Ok(Resolution::Existing(conflict)), Some(call)) => {
                // The other attempt may have provisioned it at Stream.
                self.abandon(&call).await;
                self.join_existing(new_call, conflict, false, deadline).await
            }
            (Err(error), None) => {
                self.release(&new_call, written).await;
                Err(error)
            }
            (Err(error), Some(call)) => {
                // The other attempt may have rung the phone of the callee, who is in another call.
                if error.code() == Code::UserBusy {
                    self.abandon(&call).await;
                }
                Err(error)
            }
        }
    }

    /// Checks the members, and decides between the new call and an open one.
    async fn resolve(
        &self,
        new_call: &NewCall,
        members: &CallMembers,
        open_call: Result<SetOpenCallResult, StoreError>,
        timeouts: CallTimeouts,
        deadline: Deadline,
    ) -> Result<Resolution, ApiError> {
        require_known_members(new_call, &members.accounts, &self.service_user)?;
        let open_call = open_call?;
        let is_open_call = |joined: &JoinedCall| match &open_call {
            SetOpenCallResult::Occupied(pointer) => pointer.call_id == joined.call_id,
            SetOpenCallResult::Set { .. } => false,
        };
        let joined = members.joined_call.as_ref().filter(|joined| !is_open_call(joined));
        self.require_free_callee(new_call, joined, deadline).await?;
        match open_call {
            SetOpenCallResult::Set { .. } => Ok(Resolution::New { replaced: None }),
            SetOpenCallResult::Occupied(pointer) => {
                let member_set = MemberSet::new(&new_call.members);
                self.resolve_conflict(&member_set, new_call, pointer, timeouts, deadline).await
            }
        }
    }

    /// Takes over the lease of an attempt that may be dead. That attempt can no longer withdraw the
    /// call, so all that this attempt provisions has an item.
    async fn take_over(
        &self,
        new_call: NewCall,
        replaced: Option<Call>,
    ) -> Result<Reservation, ApiError> {
        match self.store.take_over(&new_call).await? {
            TakeOverResult::Acquired => Ok(Reservation::Acquired { new_call, replaced }),
            TakeOverResult::Missing => Ok(Reservation::Retry),
            TakeOverResult::Changed(call) => match classify(&call, &new_call) {
                ExistingCall::Replay => Ok(Reservation::Existing { call, rung: false }),
                ExistingCall::Rejected(code) => Err(ApiError::from_code(code)),
                ExistingCall::Resume | ExistingCall::Concurrent => Ok(Reservation::Retry),
            },
        }
    }

    /// Returns the call that answered an earlier request with the same `Idempotency-Key`, without a
    /// ring.
    async fn follow_alias(
        &self,
        new_call: &NewCall,
        alias: &Alias,
    ) -> Result<Reservation, ApiError> {
        if alias.fingerprint != new_call.fingerprint {
            return Err(ApiError::from_code(Code::CallIdReused));
        }
        let call = self.store.get(&alias.answered_with).await?;
        let call = call.ok_or_else(|| ApiError::from_code(Code::CallEnded))?;
        call.require_active()?;
        Ok(Reservation::Existing { call, rung: false })
    }

    /// Returns the conflicting call, which may ring again. If the same request is creating that
    /// call, resumes it.
    async fn join_existing(
        &self,
        new_call: NewCall,
        conflict: ConflictingCall,
        ring: bool,
        deadline: Deadline,
    ) -> Result<Reservation, ApiError> {
        let is_same_request =
            |call: &Call| call.owner == new_call.owner && call.fingerprint == new_call.fingerprint;
        let pending = match conflict {
            ConflictingCall::Active { call, may_ring } => {
                let has_rung =
                    ring && may_ring && self.ring_again(&call, &new_call.owner, deadline).await?;
                return Ok(Reservation::Existing { call, rung: has_rung });
            }
            ConflictingCall::Pending(pending) => pending,
        };
        let call = pending.filter(is_same_request).ok_or_else(not_active_yet)?;
        let resumed = NewCall {
            id: call.call_id,
            stream_call_type: call.stream_call_type,
            at: self.clock.now(),
            ..new_call
        };
        match self.store.take_over(&resumed).await? {
            TakeOverResult::Acquired => {
                Ok(Reservation::Acquired { new_call: resumed, replaced: None })
            }
            TakeOverResult::Changed(call) if call.state == CallState::Active => {
                Ok(Reservation::Existing { call, rung: false })
            }
            TakeOverResult::Changed(_) | TakeOverResult::Missing => Err(not_active_yet()),
        }
    }
}

/// Rejects an owner who is deactivated, deleted or banned.
fn require_active_owner(
    new_call: &NewCall,
    accounts: &BTreeMap<UserId, Account>,
    now: Timestamp,
) -> Result<(), ApiError> {
    accounts.get(&new_call.owner).map_or(Ok(()), |account| account.require_active(now))
}

/// Rejects members who cannot be called. They are answered as unknown ones, so that a caller does
/// not learn who is deactivated or banned. The service user is no member of a call.
fn require_known_members(
    new_call: &NewCall,
    accounts: &BTreeMap<UserId, Account>,
    service_user: &UserId,
) -> Result<(), ApiError> {
    let now = new_call.at;
    let can_be_called =
        |id: &UserId| accounts.get(id).is_some_and(|account| account.can_be_called(now));
    let is_unknown = |id: &&UserId| *id == service_user || !can_be_called(id);
    let ids: Vec<&str> = new_call.members.iter().filter(is_unknown).map(UserId::as_str).collect();
    if ids.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(Code::UserNotFound, format!("upsert these users first: {}", ids.join(", "))))
}
