//! Push devices of users. Chat and video have the same devices. Each user has at most 25: one more
//! replaces the oldest.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::validation::{ensure, require};
use super::{ApiResult, World, strip_nulls};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;

const MAX_DEVICES: usize = 25;
const PUSH_PROVIDERS: [&str; 4] = ["apn", "firebase", "huawei", "xiaomi"];

#[derive(Debug, Serialize)]
pub(super) struct Device {
    id: String,
    push_provider: String,
    push_provider_name: Option<String>,
    /// Whether the id is a token for Apple's notifications of incoming calls.
    is_voip: bool,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateDevice {
    id: String,
    push_provider: String,
    push_provider_name: Option<String>,
    voip_token: Option<bool>,
    user_id: Option<String>,
}

/// The query of a request for devices.
#[derive(Debug, Default)]
pub(crate) struct DeviceQuery {
    id: Option<String>,
    user_id: Option<String>,
}

impl DeviceQuery {
    pub(crate) fn from_query(query: &Query) -> Self {
        Self { id: query.get_owned("id"), user_id: query.get_owned("user_id") }
    }
}

impl Device {
    fn response(&self, user_id: &str) -> Value {
        strip_nulls(json!({
            "id": self.id,
            "user_id": user_id,
            "push_provider": self.push_provider,
            "push_provider_name": self.push_provider_name,
            "voip": self.is_voip.then_some(true),
            "created_at": self.created_at,
        }))
    }
}

impl World {
    /// Registers a device of the token's user, or of the user that a server's request names.
    pub(crate) fn create_device(
        &mut self,
        token_user: Option<&str>,
        request: CreateDevice,
        now: Timestamp,
    ) -> ApiResult {
        let user_id = resolve_user(token_user, request.user_id)?;
        self.find_user(&user_id)?;
        require(!request.id.is_empty(), "id is a required field")?;
        require(
            PUSH_PROVIDERS.contains(&request.push_provider.as_str()),
            "push_provider must be one of [firebase, apn, huawei, xiaomi]",
        )?;
        let device = Device {
            id: request.id,
            push_provider: request.push_provider,
            push_provider_name: request.push_provider_name,
            is_voip: request.voip_token.unwrap_or_default(),
            created_at: now,
        };
        let devices = self.devices.entry(user_id).or_default();
        devices.retain(|other| other.id != device.id);
        devices.push(device);
        devices.drain(..devices.len().saturating_sub(MAX_DEVICES));
        Ok(json!({}))
    }

    pub(crate) fn list_devices(&self, token_user: Option<&str>, query: DeviceQuery) -> ApiResult {
        let user_id = resolve_user(token_user, query.user_id)?;
        self.find_user(&user_id)?;
        Ok(json!({ "devices": self.device_responses(&user_id) }))
    }

    pub(super) fn device_responses(&self, user_id: &str) -> Vec<Value> {
        let devices = self.devices.get(user_id).into_iter().flatten();
        devices.map(|device| device.response(user_id)).collect()
    }

    /// Assumed: a device that does not exist is not found.
    pub(crate) fn delete_device(
        &mut self,
        token_user: Option<&str>,
        query: DeviceQuery,
    ) -> ApiResult {
        let user_id = resolve_user(token_user, query.user_id)?;
        self.find_user(&user_id)?;
        let id = query.id.ok_or_else(|| StreamError::invalid_input("id is a required field"))?;
        let devices = self.devices.entry(user_id).or_default();
        let count = devices.len();
        devices.retain(|device| device.id != id);
        ensure(devices.len() < count, || {
            StreamError::not_found(format!("device {id:?} does not exist"))
        })?;
        Ok(json!({}))
    }

