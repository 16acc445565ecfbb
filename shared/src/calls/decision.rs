//! Evaluates an active call: a pure function of the call item and the state at Stream.

use std::time::Duration;

use crate::calls::timeouts::{CallTimeouts, POLL_INTERVAL};
use crate::calls::{Call, EndReason, SystemEndReason};
use crate::clock::Timestamp;
use crate::stream::ops::{StreamCall, StreamSession};

/// Stream ends a call at its maximum duration. If it does not, the call ends this much later.
const GRACE_PERIOD: Duration = Duration::from_mins(1);
/// A call that was joined can be declined until this long after the end of the ring timeout.
const DECLINE_WINDOW: Duration = Duration::from_mins(2);

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::calls) enum Decision {
    /// The call continues, and is checked again at this time.
    Recheck(Timestamp),
    /// The call is over.
    End { reason: SystemEndReason, ended_at: Timestamp },
}

/// Evaluates an active call. `stream_call` is `None` if the call does not exist at Stream.
pub(in crate::calls) fn evaluate(
    call: &Call,
    stream_call: Option<&StreamCall>,
    timeouts: CallTimeouts,
    now: Timestamp,
) -> Decision {
    let end = |reason, ended_at: Timestamp| Decision::End { reason, ended_at: ended_at.min(now) };
    let Some(stream_call) = stream_call else { return end(EndReason::ENDED_AT_STREAM, now) };
    if let Some(ended) = stream_call.ended_at {
        return end(EndReason::ENDED_AT_STREAM, ended.0);
    }
    let active_at = call.active_at.unwrap_or(call.created_at);
    let session = stream_call.session.as_ref();
    let session_started_at = session.and_then(|session| session.started_at).map(|time| time.0);
    let started_at = match (call.joined_at(), session_started_at) {
        (Some(reported), Some(observed)) => Some(reported.min(observed)),
        (reported, observed) => reported.or(observed),
    };
    if let Some(ended) = session.and_then(|session| session.ended_at)
        && started_at.is_some()
    {
        return end(EndReason::LEFT, ended.0);
    }
    let ring_ends_at = active_at.plus(timeouts.ring_timeout);
    let is_past_decline_window = started_at.is_some() && now >= ring_ends_at.plus(DECLINE_WINDOW);
    if !is_past_decline_window && session.is_some_and(|session| is_declined(call, session)) {
        return end(EndReason::DECLINED, now);
    }
    if started_at.is_none() && now >= ring_ends_at {
        return end(EndReason::NOT_JOINED, now);
    }
    let max_end = started_at.unwrap_or(active_at).plus(timeouts.max_duration).plus(GRACE_PERIOD);
    if now >= max_end {
        return end(EndReason::TOO_LONG, now);
    }
    let next_check = if started_at.is_none() { ring_ends_at } else { max_end };
    Decision::Recheck(next_check.min(now.plus(POLL_INTERVAL)))
}

