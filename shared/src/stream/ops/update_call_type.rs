//! `PUT /api/v2/video/calltypes/{name}`: changes a call type.

use http::Method;
use serde_json::json;

use crate::ids::CallTypeName;
use crate::stream::call_type::{Grants, RingSettings};
use crate::stream::ops::CallTypeResponse;
use crate::stream::{Operation, Request};

/// Replaces the permissions of each role in the request, and the ring settings. Other roles and
/// settings stay. Existing calls get the permissions, but not the settings.
#[derive(Debug)]
pub struct UpdateCallType<'a> {
    /// The name.
    pub name: &'a CallTypeName,
    /// The permissions of each role. An empty list removes the permissions of the role.
    pub grants: &'a Grants,
    /// How long new calls ring.
    pub ring: RingSettings,
}

impl Operation for UpdateCallType<'_> {
    type Response = CallTypeResponse;

    fn request(&self) -> Request {
        Request::new(Method::PUT, &["video", "calltypes", self.name.as_str()]).json(&json!({
            "grants": self.grants,
            "settings": {"ring": self.ring},
        }))
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.name == self.name.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::stream::Idempotency;
    use crate::stream::ops::CreateCallType;

    #[test]
    fn grants_and_ring_settings_are_written() {
        let name = CallTypeName::try_from("private".to_owned()).unwrap();
        let grants = Grants::from([
            ("call_member".to_owned(), BTreeSet::from(["join-call".to_owned()])),
            ("user".to_owned(), BTreeSet::new()),
        ]);
        let ring = RingSettings::for_timeout(Duration::from_mins(2));
        let expected = json!({
            "grants": {"call_member": ["join-call"], "user": []},
            "settings": {"ring": {
                "auto_cancel_timeout_ms": 120_000,
                "incoming_call_timeout_ms": 120_000,
                "missed_call_timeout_ms": 120_000,
            }},
        });
        let body = |request: &Request| -> Value {
            serde_json::from_slice(request.body.as_deref().unwrap()).unwrap()
        };
        let update = UpdateCallType { name: &name, grants: &grants, ring }.request();
        assert_eq!(body(&update), expected);
        assert_eq!((update.method.as_str(), update.idempotency), ("PUT", Idempotency::Idempotent));
        assert_eq!(update.path, "/api/v2/video/calltypes/private");
        let create = CreateCallType { name: &name, grants: &grants, ring }.request();
        let mut named = expected;
        named["name"] = json!("private");
        assert_eq!(body(&create), named);
        assert_eq!(create.idempotency, Idempotency::NonIdempotent);
        assert_eq!(create.path, "/api/v2/video/calltypes");
    }
}
