//! `GET /api/v2/video/call/{type}/{id}`: reads a call.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::ids::{CallCid, CallId, SessionId};
use crate::stream::lenient::{map_entries, page_entries, readable};
use crate::stream::ops::UserRef;
use crate::stream::{Operation, Request, StreamTime};

/// Reads the call. Returns 404 if it does not exist.
#[derive(Debug)]
pub struct GetCall<'a> {
    /// The call.
    pub cid: &'a CallCid,
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
    /// The call type.
    #[serde(rename = "type")]
    pub call_type: String,
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
    /// The id.
    #[serde(default, deserialize_with = "readable")]
    pub id: Option<String>,
    /// When the first participant joined.
    pub started_at: Option<StreamTime>,
    /// When it ended, or `None` if it has not ended.
    pub ended_at: Option<StreamTime>,
    /// When Stream ends it because of the call's limit.
    pub timer_ends_at: Option<StreamTime>,
    /// The current participants. `None` is an unreadable one.
    #[serde(deserialize_with = "page_entries")]
    pub participants: Vec<Option<Participant>>,
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
    /// The id of the client's session, which it keeps across reconnects.
    #[serde(default, deserialize_with = "readable")]
    pub user_session_id: Option<String>,
    /// When the participant joined.
    #[serde(default, deserialize_with = "readable")]
    pub joined_at: Option<StreamTime>,
}

impl StreamCall {
    /// Whether this is the call with this cid.
    #[must_use]
    pub fn is(&self, cid: &CallCid) -> bool {
        self.id == cid.id.as_str() && self.call_type == cid.call_type.as_str()
    }

    /// The id of the latest session.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().and_then(|session| SessionId::try_from(session.id.clone()?).ok())
    }

    /// The cid. `None` if this service cannot have created such a call.
    #[must_use]
    pub fn cid(&self) -> Option<CallCid> {
        let call_type = self.call_type.clone().try_into().ok()?;
        Some(CallCid { call_type, id: CallId::try_from(self.id.clone()).ok()? })
    }

    /// The cid of the call, if its owner tag shows that this service created it.
    #[must_use]
    pub fn owned_cid(&self) -> Option<CallCid> {
        let cid = self.cid()?;
        let owner_tag = cid.id.channel().cid();
        (self.channel_cid.as_deref() == Some(owner_tag.as_str())).then_some(cid)
    }
}

impl Operation for GetCall<'_> {
    type Response = CallEnvelope;

    fn request(&self) -> Request {
        Request::new(
            Method::GET,
            &["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str()],
        )
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.call.is(self.cid)
    }
}
