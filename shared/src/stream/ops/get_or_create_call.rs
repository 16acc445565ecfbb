//! `POST /api/v2/video/call/{type}/{id}`: creates a call unless it exists.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use crate::ids::{CallCid, UserId};
use crate::stream::ops::CallEnvelope;
use crate::stream::{Idempotency, Operation, Request};

/// Creates the call with these members. An existing call is not changed, but it rings again if
/// `ring` is set.
#[derive(Debug)]
pub struct GetOrCreateCall<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The creator.
    pub created_by: &'a UserId,
    /// The members, including the creator.
    pub members: &'a [UserId],
    /// The settings that override those of the call type.
    pub settings: SettingsOverride,
    /// Whether the phones of the members ring.
    pub ring: bool,
    /// The custom data of the apps.
    pub custom: Option<&'a Map<String, Value>>,
    /// The time from the start of the first session after which Stream ends the call.
    pub max_duration: Duration,
    /// The time after which Stream ends a session without participants.
    pub inactivity_timeout: Duration,
}

/// The features of a call that its members may use. Audio is always on.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per setting of Stream")]
pub struct SettingsOverride {
    /// Send video.
    pub video: bool,
    /// Share the screen.
    pub screen_sharing: bool,
    /// Record the call.
    pub recording: bool,
    /// Transcribe the call.
    pub transcribing: bool,
}

impl SettingsOverride {
    /// All settings of a call, with its timeouts.
    pub(super) fn to_json(self, max_duration: Duration, inactivity_timeout: Duration) -> Value {
        let Self { video, screen_sharing, recording, transcribing } = self;
        let mode = |on| if on { "available" } else { "disabled" };
        json!({
            "video": {"enabled": video},
            "screensharing": {"enabled": screen_sharing},
            "recording": {"mode": mode(recording)},
            "transcription": {"mode": mode(transcribing)},
            "limits": {"max_duration_seconds": max_duration.as_secs()},
            "session": {"inactivity_timeout_seconds": inactivity_timeout.as_secs()},
        })
    }
}

impl Operation for GetOrCreateCall<'_> {
    type Response = CallEnvelope;

    fn request(&self) -> Request {
        // The grants of the call type are those of this role. A user of another role has none.
        let member = |id| json!({"user_id": id, "role": "call_member"});
        let members: Vec<Value> = self.members.iter().map(member).collect();
        let video = self.settings.video;
        let mut data = json!({
            "created_by_id": self.created_by,
            "members": members,
            "channel_cid": self.cid.id.channel().cid(),
            "video": video,
            "settings_override": self.settings.to_json(self.max_duration, self.inactivity_timeout),
        });
        if let Some(custom) = self.custom {
            data["custom"] = Value::Object(custom.clone());
        }
        let mut body = json!({"data": data, "video": video});
        if self.ring {
            body["ring"] = Value::Bool(true);
        }
        Request::new(
            Method::POST,
            &["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str()],
        )
        .json(&body)
        .idempotency(if self.ring {
            Idempotency::NonIdempotent
        } else {
            Idempotency::Idempotent
        })
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response.call.is(self.cid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringing_call_is_not_idempotent() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        let idempotency = |ring| {
            GetOrCreateCall {
                cid: &cid,
                created_by: &alice,
                members: std::slice::from_ref(&alice),
                settings: SettingsOverride::default(),
                ring,
                custom: None,
                max_duration: Duration::from_hours(4),
                inactivity_timeout: Duration::from_mins(5),
            }
            .request()
            .idempotency
        };
        assert_eq!(
            (idempotency(true), idempotency(false)),
            (Idempotency::NonIdempotent, Idempotency::Idempotent)
        );
    }
}
