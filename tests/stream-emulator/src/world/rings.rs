//! Rings: the members that a call rings, and their responses. A ring opens a session, which starts
//! with the first join. A member misses the call if the timeout of the ring passes without a
//! response, if the member is busy, or if the creator of the call rejects it.
//!
//! The other timeouts of a ring are those of clients, which then reject the call.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::Call;
use super::cid::Cid;
use super::validation::{check_max, ensure, require};
use super::{ApiResult, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::RingView;

const MAX_BATCH_SIZE: usize = 100;

/// The rules that the documentation leaves open.
#[derive(Debug)]
pub(super) struct RingRules {
    /// Whether `RingCall` also rings the creator of the call.
    rings_creator: bool,
    /// Whether members also miss a call before their timeout: a busy member, and all if the creator
    /// rejects the call.
    has_early_misses: bool,
}

impl Default for RingRules {
    fn default() -> Self {
        Self { rings_creator: false, has_early_misses: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RingCall {
    members_ids: Option<Vec<String>>,
    video: Option<bool>,
}

/// One ring of one member.
#[derive(Debug, Serialize)]
pub(super) struct Ring {
    user_id: String,
    session_id: String,
    rung_at: Timestamp,
}

impl Ring {
    fn view(&self) -> RingView {
        RingView {
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
            rung_at: self.rung_at.as_nanos(),
        }
    }
}

impl Call {
    fn is_present(&self, user_id: &str) -> bool {
        self.current_session().is_some_and(|session| session.is_present(user_id))
    }

    /// When the next members miss the call, if they do not respond.
    pub(super) fn missed_at(&self) -> Option<Timestamp> {
        let timeout = self.missed_call_timeout()?;
        let rung_at = self.current_session()?.ringing.values().min()?;
        Some(rung_at.plus(timeout))
    }

    /// `None` for zero, which means no timeout.
    fn missed_call_timeout(&self) -> Option<Duration> {
        let millis = self.settings["ring"]["missed_call_timeout_ms"].as_u64();
        millis.filter(|millis| *millis > 0).map(Duration::from_millis)
    }
}

impl World {
    pub(crate) fn set_has_early_misses(&mut self, has_early_misses: bool) {
        self.ring_rules.has_early_misses = has_early_misses;
    }

    pub(crate) fn set_rings_creator(&mut self, rings_creator: bool) {
        self.ring_rules.rings_creator = rings_creator;
    }

    /// Rings the given members. Without ids it rings the members who are not in the call, except for
    /// the user of the token.
    pub(crate) fn ring_call(
        &mut self,
        user_id: Option<&str>,
        cid: &Cid,
        request: &RingCall,
        now: Timestamp,
    ) -> ApiResult {
        let call = self.find_call(cid)?;
        require(call.ended_at.is_none(), "the call has ended")?;
        let requested = request.members_ids.as_deref().filter(|ids| !ids.is_empty());
        check_max("members_ids", requested.map_or(0, <[String]>::len), MAX_BATCH_SIZE)?;
        for id in requested.unwrap_or_default() {
            ensure(call.member_role(id).is_some(), || {
                StreamError::invalid_input(format!("user {id:?} is not a member of the call"))
            })?;
        }
        let is_requested = |id: &str| {
            requested.map_or_else(
                || user_id != Some(id) && !call.is_present(id),
                |ids| ids.iter().any(|requested_id| requested_id == id),
            )
        };
        let may_ring = |id: &str| self.ring_rules.rings_creator || id != call.created_by;
        let callees: Vec<String> = call
            .member_ids()
            .filter(|id| is_requested(id) && may_ring(id))
            .map(str::to_owned)
            .collect();
        require(!callees.is_empty(), "no users to ring")?;
        let caller = user_id.unwrap_or(&call.created_by).to_owned();
        let response = json!({ "members_ids": callees });
        self.ring(cid, &caller, callees, request.video, now);
        Ok(response)
    }

    /// Rings the members who are not in the call, except for the creator. If the call has ended or
    /// there are no such members, nothing happens.
    pub(super) fn ring_members(&mut self, cid: &Cid, video: Option<bool>, now: Timestamp) {
        let Some(call) = self.calls.get(cid).filter(|call| call.ended_at.is_none()) else { return };
        let is_callee = |id: &&str| *id != call.created_by && !call.is_present(id);
        let callees = call.member_ids().filter(is_callee).map(str::to_owned).collect();
        let caller = call.created_by.clone();
        self.ring(cid, &caller, callees, video, now);
    }

    /// Rings users in the name of the caller.
    fn ring(
        &mut self,
        cid: &Cid,
        caller: &str,
        callees: Vec<String>,
        video: Option<bool>,
        now: Timestamp,
    ) {
        if callees.is_empty() {
            return;
        }
        let Some(session) = self.get_or_create_session(cid) else { return };
        session.ringing.extend(callees.iter().map(|user_id| (user_id.clone(), now)));
        let session_id = session.id.clone();
        let Some(call) = self.calls.get(cid) else { return };
        let members: Vec<Value> =
            callees.iter().map(|user_id| call.member_response(user_id, self)).collect();
        let fields = json!({
            "session_id": session_id,
            "user": self.user_response(caller),
            "members": members,
            "video": video.unwrap_or_default(),
        });
        self.emit_call("call.ring", cid, now, fields);
        let rings = callees.into_iter().map(|user_id| Ring {
            user_id,
            session_id: session_id.clone(),
            rung_at: now,
        });
        if let Some(call) = self.calls.get_mut(cid) {
            call.rung.extend(rings);
        }
    }

    /// All rings of a call, in order. Empty if the call does not exist.
    pub(crate) fn ring_views(&self, call_cid: &str) -> Vec<RingView> {
        let call = call_cid.parse().ok().and_then(|cid: Cid| self.calls.get(&cid));
        call.into_iter().flat_map(|call| &call.rung).map(Ring::view).collect()
    }

    /// A user accepts a ring.
    pub(crate) fn accept(&mut self, call_cid: &str, user_id: &str, now: Timestamp) {
        let Some(cid) = self.find_open_call(call_cid) else { return };
        let Some(session) = self.get_or_create_session(&cid) else { return };
        session.accepted_by.insert(user_id.to_owned(), now);
        session.ringing.remove(user_id);
        let fields = json!({ "user": self.user_response(user_id) });
        self.emit_call("call.accepted", &cid, now, fields);
    }

    /// A user rejects a ring without a reason.
    pub(crate) fn reject(&mut self, call_cid: &str, user_id: &str, now: Timestamp) {
        self.reject_with(call_cid, user_id, None, now);
    }

    pub(crate) fn reject_with(
        &mut self,
        call_cid: &str,
        user_id: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) {
        let Some(cid) = self.find_open_call(call_cid) else { return };
        let Some(session) = self.get_or_create_session(&cid) else { return };
        session.rejected_by.insert(user_id.to_owned(), now);
        let was_ringing = session.ringing.remove(user_id).is_some();
        let still_ringing: Vec<String> = session.ringing.keys().cloned().collect();
        let fields = json!({ "user": self.user_response(user_id), "reason": reason });
        self.emit_call("call.rejected", &cid, now, strip_nulls(fields));
        let is_creator = self.calls.get(&cid).is_some_and(|call| call.created_by == user_id);
        if !self.ring_rules.has_early_misses {
            return;
        }
        if was_ringing && reason == Some("busy") {
            self.miss_all(&cid, &[user_id.to_owned()], now);
        } else if is_creator && !was_ringing {
            self.miss_all(&cid, &still_ringing, now);
        }
    }

    /// A user misses a ring.
    pub(crate) fn miss(&mut self, call_cid: &str, user_id: &str, now: Timestamp) {
        let Some(cid) = self.find_open_call(call_cid) else { return };
        self.miss_all(&cid, &[user_id.to_owned()], now);
    }

    /// The members whose ring has reached its timeout miss the call.
    pub(super) fn miss_unanswered(&mut self, cid: &Cid, now: Timestamp) {
        let Some(call) = self.calls.get(cid) else { return };
        let Some(timeout) = call.missed_call_timeout() else { return };
        let Some(session) = call.current_session() else { return };
        let unanswered = session.ringing.iter().filter(|(_, rung_at)| rung_at.plus(timeout) <= now);
        let user_ids: Vec<String> = unanswered.map(|(user_id, _)| user_id.clone()).collect();
        self.miss_all(cid, &user_ids, now);
    }

    fn miss_all(&mut self, cid: &Cid, user_ids: &[String], now: Timestamp) {
        if user_ids.is_empty() {
            return;
        }
        let Some(session) = self.get_or_create_session(cid) else { return };
        for user_id in user_ids {
            session.ringing.remove(user_id);
            session.missed_by.insert(user_id.clone(), now);
        }
        let session_id = session.id.clone();
        let Some(call) = self.calls.get(cid) else { return };
        let members: Vec<Value> =
            user_ids.iter().map(|user_id| call.member_response(user_id, self)).collect();
        let fields = json!({
            "session_id": session_id,
            "user": self.user_response(&call.created_by),
            "members": members,
            "notify_user": true,
        });
        self.emit_call("call.missed", cid, now, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge;
    use super::super::testing::{
        at, default_call_cid, event_types, expect_error, from_json, world_with_users,
    };
    use super::*;

    const CALL: &str = "default:c";

    /// Alice's call with bob and carol.
    fn world_with_call() -> World {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        get_or_create(&mut world, json!({}), at(0));
        world.take_events();
        world
    }

    fn get_or_create(world: &mut World, extra: Value, now: Timestamp) -> Value {
        let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }, { "user_id": "carol" }]);
        let data = json!({ "created_by_id": "alice", "members": members });
        let request = from_json(merge(json!({ "data": data }), extra));
        world.get_or_create_call(&default_call_cid("c"), request, now).expect("the call")
    }

    fn call(world: &World) -> Value {
        world.get_call(&default_call_cid("c"), None).expect("the call")["call"].clone()
    }

    /// The rung users and the times.
    fn rings(world: &World) -> Vec<(String, i64)> {
        world.ring_views(CALL).into_iter().map(|ring| (ring.user_id, ring.rung_at)).collect()
    }

    fn ring(user_id: &str, seconds: u64) -> (String, i64) {
        (user_id.to_owned(), at(seconds).as_nanos())
    }

    #[test]
    fn ring_opens_a_session_and_leaves_out_the_creator() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        let created = get_or_create(&mut world, json!({ "ring": true, "video": true }), at(1));
        let session = &created["call"]["session"];
        assert_eq!(session.get("started_at"), None);
        assert_eq!(created["call"]["current_session_id"], session["id"]);
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.created", "call.ring"]);
        let event = &events[1];
        assert_eq!(event["session_id"], session["id"]);
        assert_eq!(event["call"]["session"]["id"], session["id"]);
        assert_eq!(event["user"]["id"], json!("alice"));
        assert_eq!(event["video"], json!(true));
        let members = event["members"].as_array().expect("members");
        let rung: Vec<&Value> = members.iter().map(|member| &member["user_id"]).collect();
        assert_eq!(rung, ["bob", "carol"]);
        assert_eq!(rings(&world), [ring("bob", 1), ring("carol", 1)]);
        assert_eq!(json!(world.ring_views(CALL)[0].session_id), session["id"]);
        assert!(world.ring_views("default:x").is_empty());
    }

    #[test]
    fn repeated_ring_reaches_the_members_who_are_not_in_the_call() {
        let mut world = world_with_call();
        world.join(CALL, "carol", at(1)).expect("a join");
        let session = call(&world)["session"]["id"].clone();
        get_or_create(&mut world, json!({ "ring": true }), at(2));
        assert_eq!(rings(&world), [ring("bob", 2)]);
        assert_eq!(call(&world)["session"]["id"], session);
        world.join(CALL, "bob", at(3)).expect("a join");
        world.take_events();
        get_or_create(&mut world, json!({ "ring": true }), at(4));
        world.end_call(&default_call_cid("c"), at(5)).expect("ended");
        get_or_create(&mut world, json!({ "ring": true }), at(6));
        assert_eq!(event_types(&world.take_events()), ["call.ended", "call.session_ended"]);
        assert_eq!(rings(&world).len(), 1);
        // Each of these requests counts.
        assert_eq!(world.call_view(CALL).expect("the call").rings, 3);
    }

    fn ring_call(world: &mut World, user_id: Option<&str>, request: Value) -> ApiResult {
        world.ring_call(user_id, &default_call_cid("c"), &from_json(request), at(7))
    }

    #[test]
    fn ring_call_rings_the_given_members() {
        let mut world = world_with_call();
        let request = json!({ "members_ids": ["carol", "carol"], "video": true });
        let response = ring_call(&mut world, None, request).expect("rung");
        assert_eq!(response, json!({ "members_ids": ["carol"] }));
        assert_eq!(rings(&world), [ring("carol", 7)]);
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.ring"]);
        assert_eq!(events[0]["members"][0]["user_id"], json!("carol"));
        assert_eq!(events[0]["user"]["id"], json!("alice"));
        assert_eq!(events[0]["video"], json!(true));
        // This counter has the requests with `ring: true`.
        assert_eq!(world.call_view(CALL).expect("the call").rings, 0);
    }

    #[test]
    fn ring_call_without_ids_rings_the_members_who_are_not_in_the_call() {
        let mut world = world_with_call();
        let response = ring_call(&mut world, None, json!({ "members_ids": [] })).expect("rung");
        assert_eq!(response["members_ids"], json!(["bob", "carol"]));
        world.take_events();
        let response = ring_call(&mut world, Some("bob"), json!({})).expect("rung");
        assert_eq!(response["members_ids"], json!(["carol"]));
        assert_eq!(world.take_events()[0]["user"]["id"], json!("bob"));
        world.join(CALL, "carol", at(8)).expect("a join");
        let error = expect_error(ring_call(&mut world, Some("bob"), json!({})));
        assert_eq!(error, (400, 4, "no users to ring".to_owned()));
        // Given members are rung although they are in the call.
        assert!(ring_call(&mut world, None, json!({ "members_ids": ["carol"] })).is_ok());
    }

    #[test]
    fn ring_call_rings_the_creator_only_by_the_switch() {
        let mut world = world_with_call();
        let to_alice = || json!({ "members_ids": ["alice"] });
        assert_eq!(expect_error(ring_call(&mut world, None, to_alice())).2, "no users to ring");
        let both = json!({ "members_ids": ["alice", "bob"] });
        let response = ring_call(&mut world, None, both).expect("rung");
        assert_eq!(response["members_ids"], json!(["bob"]));
        world.set_rings_creator(true);
        let response = ring_call(&mut world, Some("bob"), to_alice()).expect("rung");
        assert_eq!(response["members_ids"], json!(["alice"]));
        // A request with `ring: true` never rings the creator.
        get_or_create(&mut world, json!({ "ring": true }), at(9));
        assert_eq!(rings(&world)[1..], [ring("alice", 7), ring("bob", 9), ring("carol", 9)]);
    }

    #[test]
    fn ring_call_requires_members_of_an_open_call() {
        let mut world = world_with_call();
        let error = expect_error(ring_call(&mut world, None, json!({ "members_ids": ["dave"] })));
        assert_eq!((error.0, error.1), (400, 4));
        let ids = vec!["bob"; 101];
        let too_many = json!({ "members_ids": ids });
        assert_eq!(expect_error(ring_call(&mut world, None, too_many)).1, 4);
        world.end_call(&default_call_cid("c"), at(5)).expect("ended");
        assert_eq!(expect_error(ring_call(&mut world, None, json!({}))).1, 4);
        world.remove_call(&default_call_cid("c"), at(6));
        assert_eq!(expect_error(ring_call(&mut world, None, json!({}))).1, 16);
        assert!(world.ring_views(CALL).is_empty());
    }

    /// Runs the timeouts until this time. Returns the members of each `call.missed` event.
    fn missed_until(world: &mut World, now: Timestamp) -> Vec<Vec<String>> {
        while world.next_timeout_at().is_some_and(|due| due <= now) {
            world.run_next_timeout();
        }
        let events = world.take_events().into_iter();
        let missed = events.filter(|event| event["type"] == "call.missed");
        missed
            .map(|event| {
                let members = event["members"].as_array().cloned().unwrap_or_default();
                let ids = members.iter().filter_map(|member| member["user_id"].as_str());
                ids.map(str::to_owned).collect()
            })
            .collect()
    }

    #[test]
    fn member_without_a_response_misses_the_call() {
        let mut world = world_with_call();
        get_or_create(&mut world, json!({ "ring": true }), at(1));
        assert_eq!(world.next_timeout_at(), Some(at(16)));
        // A repeated ring begins anew.
        ring_call(&mut world, None, json!({ "members_ids": ["carol"] })).expect("rung");
        assert!(missed_until(&mut world, at(15)).is_empty());
        assert_eq!(missed_until(&mut world, at(21)), [["bob"]]);
        assert_eq!(missed_until(&mut world, at(60)), [["carol"]]);
        let missed_by = call(&world)["session"]["missed_by"].clone();
        assert_eq!(missed_by, json!({ "bob": at(16), "carol": at(22) }));
        assert_eq!(world.next_timeout_at(), None);
        assert_eq!(call(&world).get("ended_at"), None);
        get_or_create(&mut world, json!({ "ring": true }), at(70));
        assert_eq!(missed_until(&mut world, at(85)), [["bob", "carol"]]);
    }

    #[test]
    fn member_with_a_response_does_not_miss_the_call() {
        for response in ["accept", "reject", "join", "remove", "end"] {
            let mut world = world_with_call();
            ring_call(&mut world, None, json!({ "members_ids": ["bob"] })).expect("rung");
            match response {
                "accept" => world.accept(CALL, "bob", at(8)),
                "reject" => world.reject(CALL, "bob", at(8)),
                "join" => {
                    world.join(CALL, "bob", at(8)).expect("a join");
                }
                "remove" => {
                    let request = from_json(json!({ "remove_members": ["bob"] }));
                    let cid = default_call_cid("c");
                    world.update_call_members(&cid, request, at(8)).expect("removed");
                }
                _ => world.end_call_at(&default_call_cid("c"), at(8), None),
            }
            assert!(missed_until(&mut world, at(60)).is_empty(), "{response}");
        }
    }

    #[test]
    fn timeout_of_the_ring_is_a_setting() {
        let mut world = world_with_call();
        let update = |world: &mut World, millis: u64| {
            let settings = json!({ "ring": { "missed_call_timeout_ms": millis } });
            let request = from_json(json!({ "settings_override": settings }));
            world.update_call(&default_call_cid("c"), request, at(1)).expect("updated");
        };
        update(&mut world, 0);
        ring_call(&mut world, None, json!({})).expect("rung");
        assert!(missed_until(&mut world, at(600)).is_empty());
        update(&mut world, 60_000);
        assert_eq!(world.next_timeout_at(), Some(at(67)));
    }

    #[test]
    fn busy_member_and_cancelled_ring_are_missed_at_once() {
        for (has_early_misses, busy, cancelled) in
            [(true, vec![vec!["bob"]], vec![vec!["carol"]]), (false, vec![], vec![])]
        {
            let mut world = world_with_call();
            world.set_has_early_misses(has_early_misses);
            get_or_create(&mut world, json!({ "ring": true }), at(1));
            world.reject_with(CALL, "bob", Some("busy"), at(2));
            assert_eq!(missed_until(&mut world, at(2)), busy);
            world.reject_with(CALL, "alice", Some("cancel"), at(3));
            assert_eq!(missed_until(&mut world, at(3)), cancelled);
            // Without early misses, the ring of carol continues until its timeout.
            assert_eq!(missed_until(&mut world, at(60)).is_empty(), has_early_misses);
        }
        // A member who declines, and a creator who declines a ring, do not end the other rings.
        let mut world = world_with_call();
        world.set_rings_creator(true);
        ring_call(&mut world, None, json!({})).expect("rung");
        world.reject_with(CALL, "bob", Some("decline"), at(8));
        world.reject_with(CALL, "alice", Some("decline"), at(8));
        assert!(missed_until(&mut world, at(8)).is_empty());
        assert_eq!(missed_until(&mut world, at(60)), [["carol"]]);
        // Without a ring no member misses the call.
        let mut world = world_with_call();
        world.reject_with(CALL, "bob", Some("busy"), at(8));
        world.reject_with(CALL, "alice", Some("cancel"), at(8));
        assert!(missed_until(&mut world, at(60)).is_empty());
    }

    #[test]
    fn accepted_ring_is_in_an_unstarted_session() {
        let mut world = world_with_call();
        world.accept(CALL, "bob", at(3));
        world.accept("default:x", "bob", at(3));
        let session = call(&world)["session"].clone();
        assert_eq!(session.get("started_at"), None);
        assert_eq!(session["accepted_by"], json!({ "bob": at(3) }));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.accepted"]);
        assert_eq!(events[0]["user"]["id"], json!("bob"));
        let accepted_by = &events[0]["call"]["session"]["accepted_by"];
        assert_eq!(accepted_by, &json!({ "bob": "2026-01-01T00:00:03.000000000Z" }));
    }

    #[test]
    fn rejected_and_missed_rings_are_in_an_unstarted_session() {
        let mut world = world_with_call();
        world.reject(CALL, "bob", at(3));
        world.miss(CALL, "alice", at(4));
        let session = call(&world)["session"].clone();
        assert_eq!(session.get("started_at"), None);
        assert_eq!(session["rejected_by"], json!({ "bob": at(3) }));
        assert_eq!(session["missed_by"], json!({ "alice": at(4) }));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.rejected", "call.missed"]);
        assert_eq!(events[0]["user"]["id"], json!("bob"));
        assert_eq!(
            events[0]["call"]["session"]["rejected_by"],
            json!({ "bob": "2026-01-01T00:00:03.000000000Z" })
        );
        assert_eq!(events[1]["members"][0]["user_id"], json!("alice"));
        assert_eq!(events[1]["session_id"], session["id"]);
        // The first join starts this session.
        world.join(CALL, "bob", at(5)).expect("a join");
        assert_eq!(call(&world)["session"]["id"], session["id"]);
        assert_eq!(call(&world)["session"]["started_at"], json!(at(5)));
    }
}
