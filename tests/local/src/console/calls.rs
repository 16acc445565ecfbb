//! The calls of the table, with the reason of their next check.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::presence::{duration_millis, talk_millis, talk_times};
use super::state::{rfc3339_of_millis, whole_millis};
use super::stored_call::StoredCall;
use super::{Console, json_value};
use crate::control::message_response;
use crate::http_server::HttpResponse;

/// The number of calls in a response.
const MAX_CALLS: usize = 100;

/// How far the due time may differ from the time of its reason.
const TOLERANCE_MILLIS: i64 = 1_500;

/// The timeouts of calls, by the variables of the stack. `docs/CONFIGURATION.md` has the defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    ring: i64,
    alone: i64,
    inactivity: i64,
    max_duration: i64,
}

impl Timeouts {
    fn new(variable: impl Fn(&str) -> Option<u64>) -> Self {
        let millis = |name: &str, default: u64| {
            whole_millis(Duration::from_secs(variable(name).unwrap_or(default)))
        };
        Self {
            ring: millis("CALL_RING_TIMEOUT_SECONDS", 120),
            alone: millis("CALL_ALONE_TIMEOUT_SECONDS", 60),
            inactivity: millis("CALL_INACTIVITY_TIMEOUT_SECONDS", 300),
            max_duration: millis("CALL_MAX_DURATION_SECONDS", 4 * 60 * 60),
        }
    }
}

impl Console {
    /// The newest calls.
    pub(super) async fn calls(&self) -> HttpResponse {
        let items = match self.dynamo.scan_calls().await {
            Ok(items) => items,
            Err(error) => {
                return message_response(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
            }
        };
        let mut calls: Vec<StoredCall> = items.iter().filter_map(StoredCall::parse).collect();
        calls.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.call_id.cmp(&a.call_id)));
        calls.truncate(MAX_CALLS);
        let timeouts =
            Timeouts::new(|name| self.variables.get(name).and_then(|value| value.parse().ok()));
        let now = whole_millis(
            self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
        );
        let calls: Vec<Value> = calls.iter().map(|call| view(call, timeouts, now)).collect();
        json_value(&json!({ "calls": calls }))
    }
}

/// The JSON of a call. The figures of an ended call are provisional until it is settled, and those
/// of an active call are the ones up to now.
fn view(call: &StoredCall, timeouts: Timeouts, now: i64) -> Value {
    let intervals = call.presence.intervals();
    let times = talk_times(&intervals, call.ending_at.unwrap_or(now));
    let settlement = call.settlement.as_ref();
    let answered_at = settlement.map_or(call.first_answered_at, |it| it.answered_at);
    let talk = settlement.map_or_else(|| talk_millis(&times), |it| it.talk_millis);
    let duration = settlement.map_or_else(|| duration_millis(&times), |it| it.duration_millis);
    let mut view = json!({
        "callId": call.call_id,
        "channelId": format!("call-{}", call.call_id),
        "status": call.state,
        "creator": call.owner,
        "members": call.members,
        "createdAt": rfc3339_of_millis(call.created_at),
        "settled": settlement.is_some(),
        "due": call.due_at.map(|at| {
            json!({ "at": rfc3339_of_millis(at), "reason": due_reason(call, timeouts, at) })
        }),
        "presence": intervals.iter().map(|interval| {
            let mut entry =
                json!({ "user": interval.user, "from": rfc3339_of_millis(interval.from) });
            // An interval without a leave lasts until the end of the call.
            if let Some(to) = interval.to.or(call.ending_at) {
                entry["to"] = json!(rfc3339_of_millis(to));
            }
            entry
        }).collect::<Vec<_>>(),
        "ringing": is_ringing(call, timeouts, now),
    });
    let time = |at: Option<i64>| at.map(|at| json!(rfc3339_of_millis(at)));
    let optional = [
        ("callType", call.call_type.as_ref().map(|it| json!(it))),
        ("startedAt", time(call.started_at)),
        ("answeredAt", time(answered_at)),
        ("endedAt", time(call.ending_at)),
        ("endReason", call.end_reason.as_ref().map(|it| json!(it))),
        ("endedBy", call.ended_by.as_ref().map(|it| json!(it.name()))),
        ("durationSeconds", call.ending_at.map(|_| json!(seconds(duration)))),
        ("talkSeconds", (call.active_at.is_some()).then(|| json!(seconds(talk)))),
        ("failedTries", call.tries.map(|it| json!(it))),
    ];
    let present = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    if let Value::Object(members) = &mut view {
        members.extend(present.collect::<Map<_, _>>());
    }
    view
}

