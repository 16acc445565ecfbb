//! Stream's webhook events.
//!
//! Unknown event types and fields are ignored, because Stream adds new ones. Source:
//! <https://getstream.io/video/docs/api/webhooks/events/> and
//! <https://getstream.io/chat/docs/node/webhook_events/>.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::ids::{CallCid, CallId, ChannelId, SessionId, UserId};
use crate::json::StrictDeserializer;
use crate::stream::StreamTime;
use crate::stream::lenient::{or_default, readable};
use crate::stream::ops::UserRef;

/// The event types that [`Event::parse`] handles.
pub const HANDLED_EVENTS: [&str; 16] = [
    "call.session_started",
    "call.session_participant_joined",
    "call.session_participant_left",
    "call.session_ended",
    "call.missed",
    "call.rejected",
    "call.ended",
    "call.deleted",
    "call.stats_report_ready",
    "call.user_feedback_submitted",
    "channel.deleted",
    "user.deactivated",
    "user.reactivated",
    "user.deleted",
    "user.banned",
    "user.unbanned",
];

/// The largest expected difference between this clock and Stream's. An event that is earlier than
/// an item by more than this happened before the item existed, and does not concern it.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// The Stream product that sends events of this type.
#[must_use]
pub fn product(event_type: &str) -> &'static str {
    if event_type.starts_with("call.") { "video" } else { "chat" }
}

/// An event at Stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The time of the event.
    pub at: Timestamp,
    /// The session of the call that the event names.
    pub session: Option<SessionId>,
    /// The kind of the event.
    pub kind: EventKind,
}

/// The kind of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// An event of a call.
    Call(CallCid, CallEvent),
    /// The channel of a call was deleted.
    ChannelDeleted(CallId),
    /// An event of a user.
    User(UserId, UserEvent),
    /// An event that is not handled.
    Other,
}

/// An event of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// The user can no longer connect.
    Deactivated,
    /// The user can connect again.
    Reactivated,
    /// The user is permanently deleted.
    Deleted,
    /// The user is banned from the whole app until this time, or without an end.
    Banned(Option<Timestamp>),
    /// The ban from the whole app is lifted.
    Unbanned,
}

/// An event of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEvent {
    /// A participant has joined, at this time or earlier. The participant is unknown.
    Started(Timestamp),
    /// A participant has joined.
    Joined(Join),
    /// A participant has left.
    Left(Leave),
    /// An unknown participant has left.
    ParticipantLeft,
    /// A session has ended.
    SessionEnded,
    /// A user has rejected the call.
    Rejected(Reject),
    /// A called member has missed the call, or an unknown user has rejected it.
    MissedOrRejected,
    /// The call was ended.
    Ended(CallEnd),
    /// The call was deleted.
    Deleted,
    /// The statistics of a session are ready.
    StatsReport(StatsReport),
    /// A user has rated a session.
    Rating(Rating),
}

/// A participant's join. Stream's client keeps its session id across reconnects, so the session and
/// the time identify the interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The user.
    pub user: UserId,
    /// The participant's `user_session_id`.
    pub session: SessionId,
    /// The participant's `joined_at`.
    pub joined_at: Timestamp,
}

/// A participant's leave, as a webhook reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The user.
    pub user: UserId,
    /// The participant's `user_session_id`.
    pub session: SessionId,
    /// The participant's `joined_at`, if the event contains it.
    pub joined_at: Option<Timestamp>,
    /// The event's `created_at`.
    pub at: Timestamp,
    /// The event's `duration_seconds`.
    pub duration: Option<Duration>,
}

/// A user's reject of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The user.
    pub user: UserId,
    /// The reason.
    pub reason: Option<String>,
}

/// The end of a call at Stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// When the call was ended.
    pub at: Timestamp,
    /// The user who ended it with Stream's client. `None` if a server or Stream ended it.
    pub user: Option<UserId>,
    /// When the first participant joined the session.
    pub session_started_at: Option<Timestamp>,
    /// When Stream would end the session because of the call's limit.
    pub timer_ends_at: Option<Timestamp>,
}

/// The statistics of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsReport {
    /// The session.
    pub session: SessionId,
    /// The statistics as JSON, or `None` if the event does not contain them.
    pub stats_json: Option<String>,
}

