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
use crate::stream::ops::Creator;
use crate::users::UserStatus;

/// The types of the events that matter here: those that [`Event::read`] makes something of.
pub const HEARD: [&str; 14] = [
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
pub fn product(kind: &str) -> &'static str {
    if kind.starts_with("call.") { "video" } else { "chat" }
}

/// Something that has happened at Stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub news: News,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// To a call.
    Call(CallId, CallNews),
    /// To a user.
    User(UserId, UserStatus),
    /// Nothing that matters here.
    Other,
}

/// What has happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallNews {
    /// Somebody has joined it, at the latest then.
    Started(Timestamp),
    /// Somebody has left it.
    Left,
    /// One of its sessions is over.
    SessionEnded,
    /// Somebody who was called does not come.
    Declined,
    /// It was ended.
    Ended(Timestamp),
    /// It was deleted, or its channel was.
    Gone,
    /// A session's statistics are ready.
    Report(Report),
    /// Somebody has rated a session.
    Rating(Rating),
}

/// A session's statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The session.
    pub session: SessionId,
    /// The statistics as JSON; `None` where the event only says that they can be had.
    pub figures: Option<String>,
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
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Dated {
    created_at: StreamTime,
}

#[derive(Deserialize)]
struct OfCall {
    created_at: StreamTime,
    call_cid: String,
    call: Option<Shown>,
}

/// The call as the event shows it.
#[derive(Deserialize)]
struct Shown {
    ended_at: Option<StreamTime>,
    session: Option<ShownSession>,
}

#[derive(Deserialize)]
struct ShownSession {
    started_at: Option<StreamTime>,
}

#[derive(Deserialize)]
struct Joined {
    created_at: StreamTime,
    call_cid: String,
    participant: Option<JoinedBy>,
}

#[derive(Deserialize)]
struct JoinedBy {
    joined_at: Option<StreamTime>,
}

#[derive(Deserialize)]
struct OfChannel {
    cid: Option<String>,
    channel_type: Option<String>,
    channel_id: Option<String>,
}

#[derive(Deserialize)]
struct OfUser {
    user: Creator,
}

#[derive(Deserialize)]
struct ReportReady<'a> {
    call_cid: String,
    session_id: SessionId,
    #[serde(borrow)]
    counts: Option<&'a RawValue>,
    #[serde(borrow)]
    participants_overview: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Feedback {
    call_cid: String,
    session_id: SessionId,
    rating: u8,
    reason: Option<String>,
    user: Creator,
}

/// Where an event stops being readable. What stands there is not said.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
pub struct Unreadable {
    line: usize,
    column: usize,
}

impl Event {
    /// Reads a webhook's body, whose signature has been checked.
    ///
    /// # Errors
    ///
    /// Where it is not JSON, or a known event lacks what it is about.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let kind = read::<Head<'_>>(body)?.kind;
        let news = match &*kind {
            "call.session_started" => call(body, |shown, at| {
                let session = shown.and_then(|call| call.session);
                let started = session.and_then(|session| session.started_at);
                CallNews::Started(started.map_or(at, |time| time.0.min(at)))
            })?,
            "call.session_participant_joined" => {
                let Joined { created_at, call_cid, participant } = read(body)?;
                let joined = participant.and_then(|it| it.joined_at).unwrap_or(created_at);
                of_call(&call_cid, CallNews::Started(joined.min(created_at).0))
            }
            "call.session_participant_left" => call(body, |_, _| CallNews::Left)?,
            "call.session_ended" => call(body, |_, _| CallNews::SessionEnded)?,
            "call.ended" => call(body, |shown, at| {
                let ended = shown.and_then(|call| call.ended_at);
                CallNews::Ended(ended.map_or(at, |time| time.0.min(at)))
            })?,
            "call.deleted" => call(body, |_, _| CallNews::Gone)?,
            "call.missed" | "call.rejected" => call(body, |_, _| CallNews::Declined)?,
            "call.stats_report_ready" => report(body)?,
            "call.user_feedback_submitted" => rating(body)?,
            "channel.deleted" => channel(&read(body)?),
            "user.deactivated" => user(body, UserStatus::Deactivated)?,
            "user.reactivated" => user(body, UserStatus::Active)?,
            "user.deleted" => user(body, UserStatus::Deleted)?,
            _ => News::Other,
        };
        let at = match news {
            News::Other => Timestamp::from_millis(0),
            _ => read::<Dated>(body)?.created_at.0,
        };
        Ok(Self { at, news })
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body)
        .map_err(|error| Unreadable { line: error.line(), column: error.column() })
}

