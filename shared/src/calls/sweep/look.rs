//! What a look at an active call comes to: a pure function of what the table and Stream say.

use std::time::Duration;

use crate::calls::store::LOOK;
use crate::calls::{Call, EndReason, Reason};
use crate::clock::Timestamp;
use crate::stream::ops::{LiveCall, LiveSession};

/// Stream ends a call at its longest duration by itself; this much later we do.
const GRACE: Duration = Duration::from_mins(1);
/// This much later than the end of its ringing a call that was joined is not seen as declined.
const LATE: Duration = Duration::from_mins(2);

/// The bounds that the sweeper holds calls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest that a call lasts.
    pub max_duration: Duration,
    /// How long a call waits for somebody to join it.
    pub ring_timeout: Duration,
}

/// What is to become of an active call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::calls) enum Look {
    /// It goes on, and is looked at again then.
    Again(Timestamp),
    /// It is over.
    Over {
        /// Why.
        reason: Reason,
        /// Since when.
        since: Timestamp,
    },
}

/// Looks at an active call. `live` is what Stream shows of it, if anything.
pub(in crate::calls) fn look(
    call: &Call,
    live: Option<&LiveCall>,
    bounds: Bounds,
    now: Timestamp,
) -> Look {
    let over = |reason, since: Timestamp| Look::Over { reason, since: since.min(now) };
    let Some(live) = live else { return over(EndReason::AT_STREAM, now) };
    if let Some(ended) = live.ended_at {
        return over(EndReason::AT_STREAM, ended.0);
    }
    let active_at = call.active_at.unwrap_or(call.created_at);
    let session = live.session.as_ref();
    let joined = session.and_then(|session| session.started_at).map(|time| time.0);
    let started = match (call.joined_at(), joined) {
        (Some(told), Some(seen)) => Some(told.min(seen)),
        (told, seen) => told.or(seen),
    };
    if let Some(ended) = session.and_then(|session| session.ended_at)
        && started.is_some()
    {
        return over(EndReason::LEFT, ended.0);
    }
    let ring_end = active_at.plus(bounds.ring_timeout);
    let late = started.is_some() && now >= ring_end.plus(LATE);
    if !late && session.is_some_and(|session| is_declined(call, session)) {
        return over(EndReason::DECLINED, now);
    }
    if started.is_none() && now >= ring_end {
        return over(EndReason::NOT_JOINED, now);
    }
    let end = started.unwrap_or(active_at).plus(bounds.max_duration).plus(GRACE);
    if now >= end {
        return over(EndReason::TOO_LONG, now);
    }
    let next = if started.is_none() { ring_end } else { end };
    Look::Again(next.min(now.plus(LOOK)))
}

/// Whether nobody who was called will come. Who declined may come all the same, and go again; so
/// this says nothing of a call that has gone on for a while.
fn is_declined(call: &Call, session: &LiveSession) -> bool {
    let owner = call.owner.as_str();
    let alone = session.participants.iter().all(|participant| participant.user.id == owner);
    let declined = |id: &str| {
        let no = session.rejected_by.contains_key(id) || session.missed_by.contains_key(id);
        no && !session.accepted_by.contains_key(id)
    };
    alone && call.members.iter().filter(|id| **id != call.owner).all(|id| declined(id.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::calls::{CallState, CallType, NewCall};
    use crate::ids::{CallId, UserId};

    const BOUNDS: Bounds =
        Bounds { max_duration: Duration::from_hours(1), ring_timeout: Duration::from_mins(2) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    /// Active since second 0, between Alice, who called, Bob and Carol.
    fn call() -> Call {
        let new = NewCall {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: user("alice"),
            members: vec![user("alice"), user("bob"), user("carol")],
            call_type: CallType::Video,
            fingerprint: "f".to_owned(),
            parallel: false,
            attempt: "a".to_owned(),
            at: at(0),
        };
        Call { state: CallState::Active, active_at: Some(at(0)), ..Call::begun(&new) }
    }

    fn live(ended: Option<i64>, session: &Value) -> LiveCall {
        let body = json!({
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
    fn what_a_look_comes_to() {
        let again = |seconds| Look::Again(at(seconds));
        let over = |reason, seconds| Look::Over { reason, since: at(seconds) };
        let none = Value::Null;
        let rung = session(None, None, &[]);
        let going = session(Some(10), None, &["alice", "bob"]);
        let cases = [
            // Stream's end, Stream's session, now, what comes of it
            (Some(live(None, &none)), 0, again(120)),
            (Some(live(None, &none)), 119, again(120)),
            (Some(live(None, &none)), 120, over(EndReason::NOT_JOINED, 120)),
            (Some(live(None, &rung)), 120, over(EndReason::NOT_JOINED, 120)),
            (Some(live(None, &going)), 120, again(360)),
            (Some(live(None, &going)), 3_600, again(3_670)),
            (Some(live(None, &going)), 3_670, over(EndReason::TOO_LONG, 3_670)),
            (Some(live(Some(50), &going)), 60, over(EndReason::AT_STREAM, 50)),
            (Some(live(Some(90), &none)), 60, over(EndReason::AT_STREAM, 60)),
            (Some(live(None, &session(Some(10), Some(50), &[]))), 60, over(EndReason::LEFT, 50)),
            (None, 60, over(EndReason::AT_STREAM, 60)),
        ];
        for (live, now, expected) in cases {
            assert_eq!(look(&call(), live.as_ref(), BOUNDS, at(now)), expected, "{live:?} {now}");
        }
    }

    #[test]
    fn a_call_that_stream_told_of_has_started_whatever_it_shows_now() {
        let told = Call { started_at: Some(at(5)), ..call() };
        let shown = live(None, &Value::Null);
        assert_eq!(look(&told, Some(&shown), BOUNDS, at(600)), Look::Again(at(840)));
    }

    #[test]
    fn a_call_is_declined_when_nobody_who_was_called_comes() {
        let cases = [
            // rejected, missed, accepted, present, when, declined
            (&["bob", "carol"][..], &[][..], &[][..], &["alice"][..], 60, true),
            (&["bob"], &["carol"], &[], &[], 60, true),
            (&[], &["bob", "carol"], &[], &["alice"], 239, true),
            (&[], &["bob", "carol"], &[], &["alice"], 240, false),
            (&[], &["bob", "carol"], &["bob"], &["alice"], 60, false),
            (&["bob"], &[], &[], &["alice"], 60, false),
            (&["bob", "carol"], &[], &[], &["alice", "carol"], 60, false),
            (&[], &[], &[], &["alice"], 60, false),
        ];
        for (rejected, missed, accepted, present, when, declined) in cases {
            let mut shown = session(Some(10), None, present);
            let by = |names: &[&str]| -> Value {
                names.iter().map(|name| ((*name).to_owned(), json!(1))).collect()
            };
            shown["rejected_by"] = by(rejected);
            shown["missed_by"] = by(missed);
            shown["accepted_by"] = by(accepted);
            let found = look(&call(), Some(&live(None, &shown)), BOUNDS, at(when));
            let over = Look::Over { reason: EndReason::DECLINED, since: at(when) };
            assert_eq!(found == over, declined, "{rejected:?} {missed:?} {present:?}");
        }
    }
}
