//! Deactivation and deletion of users. Deactivation can be undone. Deletion cannot, and it also
//! deletes the kinds of objects that the request selects.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::cid::Cid;
use super::validation::{check_count, ensure, require};
use super::{ApiResult, World};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;

const MAX_BATCH_SIZE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeactivateUser {
    mark_messages_deleted: Option<bool>,
    /// No event names the acting user.
    #[serde(rename = "created_by_id")]
    _created_by_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeactivateUsers {
    user_ids: Vec<String>,
    mark_messages_deleted: Option<bool>,
    /// No event names the acting user.
    #[serde(rename = "created_by_id")]
    _created_by_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactivateUser {
    name: Option<String>,
    restore_messages: Option<bool>,
    /// No event names the acting user.
    #[serde(rename = "created_by_id")]
    _created_by_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreUsers {
    user_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactivateUsers {
    user_ids: Vec<String>,
    restore_messages: Option<bool>,
    restore_channels: Option<bool>,
    /// No event names the acting user.
    #[serde(rename = "created_by_id")]
    _created_by_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteUsers {
    user_ids: Vec<String>,
    user: Option<DeleteMode>,
    messages: Option<DeleteMode>,
    conversations: Option<DeleteMode>,
    calls: Option<DeleteMode>,
}

/// The mode of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeleteMode {
    Soft,
    Pruning,
    Hard,
}

impl DeleteUsers {
    /// The deletion of one user in v1, whose options are in the query.
    pub(crate) fn from_v1(id: &str, query: &Query) -> Result<Self, StreamError> {
        let flag = |name: &str| query.get_bool(name).map(Option::unwrap_or_default);
        let mode = if flag("hard_delete")? { DeleteMode::Hard } else { DeleteMode::Soft };
        let deletes_messages = mode == DeleteMode::Hard || flag("mark_messages_deleted")?;
        let deletes_channels = flag("delete_conversation_channels")?;
        Ok(Self {
            user_ids: vec![id.to_owned()],
            user: Some(mode),
            messages: deletes_messages.then_some(mode),
            conversations: deletes_channels.then_some(mode),
            calls: None,
        })
    }

    /// The fields of the `user.deleted` event.
    fn event_fields(&self) -> Value {
        let mode_name = |mode: Option<DeleteMode>| match mode {
            None => "",
            Some(DeleteMode::Soft) => "soft",
            Some(DeleteMode::Pruning) => "pruning",
            Some(DeleteMode::Hard) => "hard",
        };
        json!({
            "delete_user": mode_name(self.user),
            "delete_messages": mode_name(self.messages),
            "delete_conversation": mode_name(self.conversations),
            "delete_conversation_channels": self.conversations.is_some(),
            "mark_messages_deleted": self.messages == Some(DeleteMode::Soft),
            "hard_delete": self.user == Some(DeleteMode::Hard),
        })
    }
}

impl World {
    pub(crate) fn deactivate_user(
        &mut self,
        id: &str,
        request: &DeactivateUser,
        now: Timestamp,
    ) -> ApiResult {
        let user = self.find_user(id)?;
        ensure(user.deactivated_at.is_none(), || {
            StreamError::invalid_input(format!("user {id:?} is already deactivated"))
        })?;
        self.deactivate(id, request.mark_messages_deleted, now);
        Ok(json!({ "user": self.user_response(id) }))
    }

    pub(crate) fn deactivate_users(
        &mut self,
        request: &DeactivateUsers,
        now: Timestamp,
    ) -> ApiResult {
        self.check_users_exist(&request.user_ids)?;
        for id in &request.user_ids {
            self.deactivate(id, request.mark_messages_deleted, now);
        }
        Ok(self.start_user_task(&request.user_ids, now))
    }

    pub(crate) fn reactivate_user(
        &mut self,
        id: &str,
        request: ReactivateUser,
        now: Timestamp,
    ) -> ApiResult {
        let user = self.find_user(id)?;
        ensure(user.deactivated_at.is_some(), || {
            StreamError::invalid_input(format!("user {id:?} is not deactivated"))
        })?;
        if request.restore_messages == Some(true) {
            return Err(StreamError::not_emulated("restore_messages"));
        }
        self.mark_reactivated(id, request.name, now);
        Ok(json!({ "user": self.user_response(id) }))
    }

    pub(crate) fn reactivate_users(
        &mut self,
        request: &ReactivateUsers,
        now: Timestamp,
    ) -> ApiResult {
        self.check_users_exist(&request.user_ids)?;
        for (name, value) in [
            ("restore_messages", request.restore_messages),
            ("restore_channels", request.restore_channels),
        ] {
            ensure(value != Some(true), || StreamError::not_emulated(name))?;
        }
        for id in &request.user_ids {
            self.mark_reactivated(id, None, now);
        }
        Ok(self.start_user_task(&request.user_ids, now))
    }

    pub(crate) fn delete_users(&mut self, request: &DeleteUsers, now: Timestamp) -> ApiResult {
        self.check_users_exist(&request.user_ids)?;
        let all_hard = [request.messages, request.conversations]
            .iter()
            .all(|mode| *mode == Some(DeleteMode::Hard));
        require(
            request.user != Some(DeleteMode::Hard) || all_hard,
            "a hard delete of users requires a hard delete of messages and conversations",
        )?;
        let pruned = [request.conversations, request.calls].contains(&Some(DeleteMode::Pruning));
        require(!pruned, "conversations and calls must be soft or hard")?;
        self.delete_selected(request, now);
        Ok(self.start_user_task(&request.user_ids, now))
    }

    /// Deletes one user, as v1 does. Returns the user.
    pub(crate) fn delete_user_v1(&mut self, request: &DeleteUsers, now: Timestamp) -> ApiResult {
        self.check_users_exist(&request.user_ids)?;
        self.delete_selected(request, now);
        let mut users = request.user_ids.iter().map(|id| self.user_response(id));
        Ok(json!({ "user": users.next_back() }))
    }

    /// Restores users whose deletion was soft, but not their messages and memberships.
    pub(crate) fn restore_users(&mut self, request: &RestoreUsers, now: Timestamp) -> ApiResult {
        check_count("user_ids", request.user_ids.len(), MAX_BATCH_SIZE)?;
        for id in &request.user_ids {
            let user = self.users.get(id);
            let can_restore =
                user.is_some_and(|user| user.deleted_at.is_some() && !user.is_hard_deleted);
            ensure(can_restore, || {
                StreamError::not_found(format!("user {id:?} cannot be restored"))
            })?;
        }
        for id in &request.user_ids {
            let Some(user) = self.users.get_mut(id) else { continue };
            user.deleted_at = None;
            self.emit_user("user.updated", id, now, json!({}));
        }
        Ok(json!({}))
    }

    fn delete_selected(&mut self, request: &DeleteUsers, now: Timestamp) {
        for id in &request.user_ids {
            if let Some(mode) = request.messages {
                self.delete_messages_of(id, mode == DeleteMode::Hard, now);
            }
            if request.conversations.is_some() {
                self.remove_conversations_of(id, now);
            }
            if request.calls.is_some() {
                self.remove_calls_of(id, now);
            }
            self.delete_user(id, request.event_fields(), now);
        }
    }

    /// Deletes a user only, not its messages, conversations or calls.
    pub(crate) fn mark_deleted(&mut self, id: &str, now: Timestamp) {
        let soft_delete = DeleteUsers {
            user_ids: Vec::new(),
            user: Some(DeleteMode::Soft),
            messages: None,
            conversations: None,
            calls: None,
        };
        self.delete_user(id, soft_delete.event_fields(), now);
    }

    pub(crate) fn mark_deactivated(&mut self, id: &str, now: Timestamp) {
        let user = self.users.get_mut(id).filter(|user| user.deactivated_at.is_none());
        let Some(user) = user else { return };
        user.deactivated_at = Some(now);
        self.emit_user("user.deactivated", id, now, json!({}));
    }

    pub(crate) fn mark_reactivated(&mut self, id: &str, name: Option<String>, now: Timestamp) {
        let user = self.users.get_mut(id).filter(|user| user.deleted_at.is_none());
        let Some(user) = user else { return };
        let was_deactivated = user.deactivated_at.is_some();
        user.reactivate(name, now);
        if was_deactivated {
            self.emit_user("user.reactivated", id, now, json!({}));
        }
    }

    fn delete_user(&mut self, id: &str, details: Value, now: Timestamp) {
        let user = self.users.get_mut(id).filter(|user| user.deleted_at.is_none());
        let Some(user) = user else { return };
        user.deleted_at = Some(now);
        user.is_hard_deleted = details["hard_delete"] == true;
        self.devices.remove(id);
        self.emit_user("user.deleted", id, now, details);
    }

    fn remove_conversations_of(&mut self, user_id: &str, now: Timestamp) {
        let one_to_one =
            self.channels.values().filter(|channel| channel.is_one_to_one_with(user_id));
        let cids: Vec<Cid> = one_to_one.map(|channel| channel.cid.clone()).collect();
        for cid in cids {
            self.remove_channel(&cid, now);
        }
    }

    fn remove_calls_of(&mut self, user_id: &str, now: Timestamp) {
        let one_to_one = self.calls.values().filter(|call| call.is_one_to_one_with(user_id));
        let cids: Vec<Cid> = one_to_one.map(|call| call.cid.clone()).collect();
        for cid in cids {
            self.remove_call(&cid, now);
        }
    }

    fn deactivate(&mut self, id: &str, delete_messages: Option<bool>, now: Timestamp) {
        self.mark_deactivated(id, now);
        if delete_messages == Some(true) {
            self.delete_messages_of(id, false, now);
        }
    }

    fn delete_messages_of(&mut self, user_id: &str, hard: bool, now: Timestamp) {
        for channel in self.channels.values_mut() {
            channel.delete_messages_of(user_id, hard, now);
        }
    }

    fn check_users_exist(&self, ids: &[String]) -> Result<(), StreamError> {
        check_count("user_ids", ids.len(), MAX_BATCH_SIZE)?;
        ids.iter().try_for_each(|id| self.find_user(id).map(|_| ()))
    }

    fn start_user_task(&mut self, ids: &[String], now: Timestamp) -> Value {
        let result: Map<String, Value> =
            ids.iter().map(|id| (id.clone(), json!({ "status": "ok" }))).collect();
        json!({ "task_id": self.start_task(Value::Object(result), now) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, send_message,
        world_with_users,
    };
    use super::*;

    #[test]
    fn second_deactivation_is_rejected_and_reactivation_undoes_it() {
        let mut world = world_with_users(&["alice"]);
        let request = || from_json(json!({}));
        world.deactivate_user("alice", &request(), at(5)).expect("a user");
        assert_eq!(expect_error(world.deactivate_user("alice", &request(), at(6))).1, 4);
        assert_eq!(expect_error(world.check_can_connect("alice", None)).1, 17);
        let request = || from_json(json!({ "name": "Again" }));
        let response = world.reactivate_user("alice", request(), at(7)).expect("a user");
        assert_eq!(response["user"]["name"], json!("Again"));
        assert_eq!(world.check_can_connect("alice", None), Ok(()));
        assert_eq!(expect_error(world.reactivate_user("alice", request(), at(8))).1, 4);
        assert_eq!(expect_error(world.reactivate_user("bob", request(), at(8))).1, 16);
    }

    #[test]
    fn batch_returns_a_task_that_completes() {
        let mut world = world_with_users(&["alice", "bob"]);
        let request = from_json(json!({ "user_ids": ["alice", "bob"] }));
        let response = world.deactivate_users(&request, at(5)).expect("a task");
        let task = world.get_task(response["task_id"].as_str().unwrap_or_default(), at(6));
        let task = task.expect("the task");
        assert_eq!(task["status"], json!("completed"));
        assert_eq!(task["updated_at"], json!(at(6)));
        assert_eq!(expect_error(world.get_task("task-9", at(6))).1, 16);
    }

    #[test]
    fn delete_users_deletes_the_requested_kinds() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send_message(&mut world, "m1").expect("a message");
        let soft = json!({ "user_ids": ["alice"], "user": "hard", "messages": "soft" });
        assert_eq!(expect_error(world.delete_users(&from_json(soft), at(5))).1, 4);
        let request = json!({ "user_ids": ["bob"], "user": "soft" });
        world.delete_users(&from_json(request.clone()), at(5)).expect("a task");
        assert!(world.channels.contains_key(&messaging_cid("c")));
        assert_eq!(expect_error(world.delete_users(&from_json(request), at(5))).1, 16);
        let all = json!({
            "user_ids": ["alice"],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
            "calls": "hard",
        });
        world.delete_users(&from_json(all), at(6)).expect("a task");
        assert!(world.channels.is_empty());
        assert!(world.user_view("alice").is_some_and(|alice| alice.deleted_at.is_some()));
    }

    #[test]
    fn status_change_emits_one_event() {
        let mut world = world_with_users(&["alice", "bob"]);
        let both = || json!({ "user_ids": ["alice", "bob"] });
        world.mark_deactivated("bob", at(1));
        world.deactivate_users(&from_json(both()), at(2)).expect("a task");
        world.mark_reactivated("alice", None, at(3));
        world.reactivate_users(&from_json(both()), at(4)).expect("a task");
        world.mark_deleted("bob", at(5));
        world.mark_deleted("bob", at(6));
        world.mark_deleted("unknown", at(6));
        let events = world.take_events();
        assert_eq!(
            event_types(&events),
            [
                "user.deactivated",
                "user.deactivated",
                "user.reactivated",
                "user.reactivated",
                "user.deleted",
            ]
        );
        assert_eq!(events[1]["user"]["id"], json!("alice"));
        assert_eq!(events[4]["delete_user"], json!("soft"));
        assert_eq!(events[4]["user"]["deleted_at"], json!("2026-01-01T00:00:05.000000000Z"));
    }

    #[test]
    fn user_deleted_event_has_the_delete_modes() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        world.take_events();
        let request = json!({
            "user_ids": ["bob"],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
        });
        world.delete_users(&from_json(request), at(6)).expect("a task");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["channel.deleted", "user.deleted"]);
        assert_eq!(events[1]["hard_delete"], json!(true));
        assert_eq!(events[1]["delete_conversation"], json!("hard"));
    }

    #[test]
    fn unknown_user_fails_the_whole_batch() {
        let mut world = world_with_users(&["alice"]);
        let request = json!({ "user_ids": ["alice", "unknown"], "user": "soft" });
        assert_eq!(expect_error(world.delete_users(&from_json(request), at(5))).1, 16);
        assert!(world.user_view("alice").is_some_and(|alice| alice.deleted_at.is_none()));
    }
}
