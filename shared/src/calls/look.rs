//! A look: the state of a call at Stream, as `GetCall` returns it.

use std::collections::BTreeMap;

use crate::calls::outcome::{Outcome, PresenceTimeouts, StreamState, StreamView, decide};
use crate::calls::presence::{Join, Presence};
use crate::calls::presence_writer::write_presence;
use crate::calls::{Call, CallEventStore, CallTimeouts};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::ids::{CallCid, SessionId, UserId};
use crate::store::StoreError;
use crate::stream::ops::{CallEnvelope, GetCall, Participant, StreamCall};
use crate::stream::{StreamClient, StreamError, StreamTime};

/// The state of a call at Stream at one instant.
#[derive(Debug)]
pub(crate) struct Look {
    /// When the request was sent, at the latest.
    requested_at: Timestamp,
    /// `None` if the call does not exist.
    state: Option<StreamState>,
    participants: ParticipantList,
    /// The call's current session.
    session: Option<SessionId>,
}

/// The current participants of a call.
#[derive(Debug, Default)]
pub(crate) struct ParticipantList {
    /// The participants whose user, session and join are known.
    pub(crate) joins: Vec<Join>,
    /// Whether those are all participants.
    is_complete: bool,
}

impl Look {
    /// Sends `GetCall`. A missing call is a state, too.
    pub(crate) async fn fetch(
        stream: &StreamClient,
        clock: &dyn Clock,
        cid: &CallCid,
        deadline: Deadline,
    ) -> Result<Self, StreamError> {
        let requested_at = clock.now();
        Self::from_result(requested_at, stream.send(&GetCall { cid }, deadline).await)
    }

    /// As [`Self::fetch`], without retries.
    pub(crate) async fn fetch_once(
        stream: &StreamClient,
        clock: &dyn Clock,
        cid: &CallCid,
        deadline: Deadline,
    ) -> Result<Self, StreamError> {
        let requested_at = clock.now();
        Self::from_result(requested_at, stream.send_once(&GetCall { cid }, deadline).await)
    }

    fn from_result(
        requested_at: Timestamp,
        result: Result<CallEnvelope, StreamError>,
    ) -> Result<Self, StreamError> {
        let (state, participants, session) = match result {
            Ok(CallEnvelope { call }) => {
                (Some(StreamState::from(&call)), ParticipantList::from(&call), call.session_id())
            }
            Err(StreamError::NotFound(_)) => (None, ParticipantList::default(), None),
            Err(error) => return Err(error),
        };
        Ok(Self { requested_at, state, participants, session })
    }

    /// Applies the look to the presence of the call and stores the change. Returns the call as it is
    /// stored, or `None` if it does not exist any more.
    pub(crate) async fn record(
        &self,
        store: &dyn CallEventStore,
        call: Call,
    ) -> Result<Option<Call>, StoreError> {
        write_presence(store, call, self.requested_at, |call| {
            let mut presence = call.presence.clone();
            self.apply(&mut presence);
            // The last time at which a participant was seen counts if the leave is lost.
            let has_changed = presence != call.presence;
            if has_changed {
                call.presence = presence;
            }
            has_changed
        })
        .await
    }

    /// Applies the participants. If the list may lack one, or the call has ended or is missing, no
    /// interval is closed: it lasts until the call's end.
    fn apply(&self, presence: &mut Presence) {
        let ParticipantList { joins, is_complete } = &self.participants;
        let is_live = self.state.as_ref().is_some_and(|state| state.ended_at.is_none());
        if *is_complete && is_live {
            presence.observe_call(self.requested_at, joins);
        } else {
            presence.observe_list(joins);
        }
        if let Some(session) = self.session.as_ref().filter(|_| !joins.is_empty()) {
            presence.record_session(session);
        }
    }

    /// The state at Stream. `None` if the call does not exist there.
    pub(crate) fn state(&self) -> Option<&StreamState> {
        self.state.as_ref()
    }

    /// When the request was sent, at the latest.
    pub(crate) fn requested_at(&self) -> Timestamp {
        self.requested_at
    }

    /// Decides whether the call is over. The look is applied to its presence.
    pub(crate) fn decide(&self, call: &Call, timeouts: CallTimeouts) -> Outcome {
        let facts = call.facts(timeouts, StreamView::Current(self.state.as_ref()));
        decide(&facts, PresenceTimeouts::from(timeouts), self.requested_at)
    }
}

impl From<&StreamCall> for ParticipantList {
    /// A call without a session has no participants.
    fn from(call: &StreamCall) -> Self {
        let participants = call.session.iter().flat_map(|session| &session.participants);
        let joins: Option<Vec<Join>> =
            participants.clone().map(|participant| join_of(participant.as_ref()?)).collect();
        match joins {
            Some(joins) => Self { joins, is_complete: true },
            None => Self {
                joins: participants.flatten().filter_map(join_of).collect(),
                is_complete: false,
            },
        }
    }
}

/// The join of a participant. `None` without a valid user, session or time.
fn join_of(participant: &Participant) -> Option<Join> {
    let user = UserId::try_from(participant.user.id.clone()).ok()?;
    let session = SessionId::try_from(participant.user_session_id.clone()?).ok()?;
    Some(Join { user, session, joined_at: participant.joined_at?.0 })
}

