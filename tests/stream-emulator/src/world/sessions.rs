//! Call sessions: the part of Stream's media side that a backend can observe. A session starts with
//! the first join. It ends with its call, or when the inactivity timeout after the last leave has
//! passed. The next join starts a new session.

use serde_json::{Value, json};

use super::call::Call;
use super::cid::Cid;
use super::session::{Join, NON_MEMBER_ROLE, Session};
use super::{World, merge, strip_nulls};
use crate::timestamp::Timestamp;
use crate::views::JoinView;

const MAX_MEMBERS: usize = 100;

impl Call {
    /// The session that has not ended. It may not have started.
    pub(super) fn current_session(&self) -> Option<&Session> {
        self.sessions.last().filter(|session| session.ended_at.is_none())
    }

    pub(super) fn current_session_mut(&mut self) -> Option<&mut Session> {
        self.sessions.last_mut().filter(|session| session.ended_at.is_none())
    }

    /// The last session that has started.
    pub(super) fn last_started_session_mut(&mut self) -> Option<&mut Session> {
        self.sessions.iter_mut().rev().find(|session| session.started_at.is_some())
    }

    /// Ends all open sessions. Returns the ids of those that had started.
    fn end_sessions(&mut self, at: Timestamp) -> Vec<String> {
        let mut ended = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| session.ended_at.is_none()) {
            session.end(at);
            if session.started_at.is_some() {
                ended.push(session.id.clone());
            }
        }
        ended
    }
}

impl World {
    /// A user joins a call under a new `user_session_id`. Returns that id, or `None` if the call is
    /// not open or the user is deactivated or deleted.
    pub(crate) fn join(&mut self, call_cid: &str, user_id: &str, now: Timestamp) -> Option<String> {
        self.find_joinable_call(call_cid, user_id)?;
        let user_session_id = self.next_id("user-session");
        self.join_as(call_cid, user_id, &user_session_id, now)?;
        Some(user_session_id)
    }

    /// A user joins a call under this `user_session_id`, which clients keep when they reconnect. If
    /// the user is present under it, that join ends at the same instant. Returns the time of the
    /// join, or `None` as [`World::join`] does.
    pub(crate) fn join_as(
        &mut self,
        call_cid: &str,
        user_id: &str,
        user_session_id: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let cid = self.find_joinable_call(call_cid, user_id)?;
        let session = self.get_or_create_session(&cid)?;
        let is_first_join = session.started_at.is_none();
        session.started_at.get_or_insert(now);
        let session_id = session.id.clone();
        if is_first_join {
            let fields = json!({ "session_id": session_id });
            self.emit_call("call.session_started", &cid, now, fields);
        }
        let is_rejoining =
            |join: &Join| join.user_id == user_id && join.user_session_id == user_session_id;
        self.end_joins(&cid, is_rejoining, None, now);
        let join = Join {
            user_session_id: user_session_id.to_owned(),
            user_id: user_id.to_owned(),
            role: self.calls.get(&cid)?.member_role(user_id).unwrap_or(NON_MEMBER_ROLE).to_owned(),
            joined_at: now,
            left_at: None,
        };
        let fields = json!({ "participant": join.response(self) });
        let session = self.calls.get_mut(&cid)?.current_session_mut()?;
        session.empty_since = None;
        session.is_report_only = false;
        session.ringing.remove(user_id);
        session.joins.push(join);
        self.emit_session("call.session_participant_joined", &cid, &session_id, now, fields);
        Some(now)
    }

    /// One participant leaves a call, or all without `user_session_id`.
    pub(crate) fn leave(&mut self, call_cid: &str, user_session_id: Option<&str>, now: Timestamp) {
        self.leave_with(call_cid, user_session_id, None, now);
    }

