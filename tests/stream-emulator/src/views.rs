//! What tests see of the world and put into it. Instants are unix nanoseconds, as on the wire.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A user, deleted and deactivated ones included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserView {
    /// The user's id.
    pub id: String,
    /// The global role.
    pub role: String,
    /// The name, if one was given.
    pub name: Option<String>,
    /// The picture's URL, if one was given.
    pub image: Option<String>,
    /// The language, empty if none was given.
    pub language: String,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// When the user was first seen.
    pub created_at: i64,
    /// When the user last changed.
    pub updated_at: i64,
    /// When the user was deactivated, if it is.
    pub deactivated_at: Option<i64>,
    /// When the user was deleted, if it is.
    pub deleted_at: Option<i64>,
    /// Tokens issued before this instant are refused.
    pub revoke_tokens_issued_before: Option<i64>,
}

/// A channel that exists.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelView {
    /// `type:id`.
    pub cid: String,
    /// The id of the user who created it.
    pub created_by: String,
    /// The members' ids, in the order in which they were added.
    pub members: Vec<String>,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// Whether the channel is read-only.
    pub frozen: bool,
    /// When the channel was created.
    pub created_at: i64,
    /// How many messages it holds.
    pub message_count: usize,
}

/// A message in a channel that exists.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageView {
    /// The message's id.
    pub id: String,
    /// The channel it is in.
    pub cid: String,
    /// The id of its sender.
    pub user_id: String,
    /// The text.
    pub text: String,
    /// `regular`, `system` or `deleted`.
    pub kind: String,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// When it was sent.
    pub created_at: i64,
}

/// A call that exists; it may have ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    /// `type:id`.
    pub cid: String,
    /// The id of the user who created it.
    pub created_by: String,
    /// The members' ids.
    pub members: Vec<String>,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// The chat channel that belongs to the call.
    pub channel_cid: Option<String>,
    /// When the call was created.
    pub created_at: i64,
    /// When the call was first marked ended.
    pub ended_at: Option<i64>,
    /// How many requests asked for a ring.
    pub rings: u64,
    /// How many requests asked for a notification.
    pub notifications: u64,
    /// `limits.max_duration_seconds`, if it is set.
    pub max_duration_seconds: Option<u64>,
    /// `session.inactivity_timeout_seconds`.
    pub inactivity_timeout_seconds: Option<u64>,
    /// The id of the last session, once there is one.
    pub session_id: Option<String>,
    /// When the last session started, once somebody joined it.
    pub session_started_at: Option<i64>,
    /// When the last session ended, if it did.
    pub session_ended_at: Option<i64>,
    /// The ids of the users who are in the call now, in the order in which they joined.
    pub present: Vec<String>,
}

/// A user's token that Stream would let connect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserToken {
    /// Whose token it is.
    pub user_id: String,
    /// Issued at, in unix seconds.
    pub iat: Option<f64>,
    /// Expires at, in unix seconds.
    pub exp: Option<f64>,
    /// The calls that the token makes its user a member of.
    pub call_cids: Vec<String>,
    /// The role that the token asks for.
    pub role: Option<String>,
}

/// One session of a call and what Stream measured in it. Every missing number stays out of the
/// answers, as Stream leaves out what it does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallReport {
    /// The session's id; the emulator makes one if it is empty.
    pub session_id: String,
    /// Stream's own score of the session, 0 to 100.
    pub score: Option<u8>,
    /// How long the session has lasted by now.
    pub duration_seconds: u64,
    /// Whether the session goes on.
    pub live: bool,
    /// The users' ratings, 1 to 5.
    pub ratings: Vec<u8>,
    /// Who took part.
    pub participants: Vec<ParticipantStats>,
}

/// One participant of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParticipantStats {
    /// The user's id.
    pub user_id: String,
    /// The user's name.
    pub name: Option<String>,
    /// One for each time the user joined.
    pub sessions: Vec<SessionStats>,
}

/// What Stream measured between one join and the leave that followed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionStats {
    /// The id of this join.
    pub user_session_id: String,
    /// Stream's call quality score.
    pub cq_score: Option<i64>,
    /// Jitter in milliseconds.
    pub jitter_ms: Option<i64>,
    /// Latency in milliseconds.
    pub latency_ms: Option<i64>,
    /// How long the picture stood still, in milliseconds.
    pub freezes_duration_ms: Option<i64>,
    /// Whether sound was published.
    pub audio: bool,
    /// Whether a picture was published.
    pub video: bool,
    /// The client's SDK.
    pub sdk: Option<String>,
    /// The SDK's version.
    pub sdk_version: Option<String>,
    /// The client's operating system.
    pub os: Option<String>,
    /// The client's browser.
    pub browser: Option<String>,
}
