//! The data of events: ids, times and numbers, and no names or texts of users.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::calls::outcome::EndedBy;
use crate::calls::presence::Interval;
use crate::calls::{Call, CallType, EndReason, Mos, SettledFrom, Settlement, SystemEndReason};
use crate::clock::{Timestamp, rfc3339, rfc3339_option, whole_millis};
use crate::ids::{CallId, SessionId, UserId};
use crate::quality_band::Band;

/// The data of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum EventData {
    Created(Created),
    Answered(Answered),
    Ended(Ended),
    Settled(FinalFigures),
    Quality(Quality),
    UserDeleted(UserDeleted),
}

/// The call of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallRef {
    call_id: CallId,
    call_cid: String,
    call_type: CallType,
    created_by: UserId,
    members: Vec<UserId>,
}

impl CallRef {
    pub(super) fn new(call: &Call) -> Self {
        Self {
            call_id: call.call_id.clone(),
            call_cid: call.cid().to_string(),
            call_type: call.call_type,
            created_by: call.owner.clone(),
            members: call.members.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    #[serde(flatten)]
    pub(super) call: CallRef,
    #[serde(serialize_with = "rfc3339")]
    pub(super) created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    #[serde(flatten)]
    pub(super) call: CallRef,
    #[serde(serialize_with = "rfc3339")]
    pub(super) answered_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    #[serde(flatten)]
    end: CallEnd,
    provisional: bool,
}

impl Ended {
    /// `None` if the call has not ended.
    pub(super) fn new(call: &Call) -> Option<Self> {
        Some(Self { end: CallEnd::new(call)?, provisional: true })
    }

    pub(super) fn ended_at(&self) -> Timestamp {
        self.end.ended_at
    }
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallEnd {
    #[serde(flatten)]
    call: CallRef,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    ended_at: Timestamp,
    end_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<EndedBy>,
    answered: bool,
    talk_millis: u64,
}

impl CallEnd {
    fn new(call: &Call) -> Option<Self> {
        let ended_at = call.ending_at?.max(call.created_at);
        Some(Self {
            call: CallRef::new(call),
            created_at: call.created_at,
            ended_at,
            end_reason: reason_word(call.end_reason.as_ref()),
            ended_by: call.ended_by.clone(),
            answered: call.answered_at().is_some(),
            talk_millis: call.talk_time().map_or(0, whole_millis),
        })
    }
}

/// The reason of the end. The text of a caller is `custom`, since it may contain anything.
fn reason_word(reason: Option<&EndReason>) -> &'static str {
    let Some(reason) = reason.filter(|reason| **reason != EndReason::default()) else {
        return "ended";
    };
    let is_same = |known: &SystemEndReason| known.as_str() == reason.as_str();
    SystemEndReason::ALL.into_iter().find(is_same).map_or("custom", SystemEndReason::as_str)
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FinalFigures {
    #[serde(flatten)]
    end: CallEnd,
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    duration_millis: u64,
    settled_from: SettledFrom,
    participants: Vec<Participant>,
    participants_truncated: bool,
}

/// A user who was in a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    user_id: UserId,
    intervals: Vec<ParticipantInterval>,
}

/// A time in which a participant was in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParticipantInterval {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    #[serde(serialize_with = "rfc3339")]
    joined_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    left_at: Timestamp,
}

impl FinalFigures {
    /// `None` if the call has not ended.
    pub(super) fn new(call: &Call, settlement: &Settlement) -> Option<Self> {
        let ended_at = call.ending_at?;
        Some(Self {
            end: CallEnd::new(call)?,
            started_at: call.joined_at(),
            answered_at: settlement.answered_at,
            duration_millis: whole_millis(settlement.duration),
            settled_from: settlement.settled_from,
            participants: participants(call, ended_at),
            participants_truncated: call.presence.is_truncated(),
        })
    }
}

/// The intervals before the call's end. The talk time is the overlap of these intervals.
fn participants(call: &Call, ended_at: Timestamp) -> Vec<Participant> {
    let mut by_user: BTreeMap<UserId, Vec<ParticipantInterval>> = BTreeMap::new();
    for interval in call.presence.intervals() {
        let Interval { user, session: session_id, joined_at, left } = interval;
        let left_at = left.map_or(ended_at, |left| left.at.min(ended_at));
        if joined_at < left_at {
            let interval = ParticipantInterval { session_id, joined_at, left_at };
            by_user.entry(user).or_default().push(interval);
        }
    }
    by_user.into_iter().map(|(user_id, intervals)| Participant { user_id, intervals }).collect()
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quality {
    #[serde(flatten)]
    pub(super) call: CallRef,
    pub(super) mos: Mos,
    pub(super) label: Band,
    pub(super) data_complete: bool,
    /// The name of the formula's version.
    pub(super) model: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDeleted {
    pub(super) user_id: UserId,
    #[serde(serialize_with = "rfc3339")]
    pub(super) deleted_at: Timestamp,
}
