//! Stream's events, as far as they matter here: what a webhook's body says.
//!
//! Unknown types and unknown fields are nobody's mistake: Stream adds to both. Source:
//! <https://getstream.io/video/docs/api/webhooks/events/> and
//! <https://getstream.io/chat/docs/node/webhook_events/>.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::ids::{CALL_TYPE, CallId, ChannelId, SessionId, UserId};
use crate::stream::StreamTime;
use crate::stream::ops::UserRef;

/// The types of the events that matter here: those that [`Event::read`] makes something of.
pub const HANDLED_EVENTS: [&str; 14] = [
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
];

/// Which of Stream's products tells of events of this type.
#[must_use]
pub fn product(event_type: &str) -> &'static str {
    if event_type.starts_with("call.") { "video" } else { "chat" }
}

/// Something that has happened at Stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// To a call.
    Call(CallId, CallEvent),
    /// To a user.
    User(UserId, UserEvent),
    /// Nothing that matters here.
    Other,
}

/// What has happened to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// The user can no longer connect.
    Deactivated,
    /// The user can connect again.
    Reactivated,
    /// The user is gone for good.
    Deleted,
}

/// What has happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEvent {
    /// Somebody has joined it, at the latest then.
    Started(Timestamp),
    /// Somebody has left it.
    ParticipantLeft,
    /// One of its sessions is over.
    SessionEnded,
    /// Somebody who was called does not come.
    MissedOrRejected,
    /// It was ended.
    Ended(Timestamp),
    /// It was deleted, or its channel was.
    Deleted,
    /// A session's statistics are ready.
    StatsReport(StatsReport),
    /// Somebody has rated a session.
    Rating(Rating),
}

/// A session's statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsReport {
    /// The session.
    pub session: SessionId,
    /// The statistics as JSON; `None` where the event only says that they can be had.
    pub stats_json: Option<String>,
}

/// What somebody thinks of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// The session.
    pub session: SessionId,
    /// Whoever rates it.
    pub user: UserId,
    /// From 1, the worst, to 5.
    pub rating: u8,
    /// Why, in the user's own words.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct TypePayload<'a> {
    #[serde(rename = "type", borrow)]
    event_type: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct TimestampPayload {
    created_at: StreamTime,
}

#[derive(Deserialize)]
struct CallPayload {
    created_at: StreamTime,
    call_cid: String,
    call: Option<CallSnapshot>,
}

/// The call as the event shows it.
#[derive(Deserialize)]
struct CallSnapshot {
    ended_at: Option<StreamTime>,
    session: Option<SessionSnapshot>,
}

#[derive(Deserialize)]
struct SessionSnapshot {
    started_at: Option<StreamTime>,
}

#[derive(Deserialize)]
struct ParticipantJoinedPayload {
    created_at: StreamTime,
    call_cid: String,
    participant: Option<JoinedParticipant>,
}

#[derive(Deserialize)]
struct JoinedParticipant {
    joined_at: Option<StreamTime>,
}

#[derive(Deserialize)]
struct ChannelPayload {
    cid: Option<String>,
    channel_type: Option<String>,
    channel_id: Option<String>,
}

#[derive(Deserialize)]
struct UserPayload {
    user: UserRef,
}

#[derive(Deserialize)]
struct StatsReportPayload<'a> {
    call_cid: String,
    session_id: SessionId,
    #[serde(borrow)]
    counts: Option<&'a RawValue>,
    #[serde(borrow)]
    participants_overview: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FeedbackPayload {
    call_cid: String,
    session_id: SessionId,
    rating: u8,
    reason: Option<String>,
    user: UserRef,
}

/// Where an event stops being readable. What stands there is not said.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
pub struct InvalidEvent {
    line: usize,
    column: usize,
}

