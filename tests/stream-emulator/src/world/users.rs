//! All users: an upsert replaces, a patch changes, a batch is one change, and
//! a deleted id never comes back.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::limits::{self, at_most, from_one_to};
use super::listing::{self, Sort};
use super::user::{DEFAULT_ROLE, User, UserPatch, UserRequest};
use super::{Reply, World};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::views::UserView;

const BATCH: usize = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct UpsertUsers {
    users: BTreeMap<String, UserRequest>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateUsersPartial {
    users: Vec<UserPatch>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueryUsers {
    #[serde(default)]
    filter_conditions: Value,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
    include_deactivated_users: Option<bool>,
}

/// A user named by an object, of which only the id matters here.
#[derive(Debug, Deserialize)]
pub(super) struct NamedUser {
    pub(super) id: String,
}

impl World {
    pub(crate) fn upsert_users(&mut self, ask: UpsertUsers, now: Moment) -> Reply {
        from_one_to("users", ask.users.len(), BATCH)?;
        // All of them are looked at before any of them is changed: one bad user fails the batch.
        for (key, user) in &ask.users {
            limits::user_id(&user.id)?;
            limits::require(*key == user.id, "users must be keyed by their ids")?;
            limits::role(user.role.as_deref().unwrap_or(DEFAULT_ROLE))?;
            limits::size("user", user)?;
            self.not_deleted(&user.id)?;
        }
        let mut users = Map::new();
        for (id, request) in ask.users {
            let user = request.replace(self.users.get(&id), now);
            users.insert(id.clone(), user.full_response());
            if self.users.insert(id.clone(), user).is_some() {
                self.emit_user("user.updated", &id, now, json!({}));
            }
        }
        Ok(json!({ "users": users, "membership_deletion_task_id": "" }))
    }

    pub(crate) fn update_users_partial(&mut self, ask: UpdateUsersPartial, now: Moment) -> Reply {
        from_one_to("users", ask.users.len(), BATCH)?;
        let mut patched: BTreeMap<String, User> = BTreeMap::new();
        for patch in ask.users {
            let known = patched.get(&patch.id).map_or_else(|| self.known_user(&patch.id), Ok)?;
            let user = known.clone().patched(patch, now)?;
            patched.insert(user.id.clone(), user);
        }
        let users: Map<String, Value> =
            patched.iter().map(|(id, user)| (id.clone(), user.full_response())).collect();
        let ids: Vec<String> = patched.keys().cloned().collect();
        self.users.extend(patched);
        for id in ids {
            self.emit_user("user.updated", &id, now, json!({}));
        }
        Ok(json!({ "users": users, "membership_deletion_task_id": "" }))
    }

    pub(crate) fn query_users(&self, ask: &QueryUsers) -> Reply {
        let sort = ask.sort.as_deref().unwrap_or_default();
        let limit = ask.limit.unwrap_or(30);
        let offset = ask.offset.unwrap_or_default();
        at_most("sort", sort.len(), 5)?;
        at_most("limit", limit, 100)?;
        at_most("offset", offset, 1_000)?;
        let deactivated_too = ask.include_deactivated_users.unwrap_or_default();
        let users = self
            .users
            .values()
            .filter(|user| user.deleted_at.is_none())
            .filter(|user| deactivated_too || user.deactivated_at.is_none())
            .map(User::full_response)
            .collect();
        let found = listing::ordered(listing::filtered(users, &ask.filter_conditions)?, sort);
        let page: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "users": page }))
    }

    pub(crate) fn user_view(&self, id: &str) -> Option<UserView> {
        self.users.get(id).map(User::view)
    }

    /// Whether Stream would let a user connect with a token of this age.
    pub(crate) fn admits(&self, id: &str, iat: Option<f64>) -> Result<(), StreamFailure> {
        self.not_deleted(id)?;
        let user = self.users.get(id);
        if user.is_some_and(|user| user.deactivated_at.is_some()) {
            return Err(StreamFailure::forbidden(format!("the user {id} is deactivated")));
        }
        let of_user = user.and_then(|user| user.revoke_tokens_issued_before);
        let of_app = self.app.revoke_tokens_issued_before;
        let too_old = |before: Moment| iat.is_none_or(|iat| iat < before.numeric_date());
        limits::ensure(!of_user.into_iter().chain(of_app).any(too_old), || {
            let text = "This token has been revoked, please generate a new token";
            StreamFailure::unauthenticated(40, text)
        })
    }

    /// Refuses an operation that involves users who do not exist, naming them.
    pub(super) fn involve<'a>(
        &self,
        operation: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StreamFailure> {
        let mut unknown = Vec::new();
        for id in ids {
            self.not_deleted(id)?;
            if !self.users.contains_key(id) && !unknown.contains(&id) {
                unknown.push(id);
            }
        }
        limits::ensure(unknown.is_empty(), || {
            StreamFailure::input(format!(
                "The following users are involved in {operation} operation, but don't exist: [{}]",
                unknown.join(" ")
            ))
        })
    }

    pub(super) fn known_user(&self, id: &str) -> Result<&User, StreamFailure> {
        self.not_deleted(id)?;
        self.users
            .get(id)
            .ok_or_else(|| StreamFailure::missing(format!("user {id:?} does not exist")))
    }

    /// A user inside another object.
    pub(super) fn user_response(&self, id: &str) -> Value {
        self.users.get(id).map_or_else(|| json!({ "id": id }), User::response)
    }

    fn not_deleted(&self, id: &str) -> Result<(), StreamFailure> {
        let deleted = self.users.get(id).is_some_and(|user| user.deleted_at.is_some());
        limits::ensure(!deleted, || StreamFailure::missing(format!("the user {id} was deleted")))
    }
}