    pub(crate) fn leave_with(
        &mut self,
        call_cid: &str,
        user_session_id: Option<&str>,
        reason: Option<&str>,
        now: Timestamp,
    ) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        let is_leaving = |join: &Join| user_session_id.is_none_or(|id| id == join.user_session_id);
        self.end_joins(&cid, is_leaving, reason, now);
    }

    /// A user leaves a call with all devices.
    pub(crate) fn leave_user(
        &mut self,
        cid: &Cid,
        user_id: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) {
        self.end_joins(cid, |join| join.user_id == user_id, reason, now);
    }

    /// Ends the current joins that match.
    pub(super) fn end_joins(
        &mut self,
        cid: &Cid,
        is_leaving: impl Fn(&Join) -> bool,
        reason: Option<&str>,
        now: Timestamp,
    ) {
        let Some(call) = self.calls.get_mut(cid) else { return };
        let Some(session) = call.current_session_mut() else { return };
        let left = session.leave(is_leaving, now);
        let session_id = session.id.clone();
        for join in left {
            let fields = json!({
                "participant": join.response(self),
                "duration_seconds": now.seconds_since(join.joined_at),
                "reason": reason,
            });
            let fields = strip_nulls(fields);
            self.emit_session("call.session_participant_left", cid, &session_id, now, fields);
        }
    }

    /// All joins of a call, in order. Empty if the call does not exist.
    pub(crate) fn join_views(&self, call_cid: &str) -> Vec<JoinView> {
        let call = call_cid.parse().ok().and_then(|cid: Cid| self.calls.get(&cid));
        call.into_iter().flat_map(|call| &call.sessions).flat_map(Session::join_views).collect()
    }

    /// A user rates the last started session. Without one, nothing happens.
    pub(crate) fn rate(
        &mut self,
        call_cid: &str,
        user_id: &str,
        rating: u8,
        reason: Option<&str>,
        now: Timestamp,
    ) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        let Some(call) = self.calls.get_mut(&cid) else { return };
        let Some(session) = call.last_started_session_mut() else { return };
        session.add_rating(rating);
        let session_id = session.id.clone();
        let fields = strip_nulls(json!({
            "rating": rating,
            "reason": reason,
            "user": self.user_response(user_id),
            "custom": {},
        }));
        self.emit_session("call.user_feedback_submitted", &cid, &session_id, now, fields);
    }

    /// Ends the session but not the call. The next join starts a new session.
    pub(super) fn end_session_at(&mut self, cid: &Cid, at: Timestamp) {
        let Some(call) = self.calls.get_mut(cid) else { return };
        let ended = call.end_sessions(at);
        self.emit_sessions_ended(cid, ended, at);
    }

    /// Ends a call and its session. If the call has ended before, nothing happens. Without a user,
    /// a server or a timeout ends the call.
    pub(super) fn end_call_at(&mut self, cid: &Cid, at: Timestamp, user_id: Option<&str>) {
        self.end_call_with(cid, user_id, None, at);
    }

    pub(crate) fn end_call_with(
        &mut self,
        cid: &Cid,
        user_id: Option<&str>,
        reason: Option<&str>,
        at: Timestamp,
    ) {
        let Some(call) = self.calls.get_mut(cid) else { return };
        if call.ended_at.is_some() {
            return;
        }
        call.ended_at = Some(at);
        let ended = call.end_sessions(at);
        let members = self.calls.get(cid).map(|call| call.members_response(self, MAX_MEMBERS));
        let reason = strip_nulls(json!({ "reason": reason }));
        // Without a user the member is null, not absent.
        let user = user_id.map(|id| self.user_response(id));
        let fields = merge(json!({ "members": members, "user": user }), reason);
        self.emit_call("call.ended", cid, at, fields);
        self.emit_sessions_ended(cid, ended, at);
    }

    pub(super) fn emit_session(
        &mut self,
        kind: &str,
        cid: &Cid,
        session_id: &str,
        now: Timestamp,
        fields: Value,
    ) {
        let session = json!({ "call_cid": cid, "session_id": session_id });
        self.emit(kind, now, merge(session, fields));
    }

    fn emit_sessions_ended(&mut self, cid: &Cid, ended: Vec<String>, at: Timestamp) {
        for session_id in ended {
            let fields = json!({ "session_id": session_id });
            self.emit_call("call.session_ended", cid, at, fields);
        }
    }

    pub(super) fn find_open_call(&self, call_cid: &str) -> Option<Cid> {
        let cid = call_cid.parse::<Cid>().ok()?;
        self.calls.get(&cid).filter(|call| call.ended_at.is_none())?;
        Some(cid)
    }

    /// The session that has not ended or, if there is none, a new one.
    pub(super) fn get_or_create_session(&mut self, cid: &Cid) -> Option<&mut Session> {
        if self.calls.get(cid)?.current_session().is_none() {
            let session = Session::new(self.next_id("session"));
            self.calls.get_mut(cid)?.sessions.push(session);
        }
        self.calls.get_mut(cid)?.current_session_mut()
    }

    /// A deactivated or deleted user cannot connect to Stream and therefore cannot join.
    fn find_joinable_call(&self, call_cid: &str, user_id: &str) -> Option<Cid> {
        let user = self.users.get(user_id);
        let can_connect =
            user.is_none_or(|user| user.deactivated_at.is_none() && user.deleted_at.is_none());
        self.find_open_call(call_cid).filter(|_| can_connect)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, default_call_cid, event_types, from_json, world_with_users};
    use super::*;

    const CALL: &str = "default:c";

    fn world_with_call() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        let members = json!([{ "user_id": "alice", "role": "admin" }, { "user_id": "bob" }]);
        let request = json!({ "data": { "created_by_id": "alice", "members": members } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(0))
            .expect("a call");
        world.take_events();
        world
    }

    fn call(world: &World) -> Value {
        world.get_call(&default_call_cid("c"), None).expect("the call")["call"].clone()
    }

    #[test]
    fn first_join_starts_the_session() {
        let mut world = world_with_call();
        let alice = world.join(CALL, "alice", at(5)).expect("a join");
        let bob = world.join(CALL, "bob", at(7)).expect("a join");
        assert_ne!(alice, bob);
        let session = call(&world)["session"].clone();
        assert_eq!(session["started_at"], json!(at(5)));
        assert_eq!(session["participants"][1]["user"]["id"], json!("bob"));
        assert_eq!(session["participants"][1]["joined_at"], json!(at(7)));
        assert_eq!(session["participants_count_by_role"], json!({ "admin": 1, "user": 1 }));
        assert_eq!(call(&world)["current_session_id"], session["id"]);
        let events = world.take_events();
        assert_eq!(
            event_types(&events),
            [
                "call.session_started",
                "call.session_participant_joined",
                "call.session_participant_joined",
            ]
        );
        assert_eq!(
            events[0]["call"]["session"]["started_at"],
            json!("2026-01-01T00:00:05.000000000Z")
        );
        assert_eq!(events[2]["participant"]["user_session_id"], json!(bob));
        for event in &events {
            assert_eq!((&event["session_id"], &event["call_cid"]), (&session["id"], &json!(CALL)));
        }
    }

    #[test]
    fn leave_removes_the_participant_and_emits_the_duration() {
        let mut world = world_with_call();
        let alice = world.join(CALL, "alice", at(5)).expect("a join");
        world.join(CALL, "bob", at(7)).expect("a join");
        world.take_events();
        world.leave(CALL, Some(&alice), at(12));
        world.leave(CALL, Some(&alice), at(13));
        world.leave(CALL, None, at(20));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.session_participant_left"; 2]);
        assert_eq!(events[0]["participant"]["user"]["id"], json!("alice"));
        assert_eq!(events[0]["duration_seconds"], json!(7));
        assert_eq!(events[1]["duration_seconds"], json!(13));
        assert_eq!(call(&world)["session"]["participants"], json!([]));
        assert_eq!(call(&world)["session"].get("ended_at"), None);
    }

    #[test]
    fn participant_keeps_its_session_id_when_it_rejoins() {
        let mut world = world_with_call();
        assert_eq!(world.join_as(CALL, "alice", "phone", at(5)), Some(at(5)));
        world.leave(CALL, Some("phone"), at(8));
        assert_eq!(world.join_as(CALL, "alice", "phone", at(10)), Some(at(10)));
        // A participant that is present leaves at the instant of the rejoin.
        assert_eq!(world.join_as(CALL, "alice", "phone", at(14)), Some(at(14)));
        let events = world.take_events();
        assert_eq!(
            event_types(&events)[1..],
            [
                "call.session_participant_joined",
                "call.session_participant_left",
                "call.session_participant_joined",
                "call.session_participant_left",
                "call.session_participant_joined",
            ]
        );
        for (event, seconds) in [(2, 5), (4, 10)] {
            let participant = &events[event]["participant"];
            assert_eq!(participant["user_session_id"], json!("phone"));
            assert_eq!(participant["joined_at"], json!(at(seconds).to_rfc3339()));
            assert_eq!(participant["role"], json!("admin"));
        }
        assert_eq!(events[2]["duration_seconds"], json!(3));
        let participants = call(&world)["session"]["participants"].clone();
        assert_eq!(participants.as_array().map(Vec::len), Some(1));
        assert_eq!(participants[0]["user_session_id"], json!("phone"));
        assert_eq!(participants[0]["joined_at"], json!(at(14)));
    }

    #[test]
    fn devices_of_a_user_are_separate_participants() {
        let mut world = world_with_call();
        let phone = world.join(CALL, "alice", at(5)).expect("a join");
        let tablet = world.join(CALL, "alice", at(6)).expect("a join");
        // Clients choose their session ids, so two users may have the same one.
        world.join_as(CALL, "bob", &phone, at(7)).expect("a join");
        assert_eq!(world.call_view(CALL).expect("the call").present, ["alice", "alice", "bob"]);
        world.leave(CALL, Some(&tablet), at(9));
        let participants = call(&world)["session"]["participants"].clone();
        assert_eq!(participants[0]["user"]["id"], json!("alice"));
        assert_eq!(participants[1]["user"]["id"], json!("bob"));
        assert_eq!(participants[1]["user_session_id"], participants[0]["user_session_id"]);
        world.end_call(&default_call_cid("c"), at(20)).expect("ended");
        let joins: Vec<_> = world
            .join_views(CALL)
            .into_iter()
            .map(|join| (join.user_id, join.user_session_id, join.joined_at, join.left_at))
            .collect();
        let join = |user: &str, id: &str, joined: u64, left: u64| {
            (user.to_owned(), id.to_owned(), at(joined).as_nanos(), Some(at(left).as_nanos()))
        };
        assert_eq!(
            joins,
            [
                join("alice", &phone, 5, 20),
                join("alice", &tablet, 6, 9),
                join("bob", &phone, 7, 20),
            ]
        );
        assert!(world.join_views("default:x").is_empty());
    }

    #[test]
    fn join_is_rejected_for_ended_calls_and_deactivated_users() {
        let mut world = world_with_call();
        assert_eq!(world.join("default:x", "alice", at(1)), None);
        assert_eq!(world.join("invalid", "alice", at(1)), None);
        world.mark_deactivated("bob", at(1));
        assert_eq!(world.join(CALL, "bob", at(1)), None);
        assert_eq!(world.join_as(CALL, "bob", "phone", at(1)), None);
        world.end_call(&default_call_cid("c"), at(2)).expect("ended");
        assert_eq!(world.join(CALL, "alice", at(3)), None);
        assert_eq!(call(&world)["session"], json!(null));
    }

    #[test]
    fn ending_a_call_ends_its_session_once() {
        let mut world = world_with_call();
        world.join(CALL, "alice", at(5)).expect("a join");
        world.take_events();
        world.end_call(&default_call_cid("c"), at(9)).expect("ended");
        world.end_call(&default_call_cid("c"), at(10)).expect("ended");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.ended", "call.session_ended"]);
        assert_eq!(events[0]["user"], json!(null));
        assert!(events[0].get("user").is_some());
        assert_eq!(events[0].get("reason"), None);
        assert_eq!(events[0]["call"]["ended_at"], json!("2026-01-01T00:00:09.000000000Z"));
        let session = &events[1]["call"]["session"];
        assert_eq!(session["ended_at"], json!("2026-01-01T00:00:09.000000000Z"));
        assert_eq!(events[1]["session_id"], session["id"]);
        assert_eq!(call(&world)["current_session_id"], json!(""));
    }

    #[test]
    fn reasons_are_in_the_events_only() {
        let mut world = world_with_call();
        let alice = world.join(CALL, "alice", at(1)).expect("a join");
        world.reject_with(CALL, "bob", Some("busy"), at(2));
        world.leave_with(CALL, Some(&alice), Some("kicked"), at(3));
        let events = world.take_events();
        assert_eq!(
            (&events[2]["reason"], &events[3]["reason"]),
            (&json!("busy"), &json!("kicked"))
        );
        world.end_call_with(&default_call_cid("c"), Some("bob"), Some("over"), at(4));
        let ended = world.take_events();
        assert_eq!((&ended[0]["user"]["id"], &ended[0]["reason"]), (&json!("bob"), &json!("over")));
        let session = call(&world)["session"].clone();
        assert_eq!(session["rejected_by"], json!({ "bob": at(2) }));
        assert_eq!(session.get("reason"), None);
    }

    #[test]
    fn unstarted_session_emits_no_session_ended() {
        let mut world = world_with_call();
        world.reject(CALL, "bob", at(3));
        world.take_events();
        world.end_call(&default_call_cid("c"), at(5)).expect("ended");
        assert_eq!(event_types(&world.take_events()), ["call.ended"]);
    }

    #[test]
    fn rating_without_a_started_session_is_ignored() {
        let mut world = world_with_call();
        world.rate(CALL, "alice", 4, None, at(1));
        world.reject(CALL, "bob", at(2));
        world.take_events();
        world.rate(CALL, "alice", 4, None, at(3));
        assert!(world.take_events().is_empty());
        world.join(CALL, "alice", at(4)).expect("a join");
        world.end_session_at(&default_call_cid("c"), at(5));
        world.take_events();
        world.rate(CALL, "alice", 2, Some("no sound"), at(6));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.user_feedback_submitted"]);
        assert_eq!(events[0]["rating"], json!(2));
        assert_eq!(events[0]["reason"], json!("no sound"));
        assert_eq!(events[0]["user"]["id"], json!("alice"));
        assert_eq!(events[0]["session_id"], call(&world)["session"]["id"]);
    }
}