    /// The ids of a user's devices, oldest first.
    pub(crate) fn device_ids(&self, user_id: &str) -> Vec<String> {
        let devices = self.devices.get(user_id).into_iter().flatten();
        devices.map(|device| device.id.clone()).collect()
    }
}

/// The user of the devices. A user token permits only the devices of its own user.
fn resolve_user(token_user: Option<&str>, named: Option<String>) -> Result<String, StreamError> {
    match (token_user, named) {
        (Some(user), Some(named)) if user != named => {
            Err(StreamError::forbidden("a user token is not allowed for the devices of others"))
        }
        (Some(user), _) => Ok(user.to_owned()),
        (None, Some(named)) => Ok(named),
        (None, None) => Err(StreamError::invalid_input("user_id is a required field")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, expect_error, from_json, world_with_users};
    use super::*;

    fn create(world: &mut World, token_user: Option<&str>, request: Value) -> ApiResult {
        world.create_device(token_user, from_json(request), at(1))
    }

    fn query(id: Option<&str>, user_id: Option<&str>) -> DeviceQuery {
        DeviceQuery { id: id.map(str::to_owned), user_id: user_id.map(str::to_owned) }
    }

    #[test]
    fn devices_are_registered_listed_and_deleted() {
        let mut world = world_with_users(&["alice", "bob"]);
        let phone = json!({
            "id": "phone", "push_provider": "apn", "push_provider_name": "p", "voip_token": true,
        });
        create(&mut world, Some("alice"), phone).expect("a device");
        let tablet = json!({ "id": "tablet", "push_provider": "firebase", "user_id": "alice" });
        create(&mut world, None, tablet.clone()).expect("a device");
        create(&mut world, None, tablet).expect("a repeat");
        let response = world.list_devices(None, query(None, Some("alice"))).expect("devices");
        let expected = json!([
            {
                "id": "phone", "user_id": "alice", "push_provider": "apn",
                "push_provider_name": "p", "voip": true, "created_at": at(1),
            },
            {
                "id": "tablet", "user_id": "alice", "push_provider": "firebase",
                "created_at": at(1),
            },
        ]);
        assert_eq!(response["devices"], expected);
        let of_bob = world.list_devices(Some("bob"), query(None, None)).expect("devices");
        assert_eq!(of_bob, json!({ "devices": [] }));
        let phone = || query(Some("phone"), Some("alice"));
        world.delete_device(None, phone()).expect("deleted");
        assert_eq!(world.device_ids("alice"), ["tablet"]);
        assert_eq!(expect_error(world.delete_device(None, phone())).1, 16);
        world.mark_deleted("alice", at(2));
        assert!(world.device_ids("alice").is_empty());
        assert_eq!(expect_error(world.list_devices(None, query(None, Some("alice")))).1, 16);
    }

    #[test]
    fn invalid_device_is_rejected() {
        let mut world = world_with_users(&["alice", "bob"]);
        let device = |provider: &str, user: Option<&str>| json!({ "id": "phone", "push_provider": provider, "user_id": user });
        for (token_user, request, code) in [
            (None, device("apn", None), 4),
            (None, device("pigeon", Some("alice")), 4),
            (None, json!({ "id": "", "push_provider": "apn", "user_id": "alice" }), 4),
            (None, device("apn", Some("carol")), 16),
            (Some("bob"), device("apn", Some("alice")), 17),
        ] {
            let outcome = create(&mut world, token_user, request.clone());
            assert_eq!(expect_error(outcome).1, code, "{request}");
        }
        let others = query(Some("phone"), Some("alice"));
        assert_eq!(expect_error(world.delete_device(Some("bob"), others)).1, 17);
        let without_id = query(None, Some("alice"));
        assert_eq!(expect_error(world.delete_device(None, without_id)).1, 4);
        assert_eq!(expect_error(world.list_devices(None, query(None, None))).1, 4);
    }

    #[test]
    fn oldest_device_is_replaced_at_the_maximum() {
        let mut world = world_with_users(&["alice"]);
        for n in 0..26 {
            let device = json!({ "id": format!("phone-{n}"), "push_provider": "firebase" });
            create(&mut world, Some("alice"), device).expect("a device");
        }
        let ids = world.device_ids("alice");
        assert_eq!((ids.len(), ids[0].as_str()), (25, "phone-1"));
    }
}
