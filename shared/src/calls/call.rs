//! A call as it is remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::calls::timeouts::LEASE_DURATION;
use crate::calls::{CallType, EndReason, NewCall};
use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::stream::ops::UserRef;

/// Where a call is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Remembered, but perhaps not at Stream yet.
    Creating,
    /// At Stream, channel and call.
    Active,
    /// Over for everybody; perhaps not cleaned up at Stream yet.
    Ending,
    /// Over and cleaned up.
    Ended,
}

/// The mapping of a call to its channel, its members and its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The call; its channel's id follows from it.
    pub call_id: CallId,
    /// Who made it.
    pub owner: UserId,
    /// Everybody in it, the owner first.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// Where it is in its life.
    pub state: CallState,
    /// A digest of the request that made it: the same id with another request is refused.
    pub fingerprint: String,
    /// Whether its members may have other calls open.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parallel: bool,
    /// The attempt that has it in hand, or had last.
    pub attempt: String,
    /// When that attempt counts as dead, while it is `creating`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When channel and call were both at Stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Timestamp>,
    /// When somebody first joined it, as far as Stream has told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when it is over for everybody: its end was asked for, or Stream says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending_at: Option<Timestamp>,
    /// When it was cleaned up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Call {
    /// A call as it begins.
    #[must_use]
    pub fn new(new_call: &NewCall) -> Self {
        Self {
            call_id: new_call.id.clone(),
            owner: new_call.owner.clone(),
            members: new_call.members.clone(),
            call_type: new_call.call_type,
            state: CallState::Creating,
            fingerprint: new_call.fingerprint.clone(),
            parallel: new_call.parallel,
            attempt: new_call.attempt.clone(),
            lease_until: Some(new_call.at.plus(LEASE_DURATION)),
            created_at: new_call.at,
            active_at: None,
            started_at: None,
            ending_at: None,
            ended_at: None,
            end_reason: None,
        }
    }

    /// Whether this user is in the call.
    #[must_use]
    pub fn is_member(&self, user: &UserId) -> bool {
        self.members.contains(user)
    }

    /// Whether what this user made at Stream under the call's id is the call's.
    #[must_use]
    pub fn is_owned_by(&self, creator: &UserRef) -> bool {
        creator.id == self.owner.as_str()
    }

    /// Whether the call is this caller's to end, and to be told of: a member's or a service's.
    #[must_use]
    pub fn is_accessible_to(&self, caller: &Caller) -> bool {
        caller.is_service || self.is_member(&caller.user)
    }

    /// When somebody first joined it, as far as Stream has told; not before it was asked for,
    /// whatever Stream's clock says.
    #[must_use]
    pub fn joined_at(&self) -> Option<Timestamp> {
        self.started_at.map(|at| at.max(self.created_at))
    }

    /// How long it was active before it was over for everybody; `None` where it never was active,
    /// or is not over.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Some(self.ending_at?.since(self.active_at?))
    }

    /// The error for what only an active call allows.
    pub fn require_active(&self) -> Result<(), ApiError> {
        match self.state {
            CallState::Active => Ok(()),
            CallState::Creating => Err(ApiError::from_code(Code::CallNotActive)),
            CallState::Ending | CallState::Ended => Err(ApiError::from_code(Code::CallEnded)),
        }
    }
}