/// A user's rating of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user: UserId,
    /// 1 (worst) to 5.
    pub rating: u8,
    /// The reason, as the user wrote it.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct TypePayload<'a> {
    #[serde(rename = "type", borrow)]
    event_type: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct HeadPayload {
    created_at: StreamTime,
    #[serde(default, deserialize_with = "readable")]
    session_id: Option<String>,
}

#[derive(Deserialize)]
struct CallPayload {
    created_at: StreamTime,
    call_cid: String,
    #[serde(default, deserialize_with = "readable")]
    call: Option<CallSnapshot>,
}

/// The call in an event.
#[derive(Deserialize)]
struct CallSnapshot {
    ended_at: Option<StreamTime>,
    session: Option<SessionSnapshot>,
}

#[derive(Deserialize)]
struct SessionSnapshot {
    started_at: Option<StreamTime>,
    timer_ends_at: Option<StreamTime>,
}

#[derive(Deserialize)]
struct ParticipantPayload {
    created_at: StreamTime,
    call_cid: String,
    #[serde(default, deserialize_with = "readable")]
    participant: Option<ParticipantSnapshot>,
    /// In whole seconds. Another server's number may have a fraction.
    #[serde(default, deserialize_with = "readable")]
    duration_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct ParticipantSnapshot {
    user: Option<UserRef>,
    user_session_id: Option<String>,
    joined_at: Option<StreamTime>,
}

impl ParticipantSnapshot {
    /// The user and the session. `None` if one of them is not valid.
    fn ids(&self) -> Option<(UserId, SessionId)> {
        let user = UserId::try_from(self.user.as_ref()?.id.clone()).ok()?;
        let session = SessionId::try_from(self.user_session_id.clone()?).ok()?;
        Some((user, session))
    }
}

#[derive(Deserialize)]
struct RejectedPayload {
    call_cid: String,
    #[serde(default, deserialize_with = "readable")]
    user: Option<UserRef>,
    #[serde(default, deserialize_with = "readable")]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct EndedPayload {
    created_at: StreamTime,
    call_cid: String,
    #[serde(default, deserialize_with = "readable")]
    call: Option<CallSnapshot>,
    /// `None` if a server or Stream ended the call.
    #[serde(default, deserialize_with = "readable")]
    user: Option<UserRef>,
}

#[derive(Deserialize)]
struct ChannelPayload {
    cid: Option<String>,
    channel_type: Option<String>,
    channel_id: Option<String>,
    #[serde(default, deserialize_with = "readable")]
    channel: Option<ChannelSnapshot>,
}

#[derive(Deserialize)]
struct ChannelSnapshot {
    cid: String,
}

#[derive(Deserialize)]
struct UserPayload {
    user: UserRef,
}

#[derive(Deserialize)]
struct BanPayload {
    user: UserRef,
    /// The channel of a ban from one channel.
    cid: Option<String>,
    channel_id: Option<String>,
    channel_cid: Option<String>,
    channel: Option<IgnoredAny>,
    /// A shadow ban hides the user's messages from others, without notice.
    #[serde(default, deserialize_with = "or_default")]
    shadow: bool,
    expiration: Option<StreamTime>,
}

#[derive(Deserialize)]
struct StatsReportPayload<'a> {
    call_cid: String,
    session_id: String,
    #[serde(borrow)]
    counts: Option<&'a RawValue>,
    #[serde(borrow)]
    participants_overview: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FeedbackPayload {
    call_cid: String,
    session_id: String,
    rating: Value,
    reason: Option<String>,
    user: UserRef,
}

/// The position of a parse error in an event. It omits the text, which may contain personal data.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
pub struct InvalidEvent {
    line: usize,
    column: usize,
}

impl Event {
    /// Parses the body of a webhook whose signature is verified.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] if the body is not JSON, or a handled event lacks a required field.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEvent> {
        let event_type = parse_payload::<TypePayload<'_>>(body)?.event_type;
        let kind = match &*event_type {
            "call.session_started" => parse_call_event(body, |call_snapshot, at| {
                let session = call_snapshot.and_then(|call| call.session);
                let started = session.and_then(|session| session.started_at);
                CallEvent::Started(started.map_or(at, |time| time.0.min(at)))
            })?,
            "call.session_participant_joined" => parse_join(body)?,
            "call.session_participant_left" => parse_leave(body)?,
            "call.session_ended" => parse_call_event(body, |_, _| CallEvent::SessionEnded)?,
            "call.ended" => parse_end(body)?,
            "call.deleted" => parse_call_event(body, |_, _| CallEvent::Deleted)?,
            "call.missed" => parse_call_event(body, |_, _| CallEvent::MissedOrRejected)?,
            "call.rejected" => parse_reject(body)?,
            "call.stats_report_ready" => parse_stats_report(body)?,
            "call.user_feedback_submitted" => parse_rating(body)?,
            "channel.deleted" => channel_deleted(&parse_payload(body)?),
            "user.deactivated" => parse_user_event(body, UserEvent::Deactivated)?,
            "user.reactivated" => parse_user_event(body, UserEvent::Reactivated)?,
            "user.deleted" => parse_user_event(body, UserEvent::Deleted)?,
            "user.banned" => {
                parse_ban(body, |ban| UserEvent::Banned(ban.expiration.map(|time| time.0)))?
            }
            "user.unbanned" => parse_ban(body, |_| UserEvent::Unbanned)?,
            _ => EventKind::Other,
        };
        let (at, session) = if kind == EventKind::Other {
            (Timestamp::from_millis(0), None)
        } else {
            let HeadPayload { created_at, session_id } = parse_payload(body)?;
            (created_at.0, session_id.and_then(|id| SessionId::try_from(id).ok()))
        };
        Ok(Self { at, session, kind })
    }
}

