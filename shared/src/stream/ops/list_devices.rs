//! `GET /api/v2/devices`: reads the push devices of a user.

use http::Method;
use serde::Deserialize;

use crate::ids::UserId;
use crate::stream::lenient::page_entries;
use crate::stream::{Operation, Request};

/// Reads the devices that get the user's notifications and rings. Stream stores at most 25 per
/// user, and the response has all of them.
#[derive(Debug)]
pub struct ListDevices<'a> {
    /// The user.
    pub user: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct ListDevicesResponse {
    /// The devices. `None` is one that cannot be read.
    #[serde(deserialize_with = "page_entries")]
    pub devices: Vec<Option<Device>>,
}

/// A push device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// The id, which is the token of the push provider.
    pub id: String,
    /// The user of the device.
    pub user_id: String,
}

impl Operation for ListDevices<'_> {
    type Response = ListDevicesResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["devices"]).query("user_id", self.user.as_str())
    }

    /// Every device must be one of the user.
    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.devices.iter().flatten().all(|device| device.user_id == self.user.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::user_id;

    #[test]
    fn unreadable_device_is_counted_and_other_users_are_rejected() {
        let alice = user_id("alice");
        let request = ListDevices { user: &alice };
        let device = |user: &str| json!({"id": "d1", "user_id": user, "push_provider": "apn"});
        for (devices, count, is_answered) in [
            (json!([]), 0, true),
            (json!(null), 0, true),
            (json!([device("alice"), {"id": 7}, device("alice")]), 3, true),
            (json!([device("alice"), device("bob")]), 2, false),
        ] {
            let response: ListDevicesResponse =
                serde_json::from_value(json!({"devices": devices})).unwrap();
            assert_eq!(response.devices.len(), count, "{devices}");
            assert_eq!(request.is_answered_by(&response), is_answered, "{devices}");
        }
        assert!(serde_json::from_value::<ListDevicesResponse>(json!({})).is_err());
    }
}
