//! `POST /api/v2/video/calltypes`: creates a call type.

use http::Method;
use serde_json::json;

use crate::ids::CallTypeName;
use crate::stream::call_type::{Grants, RingSettings};
use crate::stream::ops::CallTypeResponse;
use crate::stream::{Idempotency, Operation, Request};

/// Creates the call type. A role that the request omits gets default permissions, so an update has
/// to follow. Stream rejects an existing name.
#[derive(Debug)]
pub struct CreateCallType<'a> {
    /// The name.
    pub name: &'a CallTypeName,
    /// The permissions of each role.
    pub grants: &'a Grants,
    /// How long calls ring.
    pub ring: RingSettings,
}

impl Operation for CreateCallType<'_> {
    type Response = CallTypeResponse;

    fn request(&self) -> Request {
        Request::new(Method::POST, &["video", "calltypes"])
            .json(&json!({
                "name": self.name,
                "grants": self.grants,
                "settings": {"ring": self.ring},
            }))
            .idempotency(Idempotency::NonIdempotent)
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.name == self.name.as_str()
    }
}
