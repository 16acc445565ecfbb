//! A call as the table stores it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::calls::outcome::{CallFacts, EndedBy, StreamView};
use crate::calls::presence::Presence;
use crate::calls::rejects::Rejects;
use crate::calls::timeouts::LEASE_DURATION;
use crate::calls::{CallScore, CallTimeouts, CallType, EndReason, NewCall, Settlement};
use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::{CallCid, CallId, CallTypeName, UserId};
use crate::score_model::ScoreModel;
use crate::stream::event::MAX_CLOCK_SKEW;
use crate::stream::ops::UserRef;

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// The item exists; the channel and the call at Stream may not exist yet.
    Creating,
    /// The channel and the call exist at Stream.
    Active,
    /// The call is over for its members; the cleanup at Stream may not be complete yet.
    Ending,
    /// The call is over and cleaned up.
    Ended,
}

/// A call: its id, members, state and history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The id, from which the channel's id is derived.
    pub call_id: CallId,
    /// The user who created the call.
    pub owner: UserId,
    /// The members, including the owner, who comes first.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// The call type at Stream. The configured type may have changed since the call was reserved.
    #[serde(default, skip_serializing_if = "CallTypeName::is_default")]
    pub stream_call_type: CallTypeName,
    /// The state.
    pub state: CallState,
    /// A digest of the create request. A request with the same id and another digest is rejected.
    pub fingerprint: String,
    /// Whether the members may have other open calls.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parallel: bool,
    /// The latest attempt to create the call.
    pub attempt: String,
    /// While the call is `creating`: when the attempt's lease expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When the call was first requested.
    pub created_at: Timestamp,
    /// When the call became `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Timestamp>,
    /// When the first participant joined, by webhooks and looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the call was answered, as the table first knew it. Unlike [`Call::answered_at`], it
    /// never changes, so that the answer is announced once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_answered_at: Option<Timestamp>,
    /// Who was in the call, and when.
    #[serde(default, skip_serializing_if = "Presence::is_empty")]
    pub presence: Presence,
    /// The rejects of the call, by user.
    #[serde(default, skip_serializing_if = "Rejects::is_empty")]
    pub rejects: Rejects,
    /// When the members' phones rang last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rung_at: Option<Timestamp>,
    /// When the call was over for its members: by an end request, or at Stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending_at: Option<Timestamp>,
    /// When the cleanup was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The reason of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// Who ended the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// The maximum duration, if a request has set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_seconds: Option<u64>,
    /// The number of changes of the maximum duration since the creation.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit_version: u64,
    /// The final figures, once the call is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    /// The last of these changes that Stream has confirmed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit_synced: u64,
    /// The version of the formula of the call's score, since its creation.
    #[serde(default, skip_serializing_if = "ScoreModel::is_default")]
    pub score_model: ScoreModel,
    /// The quality, if the call had a score when the sweeper closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<CallScore>,
    /// How often an operator has requested the events of the settled call again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reemits: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Call {
    /// A new call, `creating`.
    #[must_use]
    pub fn new(new_call: &NewCall) -> Self {
        Self {
            call_id: new_call.id.clone(),
            owner: new_call.owner.clone(),
            members: new_call.members.clone(),
            call_type: new_call.call_type,
            stream_call_type: new_call.stream_call_type.clone(),
            state: CallState::Creating,
            fingerprint: new_call.fingerprint.clone(),
            parallel: new_call.parallel,
            attempt: new_call.attempt.clone(),
            lease_until: Some(new_call.at.plus(LEASE_DURATION)),
            created_at: new_call.at,
            active_at: None,
            started_at: None,
            first_answered_at: None,
            presence: Presence::default(),
            rejects: Rejects::default(),
            last_rung_at: None,
            ending_at: None,
            ended_at: None,
            end_reason: None,
            ended_by: None,
            max_duration_seconds: new_call.max_duration_seconds,
            limit_version: 0,
            settlement: None,
            limit_synced: 0,
            score_model: ScoreModel::CURRENT,
            quality: None,
            reemits: 0,
        }
    }

    /// The reservation of this call, for writes of its open-call pointer.
    pub(super) fn reservation(&self, now: Timestamp) -> NewCall {
        NewCall {
            id: self.call_id.clone(),
            owner: self.owner.clone(),
            members: self.members.clone(),
            call_type: self.call_type,
            stream_call_type: self.stream_call_type.clone(),
            fingerprint: self.fingerprint.clone(),
            parallel: self.parallel,
            ring: self.last_rung_at.is_some(),
            attempt: self.attempt.clone(),
            at: now,
            max_duration_seconds: self.max_duration_seconds,
        }
    }

    /// The call's cid at Stream.
    #[must_use]
    pub fn cid(&self) -> CallCid {
        self.call_id.with_type(&self.stream_call_type)
    }

    /// Whether the user is a member of the call.
    #[must_use]
    pub fn is_member(&self, user: &UserId) -> bool {
        self.members.contains(user)
    }

    /// Whether a resource at Stream with this creator belongs to the call. A missing creator proves
    /// nothing.
    #[must_use]
    pub fn is_owned_by(&self, creator: Option<&UserRef>) -> bool {
        creator.is_some_and(|creator| creator.id == self.owner.as_str())
    }

    /// Whether the caller may read and end the call: a member or a service.
    #[must_use]
    pub fn is_accessible_to(&self, caller: &Caller) -> bool {
        caller.is_service || self.is_member(&caller.user)
    }

    /// When two different users were in the call for the first time. An event that is told late can
    /// change or remove it. Stream's clock may be behind, so the result is never before the call's
    /// creation.
    #[must_use]
    pub fn answered_at(&self) -> Option<Timestamp> {
        if let Some(settlement) = &self.settlement {
            return settlement.answered_at;
        }
        let is_before_end = |at: &Timestamp| self.ending_at.is_none_or(|ending_at| *at < ending_at);
        let answered_at = self.presence.answered_at().filter(is_before_end)?;
        Some(answered_at.max(self.created_at))
    }

    /// When the first participant joined. Stream's clock may be behind, so the result is never
    /// before the call's creation.
    #[must_use]
    pub fn joined_at(&self) -> Option<Timestamp> {
        self.started_at.map(|at| at.max(self.created_at))
    }

    /// The maximum duration: the call's own one, or the configured one.
    #[must_use]
    pub fn max_duration(&self, configured: Duration) -> Duration {
        self.max_duration_seconds.map_or(configured, Duration::from_secs)
    }

    /// When the call reaches its maximum duration. `None` until the first participant joins.
    #[must_use]
    pub fn ends_at(&self, configured: Duration) -> Option<Timestamp> {
        self.joined_at().map(|at| at.plus(self.max_duration(configured)))
    }

    /// Whether Stream has the maximum duration of the item.
    #[must_use]
    pub fn is_limit_synced(&self) -> bool {
        self.limit_synced == self.limit_version
    }

    /// The facts by which an active call is over or not.
    pub(crate) fn facts<'a>(
        &'a self,
        timeouts: CallTimeouts,
        stream: StreamView<'a>,
    ) -> CallFacts<'a> {
        CallFacts {
            owner: &self.owner,
            members: &self.members,
            created_at: self.created_at,
            active_at: self.active_at.unwrap_or(self.created_at),
            started_at: self.started_at,
            ring_timeout: timeouts.ring_timeout,
            max_duration: self.max_duration(timeouts.max_duration),
            presence: &self.presence,
            rejects: &self.rejects,
            stream,
        }
    }

    /// Whether the call existed at the time of an event. Stream's clock may be behind.
    #[must_use]
    pub fn existed_at(&self, event: Timestamp) -> bool {
        self.created_at <= event.plus(MAX_CLOCK_SKEW)
    }

    /// The time from the answer to the last moment with two users in: zero if the call was never
    /// answered. `None` if it has not ended.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let settled = self.settlement.as_ref().map(|settlement| settlement.duration);
        settled.or_else(|| self.ending_at.map(|at| self.presence.duration(at)))
    }

    /// The sum of the times with at least two users in. `None` if the call has not ended.
    #[must_use]
    pub fn talk_time(&self) -> Option<Duration> {
        let settled = self.settlement.as_ref().map(|settlement| settlement.talk_time);
        settled.or_else(|| self.ending_at.map(|at| self.presence.talk_time(at)))
    }

    /// Whether the sweeper has to settle the call: it was active, and its figures are not final.
    #[must_use]
    pub fn needs_settlement(&self) -> bool {
        self.active_at.is_some() && self.settlement.is_none()
    }

    /// Returns an error unless the call is active.
    pub fn require_active(&self) -> Result<(), ApiError> {
        match self.state {
            CallState::Active => Ok(()),
            CallState::Creating => Err(ApiError::from_code(Code::CallNotActive)),
            CallState::Ending | CallState::Ended => Err(ApiError::from_code(Code::CallEnded)),
        }
    }
}
