//! Reserves a call: writes its item before its channel and call exist at Stream.

use std::collections::BTreeMap;

use futures_util::future::join4;

use crate::calls::existing_call::{ExistingCall, classify};
use crate::calls::glare::ConflictingCall;
use crate::calls::rollback::Written;
use crate::calls::{
    BeginResult, Call, CallService, CallState, CallTimeouts, CreateCall, MemberSet, NewCall,
    SetOpenCallResult, TakeOverResult, not_active_yet,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Permit;
use crate::users::Account;

/// The result of reserving a call.
pub(super) enum Reservation {
    /// This call is active already, and is returned.
    Existing(Call),
    /// The call is `creating`, and this attempt holds its lease.
    Acquired(NewCall),
    /// Another attempt withdrew the call meanwhile, so its id is free again.
    Retry,
}

impl CallService {
    /// Inserts the item, reads the members, sets the open-call pointer and counts the request, all
    /// concurrently. If the owner is not active, a member cannot be called, another call is open or
    /// the rate limit is exceeded, the reservation is released.
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
        let (begun, accounts, open_call, counted) = join4(
            self.store.begin(&new_call),
            self.accounts.get_accounts(&new_call.members),
            set_open_call,
            permit.consume(),
        )
        .await;
        let written = Written {
            // A write without a response may have been applied.
            item: !matches!(begun, Ok(BeginResult::Exists(_))),
            pointer: matches!(open_call, Ok(SetOpenCallResult::Set { is_exclusive: true })),
        };
        let admitted = match counted.and_then(|()| Ok(accounts?)) {
            Ok(accounts) => require_active_owner(&new_call, &accounts, now).map(|()| accounts),
            Err(error) => Err(error),
        };
        let accounts = match admitted {
            Ok(accounts) => accounts,
            Err(error) => {
                self.release(&new_call, written).await;
                return Err(error);
            }
        };
        let resumed = match begun? {
            BeginResult::Inserted => None,
            BeginResult::Exists(call) => match classify(&call, &new_call) {
                ExistingCall::Replay => return Ok(Reservation::Existing(call)),
                ExistingCall::Resume => {
                    new_call.stream_call_type = call.stream_call_type.clone();
                    Some(call)
                }
                ExistingCall::Concurrent => {
                    let call = self.wait_until_active(call, now, deadline).await?;
                    return Ok(Reservation::Existing(call));
                }
                ExistingCall::Rejected(code) => return Err(ApiError::from_code(code)),
            },
        };
        let conflict = async {
            require_known_members(&new_call, &accounts, now)?;
            match open_call? {
                SetOpenCallResult::Set { .. } => Ok(None),
                SetOpenCallResult::Occupied(pointer) => {
                    self.resolve_conflict(&member_set, &new_call, pointer, timeouts, deadline).await
                }
            }
        };
        match (conflict.await, resumed) {
            (Ok(None), None) => Ok(Reservation::Acquired(new_call)),
            (Ok(None), Some(_)) => self.take_over(new_call).await,
            (Ok(Some(conflict)), resumed) => {
                match resumed {
                    None => self.release(&new_call, written).await,
                    // The other attempt may have provisioned it at Stream.
                    Some(call) => self.abandon(&call).await,
                }
                self.join_existing(new_call, conflict).await
            }
            (Err(error), resumed) => {
                if resumed.is_none() {
                    self.release(&new_call, written).await;
                }
                Err(error)
            }
        }
    }

    /// Takes over the lease of an attempt that may be dead. That attempt can no longer withdraw the
    /// call, so all that this attempt provisions has an item.
    async fn take_over(&self, new_call: NewCall) -> Result<Reservation, ApiError> {
        match self.store.take_over(&new_call).await? {
            TakeOverResult::Acquired => Ok(Reservation::Acquired(new_call)),
            TakeOverResult::Missing => Ok(Reservation::Retry),
            TakeOverResult::Changed(call) => match classify(&call, &new_call) {
                ExistingCall::Replay => Ok(Reservation::Existing(call)),
                ExistingCall::Rejected(code) => Err(ApiError::from_code(code)),
                ExistingCall::Resume | ExistingCall::Concurrent => Ok(Reservation::Retry),
            },
        }
    }

    /// Returns the conflicting call. If the same request is creating that call, resumes it.
    async fn join_existing(
        &self,
        new_call: NewCall,
        conflict: ConflictingCall,
    ) -> Result<Reservation, ApiError> {
        let is_same_request =
            |call: &Call| call.owner == new_call.owner && call.fingerprint == new_call.fingerprint;
        let pending = match conflict {
            ConflictingCall::Active(call) => return Ok(Reservation::Existing(call)),
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
            TakeOverResult::Acquired => Ok(Reservation::Acquired(resumed)),
            TakeOverResult::Changed(call) if call.state == CallState::Active => {
                Ok(Reservation::Existing(call))
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
/// not learn who is deactivated or banned.
fn require_known_members(
    new_call: &NewCall,
    accounts: &BTreeMap<UserId, Account>,
    now: Timestamp,
) -> Result<(), ApiError> {
    let is_unknown =
        |id: &&UserId| !accounts.get(id).is_some_and(|account| account.can_be_called(now));
    let ids: Vec<&str> = new_call.members.iter().filter(is_unknown).map(UserId::as_str).collect();
    if ids.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(Code::UserNotFound, format!("upsert these users first: {}", ids.join(", "))))
}