impl Event {
    /// Reads a webhook's body, whose signature has been checked.
    ///
    /// # Errors
    ///
    /// Where it is not JSON, or a known event lacks what it is about.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEvent> {
        let event_type = parse_payload::<TypePayload<'_>>(body)?.event_type;
        let kind = match &*event_type {
            "call.session_started" => parse_call_event(body, |call_snapshot, at| {
                let session = call_snapshot.and_then(|call| call.session);
                let started = session.and_then(|session| session.started_at);
                CallEvent::Started(started.map_or(at, |time| time.0.min(at)))
            })?,
            "call.session_participant_joined" => {
                let ParticipantJoinedPayload { created_at, call_cid, participant } =
                    parse_payload(body)?;
                let joined = participant.and_then(|it| it.joined_at).unwrap_or(created_at);
                event_for_call(&call_cid, CallEvent::Started(joined.min(created_at).0))
            }
            "call.session_participant_left" => {
                parse_call_event(body, |_, _| CallEvent::ParticipantLeft)?
            }
            "call.session_ended" => parse_call_event(body, |_, _| CallEvent::SessionEnded)?,
            "call.ended" => parse_call_event(body, |call_snapshot, at| {
                let ended = call_snapshot.and_then(|call| call.ended_at);
                CallEvent::Ended(ended.map_or(at, |time| time.0.min(at)))
            })?,
            "call.deleted" => parse_call_event(body, |_, _| CallEvent::Deleted)?,
            "call.missed" | "call.rejected" => {
                parse_call_event(body, |_, _| CallEvent::MissedOrRejected)?
            }
            "call.stats_report_ready" => parse_stats_report(body)?,
            "call.user_feedback_submitted" => parse_rating(body)?,
            "channel.deleted" => channel_deleted(&parse_payload(body)?),
            "user.deactivated" => parse_user_event(body, UserEvent::Deactivated)?,
            "user.reactivated" => parse_user_event(body, UserEvent::Reactivated)?,
            "user.deleted" => parse_user_event(body, UserEvent::Deleted)?,
            _ => EventKind::Other,
        };
        let at = match kind {
            EventKind::Other => Timestamp::from_millis(0),
            _ => parse_payload::<TimestampPayload>(body)?.created_at.0,
        };
        Ok(Self { at, kind })
    }
}

fn parse_payload<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, InvalidEvent> {
    serde_json::from_slice(body)
        .map_err(|error| InvalidEvent { line: error.line(), column: error.column() })
}

/// An event about a call. One of another type than ours is not about a call of ours.
fn event_for_call(cid: &str, event: CallEvent) -> EventKind {
    let id = cid.split_once(':').filter(|(kind, _)| *kind == CALL_TYPE);
    match id.and_then(|(_, id)| CallId::try_from(id.to_owned()).ok()) {
        Some(id) => EventKind::Call(id, event),
        None => EventKind::Other,
    }
}

fn parse_call_event(
    body: &[u8],
    to_event: impl FnOnce(Option<CallSnapshot>, Timestamp) -> CallEvent,
) -> Result<EventKind, InvalidEvent> {
    let CallPayload { created_at, call_cid, call } = parse_payload(body)?;
    Ok(event_for_call(&call_cid, to_event(call, created_at.0)))
}

fn channel_deleted(payload: &ChannelPayload) -> EventKind {
    let cid = match payload {
        ChannelPayload { cid: Some(cid), .. } => cid.clone(),
        ChannelPayload { channel_type: Some(kind), channel_id: Some(id), .. } => {
            format!("{kind}:{id}")
        }
        _ => return EventKind::Other,
    };
    let id = cid.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
    match ChannelId::try_from(id) {
        Ok(channel) if channel.cid() == cid => {
            EventKind::Call(channel.call().clone(), CallEvent::Deleted)
        }
        _ => EventKind::Other,
    }
}

/// A user whom an id of ours cannot name is nobody here.
fn parse_user_event(body: &[u8], event: UserEvent) -> Result<EventKind, InvalidEvent> {
    let UserPayload { user } = parse_payload(body)?;
    Ok(UserId::try_from(user.id).map_or(EventKind::Other, |id| EventKind::User(id, event)))
}

