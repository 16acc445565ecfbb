//! A call as it is remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::calls::NewCall;
use crate::calls::store::LEASE;
use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::stream::ops::Creator;

/// Video or voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Picture and sound.
    #[default]
    Video,
    /// Sound alone; the apps also say `audio`.
    #[serde(alias = "audio")]
    Voice,
}

/// What members may do in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the five switches that the apps read")]
pub struct CallSettings {
    /// Speak.
    pub audio: bool,
    /// Show a picture.
    pub video: bool,
    /// Share a screen.
    pub screen_sharing: bool,
    /// Record.
    pub recording: bool,
    /// Have it written down.
    pub transcribing: bool,
}

impl CallType {
    /// What members may do. It is not only said: the call is made at Stream with these very
    /// settings in place of the call type's own.
    #[must_use]
    pub const fn settings(self) -> CallSettings {
        let picture = matches!(self, Self::Video);
        CallSettings {
            audio: true,
            video: picture,
            screen_sharing: picture,
            recording: false,
            transcribing: false,
        }
    }
}

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

/// Why a call ended, in the caller's words: up to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EndReason(String);

impl EndReason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EndReason {
    /// Its creation was never finished.
    pub const NOT_CREATED: Reason = Reason("not_created");
    /// Nobody joined it in time.
    pub const NOT_JOINED: Reason = Reason("not_joined");
    /// Nobody who was called took it.
    pub const DECLINED: Reason = Reason("declined");
    /// Everybody left it.
    pub const LEFT: Reason = Reason("left");
    /// It reached its longest duration.
    pub const TOO_LONG: Reason = Reason("too_long");
    /// Somebody in it was deleted.
    pub const USER_DELETED: Reason = Reason("user_deleted");
    /// It was ended, or its call or channel deleted, at Stream.
    pub const AT_STREAM: Reason = Reason("ended_at_stream");
}

/// A reason of our own, as opposed to a caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<Reason> for EndReason {
    fn from(reason: Reason) -> Self {
        Self(reason.0.to_owned())
    }
}

impl Default for EndReason {
    fn default() -> Self {
        Self("ended".to_owned())
    }
}

impl TryFrom<String> for EndReason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let printable = |byte: u8| (b' '..=b'~').contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(printable) {
            Ok(Self(text))
        } else {
            Err("must be 1 to 64 printable ASCII characters")
        }
    }
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
    pub fn begun(new: &NewCall) -> Self {
        Self {
            call_id: new.id.clone(),
            owner: new.owner.clone(),
            members: new.members.clone(),
            call_type: new.call_type,
            state: CallState::Creating,
            fingerprint: new.fingerprint.clone(),
            parallel: new.parallel,
            attempt: new.attempt.clone(),
            lease_until: Some(new.at.plus(LEASE)),
            created_at: new.at,
            active_at: None,
            started_at: None,
            ending_at: None,
            ended_at: None,
            end_reason: None,
        }
    }

    /// Whether this user is in the call.
    #[must_use]
    pub fn has(&self, user: &UserId) -> bool {
        self.members.contains(user)
    }

    /// Whether what this user made at Stream under the call's id is the call's.
    #[must_use]
    pub fn is_its(&self, creator: &Creator) -> bool {
        creator.id == self.owner.as_str()
    }

    /// Whether the call is this caller's to end, and to be told of: a member's or a service's.
    #[must_use]
    pub fn may_be_ended_by(&self, caller: &Caller) -> bool {
        caller.service || self.has(&caller.user)
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
            CallState::Creating => Err(ApiError::plain(Code::CallNotActive)),
            CallState::Ending | CallState::Ended => Err(ApiError::plain(Code::CallEnded)),
        }
    }
}
