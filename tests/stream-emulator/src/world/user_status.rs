//! Shutting users out: deactivation keeps everything and can be undone, deletion cannot, and takes
//! along what the request says.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::cid::Cid;
use super::limits::{ensure, from_one_to, require};
use super::{Reply, World};
use crate::error::StreamFailure;
use crate::moment::Moment;

const BATCH: usize = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct DeactivateUser {
    mark_messages_deleted: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeactivateUsers {
    user_ids: Vec<String>,
    mark_messages_deleted: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReactivateUser {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReactivateUsers {
    user_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteUsers {
    user_ids: Vec<String>,
    user: Option<Mode>,
    messages: Option<Mode>,
    conversations: Option<Mode>,
    calls: Option<Mode>,
}

/// How thoroughly something is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Soft,
    Pruning,
    Hard,
}

impl DeleteUsers {
    /// What the event says of how a user was deleted.
    fn details(&self) -> Value {
        let word = |mode: Option<Mode>| match mode {
            None => "",
            Some(Mode::Soft) => "soft",
            Some(Mode::Pruning) => "pruning",
            Some(Mode::Hard) => "hard",
        };
        json!({
            "delete_user": word(self.user),
            "delete_messages": word(self.messages),
            "delete_conversation": word(self.conversations),
            "delete_conversation_channels": self.conversations.is_some(),
            "mark_messages_deleted": self.messages == Some(Mode::Soft),
            "hard_delete": self.user == Some(Mode::Hard),
        })
    }
}

impl World {
    pub(crate) fn deactivate_user(&mut self, id: &str, ask: &DeactivateUser, now: Moment) -> Reply {
        let known = self.known_user(id)?;
        ensure(known.deactivated_at.is_none(), || {
            StreamFailure::input(format!("user {id:?} is already deactivated"))
        })?;
        self.shut_out(id, ask.mark_messages_deleted, now);
        Ok(json!({ "user": self.user_response(id) }))
    }

    pub(crate) fn deactivate_users(&mut self, ask: &DeactivateUsers, now: Moment) -> Reply {
        self.known_users(&ask.user_ids)?;
        for id in &ask.user_ids {
            self.shut_out(id, ask.mark_messages_deleted, now);
        }
        Ok(self.user_task(&ask.user_ids, now))
    }

    pub(crate) fn reactivate_user(&mut self, id: &str, ask: ReactivateUser, now: Moment) -> Reply {
        let known = self.known_user(id)?;
        ensure(known.deactivated_at.is_some(), || {
            StreamFailure::input(format!("user {id:?} is not deactivated"))
        })?;
        self.mark_reactivated(id, ask.name, now);
        Ok(json!({ "user": self.user_response(id) }))
    }

    pub(crate) fn reactivate_users(&mut self, ask: &ReactivateUsers, now: Moment) -> Reply {
        self.known_users(&ask.user_ids)?;
        for id in &ask.user_ids {
            self.mark_reactivated(id, None, now);
        }
        Ok(self.user_task(&ask.user_ids, now))
    }

    pub(crate) fn delete_users(&mut self, ask: &DeleteUsers, now: Moment) -> Reply {
        self.known_users(&ask.user_ids)?;
        let all_hard = [ask.messages, ask.conversations].iter().all(|it| *it == Some(Mode::Hard));
        require(
            ask.user != Some(Mode::Hard) || all_hard,
            "deleting users hard needs messages and conversations to be deleted hard too",
        )?;
        let pruned = [ask.conversations, ask.calls].contains(&Some(Mode::Pruning));
        require(!pruned, "conversations and calls are deleted soft or hard")?;
        for id in &ask.user_ids {
            if let Some(mode) = ask.messages {
                self.delete_messages_of(id, mode == Mode::Hard, now);
            }
            if ask.conversations.is_some() {
                self.remove_conversations_of(id, now);
            }
            if ask.calls.is_some() {
                self.remove_calls_of(id, now);
            }
            self.delete_user(id, ask.details(), now);
        }
        Ok(self.user_task(&ask.user_ids, now))
    }

    /// Deletes a user and nothing else.
    pub(crate) fn mark_deleted(&mut self, id: &str, now: Moment) {
        let softly = DeleteUsers {
            user_ids: Vec::new(),
            user: Some(Mode::Soft),
            messages: None,
            conversations: None,
            calls: None,
        };
        self.delete_user(id, softly.details(), now);
    }

    pub(crate) fn mark_deactivated(&mut self, id: &str, now: Moment) {
        let user = self.users.get_mut(id).filter(|user| user.deactivated_at.is_none());
        let Some(user) = user else { return };
        user.deactivated_at = Some(now);
        self.emit_user("user.deactivated", id, now, json!({}));
    }

    pub(crate) fn mark_reactivated(&mut self, id: &str, name: Option<String>, now: Moment) {
        let user = self.users.get_mut(id).filter(|user| user.deleted_at.is_none());
        let Some(user) = user else { return };
        let was_out = user.deactivated_at.is_some();
        user.reactivate(name, now);
        if was_out {
            self.emit_user("user.reactivated", id, now, json!({}));
        }
    }

    fn delete_user(&mut self, id: &str, details: Value, now: Moment) {
        let user = self.users.get_mut(id).filter(|user| user.deleted_at.is_none());
        let Some(user) = user else { return };
        user.deleted_at = Some(now);
        self.emit_user("user.deleted", id, now, details);
    }

    fn remove_conversations_of(&mut self, user_id: &str, now: Moment) {
        let theirs = self.channels.values().filter(|it| it.is_between_two_with(user_id));
        let cids: Vec<Cid> = theirs.map(|channel| channel.cid.clone()).collect();
        for cid in cids {
            self.remove_channel(&cid, now);
        }
    }

    fn remove_calls_of(&mut self, user_id: &str, now: Moment) {
        let theirs = self.calls.values().filter(|it| it.is_between_two_with(user_id));
        let cids: Vec<Cid> = theirs.map(|call| call.cid.clone()).collect();
        for cid in cids {
            self.remove_call(&cid, now);
        }
    }

    fn shut_out(&mut self, id: &str, messages_too: Option<bool>, now: Moment) {
        self.mark_deactivated(id, now);
        if messages_too == Some(true) {
            self.delete_messages_of(id, false, now);
        }
    }

    fn delete_messages_of(&mut self, user_id: &str, hard: bool, now: Moment) {
        for channel in self.channels.values_mut() {
            channel.delete_messages_of(user_id, hard, now);
        }
    }

    fn known_users(&self, ids: &[String]) -> Result<(), StreamFailure> {
        from_one_to("user_ids", ids.len(), BATCH)?;
        ids.iter().try_for_each(|id| self.known_user(id).map(|_| ()))
    }

    fn user_task(&mut self, ids: &[String], now: Moment) -> Value {
        let result: Map<String, Value> =
            ids.iter().map(|id| (id.clone(), json!({ "status": "ok" }))).collect();
        json!({ "task_id": self.start_task(Value::Object(result), now) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, messaging, read, refusal, send, told, world};
    use super::*;

    #[test]
    fn deactivation_happens_once_and_can_be_undone() {
        let mut world = world(&["alice"]);
        let ask = || read(json!({}));
        world.deactivate_user("alice", &ask(), at(5)).expect("a user");
        assert_eq!(refusal(world.deactivate_user("alice", &ask(), at(6))).1, 4);
        assert_eq!(refusal(world.admits("alice", None)).1, 17);
        let ask = || read(json!({ "name": "Again" }));
        let answer = world.reactivate_user("alice", ask(), at(7)).expect("a user");
        assert_eq!(answer["user"]["name"], json!("Again"));
        assert_eq!(world.admits("alice", None), Ok(()));
        assert_eq!(refusal(world.reactivate_user("alice", ask(), at(8))).1, 4);
        assert_eq!(refusal(world.reactivate_user("bob", ask(), at(8))).1, 16);
    }

    #[test]
    fn a_batch_answers_a_task_that_completes() {
        let mut world = world(&["alice", "bob"]);
        let ask = read(json!({ "user_ids": ["alice", "bob"] }));
        let answer = world.deactivate_users(&ask, at(5)).expect("a task");
        let task = world.get_task(answer["task_id"].as_str().unwrap_or_default(), at(6));
        let task = task.expect("the task");
        assert_eq!(task["status"], json!("completed"));
        assert_eq!(task["updated_at"], json!(at(6)));
        assert_eq!(refusal(world.get_task("task-9", at(6))).1, 16);
    }

    #[test]
    fn deletion_takes_along_what_is_asked_for() {
        let mut world = world(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send(&mut world, "m1").expect("a message");
        let soft = json!({ "user_ids": ["alice"], "user": "hard", "messages": "soft" });
        assert_eq!(refusal(world.delete_users(&read(soft), at(5))).1, 4);
        let ask = json!({ "user_ids": ["bob"], "user": "soft" });
        world.delete_users(&read(ask.clone()), at(5)).expect("a task");
        assert!(world.channels.contains_key(&messaging("c")));
        assert_eq!(refusal(world.delete_users(&read(ask), at(5))).1, 16);
        let all = json!({
            "user_ids": ["alice"],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
            "calls": "hard",
        });
        world.delete_users(&read(all), at(6)).expect("a task");
        assert!(world.channels.is_empty());
        assert!(world.user_view("alice").is_some_and(|alice| alice.deleted_at.is_some()));
    }

    #[test]
    fn who_is_shut_out_or_let_in_again_is_told_once() {
        let mut world = world(&["alice", "bob"]);
        let both = || json!({ "user_ids": ["alice", "bob"] });
        world.mark_deactivated("bob", at(1));
        world.deactivate_users(&read(both()), at(2)).expect("a task");
        world.mark_reactivated("alice", None, at(3));
        world.reactivate_users(&read(both()), at(4)).expect("a task");
        world.mark_deleted("bob", at(5));
        world.mark_deleted("bob", at(6));
        world.mark_deleted("nobody", at(6));
        let events = world.take_events();
        assert_eq!(
            told(&events),
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
    fn deletion_is_told_with_what_went_along() {
        let mut world = world(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        world.take_events();
        let ask = json!({
            "user_ids": ["bob"],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
        });
        world.delete_users(&read(ask), at(6)).expect("a task");
        let events = world.take_events();
        assert_eq!(told(&events), ["channel.deleted", "user.deleted"]);
        assert_eq!(events[1]["hard_delete"], json!(true));
        assert_eq!(events[1]["delete_conversation"], json!("hard"));
    }

    #[test]
    fn nobody_is_deleted_if_one_of_them_is_unknown() {
        let mut world = world(&["alice"]);
        let ask = json!({ "user_ids": ["alice", "nobody"], "user": "soft" });
        assert_eq!(refusal(world.delete_users(&read(ask), at(5))).1, 16);
        assert!(world.user_view("alice").is_some_and(|alice| alice.deleted_at.is_none()));
    }
}
