//! `GET /api/v2/video/call/{type}/{id}/session/{session}/participant_sessions`: reads when each
//! participant of a session joined and left.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::ids::{CallCid, SessionId};
use crate::stream::lenient::{cursor, page_entries, readable};
use crate::stream::{Operation, Request, StreamTime};

/// A longer duration of a participant session is invalid.
const MAX_DURATION: Duration = Duration::from_hours(30 * 24);

/// Reads a page of the participant sessions of a session.
#[derive(Debug)]
pub struct QueryCallParticipantSessions<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The session of the call.
    pub session: &'a SessionId,
    /// The cursor in the previous response.
    pub next: Option<&'a str>,
}

impl QueryCallParticipantSessions<'_> {
    /// The maximum number of participant sessions in a response.
    pub const PAGE_SIZE: usize = 100;
}

/// The response.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ParticipantSessionsPage {
    /// The participant sessions. `None` is one that cannot be read.
    #[serde(rename = "participants_sessions", deserialize_with = "page_entries")]
    pub sessions: Vec<Option<ParticipantSession>>,
    /// The number of participant sessions on all pages. `None` if it is missing or unreadable.
    #[serde(default, rename = "total_participant_sessions", deserialize_with = "readable")]
    pub total: Option<u64>,
    /// The cursor of the next page, or `None` on the last page.
    #[serde(default, deserialize_with = "cursor")]
    pub next: Option<String>,
}

/// One period of a user in a session of a call. An unreadable time or duration is `None`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ParticipantSession {
    /// The id of the user.
    pub user_id: String,
    /// The id of the client's session, which it keeps across reconnects.
    pub user_session_id: String,
    /// When the participant joined.
    #[serde(default, deserialize_with = "readable")]
    pub joined_at: Option<StreamTime>,
    /// When the participant left.
    #[serde(default, deserialize_with = "readable")]
    pub left_at: Option<StreamTime>,
    /// The duration in seconds, as Stream sends it. [`ParticipantSession::duration`] validates it.
    #[serde(default, deserialize_with = "readable")]
    pub duration_in_seconds: Option<f64>,
}

impl ParticipantSession {
    /// The duration, rounded to milliseconds. `None` if it is missing, negative, not a number, or
    /// longer than 30 days.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let exact = Duration::try_from_secs_f64(self.duration_in_seconds?).ok()?;
        if exact > MAX_DURATION {
            return None;
        }
        let rounded = exact + Duration::from_micros(500);
        u64::try_from(rounded.as_millis()).ok().map(Duration::from_millis)
    }
}

