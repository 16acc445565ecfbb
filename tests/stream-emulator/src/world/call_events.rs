//! What users send to a call besides media: custom events, reactions and feedback, and the state of
//! the current ring.

use serde::Deserialize;
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::cid::Cid;
use super::users::UserRef;
use super::validation::require;
use super::{ApiResult, CustomFields, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendCallEvent {
    custom: Option<CustomFields>,
    user_id: Option<String>,
    user: Option<UserRef>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendCallReaction {
    #[serde(rename = "type")]
    kind: String,
    emoji_code: Option<String>,
    custom: Option<CustomFields>,
    user_id: Option<String>,
    user: Option<UserRef>,
}

/// A rating of a call. Other fields are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct CallFeedback {
    rating: Option<u8>,
    reason: Option<String>,
}

impl World {
    pub(crate) fn send_call_event(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: SendCallEvent,
        now: Timestamp,
    ) -> ApiResult {
        self.find_call(cid)?;
        let user_id =
            ActingUser::new(request.user_id, request.user).resolve("event", token_user)?;
        let fields = json!({
            "call_cid": cid,
            "custom": request.custom.unwrap_or_default(),
            "user": self.user_response(&user_id),
        });
        self.emit("custom", now, fields);
        Ok(json!({}))
    }

    pub(crate) fn send_call_reaction(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: SendCallReaction,
        now: Timestamp,
    ) -> ApiResult {
        self.find_call(cid)?;
        let user_id =
            ActingUser::new(request.user_id, request.user).resolve("reaction", token_user)?;
        let reaction = strip_nulls(json!({
            "type": request.kind,
            "emoji_code": request.emoji_code,
            "custom": request.custom.unwrap_or_default(),
            "user": self.user_response(&user_id),
        }));
        let fields = json!({ "call_cid": cid, "reaction": reaction });
        self.emit("call.reaction_new", now, fields);
        Ok(json!({ "reaction": reaction }))
    }

    /// Rates the last started session of a call.
    pub(crate) fn collect_feedback(
        &mut self,
        user_id: &str,
        cid: &Cid,
        request: &CallFeedback,
        now: Timestamp,
    ) -> ApiResult {
        self.find_call(cid)?;
        if let Some(rating) = request.rating {
            require((1..=5).contains(&rating), "rating must be from 1 to 5")?;
            self.rate(&cid.to_string(), user_id, rating, request.reason.as_deref(), now);
        }
        Ok(json!({}))
    }

    /// The responses to the ring of a session: of the given one, or of the last.
    pub(crate) fn get_ring_state(&self, cid: &Cid, session_id: Option<&str>) -> ApiResult {
        let call = self.find_call(cid)?;
        let session = match session_id.filter(|id| !id.is_empty()) {
            Some(id) => call.session(id),
            None => call.sessions.last(),
        };
        let session =
            session.ok_or_else(|| StreamError::not_found("Can't find the session of the call"))?;
        Ok(strip_nulls(json!({
            "call_cid": cid,
            "created_by_user_id": call.created_by,
            "session_id": session.id,
            "accepted_by": session.accepted_by,
            "rejected_by": session.rejected_by,
            "missed_by": session.missed_by,
            "call_ended_at": call.ended_at,
            "session_started_at": session.started_at,
            "session_ended_at": session.ended_at,
        })))
    }

    /// Notifies the members other than the caller of a call. They do not have to respond.
    pub(super) fn notify_members(&mut self, cid: &Cid, caller: &str, now: Timestamp) {
        let Some(call) = self.calls.get_mut(cid) else { return };
        call.notifications += 1;
        let Some(call) = self.calls.get(cid) else { return };
        let notified = call.member_ids().filter(|id| *id != caller);
        let members: Vec<Value> = notified.map(|id| call.member_response(id, self)).collect();
        let session_id = call.sessions.last().map_or("", |session| session.id.as_str());
        let fields = json!({
            "session_id": session_id,
            "user": self.user_response(caller),
            "members": members,
        });
        self.emit_call("call.notification", cid, now, fields);
    }
}