/// Who creates an object: a server's token says it for nobody, so the request must.
pub(super) fn creator(
    id: Option<String>,
    user: Option<NamedUser>,
) -> Result<String, StreamFailure> {
    id.or(user.map(|user| user.id)).ok_or_else(|| {
        StreamFailure::input(
            "either data.created_by or data.created_by_id must be provided when using server side \
             auth.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::joined;
    use super::super::testing::{at, read, refusal, told, world};
    use super::*;

    fn upsert(world: &mut World, id: &str, user: Value) -> Reply {
        let user = joined(json!({ "id": id }), user);
        world.upsert_users(read(json!({ "users": { id: user } })), at(10))
    }

    fn patch(world: &mut World, id: &str, patch: Value) -> Reply {
        let patch = joined(json!({ "id": id }), patch);
        world.update_users_partial(read(json!({ "users": [patch] })), at(20))
    }

    fn revoke(world: &mut World, instant: &str) -> Reply {
        patch(world, "alice", json!({ "set": { "revoke_tokens_issued_before": instant } }))
    }

    #[test]
    fn an_upsert_replaces_the_user_and_keeps_its_age() {
        let mut world = world(&["alice"]);
        let whole = json!({ "name": "A", "role": "admin", "custom": { "plan": 1 } });
        upsert(&mut world, "alice", whole).expect("a user");
        let bare = json!({ "image": "i", "unheard_of": true });
        let answer = upsert(&mut world, "alice", bare).expect("a user");
        assert_eq!(answer["users"]["alice"]["created_at"], json!(at(0)));
        assert_eq!(answer["users"]["alice"].get("name"), None);
        let alice = world.user_view("alice").expect("alice");
        assert_eq!((alice.name, alice.image), (None, Some("i".to_owned())));
        assert_eq!((alice.role.as_str(), alice.custom.len()), ("user", 0));
    }

    #[test]
    fn one_bad_user_fails_the_batch() {
        let mut world = World::default();
        let users = json!({ "a": { "id": "a" }, "b b": { "id": "b b" } });
        let outcome = world.upsert_users(read(json!({ "users": users })), at(0));
        assert_eq!(refusal(outcome).1, 4);
        assert!(world.users.is_empty());
        let users: Map<String, Value> =
            (0..101).map(|n| (format!("u{n}"), json!({ "id": format!("u{n}") }))).collect();
        assert_eq!(refusal(world.upsert_users(read(json!({ "users": users })), at(0))).1, 4);
    }

    #[test]
    fn a_deleted_id_is_never_free_again() {
        let mut world = world(&["alice"]);
        world.mark_deleted("alice", at(1));
        let outcome = upsert(&mut world, "alice", json!({}));
        assert_eq!(refusal(outcome), (404, 16, "the user alice was deleted".to_owned()));
        assert_eq!(refusal(world.admits("alice", Some(f64::MAX))).1, 16);
    }

    #[test]
    fn a_patch_sets_and_unsets() {
        let mut world = world(&["alice"]);
        let set = json!({ "set": { "name": "A", "plan": "pro", "level": 2 } });
        patch(&mut world, "alice", set).expect("a user");
        patch(&mut world, "alice", json!({ "unset": ["plan"] })).expect("a user");
        let alice = world.user_view("alice").expect("alice");
        assert_eq!(alice.name.as_deref(), Some("A"));
        assert_eq!(json!(alice.custom), json!({ "level": 2 }));
        assert_eq!(refusal(patch(&mut world, "bob", json!({}))).1, 16);
        assert_eq!(refusal(patch(&mut world, "alice", json!({ "set": { "id": "b" } }))).1, 4);
    }

    #[test]
    fn a_user_who_changes_is_told_and_a_new_one_is_not() {
        let mut world = world(&["alice"]);
        assert!(world.take_events().is_empty());
        upsert(&mut world, "alice", json!({ "name": "A" })).expect("a user");
        patch(&mut world, "alice", json!({ "set": { "name": "B" } })).expect("a user");
        patch(&mut world, "alice", json!({ "set": { "id": "b" } })).expect_err("a refusal");
        let events = world.take_events();
        assert_eq!(told(&events), ["user.updated", "user.updated"]);
        assert_eq!(events[0]["user"]["name"], json!("A"));
        assert_eq!(events[1]["user"]["name"], json!("B"));
        assert_eq!(events[1]["created_at"], events[1]["user"]["updated_at"]);
    }

    #[test]
    fn a_revocation_refuses_older_tokens_and_those_without_an_age() {
        let mut world = world(&["alice"]);
        let now = at(0).numeric_date();
        assert_eq!(world.admits("alice", None), Ok(()));
        revoke(&mut world, "2026-01-01T00:00:00.000Z").expect("a user");
        assert_eq!(refusal(world.admits("alice", Some(now - 1.0))).1, 40);
        assert_eq!(refusal(world.admits("alice", None)).1, 40);
        assert_eq!(world.admits("alice", Some(now)), Ok(()));
        upsert(&mut world, "alice", json!({})).expect("a user");
        assert_eq!(refusal(world.admits("alice", None)).1, 40);
        let undo = json!({ "set": { "revoke_tokens_issued_before": null } });
        patch(&mut world, "alice", undo).expect("a user");
        assert_eq!(world.admits("alice", None), Ok(()));
        assert!(revoke(&mut world, "soon").is_err());
        world.app_mut().revoke_tokens_issued_before = Some(at(0));
        assert_eq!(refusal(world.admits("never-seen", None)).1, 40);
    }

    #[test]
    fn a_query_leaves_out_who_was_shut_out() {
        let mut world = world(&["alice", "bob", "carol"]);
        world.mark_deactivated("bob", at(1));
        world.mark_deleted("carol", at(1));
        let ids = |ask: Value| {
            let answer = world.query_users(&read(ask)).expect("users");
            let users = answer["users"].as_array().cloned().unwrap_or_default();
            users.iter().map(|user| user["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(json!({})), ["alice"]);
        assert_eq!(ids(json!({ "include_deactivated_users": true })), ["alice", "bob"]);
        assert!(ids(json!({ "filter_conditions": { "id": { "$in": ["bob"] } } })).is_empty());
    }
}
