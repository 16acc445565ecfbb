//! The operations on calls.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use crate::error::StreamError;
use crate::world::call_events::{CallFeedback, SendCallEvent, SendCallReaction};
use crate::world::call_members::{QueryCallMembers, UpdateCallMembers};
use crate::world::call_moderation::{BlockCallUser, KickCallUser, MuteCallUsers};
use crate::world::calls::{CallSignals, GetOrCreateCall, UpdateCall};
use crate::world::cid::Cid;
use crate::world::grants::Permission;
use crate::world::pagination::CursorQuery;
use crate::world::participation::{Host, JoinMode, credentials};
use crate::world::rings::RingCall;
use crate::world::{ApiResult, merge};

/// A join. Other fields, such as the location of the client, are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct JoinCall {
    create: Option<bool>,
    #[serde(flatten)]
    call: JoinedCall,
}

/// The part of a join that creates the call, or rings its members.
#[derive(Debug, Default, Deserialize)]
struct JoinedCall {
    data: Option<Value>,
    ring: Option<bool>,
    notify: Option<bool>,
    video: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectCall {
    reason: Option<String>,
}

impl Client<'_> {
    /// The creator of a new call is the user of the token.
    pub(crate) fn get_or_create_call(&mut self, cid: &Cid, request: GetOrCreateCall) -> ApiResult {
        if self.world.calls.contains_key(cid) {
            self.check_call(cid, Permission::READ_CALL)?;
        } else {
            self.check_call(cid, Permission::CREATE_CALL)?;
            if request.overrides_settings() {
                self.check_call(cid, Permission::UPDATE_CALL_SETTINGS)?;
            }
        }
        let request = request.created_by(&self.user.id);
        let response = self.world.get_or_create_call(cid, request, self.now)?;
        self.with_capabilities(cid, response)
    }

    /// A client can ring or notify the members with the same request.
    pub(crate) fn get_call(
        &mut self,
        cid: &Cid,
        members_limit: Option<usize>,
        signals: CallSignals,
    ) -> ApiResult {
        self.check_existing_call(cid, Permission::READ_CALL)?;
        if signals.ring || signals.notify {
            self.check_call(cid, Permission::JOIN_CALL)?;
        }
        self.world.signal_members(cid, signals, self.now)?;
        let response = self.world.get_call(cid, members_limit)?;
        self.with_capabilities(cid, response)
    }

    pub(crate) fn update_call(&mut self, cid: &Cid, request: UpdateCall) -> ApiResult {
        self.check_existing_call(cid, Permission::UPDATE_CALL)?;
        if request.overrides_settings() {
            self.check_call(cid, Permission::UPDATE_CALL_SETTINGS)?;
        }
        let response = self.world.update_call(cid, request, self.now)?;
        self.with_capabilities(cid, response)
    }

    /// Fails with 403 if the user may not join. Otherwise the join mode of the app decides.
    pub(crate) fn join_call(
        &mut self,
        cid: &Cid,
        request: JoinCall,
        host: &Host,
        connection_id: Option<&str>,
    ) -> ApiResult {
        self.check_join(cid, &request)?;
        if self.world.join_mode == JoinMode::Refuse {
            return Err(media_not_emulated());
        }
        let JoinedCall { data, ring, notify, video } = request.call;
        let exists = self.world.calls.contains_key(cid);
        let call = json!({ "data": data, "ring": ring, "notify": notify, "video": video });
        let call: GetOrCreateCall = serde_json::from_value(call)
            .map_err(|error| StreamError::invalid_input(error.to_string()))?;
        if !exists && call.overrides_settings() {
            self.check_call(cid, Permission::UPDATE_CALL_SETTINGS)?;
        }
        let call = call.created_by(&self.user.id);
        let created = self.world.get_or_create_call(cid, call, self.now)?;
        let id = self.world.participate(cid, &self.user.id, connection_id, self.now)?;
        let join = json!({
            "created": created["created"],
            "credentials": credentials(host, &id),
            "stats_options": { "reporting_interval_ms": 60_000, "enable_rtc_stats": false },
        });
        let response = merge(self.world.get_call(cid, None)?, join);
        self.with_capabilities(cid, response)
    }