/// Whether all invited members have rejected or missed the call, and none of them takes part. A
/// member can join after rejecting and leave again, so this applies only within [`DECLINE_WINDOW`].
fn is_declined(call: &Call, session: &StreamSession) -> bool {
    let owner = call.owner.as_str();
    let is_owner_alone =
        session.participants.iter().flatten().all(|participant| participant.user.id == owner);
    let has_declined = |id: &str| {
        let rejected_or_missed =
            session.rejected_by.contains_key(id) || session.missed_by.contains_key(id);
        rejected_or_missed && !session.accepted_by.contains_key(id)
    };
    is_owner_alone
        && call.members.iter().filter(|id| **id != call.owner).all(|id| has_declined(id.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::test_support::active_call;

    const TIMEOUTS: CallTimeouts = CallTimeouts {
        max_duration: Duration::from_hours(1),
        ring_timeout: Duration::from_mins(2),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    /// A call of Alice (the owner), Bob and Carol, active since second 0.
    fn call() -> Call {
        active_call(&["alice", "bob", "carol"], at(0))
    }

    fn stream_call(ended: Option<i64>, session: &Value) -> StreamCall {
        let body = json!({
            "id": "c1",
            "type": "default",
            "created_by": {"id": "alice"},
            "ended_at": ended.map(|seconds| at(seconds).to_string()),
            "session": session,
        });
        serde_json::from_value(body).unwrap()
    }

    fn session(started: Option<i64>, ended: Option<i64>, present: &[&str]) -> Value {
        let present: Vec<_> = present.iter().map(|id| json!({"user": {"id": id}})).collect();
        json!({
            "id": "s1",
            "started_at": started.map(|seconds| at(seconds).to_string()),
            "ended_at": ended.map(|seconds| at(seconds).to_string()),
            "participants": present,
        })
    }

    #[test]
    fn active_call_is_evaluated_by_session_and_timeouts() {
        let recheck = |seconds| Decision::Recheck(at(seconds));
        let end = |reason, seconds| Decision::End { reason, ended_at: at(seconds) };
        let none = Value::Null;
        let not_joined = session(None, None, &[]);
        let joined = session(Some(10), None, &["alice", "bob"]);
        let cases = [
            // call at Stream, now, expected decision
            (Some(stream_call(None, &none)), 0, recheck(120)),
            (Some(stream_call(None, &none)), 119, recheck(120)),
            (Some(stream_call(None, &none)), 120, end(EndReason::NOT_JOINED, 120)),
            (Some(stream_call(None, &not_joined)), 120, end(EndReason::NOT_JOINED, 120)),
            (Some(stream_call(None, &joined)), 120, recheck(360)),
            (Some(stream_call(None, &joined)), 3_600, recheck(3_670)),
            (Some(stream_call(None, &joined)), 3_670, end(EndReason::TOO_LONG, 3_670)),
            (Some(stream_call(Some(50), &joined)), 60, end(EndReason::ENDED_AT_STREAM, 50)),
            (Some(stream_call(Some(90), &none)), 60, end(EndReason::ENDED_AT_STREAM, 60)),
            (
                Some(stream_call(None, &session(Some(10), Some(50), &[]))),
                60,
                end(EndReason::LEFT, 50),
            ),
            (None, 60, end(EndReason::ENDED_AT_STREAM, 60)),
        ];
        for (stream_call, now, expected) in cases {
            assert_eq!(
                evaluate(&call(), stream_call.as_ref(), TIMEOUTS, at(now)),
                expected,
                "{stream_call:?} {now}"
            );
        }
    }

    #[test]
    fn recorded_start_outweighs_missing_session() {
        let started = Call { started_at: Some(at(5)), ..call() };
        let stream_call = stream_call(None, &Value::Null);
        assert_eq!(
            evaluate(&started, Some(&stream_call), TIMEOUTS, at(600)),
            Decision::Recheck(at(840))
        );
    }

    #[test]
    fn call_is_declined_when_every_invited_member_rejects_or_misses_it() {
        let cases = [
            // rejected, missed, accepted, present, now, declined
            (&["bob", "carol"][..], &[][..], &[][..], &["alice"][..], 60, true),
            (&["bob"], &["carol"], &[], &[], 60, true),
            (&[], &["bob", "carol"], &[], &["alice"], 239, true),
            (&[], &["bob", "carol"], &[], &["alice"], 240, false),
            (&[], &["bob", "carol"], &["bob"], &["alice"], 60, false),
            (&["bob"], &[], &[], &["alice"], 60, false),
            (&["bob", "carol"], &[], &[], &["alice", "carol"], 60, false),
            (&[], &[], &[], &["alice"], 60, false),
        ];
        for (rejected, missed, accepted, present, now, is_declined) in cases {
            let mut session_json = session(Some(10), None, present);
            let user_map = |names: &[&str]| -> Value {
                names.iter().map(|name| ((*name).to_owned(), json!(1))).collect()
            };
            session_json["rejected_by"] = user_map(rejected);
            session_json["missed_by"] = user_map(missed);
            session_json["accepted_by"] = user_map(accepted);
            let decision =
                evaluate(&call(), Some(&stream_call(None, &session_json)), TIMEOUTS, at(now));
            let end = Decision::End { reason: EndReason::DECLINED, ended_at: at(now) };
            assert_eq!(decision == end, is_declined, "{rejected:?} {missed:?} {present:?}");
        }
    }
}
