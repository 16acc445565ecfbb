//! `GET /api/v2/video/call/default/{id}`: reads a call.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::ids::{CALL_TYPE, CallId};
use crate::stream::lenient::{entries, map_entries};
use crate::stream::ops::UserRef;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the call. Returns 404 if it does not exist.
#[derive(Debug)]
pub struct GetCall<'a> {
    /// The call.
    pub id: &'a CallId,
}

/// A response that contains a call.
#[derive(Debug, Deserialize)]
pub struct CallEnvelope {
    /// The call.
    pub call: StreamCall,
}

/// A call at Stream.
#[derive(Debug, Deserialize)]
pub struct StreamCall {
    /// The id, without the type.
    pub id: String,
    /// The creator. It is missing after the creator's deletion.
    pub created_by: Option<UserRef>,
    /// When the call was created.
    pub created_at: Option<StreamTime>,
    /// When it ended, or `None` if it has not ended.
    pub ended_at: Option<StreamTime>,
    /// The cid of the chat channel, which is the owner tag of this service.
    pub channel_cid: Option<String>,
    /// The latest session. It begins when the call rings or a participant joins, and ends when the
    /// last participant leaves.
    pub session: Option<StreamSession>,
}

/// A session of a call.
#[derive(Debug, Default, Deserialize)]
pub struct StreamSession {
    /// When the first participant joined.
    pub started_at: Option<StreamTime>,
    /// When it ended, or `None` if it has not ended.
    pub ended_at: Option<StreamTime>,
    /// The current participants.
    #[serde(default, deserialize_with = "entries")]
    pub participants: Vec<Participant>,
    /// The users who accepted the call, and when.
    #[serde(default, deserialize_with = "map_entries")]
    pub accepted_by: BTreeMap<String, StreamTime>,
    /// The users who rejected the call, and when.
    #[serde(default, deserialize_with = "map_entries")]
    pub rejected_by: BTreeMap<String, StreamTime>,
    /// The users who missed the call, and when.
    #[serde(default, deserialize_with = "map_entries")]
    pub missed_by: BTreeMap<String, StreamTime>,
}

/// A participant of a session.
#[derive(Debug, Deserialize)]
pub struct Participant {
    /// The user.
    pub user: UserRef,
}

impl StreamCall {
    /// The id of the call, if its owner tag shows that this service created it.
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

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.call.id == self.id.as_str()
    }
}
