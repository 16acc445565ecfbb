//! Call types. A type determines what each role may do in its calls, and the settings of new calls.
//! A change of the grants applies to existing calls, and a change of the settings does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::app::DEFAULTS_CREATED_AT;
use super::call_settings::{broadcast_settings, default_settings, replace_groups};
use super::grants::{Grants, PermissionIds, check_call_grant};
use super::validation::{self, ensure, require};
use super::{ApiResult, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::CallTypeView;

const BUILT_IN_TYPES: [&str; 4] = ["audio_room", "default", "development", "livestream"];

/// The call types of the app, by name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct CallTypes(BTreeMap<String, CallType>);

impl Default for CallTypes {
    /// The built-in types.
    fn default() -> Self {
        let types = [
            CallType::new("audio_room", Grants::audio_room_calls(), broadcast_settings()),
            CallType::new("default", Grants::default_calls(), default_settings()),
            CallType::new("development", Grants::development_calls(), default_settings()),
            CallType::new("livestream", Grants::livestream_calls(), broadcast_settings()),
        ];
        Self(types.into_iter().map(|call_type| (call_type.name.clone(), call_type)).collect())
    }
}

impl CallTypes {
    /// The call types in the app object.
    pub(super) fn app_response(&self) -> Value {
        self.collect(CallType::app_response)
    }

    fn collect(&self, response: fn(&CallType) -> Value) -> Value {
        let types = self.0.values().map(|call_type| (call_type.name.clone(), response(call_type)));
        Value::Object(types.collect::<Map<_, _>>())
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CallType {
    name: String,
    pub(super) grants: Grants,
    pub(super) settings: Value,
    notification_settings: Value,
    external_storage: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateCallType {
    name: String,
    #[serde(flatten)]
    changes: UpdateCallType,
}

/// The changes to a call type. Absent and null members change nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct UpdateCallType {
    grants: Option<BTreeMap<String, PermissionIds>>,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    notification_settings: Value,
    external_storage: Option<String>,
}

impl CallType {
    fn new(name: &str, grants: Grants, settings: Value) -> Self {
        Self {
            name: name.to_owned(),
            grants,
            settings,
            notification_settings: default_notification_settings(),
            external_storage: None,
            created_at: DEFAULTS_CREATED_AT,
            updated_at: DEFAULTS_CREATED_AT,
        }
    }

    /// Replaces the permissions of each given role and each given group of settings.
    fn updated(mut self, changes: UpdateCallType, now: Timestamp) -> Result<Self, StreamError> {
        for (role, ids) in changes.grants.unwrap_or_default() {
            check_call_grant(&role, &ids)?;
            self.grants.set(role, ids);
        }
        self.settings = replace_groups(&self.settings, &changes.settings)?;
        let notifications = changes.notification_settings;
        require(
            notifications.is_null() || notifications.is_object(),
            "notification_settings must be an object",
        )?;
        self.notification_settings = merge(self.notification_settings, strip_nulls(notifications));
        self.external_storage = changes.external_storage.or(self.external_storage);
        self.updated_at = now;
        Ok(self)
    }

    fn response(&self) -> Value {
        strip_nulls(json!({
            "name": self.name,
            "grants": self.grants,
            "settings": self.settings,
            "notification_settings": self.notification_settings,
            "external_storage": self.external_storage,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }))
    }

    /// The call type in the app object, which omits the grants.
    fn app_response(&self) -> Value {
        json!({
            "app": 1,
            "id": 1,
            "name": self.name,
            "recording_external_storage": self.external_storage.as_deref().unwrap_or_default(),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "settings": self.settings,
            "notification_settings": self.notification_settings,
        })
    }

    fn view(&self) -> CallTypeView {
        CallTypeView {
            name: self.name.clone(),
            grants: self.grants.to_map(),
            settings: self.settings.clone(),
            notification_settings: self.notification_settings.clone(),
        }
    }
}

fn default_notification_settings() -> Value {
    let event = json!({
        "enabled": true,
        "apns": { "title": "", "body": "" },
        "fcm": { "data": {} },
    });
    json!({
        "enabled": true,
        "call_live_started": event,
        "call_missed": event,
        "call_notification": event,
        "call_ring": event,
        "session_started": event,
    })
}

impl World {
    pub(crate) fn list_call_types(&self) -> Value {
        json!({ "call_types": self.call_types.collect(CallType::response) })
    }

    /// Creates a type. What the request omits is that of `default`.
    pub(crate) fn create_call_type(
        &mut self,
        request: CreateCallType,
        now: Timestamp,
    ) -> ApiResult {
        let CreateCallType { name, changes } = request;
        validation::check_call_type_name(&name)?;
        ensure(!self.call_types.0.contains_key(&name), || {
            StreamError::invalid_input(format!("call type {name} already exists"))
        })?;
        let call_type = CallType {
            created_at: now,
            ..CallType::new(&name, Grants::default_calls(), default_settings())
        };
        self.store_call_type(call_type.updated(changes, now)?)
    }

    pub(crate) fn get_call_type(&self, name: &str) -> ApiResult {
        Ok(self.find_call_type(name)?.response())
    }

    pub(crate) fn update_call_type(
        &mut self,
        name: &str,
        request: UpdateCallType,
        now: Timestamp,
    ) -> ApiResult {
        let call_type = self.find_call_type(name)?.clone();
        self.store_call_type(call_type.updated(request, now)?)
    }

    pub(crate) fn delete_call_type(&mut self, name: &str) -> ApiResult {
        self.find_call_type(name)?;
        require(!BUILT_IN_TYPES.contains(&name), "a built-in call type cannot be deleted")?;
        self.call_types.0.remove(name);
        Ok(json!({}))
    }

    pub(crate) fn call_type_view(&self, name: &str) -> Option<CallTypeView> {
        self.call_types.0.get(name).map(CallType::view)
    }

    pub(super) fn find_call_type(&self, name: &str) -> Result<&CallType, StreamError> {
        self.call_types
            .0
            .get(name)
            .ok_or_else(|| StreamError::not_found(format!("{name}: call type does not exist")))
    }

    fn store_call_type(&mut self, call_type: CallType) -> ApiResult {
        let response = call_type.response();
        self.call_types.0.insert(call_type.name.clone(), call_type);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cid;
    use super::super::testing::{at, default_call_cid, expect_error, from_json, world_with_users};
    use super::*;

    fn create(world: &mut World, request: Value) -> ApiResult {
        world.create_call_type(from_json(request), at(1))
    }

    fn update(world: &mut World, name: &str, request: Value) -> ApiResult {
        world.update_call_type(name, from_json(request), at(2))
    }

    fn create_call(world: &mut World, cid: &Cid) -> ApiResult {
        let request = from_json(json!({ "data": { "created_by_id": "alice" } }));
        world.get_or_create_call(cid, request, at(3))
    }

    #[test]
    fn created_type_has_the_defaults_for_omitted_members() {
        let mut world = World::default();
        let request = json!({
            "name": "private",
            "grants": { "user": [], "call_member": ["read-call", "join-call"] },
            "settings": { "session": { "inactivity_timeout_seconds": 60 } },
            "notification_settings": null,
        });
        let created = create(&mut world, request).expect("created");
        assert_eq!(created["grants"]["user"], json!([]));
        assert_eq!(created["grants"]["call_member"], json!(["join-call", "read-call"]));
        assert_eq!(created["grants"]["admin"].as_array().map(Vec::len), Some(40));
        assert_eq!(created["settings"]["session"]["inactivity_timeout_seconds"], json!(60));
        assert_eq!(created["settings"]["video"], default_settings()["video"]);
        assert_eq!(created["notification_settings"]["call_ring"]["enabled"], json!(true));
        assert_eq!(
            (&created["created_at"], &created["updated_at"]),
            (&json!(at(1)), &json!(at(1)))
        );
        assert_eq!(world.get_call_type("private"), Ok(created.clone()));
        assert_eq!(world.list_call_types()["call_types"]["private"], created);
        assert_eq!(world.list_call_types()["call_types"].as_object().map(Map::len), Some(5));
    }

    #[test]
    fn update_changes_only_the_given_roles_and_groups() {
        let mut world = World::default();
        let before = world.get_call_type("default").expect("the type");
        let limits = json!({ "limits": { "max_duration_seconds": 60 } });
        let request = json!({ "grants": { "user": ["create-call"] }, "settings": limits });
        let updated = update(&mut world, "default", request).expect("updated");
        assert_eq!(updated["grants"]["user"], json!(["create-call"]));
        assert_eq!(updated["grants"]["call_member"], before["grants"]["call_member"]);
        assert_eq!(updated["settings"]["limits"]["max_duration_seconds"], json!(60));
        assert_eq!(updated["settings"]["ring"], before["settings"]["ring"]);
        assert_eq!(updated["created_at"], before["created_at"]);
        assert_eq!(updated["updated_at"], json!(at(2)));
        let view = world.call_type_view("default").expect("the type");
        assert_eq!(view.grants["user"], PermissionIds::from(["create-call".to_owned()]));
    }

    #[test]
    fn rejected_update_changes_nothing() {
        let mut world = World::default();
        let before = world.get_call_type("default");
        for request in [
            json!({ "grants": { "user": [], "guest": ["start-record-call"] } }),
            json!({ "grants": { "user": [], "nothing": [] } }),
            json!({ "grants": { "user": [] }, "settings": { "ring": {} } }),
            json!({ "grants": { "user": [] }, "notification_settings": 1 }),
        ] {
            let (status, code, _) = expect_error(update(&mut world, "default", request));
            assert_eq!((status, code), (400, 4));
        }
        assert_eq!(world.get_call_type("default"), before);
        let unknown = json!({ "grants": { "guest": ["fly"] } });
        let (_, _, message) = expect_error(update(&mut world, "default", unknown));
        assert_eq!(message, "cannot use unknown permission \"fly\"");
    }

    #[test]
    fn names_are_unique_and_built_in_types_stay() {
        let mut world = World::default();
        create(&mut world, json!({ "name": "private" })).expect("created");
        for name in ["private", "default", "a b", ""] {
            let outcome = create(&mut world, json!({ "name": name }));
            assert_eq!(expect_error(outcome).1, 4, "{name}");
        }
        assert_eq!(expect_error(world.delete_call_type("default")).1, 4);
        assert_eq!(world.delete_call_type("private"), Ok(json!({})));
        for outcome in [
            world.delete_call_type("private"),
            world.get_call_type("private"),
            update(&mut world, "private", json!({})),
        ] {
            let (status, code, message) = expect_error(outcome);
            assert_eq!((status, code), (404, 16));
            assert_eq!(message, "private: call type does not exist");
        }
    }

    #[test]
    fn call_keeps_the_settings_that_its_type_had() {
        let mut world = world_with_users(&["alice"]);
        let cid = Cid::new("private", "c");
        assert_eq!(expect_error(create_call(&mut world, &cid)).0, 404);
        let ring = |timeout: u64| {
            json!({
                "auto_cancel_timeout_ms": timeout,
                "incoming_call_timeout_ms": timeout,
                "missed_call_timeout_ms": timeout,
            })
        };
        let settings = json!({ "ring": ring(60_000) });
        create(&mut world, json!({ "name": "private", "settings": settings })).expect("created");
        let call = create_call(&mut world, &cid).expect("a call");
        assert_eq!(call["call"]["settings"]["ring"], ring(60_000));
        let settings = json!({ "ring": ring(90_000) });
        update(&mut world, "private", json!({ "settings": settings })).expect("updated");
        let call = world.get_call(&cid, None).expect("the call");
        assert_eq!(call["call"]["settings"]["ring"], ring(60_000));
        let call = create_call(&mut world, &default_call_cid("c")).expect("a call");
        assert_eq!(call["call"]["settings"], default_settings());
    }
}
