//! Video calls: get-or-create is idempotent but rings again; an ended call
//! still exists and stays ended; a deleted one does not exist.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, CallMember, CallMemberRequest};
use super::call_settings::{default_settings, overridden};
use super::cid::Cid;
use super::limits::{self, at_most};
use super::listing::CursorQuery;
use super::users::{NamedUser, creator};
use super::{Custom, Reply, World, compact};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::views::CallView;

const MEMBERS: usize = 100;
const DEFAULT_MEMBERS: usize = 25;

#[derive(Debug, Deserialize)]
pub(crate) struct GetOrCreateCall {
    data: Option<CallData>,
    ring: Option<bool>,
    notify: Option<bool>,
    members_limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
struct CallData {
    created_by_id: Option<String>,
    created_by: Option<NamedUser>,
    members: Option<Vec<CallMemberRequest>>,
    custom: Option<Custom>,
    channel_cid: Option<String>,
    team: Option<String>,
    starts_at: Option<String>,
    #[serde(default)]
    settings_override: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateCall {
    custom: Option<Custom>,
    starts_at: Option<String>,
    #[serde(default)]
    settings_override: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteCall {
    hard: Option<bool>,
}

impl World {
    pub(crate) fn get_or_create_call(
        &mut self,
        cid: &Cid,
        ask: GetOrCreateCall,
        now: Moment,
    ) -> Reply {
        let data = ask.data.unwrap_or_default();
        let limit = members_limit(ask.members_limit)?;
        at_most("members", data.members.as_ref().map_or(0, Vec::len), MEMBERS)?;
        limits::size("custom", &data.custom)?;
        let created = !self.calls.contains_key(cid);
        if created {
            let call = self.new_call(cid, data, now)?;
            let members = call.members_response(self, MEMBERS);
            self.calls.insert(cid.clone(), call);
            self.calls_created += 1;
            self.emit_call("call.created", cid, now, json!({ "members": members }));
        }
        let call = self.known_call_mut(cid)?;
        call.rings += u64::from(ask.ring == Some(true));
        call.notifications += u64::from(ask.notify == Some(true));
        let mut reply = self.known_call(cid)?.with_members(self, limit);
        reply["created"] = json!(created);
        Ok(reply)
    }

    pub(crate) fn get_call(&self, cid: &Cid, limit: Option<usize>) -> Reply {
        Ok(self.known_call(cid)?.with_members(self, members_limit(limit)?))
    }

    pub(crate) fn update_call(&mut self, cid: &Cid, ask: UpdateCall, now: Moment) -> Reply {
        limits::size("custom", &ask.custom)?;
        let starts_at = ask.starts_at.as_deref().map(instant).transpose()?;
        let call = self.known_call_mut(cid)?;
        call.settings = overridden(&call.settings, &ask.settings_override)?;
        if let Some(custom) = ask.custom {
            call.custom = custom;
        }
        call.starts_at = starts_at.or(call.starts_at);
        call.updated_at = now;
        self.emit_call("call.updated", cid, now, json!({ "capabilities_by_role": {} }));
        Ok(self.known_call(cid)?.with_members(self, DEFAULT_MEMBERS))
    }

    /// Ending again succeeds again, and the first end stands.
    pub(crate) fn end_call(&mut self, cid: &Cid, now: Moment) -> Reply {
        self.known_call(cid)?;
        self.finish_call(cid, now);
        Ok(json!({}))
    }

    pub(crate) fn delete_call(&mut self, cid: &Cid, ask: &DeleteCall, now: Moment) -> Reply {
        let call = self.remove_call(cid, now).ok_or_else(|| no_call(cid))?;
        let mut reply = json!({ "call": call });
        if ask.hard == Some(true) {
            reply["task_id"] = json!(self.start_task(json!({}), now));
        }
        Ok(reply)
    }

    /// Takes a call away and tells of it; the call as it was.
    pub(crate) fn remove_call(&mut self, cid: &Cid, now: Moment) -> Option<Value> {
        let call = self.calls.get(cid)?.response(self);
        self.calls.remove(cid);
        self.emit("call.deleted", now, json!({ "call_cid": cid, "call": call }));
        Some(call)
    }

    pub(crate) fn query_calls(&self, ask: &CursorQuery) -> Reply {
        let calls = self.calls.values().map(|call| call.filterable(self)).collect();
        let (found, next) = ask.page(calls, 2)?;
        let calls: Vec<Value> = found
            .iter()
            .filter_map(|call| call["cid"].as_str()?.parse().ok())
            .filter_map(|cid: Cid| self.calls.get(&cid))
            .map(|call| call.with_members(self, MEMBERS))
            .collect();
        Ok(compact(json!({ "calls": calls, "next": next })))
    }

    pub(super) fn known_call(&self, cid: &Cid) -> Result<&Call, StreamFailure> {
        self.calls.get(cid).ok_or_else(|| no_call(cid))
    }

    fn known_call_mut(&mut self, cid: &Cid) -> Result<&mut Call, StreamFailure> {
        self.calls.get_mut(cid).ok_or_else(|| no_call(cid))
    }

    pub(crate) fn call_view(&self, cid: &str) -> Option<CallView> {
        let cid: Cid = cid.parse().ok()?;
        self.calls.get(&cid).map(Call::view)
    }

    pub(crate) fn live_calls(&self) -> Vec<String> {
        let live = self.calls.values().filter(|call| call.ended_at.is_none());
        live.map(|call| call.cid.to_string()).collect()
    }

    pub(crate) fn calls_ever(&self) -> usize {
        self.calls_created
    }

    fn new_call(&self, cid: &Cid, data: CallData, now: Moment) -> Result<Call, StreamFailure> {
        limits::call_cid(cid)?;
        let created_by = creator(data.created_by_id, data.created_by)?;
        let settings = overridden(&default_settings(), &data.settings_override)?;
        let starts_at = data.starts_at.as_deref().map(instant).transpose()?;
        let requests = data.members.unwrap_or_default();
        let involved = requests.iter().map(|member| member.user_id.as_str());
        self.involve("call create", involved.chain([created_by.as_str()]))?;
        let members: Vec<CallMember> =
            requests.into_iter().map(|request| request.into_member(now)).collect();
        Ok(Call {
            cid: cid.clone(),
            created_by,
            members,
            custom: data.custom.unwrap_or_default(),
            channel_cid: data.channel_cid,
            team: data.team,
            starts_at,
            settings,
            created_at: now,
            updated_at: now,
            ended_at: None,
            rings: 0,
            notifications: 0,
            sessions: Vec::new(),
        })
    }
}

fn members_limit(limit: Option<usize>) -> Result<usize, StreamFailure> {
    let limit = limit.unwrap_or(DEFAULT_MEMBERS);
    at_most("members_limit", limit, MEMBERS)?;
    Ok(limit)
}

fn instant(text: &str) -> Result<Moment, StreamFailure> {
    Moment::parse(text)
        .ok_or_else(|| StreamFailure::input(format!("starts_at: {text:?} is not an instant")))
}

fn no_call(cid: &Cid) -> StreamFailure {
    StreamFailure::missing(format!("Can't find call with id {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::joined;
    use super::super::testing::{at, default_call, read, refusal, told, world};
    use super::*;

    fn create(world: &mut World, id: &str, more: Value) -> Reply {
        let data = json!({
            "created_by_id": "alice",
            "members": [{ "user_id": "alice", "role": "admin" }, { "user_id": "bob" }],
            "channel_cid": "messaging:c",
            "settings_override": {
                "limits": { "max_duration_seconds": 3_600 },
                "session": { "inactivity_timeout_seconds": 300 },
            },
        });
        let ask = joined(json!({ "data": data }), more);
        world.get_or_create_call(&default_call(id), read(ask), at(1))
    }

    #[test]
    fn a_second_create_says_so_and_rings_again() {
        let mut world = world(&["alice", "bob"]);
        let first = create(&mut world, "c", json!({ "ring": true })).expect("a call");
        assert_eq!(first["created"], json!(true));
        assert_eq!(first["call"]["session"], json!(null));
        assert!(first["call"].get("session").is_some());
        assert_eq!(first["call"].get("ended_at"), None);
        assert_eq!(first["call"]["current_session_id"], json!(""));
        assert_eq!(first["call"]["settings"]["video"]["target_resolution"]["width"], json!(1_280));
        let again = create(&mut world, "c", json!({ "ring": true })).expect("the call");
        assert_eq!(again["created"], json!(false));
        let call = world.call_view("default:c").expect("the call");
        assert_eq!((call.rings, call.notifications, world.calls_ever()), (2, 0, 1));
        assert_eq!(call.max_duration_seconds, Some(3_600));
        assert_eq!(call.inactivity_timeout_seconds, Some(300));
        assert_eq!(call.channel_cid.as_deref(), Some("messaging:c"));
    }

    #[test]
    fn members_and_creator_must_exist() {
        let mut world = world(&["alice"]);
        let (status, code, message) = refusal(create(&mut world, "c", json!({})));
        assert_eq!((status, code), (400, 4));
        assert!(message.contains("[bob]"), "{message}");
        let nobody = read(json!({ "data": { "members": [] } }));
        let outcome = world.get_or_create_call(&default_call("c"), nobody, at(1));
        assert_eq!(refusal(outcome).1, 4);
        assert_eq!(world.calls_ever(), 0);
    }

    #[test]
    fn the_first_end_stands() {
        let mut world = world(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        assert_eq!(world.live_calls(), ["default:c"]);
        world.end_call(&default_call("c"), at(5)).expect("ended");
        world.end_call(&default_call("c"), at(6)).expect("ended");
        let again = create(&mut world, "c", json!({})).expect("the call");
        assert_eq!(again["created"], json!(false));
        assert_eq!(again["call"]["ended_at"], json!(at(5)));
        assert!(world.live_calls().is_empty());
        assert_eq!(refusal(world.end_call(&default_call("d"), at(5))).1, 16);
    }

    #[test]
    fn a_deleted_call_does_not_exist() {
        let mut world = world(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        let hard = read(json!({ "hard": true }));
        let answer = world.delete_call(&default_call("c"), &hard, at(5)).expect("deleted");
        assert!(answer["task_id"].is_string());
        assert_eq!(refusal(world.get_call(&default_call("c"), None)).1, 16);
        assert_eq!(refusal(world.delete_call(&default_call("c"), &hard, at(5))).1, 16);
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let mut world = world(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        let settings = json!({ "video": { "enabled": false } });
        let ask = json!({ "custom": { "a": 1 }, "settings_override": settings });
        let answer = world.update_call(&default_call("c"), read(ask), at(5)).expect("the call");
        assert_eq!(answer["call"]["custom"], json!({ "a": 1 }));
        assert_eq!(answer["call"]["settings"]["limits"]["max_duration_seconds"], json!(3_600));
        let settings = json!({ "session": { "inactivity_timeout_seconds": 1 } });
        let bad = json!({ "settings_override": settings });
        assert_eq!(refusal(world.update_call(&default_call("c"), read(bad), at(5))).1, 4);
    }

    #[test]
    fn calls_are_found_by_what_they_are() {
        let mut world = world(&["alice", "bob"]);
        for id in ["a", "b", "c"] {
            create(&mut world, id, json!({})).expect("a call");
        }
        world.end_call(&default_call("b"), at(5)).expect("ended");
        let cids = |filter: Value| -> Vec<Value> {
            let ask = read(json!({ "filter_conditions": filter }));
            let answer = world.query_calls(&ask).expect("calls");
            let calls = answer["calls"].as_array().cloned().unwrap_or_default();
            calls.iter().map(|call| call["call"]["cid"].clone()).collect()
        };
        assert_eq!(cids(json!({ "ended_at": { "$exists": true } })), ["default:b"]);
        assert_eq!(cids(json!({ "ended_at": null })), ["default:a", "default:c"]);
        assert_eq!(cids(json!({ "cid": { "$in": ["default:c"] } })), ["default:c"]);
        assert_eq!(cids(json!({ "members": { "$in": ["bob"] } })).len(), 3);
        assert_eq!(cids(json!({ "created_by_user_id": "alice" })).len(), 3);
        assert!(cids(json!({ "ongoing": true })).is_empty());
        world.join("default:c", "alice", at(6)).expect("a join");
        world.reject("default:a", "bob", at(6));
        let ongoing = read(json!({ "filter_conditions": { "ongoing": true } }));
        let answer = world.query_calls(&ongoing).expect("calls");
        assert_eq!(answer["calls"][0]["call"]["id"], json!("c"));
        assert_eq!(answer["calls"].as_array().map(Vec::len), Some(1));
    }

    /// What tells a forgotten call from one that goes on is in every result.
    #[test]
    fn calls_come_in_pages_by_age_with_all_that_is_known() {
        let mut world = world(&["alice", "bob"]);
        for (second, id) in [(3, "a"), (1, "b"), (2, "c")] {
            let data = json!({
                "created_by_id": "alice",
                "channel_cid": "messaging:c",
                "custom": { "kind": id },
            });
            let ask = read(json!({ "data": data }));
            world.get_or_create_call(&default_call(id), ask, at(second)).expect("a call");
        }
        world.join("default:b", "alice", at(4)).expect("a join");
        world.end_call(&default_call("b"), at(5)).expect("ended");
        let page = |filter: Value, next: &Value| {
            let sort = json!([{ "field": "created_at", "direction": 1 }]);
            let ask = json!({
                "filter_conditions": filter,
                "sort": sort,
                "limit": 2,
                "next": next,
            });
            world.query_calls(&read(ask)).expect("calls")
        };
        let first = page(json!({}), &json!(null));
        let (b, c) = (&first["calls"][0]["call"], &first["calls"][1]["call"]);
        assert_eq!((&b["id"], &c["id"]), (&json!("b"), &json!("c")));
        assert_eq!(b["ended_at"], json!(at(5)));
        assert_eq!(b["session"]["started_at"], json!(at(4)));
        assert_eq!(b["channel_cid"], json!("messaging:c"));
        assert_eq!(b["created_by"]["id"], json!("alice"));
        assert_eq!(b["created_at"], json!(at(1)));
        assert_eq!((&c["session"], c.get("ended_at")), (&json!(null), None));
        let last = page(json!({}), &first["next"]);
        assert_eq!(last["calls"][0]["call"]["id"], json!("a"));
        assert_eq!(last.get("next"), None);
        let between = json!({ "$gte": "2026-01-01T00:00:02Z", "$lt": "2026-01-01T00:00:03Z" });
        for (filter, id) in [
            (json!({ "created_at": between }), "c"),
            (json!({ "kind": "a" }), "a"),
            (json!({ "custom.kind": "c" }), "c"),
            (json!({ "id": { "$in": ["a", "x"] } }), "a"),
            (json!({ "ended_at": { "$exists": false } }), "c"),
        ] {
            let found = page(filter.clone(), &json!(null));
            assert_eq!(found["calls"][0]["call"]["id"], json!(id), "{filter}");
        }
        let too_many = read(json!({ "limit": 101 }));
        assert_eq!(refusal(world.query_calls(&too_many)).1, 4);
    }

    #[test]
    fn what_happens_to_a_call_is_told() {
        let mut world = world(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        create(&mut world, "c", json!({})).expect("the call");
        let ask = read(json!({ "custom": { "a": 1 } }));
        world.update_call(&default_call("c"), ask, at(2)).expect("updated");
        let soft = read(json!({}));
        world.delete_call(&default_call("c"), &soft, at(3)).expect("deleted");
        let events = world.take_events();
        assert_eq!(told(&events), ["call.created", "call.updated", "call.deleted"]);
        assert_eq!(events[0]["members"][1]["user_id"], json!("bob"));
        assert_eq!(events[1]["call"]["custom"], json!({ "a": 1 }));
        assert_eq!(events[2]["created_at"], json!("2026-01-01T00:00:03.000000000Z"));
        for event in &events {
            assert_eq!(event["call_cid"], json!("default:c"));
            assert_eq!(event["call"]["cid"], json!("default:c"));
        }
    }
}
