//! `GET /api/v2/video/call/default/{id}`: the call as Stream sees it.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::ops::UserRef;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the call. One that does not exist answers 404.
#[derive(Debug)]
pub struct GetCall<'a> {
    /// The call.
    pub id: &'a CallId,
}

/// An answer that holds a call.
#[derive(Debug, Deserialize)]
pub struct CallEnvelope {
    /// The call itself.
    pub call: StreamCall,
}

/// A call as Stream sees it.
#[derive(Debug, Deserialize)]
pub struct StreamCall {
    /// Its id, without the type.
    #[serde(default)]
    pub id: String,
    /// Who made it.
    pub created_by: UserRef,
    /// When it was made.
    pub created_at: Option<StreamTime>,
    /// When it ended, if it did.
    pub ended_at: Option<StreamTime>,
    /// The chat channel that it was made with.
    pub channel_cid: Option<String>,
    /// The last session: it begins when somebody rings or joins, and ends when nobody is left.
    pub session: Option<StreamSession>,
}

/// A session of a call.
#[derive(Debug, Default, Deserialize)]
pub struct StreamSession {
    /// When somebody first joined.
    pub started_at: Option<StreamTime>,
    /// When it ended, if it did.
    pub ended_at: Option<StreamTime>,
    /// Who is in it now.
    #[serde(default)]
    pub participants: Vec<Participant>,
    /// Who took the call, and when.
    #[serde(default)]
    pub accepted_by: BTreeMap<String, StreamTime>,
    /// Who declined the call, and when.
    #[serde(default)]
    pub rejected_by: BTreeMap<String, StreamTime>,
    /// Who did not answer, and until when.
    #[serde(default)]
    pub missed_by: BTreeMap<String, StreamTime>,
}

/// Somebody in a session.
#[derive(Debug, Deserialize)]
pub struct Participant {
    /// Who.
    pub user: UserRef,
}

impl StreamCall {
    /// Which call of this service's it is; `None` where somebody else made it.
    #[must_use]
    pub fn owned_call_id(&self) -> Option<CallId> {
        let id = CallId::try_from(self.id.clone()).ok()?;
        (self.channel_cid.as_deref() == Some(id.channel().cid().as_str())).then_some(id)
    }
}

impl Operation for GetCall<'_> {
    type Response = CallEnvelope;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["video", "call", CALL_TYPE, self.id.as_str()])
    }
}