fn parse_payload<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, InvalidEvent> {
    serde_json::from_slice(body)
        .map_err(|error| InvalidEvent { line: error.line(), column: error.column() })
}

/// The event of a call. A cid that no call of this service can have is ignored.
fn event_for_call(cid: &str, event: CallEvent) -> EventKind {
    CallCid::try_from(cid).map_or(EventKind::Other, |cid| EventKind::Call(cid, event))
}

fn parse_call_event(
    body: &[u8],
    to_event: impl FnOnce(Option<CallSnapshot>, Timestamp) -> CallEvent,
) -> Result<EventKind, InvalidEvent> {
    let CallPayload { created_at, call_cid, call } = parse_payload(body)?;
    Ok(event_for_call(&call_cid, to_event(call, created_at.0)))
}

/// A join. Without a valid user, session or time, only the time of the start remains.
fn parse_join(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    let ParticipantPayload { created_at, call_cid, participant, .. } = parse_payload(body)?;
    let joined_at = participant.as_ref().and_then(|participant| participant.joined_at);
    let ids = participant.as_ref().and_then(ParticipantSnapshot::ids);
    let event = match (ids, joined_at) {
        (Some((user, session)), Some(joined_at)) => {
            CallEvent::Joined(Join { user, session, joined_at: joined_at.0 })
        }
        _ => CallEvent::Started(joined_at.unwrap_or(created_at).min(created_at).0),
    };
    Ok(event_for_call(&call_cid, event))
}

fn parse_leave(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    let ParticipantPayload { created_at, call_cid, participant, duration_seconds } =
        parse_payload(body)?;
    let joined_at = participant.as_ref().and_then(|participant| participant.joined_at);
    let event = match participant.as_ref().and_then(ParticipantSnapshot::ids) {
        Some((user, session)) => CallEvent::Left(Leave {
            user,
            session,
            joined_at: joined_at.map(|time| time.0),
            at: created_at.0,
            duration: duration_seconds.and_then(whole_millis),
        }),
        None => CallEvent::ParticipantLeft,
    };
    Ok(event_for_call(&call_cid, event))
}

/// A duration in milliseconds, as the table stores it. `None` if the number is not a duration.
fn whole_millis(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(duration.as_millis()).ok().map(Duration::from_millis)
}

fn parse_reject(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    let RejectedPayload { call_cid, user, reason } = parse_payload(body)?;
    let event = match user.and_then(|user| UserId::try_from(user.id).ok()) {
        Some(user) => CallEvent::Rejected(Reject { user, reason }),
        None => CallEvent::MissedOrRejected,
    };
    Ok(event_for_call(&call_cid, event))
}

