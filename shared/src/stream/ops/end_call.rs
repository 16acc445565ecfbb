//! `POST /api/v2/video/call/{type}/{id}/mark_ended`: ends a call for all participants.

use http::Method;

use crate::ids::CallCid;
use crate::stream::ops::DoneResponse;
use crate::stream::{Operation, Request};

/// Ends the call. Returns 404 if it does not exist.
#[derive(Debug)]
pub struct EndCall<'a> {
    /// The call.
    pub cid: &'a CallCid,
}

impl Operation for EndCall<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        let segments =
            ["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str(), "mark_ended"];
        Request::new(Method::POST, &segments)
    }
}
