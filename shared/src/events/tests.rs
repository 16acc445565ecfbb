//! Tests of the events of changes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{EventSource, EventType, derive};
use crate::calls::outcome::EndedBy;
use crate::calls::presence::{Join, Leave};
use crate::calls::{Call, CallScore, CallState, EndReason, SettledFrom, Settlement};
use crate::clock::Timestamp;
use crate::config::Env;
use crate::ids::{SessionId, UserId};
use crate::quality_band::Band;
use crate::score_model::ScoreModel;
use crate::table_stream::{Change, ProfileImage};
use crate::test_support::{active_call, user_id};
use crate::users::UserStatus;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

fn source() -> EventSource {
    EventSource::from_env(&Env::default()).unwrap()
}

fn events(old: &Call, new: &Call) -> Vec<Value> {
    let change = Change::Call(Box::new([old.clone(), new.clone()]));
    let events = derive(&change, &source());
    events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

fn types(old: &Call, new: &Call) -> Vec<String> {
    events(old, new).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn session() -> SessionId {
    SessionId::try_from("phone-1".to_owned()).unwrap()
}

/// The life of a call of two: as it is stored after each change.
struct Life {
    creating: Call,
    active: Call,
    answered: Call,
    ending: Call,
    ended: Call,
    settled: Call,
    closed: Call,
}

fn life() -> Life {
    let active = active_call(&["alice", "bob"], at(0));
    let creating = Call { state: CallState::Creating, active_at: None, ..active.clone() };
    let mut answered = active.clone();
    for (user, joined_at) in [("alice", 2), ("bob", 5)] {
        let join = Join { user: user_id(user), session: session(), joined_at: at(joined_at) };
        answered.presence.record_join(&join);
    }
    answered.started_at = answered.presence.started_at();
    answered.first_answered_at = answered.answered_at();
    let mut ending = answered.clone();
    let (user, joined_at) = (user_id("bob"), Some(at(5)));
    let leave = Leave { user, session: session(), joined_at, at: at(65), duration: None };
    ending.presence.record_leave(&leave);
    ending.state = CallState::Ending;
    ending.ending_at = Some(at(70));
    ending.end_reason = Some(EndReason::LEFT.into());
    ending.ended_by = Some(EndedBy::User { user_id: user_id("bob") });
    let ended = Call { state: CallState::Ended, ended_at: Some(at(75)), ..ending.clone() };
    let settlement = Settlement {
        settled_at: at(200),
        settled_from: SettledFrom::Stream,
        answered_at: Some(at(5)),
        duration: Duration::from_millis(60_250),
        talk_time: Duration::from_millis(60_125),
    };
    let settled = Call { settlement: Some(settlement), ..ended.clone() };
    let quality = CallScore {
        mos: 4.2.into(),
        label: Band::Good,
        data_complete: true,
        model: ScoreModel::V2,
    };
    let closed = Call { quality: Some(quality), ..settled.clone() };
    Life { creating, active, answered, ending, ended, settled, closed }
}

#[test]
fn each_change_of_a_life_has_its_events() {
    let Life { creating, active, answered, ending, ended, settled, closed } = life();
    let reemitted = Call { reemits: 1, ..closed.clone() };
    let joined_early = Call { active_at: None, state: CallState::Creating, ..answered.clone() };
    for (old, new, expected) in [
        (&creating, &creating, &[][..]),
        (&creating, &active, &["call.created"]),
        (&active, &active, &[]),
        (&active, &answered, &["call.answered"]),
        (&answered, &ending, &["call.ended"]),
        (&ending, &ended, &[]),
        (&ended, &settled, &["call.settled"]),
        (&settled, &closed, &["call.quality"]),
        (&closed, &closed, &[]),
        // Both joined before the creation was stored.
        (&joined_early, &answered, &["call.created", "call.answered"]),
        // Every webhook was lost.
        (&active, &ending, &["call.answered", "call.ended"]),
        (&ended, &closed, &["call.settled", "call.quality"]),
        (
            &closed,
            &reemitted,
            &["call.created", "call.answered", "call.ended", "call.settled", "call.quality"],
        ),
        (&reemitted, &reemitted, &[]),
    ] {
        assert_eq!(types(old, new), expected, "{:?} to {:?}", old.state, new.state);
    }
}

#[test]
fn call_that_never_was_active_has_no_events() {
    let creating = life().creating;
    let withdrawn = Call {
        state: CallState::Ending,
        ending_at: Some(at(40)),
        end_reason: Some(EndReason::NOT_CREATED.into()),
        ..creating.clone()
    };
    assert_eq!(types(&creating, &withdrawn), [""; 0]);
    let ended = Call { state: CallState::Ended, ended_at: Some(at(50)), ..withdrawn.clone() };
    assert_eq!(types(&withdrawn, &ended), [""; 0]);
}

#[test]
fn answer_that_a_late_leave_removes_is_announced_once() {
    let Life { active, answered, .. } = life();
    let mut removed = active;
    removed.first_answered_at = answered.first_answered_at;
    assert_eq!(removed.answered_at(), None);
    assert_eq!(types(&answered, &removed), [""; 0]);
    assert_eq!(types(&removed, &answered), [""; 0]);
}

#[test]
fn settled_event_has_the_final_figures() {
    let Life { ended, settled, .. } = life();
    let call = json!({
        "callId": settled.call_id, "callCid": settled.cid().to_string(), "callType": "video",
        "createdBy": "alice", "members": ["alice", "bob"],
        "createdAt": "2026-01-01T00:00:00.000Z", "startedAt": "2026-01-01T00:00:02.000Z",
        "answeredAt": "2026-01-01T00:00:05.000Z", "endedAt": "2026-01-01T00:01:10.000Z",
        "endReason": "left", "endedBy": {"kind": "user", "userId": "bob"}, "answered": true,
        "talkMillis": 60_125, "durationMillis": 60_250, "settledFrom": "stream",
        "participants": [
            // The interval without an end lasts until the end of the call.
            {"userId": "alice", "intervals": [{
                "sessionId": "phone-1", "joinedAt": "2026-01-01T00:00:02.000Z",
                "leftAt": "2026-01-01T00:01:10.000Z",
            }]},
            {"userId": "bob", "intervals": [{
                "sessionId": "phone-1", "joinedAt": "2026-01-01T00:00:05.000Z",
                "leftAt": "2026-01-01T00:01:05.000Z",
            }]},
        ],
        "participantsTruncated": false,
    });
    let id = format!("{}.call.settled", settled.call_id);
    let expected = json!({
        "specversion": "1.0", "id": id, "source": "stream-functions", "type": "call.settled",
        "subject": settled.call_id, "time": "2026-01-01T00:03:20.000Z",
        "datacontenttype": "application/json", "data": call,
    });
    assert_eq!(events(&ended, &settled), [expected]);
}

#[test]
fn repeated_change_makes_the_same_events() {
    let Life { creating, closed, .. } = life();
    let reemitted = Call { reemits: 1, ..closed.clone() };
    let again = Call { reemits: 2, ..closed.clone() };
    assert_eq!(events(&closed, &reemitted), events(&reemitted, &again));
    assert_eq!(events(&creating, &closed).len(), 5);
    let ids: BTreeSet<String> =
        events(&creating, &closed).iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn text_of_a_caller_is_not_in_an_event() {
    let Life { answered, mut ending, .. } = life();
    for (reason, expected) in [
        (EndReason::default(), "ended"),
        (EndReason::try_from("card declined, Alice Smith".to_owned()).unwrap(), "custom"),
        (EndReason::TOO_LONG.into(), "too_long"),
    ] {
        ending.end_reason = Some(reason);
        assert_eq!(events(&answered, &ending)[0]["data"]["endReason"], expected);
    }
}

#[test]
fn deletion_of_a_user_is_announced_once() {
    let profile = |status, seconds| ProfileImage {
        user_id: UserId::try_from("alice".to_owned()).unwrap(),
        status,
        status_at: Some(at(seconds)),
    };
    let (active, deleted) = (profile(UserStatus::Active, 0), profile(UserStatus::Deleted, 9));
    let events = |old: &ProfileImage, new: &ProfileImage| {
        derive(&Change::Profile([old.clone(), new.clone()]), &source())
    };
    let event = serde_json::to_value(&events(&active, &deleted)[0]).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "alice.user.deleted", "source": "stream-functions",
        "type": "user.deleted", "subject": "alice", "time": "2026-01-01T00:00:09.000Z",
        "datacontenttype": "application/json",
        "data": {"userId": "alice", "deletedAt": "2026-01-01T00:00:09.000Z"},
    });
    assert_eq!(event, expected);
    assert!(events(&deleted, &profile(UserStatus::Deleted, 12)).is_empty());
    assert!(events(&active, &profile(UserStatus::Deactivated, 9)).is_empty());
}

#[test]
fn score_has_the_version_of_its_formula() {
    let Life { settled, closed, .. } = life();
    assert_eq!(events(&settled, &closed)[0]["data"]["model"], "g107-p1203-2");
    let score = closed.quality.clone().map(|score| CallScore { model: ScoreModel::V1, ..score });
    let old = Call { quality: score, ..closed };
    assert_eq!(events(&settled, &old)[0]["data"]["model"], "g107-field-1");
}

#[test]
fn source_is_part_of_a_uri() {
    let parse = |text: &str| EventSource::from_env(&Env::from([("EVENT_SOURCE", text)]));
    assert!(parse("stream-functions/prod-1").is_ok());
    for text in ["aws.stream", "two words", "é"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn type_is_serialized_as_its_text() {
    for kind in [
        EventType::CallCreated,
        EventType::CallAnswered,
        EventType::CallEnded,
        EventType::CallSettled,
        EventType::CallQuality,
        EventType::UserDeleted,
    ] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