fn parse_end(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    let EndedPayload { created_at, call_cid, call, user } = parse_payload(body)?;
    let at = created_at.0;
    let ended_at = call.as_ref().and_then(|call| call.ended_at);
    let session = call.and_then(|call| call.session);
    let time_of = |time: Option<StreamTime>| time.map(|time| time.0);
    let end = CallEnd {
        at: ended_at.map_or(at, |time| time.0.min(at)),
        user: user.and_then(|user| UserId::try_from(user.id).ok()),
        session_started_at: time_of(session.as_ref().and_then(|session| session.started_at)),
        timer_ends_at: time_of(session.and_then(|session| session.timer_ends_at)),
    };
    Ok(event_for_call(&call_cid, CallEvent::Ended(end)))
}

fn channel_deleted(payload: &ChannelPayload) -> EventKind {
    let cid = match payload {
        ChannelPayload { cid: Some(cid), .. } => cid.clone(),
        ChannelPayload { channel_type: Some(kind), channel_id: Some(id), .. } => {
            format!("{kind}:{id}")
        }
        ChannelPayload { channel: Some(channel), .. } => channel.cid.clone(),
        _ => return EventKind::Other,
    };
    let id = cid.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
    match ChannelId::try_from(id) {
        Ok(channel) if channel.cid() == cid => EventKind::ChannelDeleted(channel.call().clone()),
        _ => EventKind::Other,
    }
}

/// The event of a user. An id that is not a valid user id does not belong to this service.
fn parse_user_event(body: &[u8], event: UserEvent) -> Result<EventKind, InvalidEvent> {
    let UserPayload { user } = parse_payload(body)?;
    Ok(UserId::try_from(user.id).map_or(EventKind::Other, |id| EventKind::User(id, event)))
}

/// The event of an app-wide ban. A ban from one channel and a shadow ban change no account.
fn parse_ban(
    body: &[u8],
    to_event: impl FnOnce(&BanPayload) -> UserEvent,
) -> Result<EventKind, InvalidEvent> {
    let ban: BanPayload = parse_payload(body)?;
    let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let has_channel = [&ban.cid, &ban.channel_id, &ban.channel_cid].into_iter().any(is_text);
    if has_channel || ban.channel.is_some() || ban.shadow {
        return Ok(EventKind::Other);
    }
    let event = to_event(&ban);
    Ok(UserId::try_from(ban.user.id).map_or(EventKind::Other, |id| EventKind::User(id, event)))
}

