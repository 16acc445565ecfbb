//! The objects that tests read from and put into the emulator. Instants are unix nanoseconds, as on
//! the wire.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A user, including a deleted or deactivated one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserView {
    /// The user's id.
    pub id: String,
    /// The global role.
    pub role: String,
    /// The name, if set.
    pub name: Option<String>,
    /// The URL of the image, if set.
    pub image: Option<String>,
    /// The language, empty if not set.
    pub language: String,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// When the user was created.
    pub created_at: i64,
    /// When the user was last updated.
    pub updated_at: i64,
    /// When the user was deactivated, if so.
    pub deactivated_at: Option<i64>,
    /// When the user was deleted, if so.
    pub deleted_at: Option<i64>,
    /// Tokens issued before this instant are rejected.
    pub revoke_tokens_issued_before: Option<i64>,
    /// Whether the user is banned from the app.
    pub banned: bool,
}

/// An open socket of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketView {
    /// The id of the connection, which is unique.
    pub connection_id: String,
    /// The id of the user.
    pub user_id: String,
    /// `chat` or `video`.
    pub product: String,
    /// The sorted cids of the channels or calls that the socket watches.
    pub watched_cids: Vec<String>,
}

/// A ban of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BanView {
    /// The id of the banned user.
    pub user_id: String,
    /// The cid of the channel, or `None` for a ban from the whole app.
    pub channel_cid: Option<String>,
    /// The id of the user who banned, if known.
    pub banned_by: Option<String>,
    /// The reason, if given.
    pub reason: Option<String>,
    /// Whether only others notice the ban.
    pub shadow: bool,
    /// When the user was banned.
    pub created_at: i64,
    /// When the ban ends by itself, if so.
    pub expires_at: Option<i64>,
}

/// What a user did to another user, such as a mute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UserAction {
    /// The id of the acting user.
    pub user_id: String,
    /// The id of the other user.
    pub target_user_id: String,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelView {
    /// `type:id`.
    pub cid: String,
    /// The id of the creator.
    pub created_by: String,
    /// The ids of the members, in the order in which they were added.
    pub members: Vec<String>,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// Whether the channel is read-only.
    pub frozen: bool,
    /// When the channel was created.
    pub created_at: i64,
    /// The number of messages.
    pub message_count: usize,
}

/// A message in a channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageView {
    /// The message's id.
    pub id: String,
    /// The cid of the channel.
    pub cid: String,
    /// The id of the sender.
    pub user_id: String,
    /// The text.
    pub text: String,
    /// `regular`, `system` or `deleted`.
    pub kind: String,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// When the message was sent.
    pub created_at: i64,
}

/// A call. It may have ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    /// `type:id`.
    pub cid: String,
    /// The id of the creator.
    pub created_by: String,
    /// The ids of the members.
    pub members: Vec<String>,
    /// The role of each member in the call.
    pub member_roles: BTreeMap<String, String>,
    /// Custom fields.
    pub custom: Map<String, Value>,
    /// The cid of the call's chat channel.
    pub channel_cid: Option<String>,
    /// When the call was created.
    pub created_at: i64,
    /// When the call was first marked ended.
    pub ended_at: Option<i64>,
    /// Whether the call is recorded.
    pub recording: bool,
    /// The number of requests with `ring: true`.
    pub rings: u64,
    /// The number of requests with `notify: true`.
    pub notifications: u64,
    /// `limits.max_duration_seconds`, if set.
    pub max_duration_seconds: Option<u64>,
    /// `session.inactivity_timeout_seconds`.
    pub inactivity_timeout_seconds: Option<u64>,
    /// The id of the last session, if there is one.
    pub session_id: Option<String>,
    /// When the last session started, if a user has joined it.
    pub session_started_at: Option<i64>,
    /// When the last session ended, if it has.
    pub session_ended_at: Option<i64>,
    /// The ids of the current participants, in the order in which they joined.
    pub present: Vec<String>,
}

/// A participant's join of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JoinView {
    /// The id of the call's session.
    pub session_id: String,
    /// The id of the participant, which a client keeps when it reconnects.
    pub user_session_id: String,
    /// The id of the user.
    pub user_id: String,
    /// When the participant joined.
    pub joined_at: i64,
    /// When the participant left or the session ended.
    pub left_at: Option<i64>,
}

/// A ring of one member of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RingView {
    /// The id of the member.
    pub user_id: String,
    /// The id of the call's session.
    pub session_id: String,
    /// When the member was rung.
    pub rung_at: i64,
}

/// A call type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallTypeView {
    /// The name.
    pub name: String,
    /// The permissions of each role.
    pub grants: BTreeMap<String, BTreeSet<String>>,
    /// The settings of new calls.
    pub settings: Value,
    /// Which events cause push notifications.
    pub notification_settings: Value,
}

/// A user token with which Stream accepts a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserToken {
    /// The id of the user.
    pub user_id: String,
    /// Issued at, in unix seconds.
    pub iat: Option<f64>,
    /// Expires at, in unix seconds.
    pub exp: Option<f64>,
    /// The cids of the calls to which the token gives access.
    pub call_cids: Vec<String>,
    /// The role in the token.
    pub role: Option<String>,
}

/// How the participant sessions that the emulator returns deviate from the joins. By default they
/// do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "tests combine the deviations")]
pub struct ParticipantSessionFaults {
    /// Whether rows have no `left_at`.
    pub omit_left_at: bool,
    /// Whether rows have no `duration_in_seconds`.
    pub omit_duration: bool,
    /// Whether rows have no `joined_at`.
    pub omit_joined_at: bool,
    /// Whether `duration_in_seconds` is exact and has a fraction. By default it is rounded to whole
    /// seconds.
    pub fractional_duration: bool,
    /// Whether the list of rows is empty, as Stream documents it for a session that ended more than
    /// 90 days ago. The totals are not changed.
    pub omit_rows: bool,
    /// The maximum number of rows in a page, if it is less than the `limit` of the request.
    pub page_size: Option<usize>,
}

/// The report on one session of a call. Responses omit every missing number, as Stream omits
/// unknown ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallReport {
    /// The id of the session. If it is empty, the emulator chooses the session: see
    /// [`Emulator::set_report`](crate::Emulator::set_report).
    pub session_id: String,
    /// Stream's score of the session, 0 to 100.
    pub score: Option<u8>,
    /// The duration of the session so far, in seconds.
    pub duration_seconds: u64,
    /// Whether the session is ongoing.
    pub live: bool,
    /// The users' ratings, 1 to 5.
    pub ratings: Vec<u8>,
    /// The participants.
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
    /// One entry for each join of the user.
    pub sessions: Vec<SessionStats>,
}

/// The measurements from one join to its leave.
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
    /// The total duration of video freezes, in milliseconds.
    pub freezes_duration_ms: Option<i64>,
    /// Whether audio was published.
    pub audio: bool,
    /// Whether video was published.
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