fn parse_stats_report(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    /// The most that is kept of each part, in bytes.
    const MAX_STATS_BYTES: usize = 128 * 1024;
    let StatsReportPayload { call_cid, session_id, counts, participants_overview } =
        parse_payload(body)?;
    // A thousand participants take more room than an item has, and are no call of ours.
    let participants =
        participants_overview.map(RawValue::get).filter(|it| it.len() <= MAX_STATS_BYTES);
    let participants = participants.unwrap_or("null");
    let stats_json = counts
        .filter(|counts| counts.get().len() <= MAX_STATS_BYTES)
        .map(|counts| format!(r#"{{"counts":{},"participants":{participants}}}"#, counts.get()));
    let report = StatsReport { session: session_id, stats_json };
    Ok(event_for_call(&call_cid, CallEvent::StatsReport(report)))
}

fn parse_rating(body: &[u8]) -> Result<EventKind, InvalidEvent> {
    /// As long as Stream takes one.
    const MAX_REASON_CHARS: usize = 1_000;
    let FeedbackPayload { call_cid, session_id, rating, reason, user } = parse_payload(body)?;
    let Ok(user) = UserId::try_from(user.id) else { return Ok(EventKind::Other) };
    let reason = reason.map(|reason| reason.chars().take(MAX_REASON_CHARS).collect());
    if !(1..=5).contains(&rating) {
        return Ok(EventKind::Other);
    }
    let rating = Rating { session: session_id, user, rating, reason };
    Ok(event_for_call(&call_cid, CallEvent::Rating(rating)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
            (event("call.session_participant_left"), CallEvent::ParticipantLeft),
            (event("call.session_ended"), CallEvent::SessionEnded),
            (event("call.missed"), CallEvent::MissedOrRejected),
            (event("call.rejected"), CallEvent::MissedOrRejected),
            (event("call.deleted"), CallEvent::Deleted),
            (event("call.ended"), CallEvent::Ended(now)),
            (
                with("call.ended", "call", json!({"ended_at": "2026-01-01T00:00:08Z"})),
                CallEvent::Ended(at(8)),
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
            assert_eq!(parse_kind(event.clone()), EventKind::Call(id(), expected), "{event}");
        }
        for (cid, kind) in [
            ("livestream:c1", "call.ended"),
            ("default:a/b", "call.ended"),
            ("c1", "call.ended"),
            ("default:c1", "call.sneezed"),
        ] {
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
        for other in [0, 6] {
            assert_eq!(parse_kind(event(json!(other))), EventKind::Other);
        }
        let mut invalid = event(json!(-1));
        invalid["created_at"] = json!(0);
        assert!(Event::parse(invalid.to_string().as_bytes()).is_err());
    }

    #[test]
    fn channel_and_user_events_are_parsed() {
        let deleted = |cid: &str| parse_kind(json!({"type": "channel.deleted", "cid": cid}));
        assert_eq!(deleted("messaging:call-c1"), EventKind::Call(id(), CallEvent::Deleted));
        let parts = json!({"type": "channel.deleted", "channel_type": "messaging", "channel_id": "call-c1"});
        assert_eq!(parse_kind(parts), EventKind::Call(id(), CallEvent::Deleted));
        for other in ["team:call-c1", "messaging:c1", "messaging:call-", "call-c1", ""] {
            assert_eq!(deleted(other), EventKind::Other, "{other}");
        }
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        for (kind, status) in [
            ("user.deactivated", UserEvent::Deactivated),
            ("user.reactivated", UserEvent::Reactivated),
            ("user.deleted", UserEvent::Deleted),
        ] {
            let event = json!({"type": kind, "user": {"id": "alice"}});
            assert_eq!(parse_kind(event), EventKind::User(alice.clone(), status));
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
                "cid": "messaging:call-c1",
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