/// An event about a call. One of another type than ours is not about a call of ours.
fn of_call(cid: &str, news: CallNews) -> News {
    let id = cid.split_once(':').filter(|(kind, _)| *kind == CALL_TYPE);
    match id.and_then(|(_, id)| CallId::try_from(id.to_owned()).ok()) {
        Some(id) => News::Call(id, news),
        None => News::Other,
    }
}

fn call(
    body: &[u8],
    news: impl FnOnce(Option<Shown>, Timestamp) -> CallNews,
) -> Result<News, Unreadable> {
    let OfCall { created_at, call_cid, call } = read(body)?;
    Ok(of_call(&call_cid, news(call, created_at.0)))
}

fn channel(event: &OfChannel) -> News {
    let cid = match event {
        OfChannel { cid: Some(cid), .. } => cid.clone(),
        OfChannel { channel_type: Some(kind), channel_id: Some(id), .. } => format!("{kind}:{id}"),
        _ => return News::Other,
    };
    let id = cid.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
    match ChannelId::try_from(id) {
        Ok(channel) if channel.cid() == cid => News::Call(channel.call().clone(), CallNews::Gone),
        _ => News::Other,
    }
}

/// A user whom an id of ours cannot name is nobody here.
fn user(body: &[u8], status: UserStatus) -> Result<News, Unreadable> {
    let OfUser { user } = read(body)?;
    Ok(UserId::try_from(user.id).map_or(News::Other, |id| News::User(id, status)))
}

