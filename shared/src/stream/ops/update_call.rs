//! `PATCH /api/v2/video/call/{type}/{id}`: changes the settings of a call.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::CallCid;
use crate::stream::lenient::readable;
use crate::stream::ops::SettingsOverride;
use crate::stream::{Operation, Request, StreamTime};

/// Changes the settings of a call. Returns 404 if it does not exist. Stream does not document
/// whether it keeps the settings that the request omits, so the request has all of them.
#[derive(Debug)]
pub struct UpdateCall<'a> {
    /// The call.
    pub cid: &'a CallCid,
    /// The settings that override those of the call type.
    pub settings: SettingsOverride,
    /// The time from the start of a session after which Stream ends the call.
    pub max_duration: Duration,
    /// The time after which Stream ends a session without participants.
    pub inactivity_timeout: Duration,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct UpdateCallResponse {
    /// The call.
    pub call: UpdatedCall,
}

/// A call after the change.
#[derive(Debug, Deserialize)]
pub struct UpdatedCall {
    /// The id, without the type.
    pub id: String,
    /// The call type.
    #[serde(rename = "type")]
    pub call_type: String,
    /// When it ended, or `None` if it has not ended.
    pub ended_at: Option<StreamTime>,
    /// The settings.
    #[serde(default, deserialize_with = "readable")]
    settings: Option<UpdatedSettings>,
}

#[derive(Debug, Deserialize)]
struct UpdatedSettings {
    limits: UpdatedLimits,
}

#[derive(Debug, Deserialize)]
struct UpdatedLimits {
    max_duration_seconds: Option<u64>,
}

impl UpdatedCall {
    /// The maximum duration, if the response has one.
    fn max_duration_seconds(&self) -> Option<u64> {
        self.settings.as_ref()?.limits.max_duration_seconds
    }
}

impl Operation for UpdateCall<'_> {
    type Response = UpdateCallResponse;

    fn request(&self) -> Request {
        let settings = self.settings.to_json(self.max_duration, self.inactivity_timeout);
        let segments = ["video", "call", self.cid.call_type.as_str(), self.cid.id.as_str()];
        Request::new(Method::PATCH, &segments).json(&json!({"settings_override": settings}))
    }

    /// The response must have the call. If it has a maximum duration, that must be the requested
    /// one, unless the call has ended.
    fn is_answered_by(&self, response: &Self::Response) -> bool {
        let UpdatedCall { id, call_type, ended_at, .. } = &response.call;
        let limit = response.call.max_duration_seconds();
        *id == self.cid.id.as_str()
            && *call_type == self.cid.call_type.as_str()
            && (ended_at.is_some()
                || limit.is_none_or(|seconds| seconds == self.max_duration.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::stream::Idempotency;

    fn update(cid: &CallCid) -> UpdateCall<'_> {
        let settings =
            SettingsOverride { video: true, screen_sharing: true, ..SettingsOverride::default() };
        UpdateCall {
            cid,
            settings,
            max_duration: Duration::from_mins(10),
            inactivity_timeout: Duration::from_mins(5),
        }
    }

    #[test]
    fn request_has_all_settings_of_a_new_call() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let request = update(&cid).request();
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
        let expected = json!({"settings_override": {
            "video": {"enabled": true},
            "screensharing": {"enabled": true},
            "recording": {"mode": "disabled"},
            "transcription": {"mode": "disabled"},
            "limits": {"max_duration_seconds": 600},
            "session": {"inactivity_timeout_seconds": 300},
        }});
        assert_eq!(body, expected);
        assert_eq!(request.path, "/api/v2/video/call/default/c1");
        assert_eq!((request.method, request.idempotency), (Method::PATCH, Idempotency::Idempotent));
    }

    #[test]
    fn response_must_show_the_requested_maximum_duration() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let call = |id: &str, settings: Value, ended_at: Value| {
            json!({"call": {
                "id": id, "type": "default", "settings": settings, "ended_at": ended_at,
            }})
        };
        let limit = |seconds: Value| json!({"limits": {"max_duration_seconds": seconds}});
        for (body, is_answer) in [
            (call("c1", limit(json!(600)), json!(null)), true),
            (call("c1", limit(json!(null)), json!(null)), true),
            (call("c1", json!(null), json!(null)), true),
            (call("c1", json!({}), json!(null)), true),
            (call("c1", limit(json!(60)), json!(null)), false),
            (call("c1", limit(json!(60)), json!("2026-01-01T00:00:00Z")), true),
            (call("c2", limit(json!(600)), json!(null)), false),
        ] {
            let response = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(update(&cid).is_answered_by(&response), is_answer, "{body}");
        }
    }
}
