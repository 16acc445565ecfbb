//! A call item of the table, as `docs/DATA.md` describes it. The implementation is independent of
//! the code under test.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::presence::Interval;

/// A call. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StoredCall {
    pub(super) call_id: String,
    pub(super) owner: String,
    pub(super) members: Vec<String>,
    pub(super) call_type: Option<String>,
    pub(super) state: String,
    pub(super) created_at: i64,
    pub(super) active_at: Option<i64>,
    pub(super) started_at: Option<i64>,
    pub(super) first_answered_at: Option<i64>,
    pub(super) last_rung_at: Option<i64>,
    pub(super) ending_at: Option<i64>,
    pub(super) end_reason: Option<String>,
    pub(super) ended_by: Option<StoredActor>,
    pub(super) max_duration_seconds: Option<i64>,
    pub(super) settlement: Option<StoredSettlement>,
    pub(super) presence: StoredPresence,
    pub(super) rejects: BTreeMap<String, Value>,
    pub(super) due_at: Option<i64>,
    pub(super) tries: Option<i64>,
}

/// The actor who ended a call.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StoredActor {
    kind: String,
    user_id: Option<String>,
}

impl StoredActor {
    /// The user, or `service`, `system` or `stream`.
    pub(super) fn name(&self) -> &str {
        self.user_id.as_deref().unwrap_or(&self.kind)
    }
}

/// The final figures.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StoredSettlement {
    pub(super) answered_at: Option<i64>,
    pub(super) duration_millis: i64,
    pub(super) talk_millis: i64,
}

/// Who was in the call.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct StoredPresence {
    users: Vec<String>,
    intervals: Vec<StoredInterval>,
    leaves: Vec<StoredLeave>,
}

/// The index of the user, the session, the join, and after the join the leave, the last instant at
/// which the user was seen, and the first one at which not.
type StoredInterval = (usize, String, i64, Option<i64>, i64, Option<i64>);

/// A leave without a known join: the index of the user, the session, the time, and the duration.
type StoredLeave = (usize, String, i64, Option<i64>);

impl StoredCall {
    /// Reads an item in DynamoDB's JSON. `None` if it is no call.
    pub(super) fn parse(item: &Value) -> Option<Self> {
        serde_json::from_value(plain_object(item.as_object()?)).ok()
    }
}

impl StoredPresence {
    /// The intervals, in the order of their joins.
    pub(super) fn intervals(&self) -> Vec<Interval> {
        let user = |index: usize| self.users.get(index).cloned().unwrap_or_default();
        let mut intervals: Vec<Interval> = self
            .intervals
            .iter()
            .map(|(index, session, from, left, seen, missed)| Interval {
                user: user(*index),
                session: session.clone(),
                from: *from,
                to: left.or(missed.and(Some(*seen))).map(|offset| from + offset),
            })
            .collect();
        for (index, session, at, _) in &self.leaves {
            let user = user(*index);
            let is_left = |interval: &&mut Interval| {
                interval.user == user && interval.session == *session && interval.from <= *at
            };
            if let Some(interval) = intervals.iter_mut().filter(is_left).max_by_key(|it| it.from) {
                interval.to = Some(interval.to.map_or(*at, |to| to.min(*at)));
            }
        }
        intervals.sort_by_key(|interval| interval.from);
        intervals
    }
}

/// The attributes of an item as plain JSON.
fn plain_object(attributes: &Map<String, Value>) -> Value {
    attributes.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// A value of DynamoDB's JSON, such as `{"N": "1"}`, as plain JSON.
fn plain(value: &Value) -> Value {
    let Some((kind, content)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), content) {
        ("N", Value::String(number)) => serde_json::from_str(number).unwrap_or_default(),
        ("M", Value::Object(members)) => plain_object(members),
        ("L", Value::Array(entries)) => entries.iter().map(plain).collect(),
        ("NULL", _) => Value::Null,
        (_, content) => content.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn item_is_read() {
        let number = |number: i64| json!({"N": number.to_string()});
        let text = |text: &str| json!({"S": text});
        let null = json!({"NULL": true});
        let interval = |user: i64, session: &str, join: i64, left: &Value, missed: &Value| json!({"L": [number(user), text(session), number(join), left, number(3), missed]});
        let item = json!({
            "pk": text("CALL#c1"), "sk": text("CALL"), "callId": text("c1"),
            "owner": text("alice"), "members": {"L": [text("alice"), text("bob")]},
            "state": text("ending"), "createdAt": number(1_000), "dueAt": number(9_000),
            "parallel": {"BOOL": true},
            "endedBy": {"M": {"kind": text("user"), "userId": text("bob")}},
            "settlement": {"M": {"durationMillis": number(7), "talkMillis": number(5)}},
            "presence": {"M": {
                "version": number(4),
                "users": {"L": [text("alice"), text("bob")]},
                "intervals": {"L": [
                    interval(1, "s2", 2_000, &null, &null),
                    interval(0, "s1", 1_500, &number(100), &null),
                    interval(0, "s3", 1_700, &null, &number(50)),
                ]},
                "leaves": {"L": [{"L": [number(1), text("s2"), number(2_500), &null]}]},
            }},
        });
        let call = StoredCall::parse(&item).unwrap();
        assert_eq!((call.call_id.as_str(), call.state.as_str()), ("c1", "ending"));
        assert_eq!((call.created_at, call.due_at), (1_000, Some(9_000)));
        assert_eq!(call.ended_by.unwrap().name(), "bob");
        assert_eq!(call.settlement.unwrap().talk_millis, 5);
        let intervals: Vec<_> = call
            .presence
            .intervals()
            .into_iter()
            .map(|interval| (interval.user, interval.from, interval.to))
            .collect();
        let expected = [
            ("alice".to_owned(), 1_500, Some(1_600)),
            ("alice".to_owned(), 1_700, Some(1_703)),
            ("bob".to_owned(), 2_000, Some(2_500)),
        ];
        assert_eq!(intervals, expected);
        assert_eq!(StoredCall::parse(&json!("text")), None);
    }
}
