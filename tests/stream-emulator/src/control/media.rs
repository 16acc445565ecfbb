//! Control endpoints for the media side. Each is a `POST` to `/_emulator/…`:
//!
//! - `join` with `{"call_cid": …, "user_id": …}` returns `{"user_session_id": …}`; the id is `null`
//!   if the join is rejected. With `user_session_id` the user joins under that id.
//! - `leave` with `{"call_cid": …, "user_session_id": …, "user_id": …, "reason": …}`. With `user_id`
//!   the user leaves with all devices. Without either id every participant leaves.
//! - `disconnect` with `{"user_id": …}`: the user's last video socket closes.
//! - `join_mode` with `{"mode": "refuse"}` or `{"mode": "pretend"}`: the response to a join.
//! - `accept`, `reject` and `miss` with `{"call_cid": …, "user_id": …}`; `reject` may have a
//!   `reason`.
//! - `end` with `{"call_cid": …, "user_id": …, "reason": …}`; without `user_id` Stream ends the call.
//! - `rate` with `{"call_cid": …, "user_id": …, "rating": 1 to 5, "reason": …}`.
//! - `reports` with `{"call_cid": …, "report": …}`, a [`CallReport`] with the measurements of a
//!   session.
//! - `report_ready` with `{"call_cid": …}`: emits `call.stats_report_ready` for the last session.

use serde::Deserialize;
use serde_json::json;

use super::{ok_response, with_body};
use crate::response::ApiResponse;
use crate::state::State;
use crate::views::CallReport;
use crate::world::{Cid, JoinMode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserParams {
    call_cid: String,
    user_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinParams {
    call_cid: String,
    user_id: String,
    user_session_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaveParams {
    call_cid: String,
    user_session_id: Option<String>,
    user_id: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisconnectParams {
    user_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinModeParams {
    mode: JoinMode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectParams {
    call_cid: String,
    user_id: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndParams {
    call_cid: String,
    user_id: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateParams {
    call_cid: String,
    user_id: String,
    #[serde(rename = "rating")]
    rating: u8,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportParams {
    call_cid: String,
    report: CallReport,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallParams {
    call_cid: String,
}

pub(super) fn handle(state: &State, method: &str, path: &str, body: &[u8]) -> Option<ApiResponse> {
    if method != "POST" {
        return None;
    }
    Some(match path {
        "join" => with_body(body, |params: JoinParams| {
            let JoinParams { call_cid, user_id, user_session_id } = params;
            let id = state.with_inner(|inner, now| match user_session_id {
                Some(id) => inner.world.join_as(&call_cid, &user_id, &id, now).map(|_| id),
                None => inner.world.join(&call_cid, &user_id, now),
            });
            ApiResponse::json(200, &json!({ "user_session_id": id }))
        }),
        "leave" => with_body(body, |params: LeaveParams| {
            let LeaveParams { call_cid, user_session_id, user_id, reason } = params;
            let (user_session_id, reason) = (user_session_id.as_deref(), reason.as_deref());
            let user_call = user_id.and_then(|user_id| Some((call_cid.parse().ok()?, user_id)));
            state.with_inner(|inner, now| match (user_session_id, user_call) {
                (None, Some((cid, user_id))) => {
                    inner.world.leave_user(&cid, &user_id, reason, now);
                }
                _ => inner.world.leave_with(&call_cid, user_session_id, reason, now),
            });
            ok_response()
        }),
        "disconnect" => with_body(body, |params: DisconnectParams| {
            state.with_inner(|inner, now| inner.world.client_disconnected(&params.user_id, now));
            ok_response()
        }),
        "join_mode" => with_body(body, |params: JoinModeParams| {
            state.with_inner(|inner, _| inner.world.set_join_mode(params.mode));
            ok_response()
        }),
        "accept" => with_body(body, |params: UserParams| {
            state.with_inner(|inner, now| {
                inner.world.accept(&params.call_cid, &params.user_id, now);
            });
            ok_response()
        }),
        "reject" => with_body(body, |params: RejectParams| {
            let RejectParams { call_cid, user_id, reason } = params;
            state.with_inner(|inner, now| {
                inner.world.reject_with(&call_cid, &user_id, reason.as_deref(), now);
            });
            ok_response()
        }),
        "miss" => with_body(body, |params: UserParams| {
            state.with_inner(|inner, now| inner.world.miss(&params.call_cid, &params.user_id, now));
            ok_response()
        }),
        "end" => with_body(body, |params: EndParams| {
            let (user_id, reason) = (params.user_id.as_deref(), params.reason.as_deref());
            let Ok(cid) = params.call_cid.parse::<Cid>() else { return ok_response() };
            state.with_inner(|inner, now| inner.world.end_call_with(&cid, user_id, reason, now));
            ok_response()
        }),
        "rate" => with_body(body, |params: RateParams| {
            let RateParams { call_cid, user_id, rating, reason } = params;
            let reason = reason.as_deref();
            state.with_inner(|inner, now| {
                inner.world.rate(&call_cid, &user_id, rating, reason, now);
            });
            ok_response()
        }),
        "reports" => with_body(body, |params: ReportParams| {
            state.with_inner(|inner, now| {
                inner.world.set_report(&params.call_cid, params.report, now);
            });
            ok_response()
        }),
        "report_ready" => with_body(body, |params: CallParams| {
            state.with_inner(|inner, now| inner.world.publish_report(&params.call_cid, now));
            ok_response()
        }),
        _ => return None,
    })
}
