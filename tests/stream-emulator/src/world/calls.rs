//! Video calls. Get-or-create is idempotent but rings again. An ended call still exists and stays
//! ended. A deleted call does not exist.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, CallMember, CallMemberRequest};
use super::call_settings::apply_override;
use super::cid::Cid;
use super::pagination::CursorQuery;
use super::users::{UserRef, resolve_creator};
use super::validation::{self, check_max};
use super::{ApiResult, CustomFields, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::CallView;

const MAX_MEMBERS: usize = 100;
const DEFAULT_MEMBERS_LIMIT: usize = 25;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetOrCreateCall {
    data: Option<CallData>,
    ring: Option<bool>,
    notify: Option<bool>,
    video: Option<bool>,
    members_limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallData {
    created_by_id: Option<String>,
    created_by: Option<UserRef>,
    members: Option<Vec<CallMemberRequest>>,
    custom: Option<CustomFields>,
    channel_cid: Option<String>,
    team: Option<String>,
    starts_at: Option<String>,
    #[serde(default)]
    settings_override: Value,
    /// Whether the call is a video call. Only `call.ring` has it.
    #[serde(rename = "video")]
    _video: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateCall {
    custom: Option<CustomFields>,
    starts_at: Option<String>,
    #[serde(default)]
    settings_override: Value,
}

/// The signals of a request to the members of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallSignals {
    pub(crate) ring: bool,
    pub(crate) notify: bool,
    pub(crate) video: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteCall {
    hard: Option<bool>,
}

impl GetOrCreateCall {
    /// The request with this creator.
    pub(super) fn created_by(mut self, user_id: &str) -> Self {
        let data = self.data.get_or_insert_default();
        data.created_by_id = Some(user_id.to_owned());
        self
    }

    pub(super) fn overrides_settings(&self) -> bool {
        self.data.as_ref().is_some_and(|data| has_members(&data.settings_override))
    }
}

impl UpdateCall {
    pub(super) fn overrides_settings(&self) -> bool {
        has_members(&self.settings_override)
    }
}

fn has_members(value: &Value) -> bool {
    value.as_object().is_some_and(|members| !members.is_empty())
}

impl World {
    pub(crate) fn get_or_create_call(
        &mut self,
        cid: &Cid,
        request: GetOrCreateCall,
        now: Timestamp,
    ) -> ApiResult {
        let data = request.data.unwrap_or_default();
        let limit = members_limit(request.members_limit)?;
        check_max("members", data.members.as_ref().map_or(0, Vec::len), MAX_MEMBERS)?;
        validation::check_size("custom", &data.custom)?;
        let created = !self.calls.contains_key(cid);
        if created {
            let call = self.new_call(cid, data, now)?;
            let members = call.members_response(self, MAX_MEMBERS);
            self.calls.insert(cid.clone(), call);
            self.calls_created += 1;
            self.emit_call("call.created", cid, now, json!({ "members": members }));
        }
        let signals = CallSignals {
            ring: request.ring == Some(true),
            notify: request.notify == Some(true),
            video: request.video,
        };
        self.signal_members(cid, signals, now)?;
        let mut response = self.find_call(cid)?.response_with_members(self, limit);
        response["created"] = json!(created);
        Ok(response)
    }

    pub(crate) fn get_call(&self, cid: &Cid, limit: Option<usize>) -> ApiResult {
        Ok(self.find_call(cid)?.response_with_members(self, members_limit(limit)?))
    }

    /// Rings or notifies the members of a call in the name of its creator.
    pub(crate) fn signal_members(
        &mut self,
        cid: &Cid,
        signals: CallSignals,
        now: Timestamp,
    ) -> Result<(), StreamError> {
        let call = self.find_call_mut(cid)?;
        let creator = call.created_by.clone();
        if signals.ring {
            call.rings += 1;
            self.ring_members(cid, signals.video, now);
        }
        if signals.notify {
            self.notify_members(cid, &creator, now);
        }
        Ok(())
    }

    pub(crate) fn update_call(
        &mut self,
        cid: &Cid,
        request: UpdateCall,
        now: Timestamp,
    ) -> ApiResult {
        validation::check_size("custom", &request.custom)?;
        let starts_at = request.starts_at.as_deref().map(parse_starts_at).transpose()?;
        let base = if self.replaces_settings_on_update && request.overrides_settings() {
            self.find_call_type(&cid.kind)?.settings.clone()
        } else {
            self.find_call(cid)?.settings.clone()
        };
        let call = self.find_call_mut(cid)?;
        call.fix_ended_timers();
        call.settings = apply_override(&base, &request.settings_override)?;
        if let Some(custom) = request.custom {
            call.custom = custom;
        }
        call.starts_at = starts_at.or(call.starts_at);
        call.updated_at = now;
        self.emit_call("call.updated", cid, now, json!({ "capabilities_by_role": {} }));
        Ok(self.find_call(cid)?.response_with_members(self, DEFAULT_MEMBERS_LIMIT))
    }

    /// Ends a call. Repeating it succeeds and keeps the first `ended_at`.
    pub(crate) fn end_call(&mut self, cid: &Cid, now: Timestamp) -> ApiResult {
        self.find_call(cid)?;
        self.end_call_at(cid, now, None);
        Ok(json!({}))
    }

    pub(crate) fn delete_call(
        &mut self,
        cid: &Cid,
        request: &DeleteCall,
        now: Timestamp,
    ) -> ApiResult {
        let call = self.remove_call(cid, now).ok_or_else(|| call_not_found(cid))?;
        let mut response = json!({ "call": call });
        if request.hard == Some(true) {
            response["task_id"] = json!(self.start_task(json!({}), now));
        }
        Ok(response)
    }

    /// Removes a call and emits `call.deleted`. Returns the call.
    pub(crate) fn remove_call(&mut self, cid: &Cid, now: Timestamp) -> Option<Value> {
        let call = self.calls.get(cid)?.response(self);
        self.calls.remove(cid);
        self.emit("call.deleted", now, json!({ "call_cid": cid, "call": call }));
        Some(call)
    }

    pub(crate) fn query_calls(&self, request: &CursorQuery) -> ApiResult {
        let calls = self.calls.values().map(|call| call.filter_fields(self)).collect();
        let (page, next) = request.page(calls, 2)?;
        let calls: Vec<Value> = page
            .iter()
            .filter_map(|call| call["cid"].as_str()?.parse().ok())
            .filter_map(|cid: Cid| self.calls.get(&cid))
            .map(|call| call.response_with_members(self, MAX_MEMBERS))
            .collect();
        Ok(strip_nulls(json!({ "calls": calls, "next": next })))
    }

    pub(super) fn find_call(&self, cid: &Cid) -> Result<&Call, StreamError> {
        self.calls.get(cid).ok_or_else(|| call_not_found(cid))
    }

    pub(super) fn find_call_mut(&mut self, cid: &Cid) -> Result<&mut Call, StreamError> {
        self.calls.get_mut(cid).ok_or_else(|| call_not_found(cid))
    }

    pub(crate) fn call_view(&self, cid: &str) -> Option<CallView> {
        let cid: Cid = cid.parse().ok()?;
        self.calls.get(&cid).map(Call::view)
    }

    pub(crate) fn live_calls(&self) -> Vec<String> {
        let live = self.calls.values().filter(|call| call.ended_at.is_none());
        live.map(|call| call.cid.to_string()).collect()
    }

    pub(crate) fn calls_created(&self) -> usize {
        self.calls_created
    }

    fn new_call(&self, cid: &Cid, data: CallData, now: Timestamp) -> Result<Call, StreamError> {
        let call_type = self.find_call_type(&cid.kind)?;
        validation::check_call_id(&cid.id)?;
        let created_by = resolve_creator(data.created_by_id, data.created_by)?;
        let settings = apply_override(&call_type.settings, &data.settings_override)?;
        let starts_at = data.starts_at.as_deref().map(parse_starts_at).transpose()?;
        let requests = data.members.unwrap_or_default();
        let involved = requests.iter().map(|member| member.user_id.as_str());
        self.check_users_exist_for("call create", involved.chain([created_by.as_str()]))?;
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
            is_recording: false,
            rings: 0,
            rung: Vec::new(),
            notifications: 0,
            sessions: Vec::new(),
            blocked_users: BTreeSet::new(),
        })
    }
}

fn members_limit(limit: Option<usize>) -> Result<usize, StreamError> {
    let limit = limit.unwrap_or(DEFAULT_MEMBERS_LIMIT);
    check_max("members_limit", limit, MAX_MEMBERS)?;
    Ok(limit)
}

fn parse_starts_at(text: &str) -> Result<Timestamp, StreamError> {
    Timestamp::parse(text).ok_or_else(|| {
        StreamError::invalid_input(format!("starts_at: {text:?} is not an RFC 3339 time"))
    })
}

fn call_not_found(cid: &Cid) -> StreamError {
    StreamError::not_found(format!("Can't find call with id {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::merge;
    use super::super::testing::{
        at, default_call_cid, event_types, expect_error, from_json, world_with_users,
    };
    use super::*;

    fn create(world: &mut World, id: &str, extra: Value) -> ApiResult {
        let data = json!({
            "created_by_id": "alice",
            "members": [{ "user_id": "alice", "role": "admin" }, { "user_id": "bob" }],
            "channel_cid": "messaging:c",
            "settings_override": {
                "limits": { "max_duration_seconds": 3_600 },
                "session": { "inactivity_timeout_seconds": 300 },
            },
        });
        let request = merge(json!({ "data": data }), extra);
        world.get_or_create_call(&default_call_cid(id), from_json(request), at(1))
    }

    #[test]
    fn second_create_returns_the_call_and_rings() {
        let mut world = world_with_users(&["alice", "bob"]);
        let first = create(&mut world, "c", json!({})).expect("a call");
        assert_eq!(first["created"], json!(true));
        assert_eq!(first["call"]["session"], json!(null));
        assert!(first["call"].get("session").is_some());
        assert_eq!(first["call"].get("ended_at"), None);
        assert_eq!(first["call"]["current_session_id"], json!(""));
        assert_eq!(first["call"]["settings"]["video"]["target_resolution"]["width"], json!(1_280));
        let again = create(&mut world, "c", json!({ "ring": true })).expect("the call");
        assert_eq!(again["created"], json!(false));
        let call = world.call_view("default:c").expect("the call");
        assert_eq!((call.rings, call.notifications, world.calls_created()), (1, 0, 1));
        assert_eq!(call.max_duration_seconds, Some(3_600));
        assert_eq!(call.inactivity_timeout_seconds, Some(300));
        assert_eq!(call.channel_cid.as_deref(), Some("messaging:c"));
    }

    #[test]
    fn members_and_creator_must_exist() {
        let mut world = world_with_users(&["alice"]);
        let (status, code, message) = expect_error(create(&mut world, "c", json!({})));
        assert_eq!((status, code), (400, 4));
        assert!(message.contains("[bob]"), "{message}");
        let no_members = from_json(json!({ "data": { "members": [] } }));
        let outcome = world.get_or_create_call(&default_call_cid("c"), no_members, at(1));
        assert_eq!(expect_error(outcome).1, 4);
        assert_eq!(world.calls_created(), 0);
    }

    #[test]
    fn first_end_time_is_preserved() {
        let mut world = world_with_users(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        assert_eq!(world.live_calls(), ["default:c"]);
        world.end_call(&default_call_cid("c"), at(5)).expect("ended");
        world.end_call(&default_call_cid("c"), at(6)).expect("ended");
        let again = create(&mut world, "c", json!({})).expect("the call");
        assert_eq!(again["created"], json!(false));
        assert_eq!(again["call"]["ended_at"], json!(at(5)));
        assert!(world.live_calls().is_empty());
        assert_eq!(expect_error(world.end_call(&default_call_cid("d"), at(5))).1, 16);
    }

    #[test]
    fn deleted_call_is_not_found() {
        let mut world = world_with_users(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        let hard = from_json(json!({ "hard": true }));
        let response = world.delete_call(&default_call_cid("c"), &hard, at(5)).expect("deleted");
        assert!(response["task_id"].is_string());
        assert_eq!(expect_error(world.get_call(&default_call_cid("c"), None)).1, 16);
        assert_eq!(expect_error(world.delete_call(&default_call_cid("c"), &hard, at(5))).1, 16);
    }

    #[test]
    fn update_preserves_fields_not_given() {
        let mut world = world_with_users(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        let settings = json!({ "video": { "enabled": false } });
        let request = json!({ "custom": { "a": 1 }, "settings_override": settings });
        let response =
            world.update_call(&default_call_cid("c"), from_json(request), at(5)).expect("the call");
        assert_eq!(response["call"]["custom"], json!({ "a": 1 }));
        assert_eq!(response["call"]["settings"]["limits"]["max_duration_seconds"], json!(3_600));
        let settings = json!({ "session": { "inactivity_timeout_seconds": 1 } });
        let invalid = json!({ "settings_override": settings });
        assert_eq!(
            expect_error(world.update_call(&default_call_cid("c"), from_json(invalid), at(5))).1,
            4
        );
    }

    #[test]
    fn update_may_replace_all_settings_of_the_call() {
        let mut world = world_with_users(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        world.set_replaces_settings_on_update(true);
        let update = |world: &mut World, request: Value| {
            let cid = default_call_cid("c");
            let response = world.update_call(&cid, from_json(request), at(5)).expect("the call");
            response["call"]["settings"].clone()
        };
        let settings = update(&mut world, json!({ "custom": { "a": 1 } }));
        assert_eq!(settings["limits"]["max_duration_seconds"], json!(3_600));
        let video = json!({ "video": { "enabled": false } });
        let settings = update(&mut world, json!({ "settings_override": video }));
        assert_eq!(settings["video"]["enabled"], json!(false));
        assert_eq!(settings["limits"].get("max_duration_seconds"), None);
        assert_eq!(settings["session"]["inactivity_timeout_seconds"], json!(30));
    }

    #[test]
    fn query_calls_filters_by_fields() {
        let mut world = world_with_users(&["alice", "bob"]);
        for id in ["a", "b", "c"] {
            create(&mut world, id, json!({})).expect("a call");
        }
        world.end_call(&default_call_cid("b"), at(5)).expect("ended");
        let cids = |filter: Value| -> Vec<Value> {
            let request = from_json(json!({ "filter_conditions": filter }));
            let response = world.query_calls(&request).expect("calls");
            let calls = response["calls"].as_array().cloned().unwrap_or_default();
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
        let ongoing = from_json(json!({ "filter_conditions": { "ongoing": true } }));
        let response = world.query_calls(&ongoing).expect("calls");
        assert_eq!(response["calls"][0]["call"]["id"], json!("c"));
        assert_eq!(response["calls"].as_array().map(Vec::len), Some(1));
    }

    /// A backend needs these fields to distinguish an abandoned call from an ongoing one.
    #[test]
    fn query_calls_pages_by_created_at_with_full_calls() {
        let mut world = world_with_users(&["alice", "bob"]);
        for (second, id) in [(3, "a"), (1, "b"), (2, "c")] {
            let data = json!({
                "created_by_id": "alice",
                "channel_cid": "messaging:c",
                "custom": { "kind": id },
            });
            let request = from_json(json!({ "data": data }));
            world.get_or_create_call(&default_call_cid(id), request, at(second)).expect("a call");
        }
        world.join("default:b", "alice", at(4)).expect("a join");
        world.end_call(&default_call_cid("b"), at(5)).expect("ended");
        let page = |filter: Value, next: &Value| {
            let sort = json!([{ "field": "created_at", "direction": 1 }]);
            let request = json!({
                "filter_conditions": filter,
                "sort": sort,
                "limit": 2,
                "next": next,
            });
            world.query_calls(&from_json(request)).expect("calls")
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
            let result = page(filter.clone(), &json!(null));
            assert_eq!(result["calls"][0]["call"]["id"], json!(id), "{filter}");
        }
        let too_many = from_json(json!({ "limit": 101 }));
        assert_eq!(expect_error(world.query_calls(&too_many)).1, 4);
    }

    #[test]
    fn call_changes_emit_events() {
        let mut world = world_with_users(&["alice", "bob"]);
        create(&mut world, "c", json!({})).expect("a call");
        create(&mut world, "c", json!({})).expect("the call");
        let request = from_json(json!({ "custom": { "a": 1 } }));
        world.update_call(&default_call_cid("c"), request, at(2)).expect("updated");
        let soft = from_json(json!({}));
        world.delete_call(&default_call_cid("c"), &soft, at(3)).expect("deleted");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.created", "call.updated", "call.deleted"]);
        assert_eq!(events[0]["members"][1]["user_id"], json!("bob"));
        assert_eq!(events[1]["call"]["custom"], json!({ "a": 1 }));
        assert_eq!(events[2]["created_at"], json!("2026-01-01T00:00:03.000000000Z"));
        for event in &events {
            assert_eq!(event["call_cid"], json!("default:c"));
            assert_eq!(event["call"]["cid"], json!("default:c"));
        }
    }
}
