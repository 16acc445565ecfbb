//! `GET /api/v2/video/call/default/{id}`: the call as Stream sees it.

use http::Method;
use serde::Deserialize;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::ops::Creator;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the call. One that does not exist answers 404.
#[derive(Debug)]
pub struct GetCall<'a> {
    /// The call.
    pub id: &'a CallId,
}

/// An answer that holds a call.
#[derive(Debug, Deserialize)]
pub struct CallAnswer {
    /// The call itself.
    pub call: LiveCall,
}

/// A call as Stream sees it.
#[derive(Debug, Deserialize)]
pub struct LiveCall {
    /// Who made it.
    pub created_by: Creator,
    /// When it ended, if it did.
    pub ended_at: Option<StreamTime>,
}

impl Operation for GetCall<'_> {
    type Answer = CallAnswer;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["video", "call", CALL_TYPE, self.id.as_str()])
    }
}