fn report(body: &[u8]) -> Result<News, Unreadable> {
    /// The most that is kept of each part, in bytes.
    const FIGURES: usize = 128 * 1024;
    let ReportReady { call_cid, session_id, counts, participants_overview } = read(body)?;
    // A thousand participants take more room than an item has, and are no call of ours.
    let participants = participants_overview.map(RawValue::get).filter(|it| it.len() <= FIGURES);
    let participants = participants.unwrap_or("null");
    let figures = counts
        .filter(|counts| counts.get().len() <= FIGURES)
        .map(|counts| format!(r#"{{"counts":{},"participants":{participants}}}"#, counts.get()));
    let report = Report { session: session_id, figures };
    Ok(of_call(&call_cid, CallNews::Report(report)))
}

fn rating(body: &[u8]) -> Result<News, Unreadable> {
    /// As long as Stream takes one.
    const REASON: usize = 1_000;
    let Feedback { call_cid, session_id, rating, reason, user } = read(body)?;
    let Ok(user) = UserId::try_from(user.id) else { return Ok(News::Other) };
    let reason = reason.map(|reason| reason.chars().take(REASON).collect());
    if !(1..=5).contains(&rating) {
        return Ok(News::Other);
    }
    let rating = Rating { session: session_id, user, rating, reason };
    Ok(of_call(&call_cid, CallNews::Rating(rating)))
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

    fn news(mut body: Value) -> News {
        body["created_at"] = json!("2026-01-01T00:00:09.123456789Z");
        Event::read(body.to_string().as_bytes()).unwrap().news
    }

    #[test]
    fn events_of_calls() {
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
            (event("call.session_started"), CallNews::Started(now)),
            (with("call.session_started", "call", started), CallNews::Started(at(5))),
            (
                with(
                    "call.session_participant_joined",
                    "participant",
                    json!({"joined_at": 1_767_225_607_000_000_000_i64}),
                ),
                CallNews::Started(at(7)),
            ),
            (event("call.session_participant_joined"), CallNews::Started(now)),
            (event("call.session_participant_left"), CallNews::Left),
            (event("call.session_ended"), CallNews::SessionEnded),
            (event("call.missed"), CallNews::Declined),
            (event("call.rejected"), CallNews::Declined),
            (event("call.deleted"), CallNews::Gone),
            (event("call.ended"), CallNews::Ended(now)),
            (
                with("call.ended", "call", json!({"ended_at": "2026-01-01T00:00:08Z"})),
                CallNews::Ended(at(8)),
            ),
            (
                event("call.stats_report_ready"),
                CallNews::Report(Report {
                    session: SessionId::try_from("s1".to_owned()).unwrap(),
                    figures: None,
                }),
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(news(event.clone()), News::Call(id(), expected), "{event}");
        }
        for (cid, kind) in [
            ("livestream:c1", "call.ended"),
            ("default:a/b", "call.ended"),
            ("c1", "call.ended"),
            ("default:c1", "call.sneezed"),
        ] {
            assert_eq!(news(json!({"type": kind, "call_cid": cid})), News::Other, "{cid} {kind}");
        }
    }

    #[test]
    fn statistics_are_kept_as_they_come() {
        let event = json!({
            "type": "call.stats_report_ready",
            "call_cid": "default:c1",
            "session_id": "s1",
            "counts": {"participants": 2},
            "participants_overview": [],
        });
        let News::Call(_, CallNews::Report(report)) = news(event) else { unreachable!() };
        let figures = r#"{"counts":{"participants":2},"participants":[]}"#;
        assert_eq!(report.figures.as_deref(), Some(figures));
    }

    #[test]
    fn ratings_are_one_to_five() {
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
        let News::Call(_, CallNews::Rating(rating)) = news(event(json!(4))) else { unreachable!() };
        assert_eq!((rating.rating, rating.user.as_str()), (4, "alice"));
        assert_eq!(rating.reason.map(|reason| reason.len()), Some(1_000));
        for other in [0, 6] {
            assert_eq!(news(event(json!(other))), News::Other);
        }
        let mut odd = event(json!(-1));
        odd["created_at"] = json!(0);
        assert!(Event::read(odd.to_string().as_bytes()).is_err());
    }

    #[test]
    fn events_of_channels_and_users() {
        let deleted = |cid: &str| news(json!({"type": "channel.deleted", "cid": cid}));
        assert_eq!(deleted("messaging:call-c1"), News::Call(id(), CallNews::Gone));
        let parts = json!({"type": "channel.deleted", "channel_type": "messaging", "channel_id": "call-c1"});
        assert_eq!(news(parts), News::Call(id(), CallNews::Gone));
        for other in ["team:call-c1", "messaging:c1", "messaging:call-", "call-c1", ""] {
            assert_eq!(deleted(other), News::Other, "{other}");
        }
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        for (kind, status) in [
            ("user.deactivated", UserStatus::Deactivated),
            ("user.reactivated", UserStatus::Active),
            ("user.deleted", UserStatus::Deleted),
        ] {
            let event = json!({"type": kind, "user": {"id": "alice"}});
            assert_eq!(news(event), News::User(alice.clone(), status));
        }
    }

    #[test]
    fn what_is_heard_is_listed_and_documented() {
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
        for kind in HEARD {
            assert_ne!(news(event(kind)), News::Other, "{kind}");
            assert!(setup.contains(&format!("`{kind}`")), "{kind}");
        }
        for kind in ["call.created", "message.new", "user.updated"] {
            assert_eq!(news(event(kind)), News::Other, "{kind}");
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for time in ["\"2026-01-01T00:00:09.5Z\"", "1767225609500000000"] {
            let body = format!(
                r#"{{"type":"call.session_ended","call_cid":"default:c1","created_at":{time}}}"#
            );
            let event = Event::read(body.as_bytes()).unwrap();
            assert_eq!(event.at, Timestamp::from_millis(1_767_225_609_500));
        }
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
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
            assert!(Event::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
