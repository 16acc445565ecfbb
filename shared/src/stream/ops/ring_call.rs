//! `POST /api/v2/video/call/{type}/{id}/ring`: rings the phones of members of a call.

use http::Method;
use serde_json::json;

use crate::ids::{CallCid, UserId};
use crate::stream::ops::DoneResponse;
use crate::stream::{Idempotency, Operation, Request};

/// Rings the phones of these members. Returns 404 if the call does not exist, and 400 if there is
/// no phone to ring. Each request rings, so the client does not retry it after a lost response.
#[derive(Debug)]
pub struct RingCall<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The members to ring.
    pub members: &'a [UserId],
    /// Whether the phones announce a video call.
    pub video: bool,
}

impl Operation for RingCall<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        let segments = ["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str(), "ring"];
        Request::new(Method::POST, &segments)
            .json(&json!({"members_ids": self.members, "video": self.video}))
            .idempotency(Idempotency::NonIdempotent)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn ring_names_the_members_and_is_not_idempotent() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let bob = UserId::try_from("bob".to_owned()).unwrap();
        let request =
            RingCall { cid: &cid, members: std::slice::from_ref(&bob), video: true }.request();
        assert_eq!(
            (&request.method, request.path.as_str(), request.idempotency),
            (&Method::POST, "/api/v2/video/call/default/c1/ring", Idempotency::NonIdempotent)
        );
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
        assert_eq!(body, json!({"members_ids": ["bob"], "video": true}));
    }
}