/// Rounds to whole seconds, as the API does.
fn seconds(millis: i64) -> i64 {
    (millis + 500).div_euclid(1_000)
}

/// Whether the phones of the callees ring: none of them has responded yet.
fn is_ringing(call: &StoredCall, timeouts: Timeouts, now: i64) -> bool {
    let is_callee = |user: &str| user != call.owner;
    let has_callee_joined =
        call.presence.intervals().iter().any(|interval| is_callee(&interval.user));
    let is_recent = call.last_rung_at.is_some_and(|rung| now < rung + timeouts.ring);
    call.state == "active" && is_recent && !has_callee_joined && call.rejects.is_empty()
}

/// Why the sweeper checks the call at this time.
fn due_reason(call: &StoredCall, timeouts: Timeouts, due_at: i64) -> &'static str {
    match call.state.as_str() {
        "creating" => "the creation ends here unless it completes",
        "active" => active_reason(call, timeouts, due_at),
        "ending" => "the cleanup at Stream is repeated",
        "ended" if call.active_at.is_some() && call.settlement.is_none() => {
            "the talk time becomes final"
        }
        _ => "a check that nothing is left at Stream",
    }
}

/// An active call is due when the next timeout can end it, or else after some minutes.
fn active_reason(call: &StoredCall, timeouts: Timeouts, due_at: i64) -> &'static str {
    let intervals = call.presence.intervals();
    let open: Vec<&str> = intervals
        .iter()
        .filter(|interval| interval.to.is_none())
        .map(|interval| interval.user.as_str())
        .collect();
    let last_leave = intervals.iter().filter_map(|interval| interval.to).max();
    let is_alone = !open.is_empty() && open.iter().all(|user| *user == open[0]);
    let has_callee_joined = intervals.iter().any(|interval| interval.user != call.owner);
    let max_duration =
        call.max_duration_seconds.map_or(timeouts.max_duration, |seconds| seconds * 1_000);
    let candidates = [
        (call.started_at.map(|at| at + max_duration), "the call reaches its maximum duration"),
        (
            last_leave.filter(|_| open.is_empty()).map(|at| at + timeouts.inactivity),
            "the call ends unless a member comes back",
        ),
        (
            last_leave.filter(|_| is_alone && timeouts.alone > 0).map(|at| at + timeouts.alone),
            "the call ends unless the other member comes back",
        ),
        (
            call.active_at.filter(|_| !has_callee_joined).map(|at| at + timeouts.ring),
            "the call ends unless a called member joins",
        ),
    ];
    let is_reason = |at: &Option<i64>| at.is_some_and(|at| (at - due_at).abs() <= TOLERANCE_MILLIS);
    let reason = candidates.into_iter().find(|(at, _)| is_reason(at));
    reason.map_or("a regular check at Stream, in case a webhook was lost", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts() -> Timeouts {
        Timeouts::new(|_| None)
    }

    fn call(item: &Value) -> StoredCall {
        let mut call = json!({
            "callId": "c1", "owner": "alice", "members": ["alice", "bob"], "state": "active",
            "createdAt": 1_000, "activeAt": 1_100,
        });
        call.as_object_mut().unwrap().extend(item.as_object().unwrap().clone());
        serde_json::from_value(call).unwrap()
    }

    fn presence(intervals: &Value) -> Value {
        json!({"users": ["alice", "bob"], "intervals": intervals})
    }

    #[test]
    fn due_time_has_its_reason() {
        let both_left =
            presence(&json!([[0, "a", 2_000, 500, 0, null], [1, "b", 2_000, 900, 0, null]]));
        let one_left =
            presence(&json!([[0, "a", 2_000, null, 0, null], [1, "b", 2_000, 900, 0, null]]));
        let both_in =
            presence(&json!([[0, "a", 2_000, null, 0, null], [1, "b", 2_000, null, 0, null]]));
        for (item, due_at, expected) in [
            (json!({"state": "creating"}), 31_000, "the creation ends here unless it completes"),
            (json!({}), 121_100, "the call ends unless a called member joins"),
            (json!({"presence": both_left}), 302_900, "the call ends unless a member comes back"),
            (
                json!({"presence": one_left}),
                62_900,
                "the call ends unless the other member comes back",
            ),
            (
                json!({"presence": both_in, "startedAt": 2_000, "maxDurationSeconds": 60}),
                62_000,
                "the call reaches its maximum duration",
            ),
            (
                json!({"presence": both_in, "startedAt": 2_000}),
                242_000,
                "a regular check at Stream, in case a webhook was lost",
            ),
            (json!({"state": "ending"}), 5_000, "the cleanup at Stream is repeated"),
            (json!({"state": "ended"}), 5_000, "the talk time becomes final"),
            (
                json!({"state": "ended", "settlement": {"talkMillis": 1}}),
                5_000,
                "a check that nothing is left at Stream",
            ),
        ] {
            assert_eq!(due_reason(&call(&item), timeouts(), due_at), expected, "{item}");
        }
    }

    #[test]
    fn phones_ring_until_a_callee_responds() {
        let owner_in = presence(&json!([[0, "a", 2_000, null, 0, null]]));
        let callee_in = presence(&json!([[1, "b", 2_000, null, 0, null]]));
        for (item, now, expected) in [
            (json!({}), 2_000, false),
            (json!({"lastRungAt": 1_100}), 2_000, true),
            (json!({"lastRungAt": 1_100, "presence": owner_in}), 2_000, true),
            (json!({"lastRungAt": 1_100, "presence": callee_in}), 2_000, false),
            (json!({"lastRungAt": 1_100, "rejects": {"bob": {"explicit": 1}}}), 2_000, false),
            (json!({"lastRungAt": 1_100}), 121_100, false),
            (json!({"lastRungAt": 1_100, "state": "ended"}), 2_000, false),
        ] {
            assert_eq!(is_ringing(&call(&item), timeouts(), now), expected, "{item} at {now}");
        }
    }

    #[test]
    fn figures_are_final_once_settled() {
        let ended = json!({
            "state": "ended", "endingAt": 9_000, "startedAt": 2_000, "firstAnsweredAt": 3_000,
            "endReason": "left", "endedBy": {"kind": "user", "userId": "bob"},
            "presence": presence(&json!([[0, "a", 2_000, null, 0, null], [1, "b", 3_000, 4_600, 0, null]])),
        });
        let view_of = |item: &Value| view(&call(item), timeouts(), 99_000);
        let provisional = view_of(&ended);
        assert_eq!(
            (&provisional["talkSeconds"], &provisional["settled"]),
            (&json!(5), &json!(false))
        );
        assert_eq!(provisional["answeredAt"], "1970-01-01T00:00:03Z");
        assert_eq!(provisional["endedBy"], "bob");
        assert_eq!(provisional["presence"][1]["to"], "1970-01-01T00:00:07.6Z");
        assert_eq!(provisional["presence"][0]["to"], "1970-01-01T00:00:09Z");
        let mut settled = ended;
        settled["settlement"] =
            json!({"answeredAt": 3_100, "durationMillis": 4_499, "talkMillis": 4_400});
        let view = view_of(&settled);
        assert_eq!((&view["talkSeconds"], &view["durationSeconds"]), (&json!(4), &json!(4)));
        assert_eq!(view["answeredAt"], "1970-01-01T00:00:03.1Z");
        assert_eq!(view["due"], Value::Null);
    }
}
