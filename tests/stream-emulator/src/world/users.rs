//! Users. An upsert replaces a user, and a patch changes some fields. A batch is atomic. The id of
//! a deleted user cannot be used again.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::pagination::{self, Sort};
use super::user::{DEFAULT_ROLE, User, UserPatch, UserRequest};
use super::validation::{self, check_count, check_max};
use super::{ApiResult, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::UserView;

const MAX_BATCH_SIZE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpsertUsers {
    pub(super) users: BTreeMap<String, UserRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateUsersPartial {
    pub(super) users: Vec<UserPatch>,
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

/// A user object of which only the id is used.
#[derive(Debug, Deserialize)]
pub(super) struct UserRef {
    pub(super) id: String,
}

impl World {
    pub(crate) fn upsert_users(&mut self, request: UpsertUsers, now: Timestamp) -> ApiResult {
        check_count("users", request.users.len(), MAX_BATCH_SIZE)?;
        // All users are validated before any is changed: one invalid user fails the batch.
        for (key, user) in &request.users {
            validation::check_user_id(&user.id)?;
            validation::require(*key == user.id, "users must be keyed by their ids")?;
            validation::check_role(user.role.as_deref().unwrap_or(DEFAULT_ROLE))?;
            validation::check_size("user", user)?;
            self.ensure_not_deleted(&user.id)?;
        }
        let mut users = Map::new();
        for (id, request) in request.users {
            let user = request.into_user(self.users.get(&id), now);
            users.insert(id.clone(), user.full_response());
            if self.users.insert(id.clone(), user).is_some() {
                self.emit_user("user.updated", &id, now, json!({}));
            }
        }
        Ok(json!({ "users": users, "membership_deletion_task_id": "" }))
    }

    /// Creates a user with default values, unless the user exists.
    pub(crate) fn create_user(&mut self, id: &str, now: Timestamp) {
        let user = serde_json::from_value(json!({ "id": id }));
        if let Ok::<UserRequest, _>(user) = user
            && !self.users.contains_key(id)
        {
            self.users.insert(id.to_owned(), user.into_user(None, now));
        }
    }

    pub(crate) fn update_users_partial(
        &mut self,
        request: UpdateUsersPartial,
        now: Timestamp,
    ) -> ApiResult {
        check_count("users", request.users.len(), MAX_BATCH_SIZE)?;
        let mut patched: BTreeMap<String, User> = BTreeMap::new();
        for patch in request.users {
            let existing = patched.get(&patch.id).map_or_else(|| self.find_user(&patch.id), Ok)?;
            let user = existing.clone().apply_patch(patch, now)?;
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

    pub(crate) fn query_users(&self, request: &QueryUsers) -> ApiResult {
        let sort = request.sort.as_deref().unwrap_or_default();
        let limit = request.limit.unwrap_or(30);
        let offset = request.offset.unwrap_or_default();
        check_max("sort", sort.len(), 5)?;
        check_max("limit", limit, 100)?;
        check_max("offset", offset, 1_000)?;
        let include_deactivated = request.include_deactivated_users.unwrap_or_default();
        let users = self
            .users
            .values()
            .filter(|user| user.deleted_at.is_none())
            .filter(|user| include_deactivated || user.deactivated_at.is_none())
            .map(User::full_response)
            .collect();
        let users = pagination::apply_sort(
            pagination::apply_filter(users, &request.filter_conditions)?,
            sort,
        );
        let page: Vec<Value> = users.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "users": page }))
    }

    pub(crate) fn user_view(&self, id: &str) -> Option<UserView> {
        self.users.get(id).map(User::view)
    }

    /// Checks whether a user can connect with a token that was issued at this time.
    pub(crate) fn check_can_connect(&self, id: &str, iat: Option<f64>) -> Result<(), StreamError> {
        self.ensure_not_deleted(id)?;
        let user = self.users.get(id);
        if user.is_some_and(|user| user.deactivated_at.is_some()) {
            return Err(StreamError::forbidden(format!("the user {id} is deactivated")));
        }
        let user_cutoff = user.and_then(|user| user.revoke_tokens_issued_before);
        let app_cutoff = self.app.revoke_tokens_issued_before;
        let is_revoked_by =
            |before: Timestamp| iat.is_none_or(|iat| iat < before.as_numeric_date());
        validation::ensure(!user_cutoff.into_iter().chain(app_cutoff).any(is_revoked_by), || {
            let text = "This token has been revoked, please generate a new token";
            StreamError::unauthenticated(40, text)
        })
    }

    /// Returns an error that lists the users who do not exist.
    pub(super) fn check_users_exist_for<'a>(
        &self,
        operation: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StreamError> {
        let mut unknown = Vec::new();
        for id in ids {
            self.ensure_not_deleted(id)?;
            if !self.users.contains_key(id) && !unknown.contains(&id) {
                unknown.push(id);
            }
        }
        validation::ensure(unknown.is_empty(), || {
            StreamError::invalid_input(format!(
                "The following users are involved in {operation} operation, but don't exist: [{}]",
                unknown.join(" ")
            ))
        })
    }

    pub(super) fn find_user(&self, id: &str) -> Result<&User, StreamError> {
        self.ensure_not_deleted(id)?;
        self.users
            .get(id)
            .ok_or_else(|| StreamError::not_found(format!("user {id:?} does not exist")))
    }

    /// A user in the response of another object.
    pub(crate) fn user_response(&self, id: &str) -> Value {
        self.users.get(id).map_or_else(|| json!({ "id": id }), User::response)
    }

    fn ensure_not_deleted(&self, id: &str) -> Result<(), StreamError> {
        let deleted = self.users.get(id).is_some_and(|user| user.deleted_at.is_some());
        validation::ensure(!deleted, || {
            StreamError::not_found(format!("the user {id} was deleted"))
        })
    }
}

/// The creator of an object. The request must name it, since a server token has no user.
pub(super) fn resolve_creator(
    id: Option<String>,
    user: Option<UserRef>,
) -> Result<String, StreamError> {
    id.or(user.map(|user| user.id)).ok_or_else(|| {
        StreamError::invalid_input(
            "either data.created_by or data.created_by_id must be provided when using server side \
             auth.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::merge;
    use super::super::testing::{at, event_types, expect_error, from_json, world_with_users};
    use super::*;

    fn upsert(world: &mut World, id: &str, user: Value) -> ApiResult {
        let user = merge(json!({ "id": id }), user);
        world.upsert_users(from_json(json!({ "users": { id: user } })), at(10))
    }

    fn patch(world: &mut World, id: &str, patch: Value) -> ApiResult {
        let patch = merge(json!({ "id": id }), patch);
        world.update_users_partial(from_json(json!({ "users": [patch] })), at(20))
    }

    fn revoke(world: &mut World, instant: &str) -> ApiResult {
        patch(world, "alice", json!({ "set": { "revoke_tokens_issued_before": instant } }))
    }

    #[test]
    fn upsert_replaces_the_user_and_preserves_created_at() {
        let mut world = world_with_users(&["alice"]);
        let whole = json!({ "name": "A", "role": "admin", "custom": { "plan": 1 } });
        upsert(&mut world, "alice", whole).expect("a user");
        let bare = json!({ "image": "i", "unknown_field": true });
        let response = upsert(&mut world, "alice", bare).expect("a user");
        assert_eq!(response["users"]["alice"]["created_at"], json!(at(0)));
        assert_eq!(response["users"]["alice"].get("name"), None);
        let alice = world.user_view("alice").expect("alice");
        assert_eq!((alice.name, alice.image), (None, Some("i".to_owned())));
        assert_eq!((alice.role.as_str(), alice.custom.len()), ("user", 0));
    }

    #[test]
    fn invalid_user_fails_the_whole_batch() {
        let mut world = World::default();
        let users = json!({ "a": { "id": "a" }, "b b": { "id": "b b" } });
        let outcome = world.upsert_users(from_json(json!({ "users": users })), at(0));
        assert_eq!(expect_error(outcome).1, 4);
        assert!(world.users.is_empty());
        let users: Map<String, Value> =
            (0..101).map(|n| (format!("u{n}"), json!({ "id": format!("u{n}") }))).collect();
        assert_eq!(
            expect_error(world.upsert_users(from_json(json!({ "users": users })), at(0))).1,
            4
        );
    }

    #[test]
    fn deleted_user_id_cannot_be_reused() {
        let mut world = world_with_users(&["alice"]);
        world.mark_deleted("alice", at(1));
        let outcome = upsert(&mut world, "alice", json!({}));
        assert_eq!(expect_error(outcome), (404, 16, "the user alice was deleted".to_owned()));
        assert_eq!(expect_error(world.check_can_connect("alice", Some(f64::MAX))).1, 16);
    }

    #[test]
    fn patch_sets_and_unsets_fields() {
        let mut world = world_with_users(&["alice"]);
        let set = json!({ "set": { "name": "A", "plan": "pro", "level": 2 } });
        patch(&mut world, "alice", set).expect("a user");
        patch(&mut world, "alice", json!({ "unset": ["plan"] })).expect("a user");
        let alice = world.user_view("alice").expect("alice");
        assert_eq!(alice.name.as_deref(), Some("A"));
        assert_eq!(json!(alice.custom), json!({ "level": 2 }));
        assert_eq!(expect_error(patch(&mut world, "bob", json!({}))).1, 16);
        assert_eq!(expect_error(patch(&mut world, "alice", json!({ "set": { "id": "b" } }))).1, 4);
    }

    #[test]
    fn user_updated_is_emitted_for_changes_only() {
        let mut world = world_with_users(&["alice"]);
        assert!(world.take_events().is_empty());
        upsert(&mut world, "alice", json!({ "name": "A" })).expect("a user");
        patch(&mut world, "alice", json!({ "set": { "name": "B" } })).expect("a user");
        patch(&mut world, "alice", json!({ "set": { "id": "b" } })).expect_err("an error");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["user.updated", "user.updated"]);
        assert_eq!(events[0]["user"]["name"], json!("A"));
        assert_eq!(events[1]["user"]["name"], json!("B"));
        assert_eq!(events[1]["created_at"], events[1]["user"]["updated_at"]);
    }

    #[test]
    fn revocation_rejects_older_tokens_and_tokens_without_iat() {
        let mut world = world_with_users(&["alice"]);
        let now = at(0).as_numeric_date();
        assert_eq!(world.check_can_connect("alice", None), Ok(()));
        revoke(&mut world, "2026-01-01T00:00:00.000Z").expect("a user");
        assert_eq!(expect_error(world.check_can_connect("alice", Some(now - 1.0))).1, 40);
        assert_eq!(expect_error(world.check_can_connect("alice", None)).1, 40);
        assert_eq!(world.check_can_connect("alice", Some(now)), Ok(()));
        upsert(&mut world, "alice", json!({})).expect("a user");
        assert_eq!(expect_error(world.check_can_connect("alice", None)).1, 40);
        let undo = json!({ "set": { "revoke_tokens_issued_before": null } });
        patch(&mut world, "alice", undo).expect("a user");
        assert_eq!(world.check_can_connect("alice", None), Ok(()));
        assert!(revoke(&mut world, "soon").is_err());
        world.app_mut().revoke_tokens_issued_before = Some(at(0));
        assert_eq!(expect_error(world.check_can_connect("never-seen", None)).1, 40);
    }

    #[test]
    fn query_users_omits_deactivated_and_deleted_users() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        world.mark_deactivated("bob", at(1));
        world.mark_deleted("carol", at(1));
        let ids = |request: Value| {
            let response = world.query_users(&from_json(request)).expect("users");
            let users = response["users"].as_array().cloned().unwrap_or_default();
            users.iter().map(|user| user["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(json!({})), ["alice"]);
        assert_eq!(ids(json!({ "include_deactivated_users": true })), ["alice", "bob"]);
        assert!(ids(json!({ "filter_conditions": { "id": { "$in": ["bob"] } } })).is_empty());
    }
}