fn parse_stats_report(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    /// The maximum size of each stored part, in bytes.
    const MAX_STATS_BYTES: usize = 128 * 1024;
    let StatsReportPayload { call_cid, session_id, counts, participants_overview } =
        parse_payload(body)?;
    let Ok(session) = SessionId::try_from(session_id) else { return Ok(EventKind::Other) };
    // An overview of a thousand participants exceeds the size of an item, and no call of this
    // service has so many.
    let participants =
        participants_overview.map(RawValue::get).filter(|json| json.len() <= MAX_STATS_BYTES);
    let participants = participants.unwrap_or("null");
    let stats_json = counts
        .filter(|counts| counts.get().len() <= MAX_STATS_BYTES)
        .map(|counts| format!(r#"{{"counts":{},"participants":{participants}}}"#, counts.get()));
    let report = StatsReport { session, stats_json };
    Ok(event_for_call(&call_cid, CallEvent::StatsReport(report)))
}

fn parse_rating(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    /// The maximum length of a reason at Stream.
    const MAX_REASON_CHARS: usize = 1_000;
    let FeedbackPayload { call_cid, session_id, rating, reason, user } = parse_payload(body)?;
    let ids = (UserId::try_from(user.id), SessionId::try_from(session_id));
    let (Ok(user), Ok(session)) = ids else { return Ok(EventKind::Other) };
    let reason = reason.map(|reason| reason.chars().take(MAX_REASON_CHARS).collect());
    let rating = u8::deserialize(StrictDeserializer(rating)).ok();
    let Some(rating) = rating.filter(|rating| (1..=5).contains(rating)) else {
        return Ok(EventKind::Other);
    };
    let rating = Rating { session, user, rating, reason };
    Ok(event_for_call(&call_cid, CallEvent::Rating(rating)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::user_id;

    fn cid() -> CallCid {
        CallCid::try_from("default:c1").unwrap()
    }

    fn id() -> CallId {
        CallId::try_from("c1".to_owned()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn parse_kind(mut body: Value) -> EventKind {
        body["created_at"] = json!("2026-01-01T00:00:09.123456789Z");
        Event::parse(body.to_string().as_bytes()).unwrap().kind
    }

    /// The participant of an event.
    fn participant(joined: Option<i64>) -> Value {
        let joined_at = joined.map(|seconds| at(seconds).to_string());
        json!({"user": {"id": "alice"}, "user_session_id": "u1", "joined_at": joined_at})
    }

    fn join(joined: i64) -> Join {
        let session = SessionId::try_from("u1".to_owned()).unwrap();
        Join { user: user_id("alice"), session, joined_at: at(joined) }
    }

    fn end(at: Timestamp) -> CallEnd {
        CallEnd { at, user: None, session_started_at: None, timer_ends_at: None }
    }

    #[test]
    fn duration_of_a_leave_may_have_a_fraction() {
        for (duration, expected) in [
            (json!(7), Some(Duration::from_secs(7))),
            (json!(7.25), Some(Duration::from_millis(7_250))),
            (json!(7.000_4), Some(Duration::from_secs(7))),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("7"), None),
            (Value::Null, None),
        ] {
            let kind = parse_kind(json!({
                "type": "call.session_participant_left",
                "call_cid": "default:c1",
                "participant": participant(Some(1)),
                "duration_seconds": duration,
            }));
            let EventKind::Call(_, CallEvent::Left(leave)) = kind else { unreachable!() };
            assert_eq!(leave.duration, expected, "{duration}");
        }
    }

    #[test]
    fn participant_without_valid_ids_is_unknown() {
        let valid = participant(Some(7));
        for (field, other) in [
            ("user", json!({"id": "a/b"})),
            ("user", Value::Null),
            ("user_session_id", json!("a#b")),
            ("user_session_id", Value::Null),
        ] {
            let mut participant = valid.clone();
            participant[field] = other;
            let kind = |kind: &str| {
                let participant = participant.clone();
                parse_kind(
                    json!({"type": kind, "call_cid": "default:c1", "participant": participant}),
                )
            };
            let started = CallEvent::Started(at(7));
            let joined = kind("call.session_participant_joined");
            assert_eq!(joined, EventKind::Call(cid(), started), "{participant}");
            let left = kind("call.session_participant_left");
            assert_eq!(left, EventKind::Call(cid(), CallEvent::ParticipantLeft), "{participant}");
        }
    }

    #[test]
    fn reason_of_a_reject_is_optional() {
        for (reason, expected) in
            [(json!("busy"), Some("busy")), (json!(7), None), (Value::Null, None)]
        {
            let kind = parse_kind(json!({
                "type": "call.rejected",
                "call_cid": "default:c1",
                "user": {"id": "bob"},
                "reason": reason,
            }));
            let reject = Reject { user: user_id("bob"), reason: expected.map(str::to_owned) };
            assert_eq!(kind, EventKind::Call(cid(), CallEvent::Rejected(reject)), "{reason}");
        }
    }

    #[test]
    fn call_events_are_parsed() {
        let event =
            |kind: &str| json!({"type": kind, "call_cid": "default:c1", "session_id": "s1"});
        let with = |kind: &str, name: &str, value: Value| {
            let mut event = event(kind);
            event[name] = value;
            event
        };
        let now = Timestamp::from_millis(1_767_225_609_123);
        let started = json!({"session": {"started_at": "2026-01-01T00:00:05Z"}});
        let session = json!({
            "started_at": "2026-01-01T00:00:05Z",
            "timer_ends_at": "2026-01-01T00:00:09Z",
        });
        let leave = |joined: Option<i64>| {
            let Join { user, session, .. } = join(0);
            Leave { user, session, joined_at: joined.map(at), at: now, duration: None }
        };
        let cases = [
            (event("call.session_started"), CallEvent::Started(now)),
            (with("call.session_started", "call", started), CallEvent::Started(at(5))),
            (
                with(
                    "call.session_participant_joined",
                    "participant",
                    json!({"joined_at": 1_767_225_607_000_000_000_i64}),
                ),
                CallEvent::Started(at(7)),
            ),
            (event("call.session_participant_joined"), CallEvent::Started(now)),
            (
                with("call.session_participant_joined", "participant", participant(Some(7))),
                CallEvent::Joined(join(7)),
            ),
            // Without the time of the join, the interval is unknown.
            (
                with("call.session_participant_joined", "participant", participant(None)),
                CallEvent::Started(now),
            ),
            (event("call.session_participant_left"), CallEvent::ParticipantLeft),
            (
                with("call.session_participant_left", "participant", participant(Some(7))),
                CallEvent::Left(leave(Some(7))),
            ),
            (
                with("call.session_participant_left", "participant", participant(None)),
                CallEvent::Left(leave(None)),
            ),
            (event("call.session_ended"), CallEvent::SessionEnded),
            (event("call.missed"), CallEvent::MissedOrRejected),
            (event("call.rejected"), CallEvent::MissedOrRejected),
            (event("call.deleted"), CallEvent::Deleted),
            (
                with("call.rejected", "user", json!({"id": "alice"})),
                CallEvent::Rejected(Reject { user: user_id("alice"), reason: None }),
            ),
            (event("call.ended"), CallEvent::Ended(end(now))),
            (
                with("call.ended", "call", json!({"ended_at": "2026-01-01T00:00:08Z"})),
                CallEvent::Ended(end(at(8))),
            ),
            (
                with("call.ended", "user", json!({"id": "alice"})),
                CallEvent::Ended(CallEnd { user: Some(user_id("alice")), ..end(now) }),
            ),
            (
                with("call.ended", "call", json!({"session": session})),
                CallEvent::Ended(CallEnd {
                    session_started_at: Some(at(5)),
                    timer_ends_at: Some(at(9)),
                    ..end(now)
                }),
            ),
            (
                event("call.stats_report_ready"),
                CallEvent::StatsReport(StatsReport {
                    session: SessionId::try_from("s1".to_owned()).unwrap(),
                    stats_json: None,
                }),
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(parse_kind(event.clone()), EventKind::Call(cid(), expected), "{event}");
        }
        for (cid, kind) in
            [("default:a/b", "call.ended"), ("c1", "call.ended"), ("default:c1", "call.sneezed")]
        {
            assert_eq!(
                parse_kind(json!({"type": kind, "call_cid": cid})),
                EventKind::Other,
                "{cid} {kind}"
            );
        }
    }

    #[test]
    fn report_stats_are_stored_verbatim() {
        let event = json!({
            "type": "call.stats_report_ready",
            "call_cid": "default:c1",
            "session_id": "s1",
            "counts": {"participants": 2},
            "participants_overview": [],
        });
        let EventKind::Call(_, CallEvent::StatsReport(report)) = parse_kind(event) else {
            unreachable!()
        };
        let figures = r#"{"counts":{"participants":2},"participants":[]}"#;
        assert_eq!(report.stats_json.as_deref(), Some(figures));
    }

    #[test]
    fn ratings_outside_one_to_five_are_ignored() {
        let event = |rating: Value| {
            json!({
                "type": "call.user_feedback_submitted",
                "call_cid": "default:c1",
                "session_id": "s1",
                "rating": rating,
                "reason": "x".repeat(2_000),
                "user": {"id": "alice"},
            })
        };
        let EventKind::Call(_, CallEvent::Rating(rating)) = parse_kind(event(json!(4))) else {
            unreachable!()
        };
        assert_eq!((rating.rating, rating.user.as_str()), (4, "alice"));
        assert_eq!(rating.reason.map(|reason| reason.len()), Some(1_000));
        for whole in [json!(4.0), json!(1)] {
            assert_ne!(parse_kind(event(whole)), EventKind::Other);
        }
        for other in [json!(0), json!(6), json!(-1), json!(4.5), json!("4")] {
            assert_eq!(parse_kind(event(other)), EventKind::Other);
        }
        let mut other_session = event(json!(4));
        other_session["session_id"] = json!("s#1");
        assert_eq!(parse_kind(other_session), EventKind::Other);
    }

    #[test]
    fn channel_and_user_events_are_parsed() {
        let deleted = |cid: &str| parse_kind(json!({"type": "channel.deleted", "cid": cid}));
        assert_eq!(deleted("messaging:call-c1"), EventKind::ChannelDeleted(id()));
        let parts = json!({"type": "channel.deleted", "channel_type": "messaging", "channel_id": "call-c1"});
        assert_eq!(parse_kind(parts), EventKind::ChannelDeleted(id()));
        for other in ["team:call-c1", "messaging:c1", "messaging:call-", "call-c1", ""] {
            assert_eq!(deleted(other), EventKind::Other, "{other}");
        }
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        for (kind, status) in [
            ("user.deactivated", UserEvent::Deactivated),
            ("user.reactivated", UserEvent::Reactivated),
            ("user.deleted", UserEvent::Deleted),
            ("user.banned", UserEvent::Banned(None)),
            ("user.unbanned", UserEvent::Unbanned),
        ] {
            let event = json!({"type": kind, "user": {"id": "alice"}});
            assert_eq!(parse_kind(event), EventKind::User(alice.clone(), status));
        }
    }

    #[test]
    fn only_app_wide_bans_are_handled() {
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        let ban = |fields: Value| {
            let mut event = json!({"type": "user.banned", "user": {"id": "alice"}});
            event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            parse_kind(event)
        };
        let until = Timestamp::from_millis(1_767_225_660_000);
        for (fields, expected) in [
            (json!({}), Some(None)),
            (
                json!({"cid": "", "channel_id": null, "shadow": false, "expiration": null}),
                Some(None),
            ),
            (json!({"expiration": "2026-01-01T00:01:00Z"}), Some(Some(until))),
            (json!({"cid": "messaging:call-c1"}), None),
            (json!({"channel_cid": "messaging:call-c1"}), None),
            (json!({"channel": {"cid": "messaging:call-c1"}}), None),
            (json!({"channel_id": "call-c1"}), None),
            (json!({"shadow": true}), None),
        ] {
            let expected = expected.map_or(EventKind::Other, |until| {
                EventKind::User(alice.clone(), UserEvent::Banned(until))
            });
            assert_eq!(ban(fields.clone()), expected, "{fields}");
        }
    }

    /// A part that is not needed must not lose the event.
    #[test]
    fn unreadable_part_does_not_lose_the_event() {
        for (kind, event) in [
            ("call.ended", CallEvent::Ended(end(Timestamp::from_millis(1_767_225_609_123)))),
            ("call.session_ended", CallEvent::SessionEnded),
        ] {
            for call in [json!({"ended_at": "yesterday"}), json!(7), json!({"session": []})] {
                let body = json!({"type": kind, "call_cid": "default:c1", "call": call});
                assert_eq!(
                    parse_kind(body),
                    EventKind::Call(cid(), event.clone()),
                    "{kind} {call}"
                );
            }
        }
    }

    #[test]
    fn handled_events_are_listed_and_documented() {
        let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SETUP.md");
        let setup = std::fs::read_to_string(setup).unwrap();
        let event = |kind: &str| {
            json!({
                "type": kind,
                "call_cid": "default:c1",
                "channel_type": "messaging",
                "channel_id": kind.starts_with("channel").then_some("call-c1"),
                "session_id": "s1",
                "rating": 3,
                "user": {"id": "alice"},
            })
        };
        for kind in HANDLED_EVENTS {
            assert_ne!(parse_kind(event(kind)), EventKind::Other, "{kind}");
            assert!(setup.contains(&format!("`{kind}`")), "{kind}");
        }
        for kind in ["call.created", "message.new", "user.updated"] {
            assert_eq!(parse_kind(event(kind)), EventKind::Other, "{kind}");
        }
    }

    #[test]
    fn both_time_formats_are_parsed() {
        for time in ["\"2026-01-01T00:00:09.5Z\"", "1767225609500000000"] {
            let body = format!(
                r#"{{"type":"call.session_ended","call_cid":"default:c1","created_at":{time}}}"#
            );
            let event = Event::parse(body.as_bytes()).unwrap();
            assert_eq!(event.at, Timestamp::from_millis(1_767_225_609_500));
        }
    }

    #[test]
    fn malformed_event_is_rejected() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"call.ended","call_cid":"default:c1"}"#,
            r#"{"type":"call.ended","created_at":1}"#,
            r#"{"type":"call.ended","call_cid":7,"created_at":1}"#,
            r#"{"type":"user.deleted","created_at":1}"#,
            r#"{"type":"call.stats_report_ready","call_cid":"default:c1","created_at":1}"#,
        ] {
            assert!(Event::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