impl From<&StreamCall> for StreamState {
    fn from(call: &StreamCall) -> Self {
        let ended_at = call.ended_at.map(|time| time.0);
        let Some(session) = &call.session else { return Self { ended_at, ..Self::default() } };
        let user_of =
            |participant: &Participant| UserId::try_from(participant.user.id.clone()).ok();
        Self {
            ended_at,
            session_started_at: session.started_at.map(|time| time.0),
            session_ended_at: session.ended_at.map(|time| time.0),
            timer_ends_at: session.timer_ends_at.map(|time| time.0),
            participants: session.participants.iter().flatten().filter_map(user_of).collect(),
            accepted_by: times_by_user(&session.accepted_by),
            rejected_by: times_by_user(&session.rejected_by),
            missed_by: times_by_user(&session.missed_by),
        }
    }
}

/// The times of the users with a valid id. No other user is a member of a call.
fn times_by_user(times: &BTreeMap<String, StreamTime>) -> BTreeMap<UserId, Timestamp> {
    let entry =
        |(id, time): (&String, &StreamTime)| Some((UserId::try_from(id.clone()).ok()?, time.0));
    times.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::test_support::{active_call, user_id};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn participant(user: &str, joined: i64) -> Value {
        json!({
            "user": {"id": user},
            "user_session_id": format!("session-of-{user}"),
            "joined_at": at(joined).to_string(),
        })
    }

    fn look(requested: i64, call: &Value) -> Look {
        let mut body = json!({"id": "c1", "type": "default"});
        body.as_object_mut().unwrap().extend(call.as_object().unwrap().clone());
        let call: StreamCall = serde_json::from_value(body).unwrap();
        Look::from_result(at(requested), Ok(CallEnvelope { call })).unwrap()
    }

    fn session(participants: &[Value]) -> Value {
        json!({"session": {"started_at": at(1).to_string(), "participants": participants}})
    }

    /// The presence after Alice and Bob have joined.
    fn presence() -> Presence {
        let mut presence = Presence::default();
        let joined =
            look(10, &session(&[participant("alice", 1), participant("bob", 2)])).participants;
        presence.observe_list(&joined.joins);
        presence
    }

    #[test]
    fn complete_list_closes_intervals() {
        let mut presence = presence();
        assert_eq!(presence.present_users().len(), 2);
        look(20, &session(&[participant("bob", 2)])).apply(&mut presence);
        assert_eq!(presence.present_users(), BTreeSet::from([user_id("bob")]));
        look(30, &session(&[])).apply(&mut presence);
        assert!(presence.present_users().is_empty());
    }

    #[test]
    fn unreadable_participant_closes_no_interval() {
        for other in [
            json!(7),
            json!({"user": {"id": "alice"}}),
            json!({"user": {"id": "alice"}, "user_session_id": "s", "joined_at": "today"}),
        ] {
            let mut presence = presence();
            let look = look(20, &session(&[other.clone(), participant("carol", 9)]));
            look.apply(&mut presence);
            assert_eq!(presence.present_users().len(), 3, "{other}");
        }
    }

    #[test]
    fn ended_or_missing_call_closes_no_interval() {
        let mut ended = session(&[]);
        ended["ended_at"] = json!(at(15).to_string());
        let missing = Look {
            requested_at: at(20),
            state: None,
            participants: ParticipantList::default(),
            session: None,
        };
        for look in [look(20, &ended), missing] {
            let mut presence = presence();
            look.apply(&mut presence);
            assert_eq!(presence.present_users().len(), 2, "{look:?}");
        }
    }

    #[test]
    fn state_is_that_of_the_latest_session() {
        let call = json!({
            "ended_at": at(90).to_string(),
            "session": {
                "started_at": at(1).to_string(),
                "ended_at": at(80).to_string(),
                "timer_ends_at": at(61).to_string(),
                "participants": [participant("alice", 1), participant("a/b", 1)],
                "accepted_by": {"bob": at(2).to_string()},
                "rejected_by": {"carol": at(3).to_string(), "a/b": at(3).to_string()},
                "missed_by": {"dave": at(4).to_string()},
            },
        });
        let times = |user: &str, second: i64| BTreeMap::from([(user_id(user), at(second))]);
        let expected = StreamState {
            ended_at: Some(at(90)),
            session_started_at: Some(at(1)),
            session_ended_at: Some(at(80)),
            timer_ends_at: Some(at(61)),
            participants: BTreeSet::from([user_id("alice")]),
            accepted_by: times("bob", 2),
            rejected_by: times("carol", 3),
            missed_by: times("dave", 4),
        };
        assert_eq!(look(99, &call).state, Some(expected));
        assert_eq!(look(99, &json!({})).state, Some(StreamState::default()));
    }

    #[test]
    fn decision_uses_the_time_of_the_look() {
        let timeouts = CallTimeouts::from_env(&crate::config::Env::default()).unwrap();
        let call = active_call(&["alice", "bob"], at(0));
        let decide = |requested| look(requested, &json!({})).decide(&call, timeouts);
        assert_eq!(decide(119), Outcome::Continues { next_check: at(120) });
        assert!(matches!(decide(120), Outcome::Over { .. }));
    }
}
