//! Changes to the members of a call.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::CallMemberRequest;
use super::cid::Cid;
use super::pagination::CursorQuery;
use super::validation::check_max;
use super::{ApiResult, World, strip_nulls};
use crate::timestamp::Timestamp;

const MAX_BATCH_SIZE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateCallMembers {
    update_members: Option<Vec<CallMemberRequest>>,
    remove_members: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueryCallMembers {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(flatten)]
    page: CursorQuery,
}

impl QueryCallMembers {
    pub(super) fn cid(&self) -> Cid {
        Cid::new(&self.kind, &self.id)
    }
}

impl UpdateCallMembers {
    pub(super) fn has_updates(&self) -> bool {
        self.update_members.iter().flatten().next().is_some()
    }

    /// Whether the request sets the role of a member.
    pub(super) fn has_roles(&self) -> bool {
        self.update_members.iter().flatten().any(|member| member.role.is_some())
    }

    pub(super) fn has_removals(&self) -> bool {
        self.remove_members.iter().flatten().next().is_some()
    }
}

impl World {
    /// Adds, changes and removes members. A user to remove who is not a member is ignored.
    pub(crate) fn update_call_members(
        &mut self,
        cid: &Cid,
        request: UpdateCallMembers,
        now: Timestamp,
    ) -> ApiResult {
        let updates = request.update_members.unwrap_or_default();
        let removals = request.remove_members.unwrap_or_default();
        check_max("update_members", updates.len(), MAX_BATCH_SIZE)?;
        check_max("remove_members", removals.len(), MAX_BATCH_SIZE)?;
        self.find_call(cid)?;
        self.check_users_exist_for(
            "call update members",
            updates.iter().map(|member| member.user_id.as_str()),
        )?;
        let call = self.find_call_mut(cid)?;
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for update in updates {
            let user_id = update.user_id.clone();
            let ids = if call.put_member(update, now) { &mut added } else { &mut changed };
            ids.push(user_id);
        }
        let removed = call.remove_members(&removals);
        call.updated_at = now;
        self.emit_members("call.member_added", cid, &added, now);
        self.emit_members("call.member_updated", cid, &changed, now);
        if !removed.is_empty() {
            let fields = json!({ "members": removed });
            self.emit_call("call.member_removed", cid, now, fields);
        }
        Ok(json!({ "members": self.find_call(cid)?.members_response(self, MAX_BATCH_SIZE) }))
    }

    pub(crate) fn query_call_members(&self, request: &QueryCallMembers) -> ApiResult {
        let call = self.find_call(&request.cid())?;
        let members = call.members_response(self, usize::MAX);
        let (members, next) = request.page.page(members, 2)?;
        Ok(strip_nulls(json!({ "members": members, "next": next })))
    }

    fn emit_members(&mut self, kind: &str, cid: &Cid, ids: &[String], now: Timestamp) {
        if ids.is_empty() {
            return;
        }
        let Some(call) = self.calls.get(cid) else { return };
        let members: Vec<Value> = ids.iter().map(|id| call.member_response(id, self)).collect();
        let fields = json!({ "members": members, "capabilities_by_role": {} });
        self.emit_call(kind, cid, now, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, default_call_cid, event_types, expect_error, from_json, world_with_users,
    };
    use super::*;

    fn update(world: &mut World, request: Value) -> ApiResult {
        world.update_call_members(&default_call_cid("c"), from_json(request), at(5))
    }

    #[test]
    fn members_are_added_changed_and_removed() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
        let request = json!({ "data": { "created_by_id": "alice", "members": members } });
        world
            .get_or_create_call(&default_call_cid("c"), from_json(request), at(1))
            .expect("a call");
        world.take_events();
        let request = json!({
            "update_members": [
                { "user_id": "alice", "role": "call_member" },
                { "user_id": "carol", "custom": { "seat": 1 } },
            ],
            "remove_members": ["bob", "dave"],
        });
        let response = update(&mut world, request).expect("updated");
        assert_eq!(response["members"][0]["role"], json!("call_member"));
        assert_eq!(response["members"][1]["user"]["id"], json!("carol"));
        assert_eq!(response["members"][1]["custom"], json!({ "seat": 1 }));
        assert_eq!(response["members"].as_array().map(Vec::len), Some(2));
        let events = world.take_events();
        assert_eq!(
            event_types(&events),
            ["call.member_added", "call.member_updated", "call.member_removed"]
        );
        assert_eq!(events[0]["members"][0]["user_id"], json!("carol"));
        assert_eq!(events[1]["members"][0]["user_id"], json!("alice"));
        assert_eq!(events[2]["members"], json!(["bob"]));
        let call = world.call_view("default:c").expect("the call");
        assert_eq!(call.members, ["alice", "carol"]);
        assert_eq!(call.member_roles["alice"], "call_member");
        // The default role of a call member.
        assert_eq!(call.member_roles["carol"], "user");
    }

    #[test]
    fn unknown_call_or_user_is_rejected() {
        let mut world = world_with_users(&["alice"]);
        let request = json!({ "update_members": [{ "user_id": "bob" }] });
        assert_eq!(expect_error(update(&mut world, request.clone())).1, 16);
        let create = from_json(json!({ "data": { "created_by_id": "alice" } }));
        world.get_or_create_call(&default_call_cid("c"), create, at(1)).expect("a call");
        assert_eq!(expect_error(update(&mut world, request)).1, 4);
    }
}
