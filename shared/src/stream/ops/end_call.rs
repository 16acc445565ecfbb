//! `POST /api/v2/video/call/default/{id}/mark_ended`: ends a call for all participants.

use http::Method;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::ops::DoneResponse;
use crate::stream::{Operation, Request};

/// Ends the call. Returns 404 if it does not exist.
#[derive(Debug)]
pub struct EndCall<'a> {
    /// The call.
    pub id: &'a CallId,
}

impl Operation for EndCall<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        let segments = ["video", "call", CALL_TYPE, self.id.as_str(), "mark_ended"];
        Request::new(Method::POST, &segments)
    }
}
