//! `POST /api/v2/video/call_stats`: reads the sessions of a call.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ids::{CallCid, SessionId};
use crate::stream::lenient::{cursor, page_entries, readable};
use crate::stream::{Operation, Request};

/// Reads a page of the sessions of a call that have statistics.
#[derive(Debug)]
pub struct QueryCallSessionStats<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The cursor in the previous response.
    pub next: Option<&'a str>,
}

impl QueryCallSessionStats<'_> {
    /// The maximum number of sessions in a response.
    pub const PAGE_SIZE: usize = 100;
}

/// The response.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CallSessionStatsPage {
    /// The sessions. `None` is one that cannot be read.
    #[serde(rename = "call_stats", deserialize_with = "page_entries")]
    pub sessions: Vec<Option<CallSessionStats>>,
    /// The cursor of the next page, or `None` on the last page.
    #[serde(default, deserialize_with = "cursor")]
    pub next: Option<String>,
}

/// A session of a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CallSessionStats {
    /// Stream's id of the session.
    pub call_session_id: String,
    /// The call type. `None` if it is missing or unreadable.
    #[serde(default, deserialize_with = "readable")]
    pub call_type: Option<String>,
    /// The id of the call, without the type. `None` if it is missing or unreadable.
    #[serde(default, deserialize_with = "readable")]
    pub call_id: Option<String>,
}

impl CallSessionStats {
    /// Whether the session belongs to the call. A session without a call does, because the request
    /// filters by the call.
    fn is_of(&self, cid: &CallCid) -> bool {
        self.call_type.as_deref().is_none_or(|call_type| call_type == cid.call_type.as_str())
            && self.call_id.as_deref().is_none_or(|id| id == cid.id.as_str())
    }
}

impl CallSessionStatsPage {
    /// The valid ids of the call's sessions, in the order of the response. Sessions that name
    /// another call are left out.
    #[must_use]
    pub fn session_ids(&self, cid: &CallCid) -> Vec<SessionId> {
        let sessions = self.sessions.iter().flatten().filter(|session| session.is_of(cid));
        sessions
            .filter_map(|session| SessionId::try_from(session.call_session_id.clone()).ok())
            .collect()
    }
}

impl Operation for QueryCallSessionStats<'_> {
    type Response = CallSessionStatsPage;

    fn request(&self) -> Request {
        let mut body = json!({
            "filter_conditions": {"call_cid": self.cid.to_string()},
            "limit": Self::PAGE_SIZE,
        });
        if let Some(next) = self.next {
            body["next"] = Value::from(next);
        }
        Request::new(Method::POST, &["video", "call_stats"]).json(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Idempotency;

    fn cid() -> CallCid {
        CallCid::try_from("default:c1").unwrap()
    }

    fn parse(body: &Value) -> Option<CallSessionStatsPage> {
        serde_json::from_str(&body.to_string()).ok()
    }

    fn session_ids(entries: &Value) -> Vec<String> {
        let page = parse(&json!({"call_stats": entries})).unwrap();
        page.session_ids(&cid()).iter().map(SessionId::to_string).collect()
    }

    #[test]
    fn request_names_the_call_and_the_cursor() {
        let cid = cid();
        for (next, expected) in [
            (None, json!({"filter_conditions": {"call_cid": "default:c1"}, "limit": 100})),
            (
                Some("n1"),
                json!({
                    "filter_conditions": {"call_cid": "default:c1"}, "limit": 100, "next": "n1",
                }),
            ),
        ] {
            let request = QueryCallSessionStats { cid: &cid, next }.request();
            assert_eq!(request.path, "/api/v2/video/call_stats");
            assert!(request.query.is_empty());
            assert_eq!(
                (request.method, request.idempotency),
                (Method::POST, Idempotency::Idempotent)
            );
            let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn full_response_is_read() {
        let page = parse(&json!({
            "duration": "12.3ms",
            "call_stats": [{
                "call_id": "c1",
                "call_session_id": "s1",
                "call_type": "default",
                "generated_at": 1_767_225_600_000_000_000_i64,
                "counts": {"participants": 2, "sessions": 3},
                "call_ended_at": null,
                "call_started_at": 1_767_225_600_000_000_000_i64,
            }],
            "next": "n1",
            "prev": null,
        }))
        .unwrap();
        let session = CallSessionStats {
            call_session_id: "s1".to_owned(),
            call_type: Some("default".to_owned()),
            call_id: Some("c1".to_owned()),
        };
        let expected =
            CallSessionStatsPage { sessions: vec![Some(session)], next: Some("n1".to_owned()) };
        assert_eq!(page, expected);
    }

    #[test]
    fn sessions_of_other_calls_and_invalid_ids_are_left_out() {
        let entry = |session: &str, call_type: Value, id: Value| {
            json!({
                "call_session_id": session, "call_type": call_type, "call_id": id,
            })
        };
        let entries = json!([
            entry("s2", json!("default"), json!("c1")),
            entry("of-another-id", json!("default"), json!("c2")),
            entry("of-another-type", json!("livestream"), json!("c1")),
            entry("s1", json!(null), json!(null)),
            entry("s4", json!(7), json!(["c1"])),
            entry("of-another-id-without-type", json!(null), json!("c2")),
            {"call_session_id": "s3"},
            {"call_session_id": "a/b"},
            {"call_session_id": ""},
        ]);
        assert_eq!(session_ids(&entries), ["s2", "s1", "s4", "s3"]);
    }

    #[test]
    fn unreadable_session_is_counted() {
        let entries = json!([
            {"call_type": "default", "call_id": "c1"},
            {"call_session_id": 7},
            null,
            {"call_session_id": "s1"},
        ]);
        let page = parse(&json!({"call_stats": entries})).unwrap();
        let is_readable: Vec<_> = page.sessions.iter().map(Option::is_some).collect();
        assert_eq!(is_readable, [false, false, false, true]);
        assert_eq!(session_ids(&entries), ["s1"]);
        for (body, count) in [
            (json!({"call_stats": []}), Some(0)),
            (json!({"call_stats": null}), Some(0)),
            (json!({"call_stats": {}}), None),
            (json!({}), None),
        ] {
            assert_eq!(parse(&body).map(|page| page.sessions.len()), count, "{body}");
        }
    }

    #[test]
    fn last_page_has_no_cursor() {
        for (next, expected) in [
            (json!("n1"), Some(Some("n1"))),
            (json!(""), Some(None)),
            (json!(null), Some(None)),
            (json!(7), None),
        ] {
            let page = parse(&json!({"call_stats": [], "next": next}));
            assert_eq!(page.as_ref().map(|page| page.next.as_deref()), expected, "{next}");
        }
        assert_eq!(parse(&json!({"call_stats": []})).unwrap().next, None);
    }
}
