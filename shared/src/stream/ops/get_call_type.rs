//! `GET /api/v2/video/calltypes/{name}`: reads a call type.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde::{Deserialize, Deserializer};

use crate::ids::CallTypeName;
use crate::stream::call_type::{Grants, RingSettings};
use crate::stream::lenient::{or_default, readable};
use crate::stream::{Operation, Request, StreamError};

/// Reads the call type.
#[derive(Debug)]
pub struct GetCallType<'a> {
    /// The name.
    pub name: &'a CallTypeName,
}

impl GetCallType<'_> {
    /// Whether the error shows that the type does not exist. Stream's code for it is known, and its
    /// status is not documented.
    #[must_use]
    pub fn is_missing(error: &StreamError) -> bool {
        const NOT_FOUND: i64 = 16;
        match error {
            StreamError::NotFound(_) => true,
            StreamError::Rejected(response) => response.code == Some(NOT_FOUND),
            _ => false,
        }
    }
}

/// A call type.
#[derive(Clone, Debug, Deserialize)]
pub struct CallTypeResponse {
    /// The name.
    pub name: String,
    /// The permissions of each role. Unlike other parts they must all be readable: a permission
    /// that is skipped would count as not granted.
    #[serde(deserialize_with = "grants")]
    pub grants: Grants,
    /// The settings of new calls.
    #[serde(default, deserialize_with = "or_default")]
    pub settings: CallTypeSettings,
}

/// The settings of a call type that this service sets.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct CallTypeSettings {
    /// How long calls ring.
    #[serde(default, deserialize_with = "readable")]
    pub ring: Option<RingSettings>,
}

/// Reads grants. Stream's server, which is written in Go, writes an empty list or map as `null`,
/// too.
fn grants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Grants, D::Error> {
    let lists = Option::<BTreeMap<String, Option<BTreeSet<String>>>>::deserialize(deserializer)?;
    let lists = lists.unwrap_or_default().into_iter();
    Ok(lists.map(|(role, ids)| (role, ids.unwrap_or_default())).collect())
}

impl Operation for GetCallType<'_> {
    type Response = CallTypeResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["video", "calltypes", self.name.as_str()])
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.name == self.name.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: Value) -> Option<CallTypeResponse> {
        serde_json::from_value(body).ok()
    }

    #[test]
    fn null_grants_are_empty_and_unreadable_ones_are_an_error() {
        let body = json!({
            "name": "private",
            "grants": {"call_member": ["join-call", "read-call"], "guest": null, "user": []},
            "settings": null,
            "duration": "1.00ms",
        });
        let call_type = parse(body).unwrap();
        let members = BTreeSet::from(["join-call", "read-call"].map(str::to_owned));
        let roles =
            [("call_member", members), ("guest", BTreeSet::new()), ("user", BTreeSet::new())];
        let expected: Grants =
            roles.into_iter().map(|(role, ids)| (role.to_owned(), ids)).collect();
        assert_eq!((call_type.grants, call_type.settings.ring), (expected, None));
        let none = parse(json!({"name": "private", "grants": null})).unwrap();
        assert_eq!(none.grants, Grants::new());
        for grants in [json!([]), json!({"user": "join-call"}), json!({"user": [1]})] {
            let body = json!({"name": "private", "grants": grants});
            assert!(parse(body).is_none(), "{grants}");
        }
        assert!(parse(json!({"name": "private"})).is_none());
    }

    #[test]
    fn unreadable_ring_settings_are_skipped() {
        let parse_ring = |ring: Value| {
            let settings = json!({"ring": ring, "limits": {"max_participants": null}});
            let body = json!({"name": "private", "grants": {}, "settings": settings});
            parse(body).unwrap().settings.ring
        };
        let ring = json!({
            "auto_cancel_timeout_ms": 15_000,
            "incoming_call_timeout_ms": 15_000,
            "missed_call_timeout_ms": 18_000,
        });
        let expected = RingSettings {
            auto_cancel: Some(15_000),
            incoming_call: Some(15_000),
            missed_call: Some(18_000),
        };
        assert_eq!(parse_ring(ring), Some(expected));
        assert_eq!(parse_ring(json!({})), Some(RingSettings::default()));
        for unreadable in [json!(null), json!([]), json!({"auto_cancel_timeout_ms": -1})] {
            assert_eq!(parse_ring(unreadable.clone()), None, "{unreadable}");
        }
    }
}