impl Operation for QueryCallParticipantSessions<'_> {
    type Response = ParticipantSessionsPage;

    fn request(&self) -> Request {
        let CallCid { call_type, id } = self.cid;
        let session = self.session.as_str();
        let segments = [
            "video",
            "call",
            call_type.as_str(),
            id.as_str(),
            "session",
            session,
            "participant_sessions",
        ];
        let request =
            Request::new(Method::GET, &segments).query("limit", Self::PAGE_SIZE.to_string());
        match self.next {
            Some(next) => request.query("next", next),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::stream::Idempotency;
    use crate::test_support::START;

    fn parse(body: &Value) -> Option<ParticipantSessionsPage> {
        serde_json::from_str(&body.to_string()).ok()
    }

    /// A participant session with the ids only.
    fn minimal_session() -> ParticipantSession {
        ParticipantSession {
            user_id: "alice".to_owned(),
            user_session_id: "u1".to_owned(),
            joined_at: None,
            left_at: None,
            duration_in_seconds: None,
        }
    }

    fn minimal_entry() -> Value {
        json!({"user_id": "alice", "user_session_id": "u1"})
    }

    #[test]
    fn request_names_the_session_and_the_cursor() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let session = SessionId::try_from("s1".to_owned()).unwrap();
        let first =
            QueryCallParticipantSessions { cid: &cid, session: &session, next: None }.request();
        assert_eq!(first.path, "/api/v2/video/call/default/c1/session/s1/participant_sessions");
        assert_eq!(first.query, [("limit", "100".to_owned())]);
        assert_eq!(
            (first.method, first.idempotency, first.body),
            (Method::GET, Idempotency::Idempotent, None)
        );
        let next = Some("n1&x=y");
        let second = QueryCallParticipantSessions { cid: &cid, session: &session, next }.request();
        assert_eq!(second.query, [("limit", "100".to_owned()), ("next", "n1&x=y".to_owned())]);
        assert_eq!(second.path, first.path);
    }

    #[test]
    fn full_response_is_read() {
        let page = parse(&json!({
            "call_id": "c1",
            "call_session_id": "s1",
            "call_type": "default",
            "duration": 12,
            "total_participant_duration": 151,
            "total_participant_sessions": 2,
            "participants_sessions": [
                {
                    "publisher_type": "webrtc",
                    "user_id": "alice",
                    "user_session_id": "u1",
                    "roles": ["call_member"],
                    "duration_in_seconds": 90,
                    "joined_at": 1_767_225_600_000_000_000_i64,
                    "left_at": 1_767_225_690_000_000_000_i64,
                },
                {
                    "publisher_type": "webrtc",
                    "user_id": "bob",
                    "user_session_id": "u2",
                    "roles": null,
                    "duration_in_seconds": 61.2346,
                    "joined_at": "2026-01-01T00:00:00Z",
                },
            ],
            "next": "n1",
            "prev": null,
            "session": {"id": "s1"},
        }))
        .unwrap();
        let alice = ParticipantSession {
            joined_at: Some(StreamTime(START)),
            left_at: Some(StreamTime(START.plus(Duration::from_secs(90)))),
            duration_in_seconds: Some(90.0),
            ..minimal_session()
        };
        let bob = ParticipantSession {
            user_id: "bob".to_owned(),
            user_session_id: "u2".to_owned(),
            joined_at: Some(StreamTime(START)),
            left_at: None,
            duration_in_seconds: Some(61.2346),
        };
        assert_eq!(alice.duration(), Some(Duration::from_secs(90)));
        assert_eq!(bob.duration(), Some(Duration::from_millis(61_235)));
        let expected = ParticipantSessionsPage {
            sessions: vec![Some(alice), Some(bob)],
            total: Some(2),
            next: Some("n1".to_owned()),
        };
        assert_eq!(page, expected);
    }

    #[test]
    fn missing_null_and_unreadable_fields_are_none() {
        let page = parse(&json!({"participants_sessions": [minimal_entry()]})).unwrap();
        assert_eq!(page.sessions, [Some(minimal_session())]);
        for field in ["joined_at", "left_at", "duration_in_seconds"] {
            for value in [json!(null), json!("soon"), json!(true), json!([1]), json!({})] {
                let mut entry = minimal_entry();
                entry[field] = value;
                let page = parse(&json!({"participants_sessions": [entry]})).unwrap();
                assert_eq!(page.sessions, [Some(minimal_session())], "{field} {entry}");
            }
        }
        let too_large =
            r#"{"user_id": "alice", "user_session_id": "u1", "duration_in_seconds": 1e999}"#;
        let session: ParticipantSession = serde_json::from_str(too_large).unwrap();
        assert_eq!(session, minimal_session());
    }

    #[test]
    fn unreadable_field_does_not_affect_the_others() {
        let mut entry = minimal_entry();
        entry["joined_at"] = json!("soon");
        entry["left_at"] = json!("2026-01-01T00:00:00Z");
        entry["duration_in_seconds"] = json!(1.5);
        let page = parse(&json!({"participants_sessions": [entry]})).unwrap();
        let expected = ParticipantSession {
            left_at: Some(StreamTime(START)),
            duration_in_seconds: Some(1.5),
            ..minimal_session()
        };
        assert_eq!(page.sessions, [Some(expected)]);
    }

    #[test]
    fn unreadable_session_is_counted() {
        let entries = json!([
            {"user_id": "alice"},
            {"user_id": 7, "user_session_id": "u1"},
            null,
            "alice",
            minimal_entry(),
        ]);
        let page = parse(&json!({"participants_sessions": entries})).unwrap();
        assert_eq!(page.sessions, [None, None, None, None, Some(minimal_session())]);
        for (body, count) in [
            (json!({"participants_sessions": []}), Some(0)),
            (json!({"participants_sessions": null}), Some(0)),
            (json!({"participants_sessions": {}}), None),
            (json!({}), None),
        ] {
            assert_eq!(parse(&body).map(|page| page.sessions.len()), count, "{body}");
        }
    }

    #[test]
    fn total_and_cursor_are_optional() {
        for (total, expected) in [
            (json!(0), Some(0)),
            (json!(250), Some(250)),
            (json!(null), None),
            (json!("250"), None),
            (json!(-1), None),
        ] {
            let body = json!({"participants_sessions": [], "total_participant_sessions": total});
            assert_eq!(parse(&body).unwrap().total, expected, "{body}");
        }
        for (next, expected) in [
            (json!("n1"), Some(Some("n1"))),
            (json!(""), Some(None)),
            (json!(null), Some(None)),
            (json!(7), None),
        ] {
            let page = parse(&json!({"participants_sessions": [], "next": next}));
            assert_eq!(page.as_ref().map(|page| page.next.as_deref()), expected, "{next}");
        }
        let page = parse(&json!({"participants_sessions": []})).unwrap();
        assert_eq!((page.total, page.next), (None, None));
    }

    #[test]
    fn duration_is_rounded_to_milliseconds_and_bounded() {
        for (seconds, millis) in [
            (Some(90.0), Some(90_000)),
            (Some(0.0), Some(0)),
            (Some(0.0004), Some(0)),
            (Some(61.2344), Some(61_234)),
            (Some(61.2346), Some(61_235)),
            (Some(2_592_000.0), Some(2_592_000_000)),
            (Some(2_592_000.001), None),
            (Some(1e300), None),
            (Some(-0.001), None),
            (Some(-90.0), None),
            (Some(f64::NAN), None),
            (Some(f64::INFINITY), None),
            (None, None),
        ] {
            let session = ParticipantSession { duration_in_seconds: seconds, ..minimal_session() };
            assert_eq!(session.duration(), millis.map(Duration::from_millis), "{seconds:?}");
        }
    }
}