    fn check_join(&self, cid: &Cid, request: &JoinCall) -> Result<(), StreamError> {
        if request.create == Some(true) && !self.world.calls.contains_key(cid) {
            self.check_call(cid, Permission::CREATE_CALL)?;
        } else if self.world.find_call(cid)?.ended_at.is_some() {
            self.check_call(cid, Permission::JOIN_ENDED_CALL)?;
        }
        self.check_call(cid, Permission::JOIN_CALL)?;
        self.world.check_not_blocked(cid, &self.user.id)
    }

    pub(crate) fn accept_call(&mut self, cid: &Cid) -> ApiResult {
        self.check_existing_call(cid, Permission::JOIN_CALL)?;
        self.world.accept(&cid.to_string(), &self.user.id, self.now);
        Ok(json!({}))
    }

    pub(crate) fn reject_call(&mut self, cid: &Cid, request: &RejectCall) -> ApiResult {
        self.check_existing_call(cid, Permission::JOIN_CALL)?;
        let (cid, reason) = (cid.to_string(), request.reason.as_deref());
        self.world.reject_with(&cid, &self.user.id, reason, self.now);
        Ok(json!({}))
    }

    pub(crate) fn ring_call(&mut self, cid: &Cid, request: &RingCall) -> ApiResult {
        self.check_existing_call(cid, Permission::JOIN_CALL)?;
        self.world.ring_call(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn end_call(&mut self, cid: &Cid) -> ApiResult {
        self.check_existing_call(cid, Permission::END_CALL)?;
        self.world.end_call_at(cid, self.now, Some(&self.user.id));
        Ok(json!({}))
    }

    pub(crate) fn update_call_members(
        &mut self,
        cid: &Cid,
        request: UpdateCallMembers,
    ) -> ApiResult {
        self.check_existing_call(cid, Permission::READ_CALL)?;
        if request.has_updates() {
            self.check_call(cid, Permission::UPDATE_CALL_MEMBER)?;
        }
        if request.has_roles() {
            self.check_call(cid, Permission::UPDATE_CALL_MEMBER_ROLE)?;
        }
        if request.has_removals() {
            self.check_call(cid, Permission::REMOVE_CALL_MEMBER)?;
        }
        self.world.update_call_members(cid, request, self.now)
    }

    pub(crate) fn start_recording(&mut self, cid: &Cid) -> ApiResult {
        self.check_existing_call(cid, Permission::START_RECORDING)?;
        self.world.start_recording(cid, self.now)
    }

    pub(crate) fn stop_recording(&mut self, cid: &Cid) -> ApiResult {
        self.check_existing_call(cid, Permission::STOP_RECORDING)?;
        self.world.stop_recording(cid, self.now)
    }

    /// Fails as a whole if the user cannot read one of the calls.
    pub(crate) fn query_calls(&self, request: &CursorQuery) -> ApiResult {
        let mut response = self.world.query_calls(request)?;
        for entry in response["calls"].as_array_mut().into_iter().flatten() {
            let Some(cid) = call_cid(entry) else { continue };
            let access = self.world.call_access(self.user, &cid)?;
            if !access.permits(Permission::READ_CALL) {
                let message = "some calls match your query but cannot be returned because you \
                               don't have access to them";
                return Err(StreamError::new(403, 102, message));
            }
            entry["own_capabilities"] = json!(access.capabilities());
        }
        Ok(response)
    }

    pub(crate) fn get_ring_state(&self, cid: &Cid, session_id: Option<&str>) -> ApiResult {
        self.check_existing_call(cid, Permission::READ_CALL)?;
        self.world.get_ring_state(cid, session_id)
    }

    pub(crate) fn query_call_members(&self, request: &QueryCallMembers) -> ApiResult {
        self.check_existing_call(&request.cid(), Permission::READ_CALL)?;
        self.world.query_call_members(request)
    }

    pub(crate) fn send_call_event(&mut self, cid: &Cid, request: SendCallEvent) -> ApiResult {
        self.check_existing_call(cid, Permission::SEND_EVENT)?;
        self.world.send_call_event(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn send_call_reaction(&mut self, cid: &Cid, request: SendCallReaction) -> ApiResult {
        self.check_existing_call(cid, Permission::CREATE_CALL_REACTION)?;
        self.world.send_call_reaction(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn collect_feedback(&mut self, cid: &Cid, request: &CallFeedback) -> ApiResult {
        self.check_existing_call(cid, Permission::READ_CALL)?;
        self.world.collect_feedback(&self.user.id, cid, request, self.now)
    }

    pub(crate) fn block_call_user(&mut self, cid: &Cid, request: &BlockCallUser) -> ApiResult {
        self.check_existing_call(cid, Permission::BLOCK_USER)?;
        self.world.block_call_user(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn unblock_call_user(&mut self, cid: &Cid, request: &BlockCallUser) -> ApiResult {
        self.check_existing_call(cid, Permission::BLOCK_USER)?;
        self.world.unblock_call_user(cid, request, self.now)
    }

    pub(crate) fn kick_call_user(&mut self, cid: &Cid, request: KickCallUser) -> ApiResult {
        self.check_existing_call(cid, Permission::KICK_USER)?;
        if request.blocks() {
            self.check_call(cid, Permission::BLOCK_USER)?;
        }
        self.world.kick_call_user(Some(&self.user.id), cid, request, self.now)
    }

    pub(crate) fn mute_call_users(&mut self, cid: &Cid, request: MuteCallUsers) -> ApiResult {
        self.check_existing_call(cid, Permission::MUTE_USERS)?;
        self.world.mute_call_users(Some(&self.user.id), cid, request, self.now)
    }

    fn check_existing_call(&self, cid: &Cid, permission: Permission) -> Result<(), StreamError> {
        self.world.find_call(cid)?;
        self.check_call(cid, permission)
    }

    fn check_call(&self, cid: &Cid, permission: Permission) -> Result<(), StreamError> {
        self.world.call_access(self.user, cid)?.check(permission)
    }

    fn with_capabilities(&self, cid: &Cid, mut response: Value) -> ApiResult {
        let capabilities = self.world.call_access(self.user, cid)?.capabilities();
        response["own_capabilities"] = json!(capabilities);
        Ok(response)
    }
}

fn media_not_emulated() -> StreamError {
    let message = "media is not emulated: set the join mode of the emulator to pretend";
    StreamError::invalid_input(message).unrecoverable()
}

fn call_cid(entry: &Value) -> Option<Cid> {
    entry["call"]["cid"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use crate::world::permissions::TokenUser;
    use crate::world::testing::{at, event_types, expect_error, from_json, world_with_users};

    /// A call of the type `default` and one of the type `private`, whose calls are for members.
    /// Alice created both calls, alice and bob are members, carol is not, and root is an admin.
    fn world_with_calls() -> World {
        let mut world = world_with_users(&["alice", "bob", "carol", "root"]);
        let admin = json!({ "users": [{ "id": "root", "set": { "role": "admin" } }] });
        world.update_users_partial(from_json(admin), at(1)).expect("a user");
        let grants = json!({ "user": [], "call_member": ["read-call", "join-call", "end-call"] });
        let private = json!({ "name": "private", "grants": grants });
        world.create_call_type(from_json(private), at(1)).expect("a type");
        for kind in ["default", "private"] {
            let members = json!([
                { "user_id": "alice", "role": "call_member" },
                { "user_id": "bob", "role": "call_member" },
            ]);
            let data = json!({ "created_by_id": "alice", "members": members });
            let request = from_json(json!({ "data": data }));
            world.get_or_create_call(&Cid::new(kind, "c"), request, at(2)).expect("a call");
        }
        world.take_events();
        world
    }

    fn user(id: &str) -> TokenUser {
        TokenUser::new(id.to_owned(), None, &[])
    }

    fn host() -> Host {
        Host::new("127.0.0.1:1", false)
    }

    fn attempt(client: &mut Client<'_>, operation: &str, cid: &Cid) -> ApiResult {
        let members = |members: Value| from_json(json!({ "update_members": members }));
        match operation {
            "read" => client.get_call(cid, None, CallSignals::default()),
            "create" => {
                client.get_or_create_call(&Cid::new(&cid.kind, "new"), from_json(json!({})))
            }
            "join" => client.join_call(cid, from_json(json!({})), &host(), None),
            "accept" => client.accept_call(cid),
            "reject" => client.reject_call(cid, &from_json(json!({}))),
            "ring" => client.ring_call(cid, &from_json(json!({ "members_ids": ["bob"] }))),
            "end" => client.end_call(cid),
            "record" => client.start_recording(cid),
            "update" => client.update_call(cid, from_json(json!({ "custom": { "a": 1 } }))),
            "settings" => {
                let settings = json!({ "limits": { "max_duration_seconds": 60 } });
                client.update_call(cid, from_json(json!({ "settings_override": settings })))
            }
            "add member" => {
                client.update_call_members(cid, members(json!([{ "user_id": "carol" }])))
            }
            "empty member update" => client.update_call_members(cid, from_json(json!({}))),
            "change role" => {
                let member = json!([{ "user_id": "bob", "role": "admin" }]);
                client.update_call_members(cid, members(member))
            }
            "remove member" => {
                client.update_call_members(cid, from_json(json!({ "remove_members": ["bob"] })))
            }
            _ => panic!("unknown operation {operation}"),
        }
    }

    /// Whether an operation of a fresh world is permitted. A permitted join fails with 400.
    fn is_permitted(user_id: &str, operation: &str, kind: &str) -> bool {
        let mut world = world_with_calls();
        let user = user(user_id);
        let mut client = world.client(&user, at(5));
        let outcome = attempt(&mut client, operation, &Cid::new(kind, "c"));
        match outcome {
            Ok(_) => true,
            Err(error) if error.status() == 403 => false,
            Err(error) if operation == "join" && error.body()["unrecoverable"] == true => true,
            Err(error) => panic!("{user_id}: {operation} in {kind}: {error:?}"),
        }
    }

    #[test]
    fn grants_decide_what_a_user_may_do() {
        // For each type: the creator, another member, a user who is no member, and an admin.
        for (operation, in_default, in_private) in [
            ("read", [true, true, true, true], [true, true, false, true]),
            ("create", [true, true, true, true], [false, false, false, true]),
            ("join", [true, true, true, true], [true, true, false, true]),
            ("accept", [true, true, true, true], [true, true, false, true]),
            ("reject", [true, true, true, true], [true, true, false, true]),
            ("ring", [true, true, true, true], [true, true, false, true]),
            ("end", [true, true, true, true], [true, true, false, true]),
            ("record", [true, true, true, true], [false, false, false, true]),
            ("update", [true, false, false, true], [false, false, false, true]),
            ("settings", [true, false, false, true], [false, false, false, true]),
            ("add member", [true, true, true, true], [false, false, false, true]),
            ("empty member update", [true, true, true, true], [true, true, false, true]),
            ("change role", [false, false, false, true], [false, false, false, true]),
            ("remove member", [true, true, true, true], [false, false, false, true]),
        ] {
            let users = ["alice", "bob", "carol", "root"];
            let actual = users.map(|user| is_permitted(user, operation, "default"));
            assert_eq!(actual, in_default, "{operation} in default");
            let actual = users.map(|user| is_permitted(user, operation, "private"));
            assert_eq!(actual, in_private, "{operation} in private");
        }
    }

    #[test]
    fn refusal_names_the_roles_and_the_action() {
        let mut world = world_with_calls();
        let cid = Cid::new("private", "c");
        let (bob, carol) = (user("bob"), user("carol"));
        let text = "User 'carol' with role 'user' is not allowed to perform action ReadCall in \
                    scope 'video:private'";
        let outcome = world.client(&carol, at(5)).get_call(&cid, None, CallSignals::default());
        assert_eq!(expect_error(outcome), (403, 17, text.to_owned()));
        let text = "User 'bob' with roles ['user', 'call_member'] is not allowed to perform action \
                    StartRecording in scope 'video:private'";
        let outcome = world.client(&bob, at(5)).start_recording(&cid);
        assert_eq!(expect_error(outcome), (403, 17, text.to_owned()));
        world.app_mut().disable_permissions_checks = true;
        assert!(world.client(&carol, at(5)).get_call(&cid, None, CallSignals::default()).is_ok());
    }

    #[test]
    fn missing_object_is_reported_before_a_missing_permission() {
        let mut world = world_with_calls();
        let (carol, dave) = (user("carol"), user("dave"));
        let mut client = world.client(&carol, at(5));
        for operation in ["read", "join", "end", "add member"] {
            let outcome = attempt(&mut client, operation, &Cid::new("private", "x"));
            assert_eq!(expect_error(outcome).1, 16, "{operation}");
        }
        let outcome = attempt(&mut client, "create", &Cid::new("unknown", "x"));
        assert_eq!(expect_error(outcome).1, 16);
        let outcome = world.client(&dave, at(5)).get_call(
            &Cid::new("default", "c"),
            None,
            CallSignals::default(),
        );
        assert_eq!(expect_error(outcome).1, 16);
    }

    #[test]
    fn creator_of_a_call_is_its_owner() {
        let mut world = world_with_calls();
        let carol = user("carol");
        let settings = json!({ "limits": { "max_duration_seconds": 60 } });
        let data = json!({ "created_by_id": "alice", "settings_override": settings });
        let cid = Cid::new("default", "new");
        let mut client = world.client(&carol, at(5));
        let request = from_json(json!({ "data": data }));
        let created = client.get_or_create_call(&cid, request).expect("a call");
        assert_eq!(created["call"]["created_by"]["id"], json!("carol"));
        assert_eq!(created["call"]["settings"]["limits"]["max_duration_seconds"], json!(60));
        assert!(attempt(&mut client, "update", &cid).is_ok());
        let again = client.get_or_create_call(&cid, from_json(json!({}))).expect("the call");
        assert_eq!(again["created"], json!(false));
    }

    #[test]
    fn call_token_makes_its_user_a_member() {
        let mut world = world_with_calls();
        let cids = ["private:c".to_owned(), "invalid".to_owned()];
        let other = Cid::new("private", "d");
        let request = from_json(json!({ "data": { "created_by_id": "alice" } }));
        world.get_or_create_call(&other, request, at(3)).expect("a call");
        for (role, can_read) in [(Some("call_member"), true), (Some("host"), false), (None, false)]
        {
            let carol = TokenUser::new("carol".to_owned(), role.map(str::to_owned), &cids);
            let mut client = world.client(&carol, at(5));
            let outcome = client.get_call(&Cid::new("private", "c"), None, CallSignals::default());
            assert_eq!(outcome.is_ok(), can_read, "{role:?}");
            assert_eq!(
                expect_error(client.get_call(&other, None, CallSignals::default())).1,
                17,
                "{role:?}"
            );
        }
        let members = world.call_view("private:c").expect("the call").members;
        assert_eq!(members, ["alice", "bob"]);
    }

    #[test]
    fn permitted_join_fails_without_media() {
        let mut world = world_with_calls();
        let bob = user("bob");
        let join = |world: &mut World, kind: &str, request: Value| {
            let cid = Cid::new(kind, if request == json!({}) { "c" } else { "new" });
            let request = from_json(request);
            let outcome = world.client(&bob, at(5)).join_call(&cid, request, &host(), None);
            outcome.expect_err("an error")
        };
        let error = join(&mut world, "private", json!({}));
        assert_eq!((error.status(), &error.body()["unrecoverable"]), (400, &json!(true)));
        assert_eq!(join(&mut world, "default", json!({ "create": true })).status(), 400);
        assert_eq!(join(&mut world, "default", json!({ "create": false })).status(), 404);
        assert_eq!(join(&mut world, "private", json!({ "create": true })).status(), 403);
        assert_eq!(world.live_calls().len(), 2);
        for kind in ["default", "private"] {
            world.end_call(&Cid::new(kind, "c"), at(6)).expect("ended");
        }
        assert_eq!(join(&mut world, "default", json!({})).status(), 400);
        assert_eq!(join(&mut world, "private", json!({})).status(), 403);
    }

    #[test]
    fn events_name_the_user() {
        let mut world = world_with_calls();
        let bob = user("bob");
        let cid = Cid::new("private", "c");
        let mut client = world.client(&bob, at(5));
        client.accept_call(&cid).expect("accepted");
        client.reject_call(&cid, &from_json(json!({ "reason": "busy" }))).expect("rejected");
        client.end_call(&cid).expect("ended");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["call.accepted", "call.rejected", "call.ended"]);
        for event in &events {
            assert_eq!(event["user"]["id"], json!("bob"));
        }
        assert_eq!(events[1]["reason"], json!("busy"));
        assert_eq!(events[0].get("reason"), None);
    }

    #[test]
    fn capabilities_follow_the_grants() {
        let mut world = world_with_calls();
        let (alice, bob) = (user("alice"), user("bob"));
        let response = world.client(&bob, at(5)).get_call(
            &Cid::new("private", "c"),
            None,
            CallSignals::default(),
        );
        let capabilities = response.expect("the call")["own_capabilities"].clone();
        assert_eq!(capabilities, json!(["end-call", "join-call", "read-call"]));
        let capabilities_in_default = |world: &mut World, user: &TokenUser| {
            let response = world.client(user, at(5)).get_call(
                &Cid::new("default", "c"),
                None,
                CallSignals::default(),
            );
            let capabilities = response.expect("the call")["own_capabilities"].clone();
            capabilities.as_array().cloned().unwrap_or_default()
        };
        let of_creator = capabilities_in_default(&mut world, &alice);
        let of_member = capabilities_in_default(&mut world, &bob);
        for capability in ["change-max-duration", "update-call", "mute-users"] {
            assert!(of_creator.contains(&json!(capability)), "{capability}");
            assert!(!of_member.contains(&json!(capability)), "{capability}");
        }
        assert!(of_member.contains(&json!("start-record-call")));
    }

    #[test]
    fn query_fails_if_it_matches_an_unreadable_call() {
        let mut world = world_with_calls();
        let (bob, carol) = (user("bob"), user("carol"));
        let query = |kind: Value| from_json(json!({ "filter_conditions": { "type": kind } }));
        let any = || query(json!({ "$in": ["default", "private"] }));
        let response = world.client(&bob, at(5)).query_calls(&any()).expect("calls");
        assert_eq!(response["calls"].as_array().map(Vec::len), Some(2));
        let client = world.client(&carol, at(5));
        let response = client.query_calls(&query(json!("default"))).expect("calls");
        assert_eq!(response["calls"][0]["call"]["cid"], json!("default:c"));
        let (status, code, _) = expect_error(client.query_calls(&any()));
        assert_eq!((status, code), (403, 102));
    }
}
