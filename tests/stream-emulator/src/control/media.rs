//! What the media side does, asked for from outside. Each is a `POST` to `/_emulator/…`:
//!
//! - `join` with `{"call_cid": …, "user_id": …}`, answered `{"user_session_id": …}`; `null` is a
//!   refusal.
//! - `leave` with `{"call_cid": …, "user_session_id": …}`; everybody leaves where none is named.
//! - `reject` and `miss` with `{"call_cid": …, "user_id": …}`.
//! - `rate` with `{"call_cid": …, "user_id": …, "rating": 1 to 5, "reason": …}`.
//! - `reports` with `{"call_cid": …, "report": …}`, a [`CallReport`]: what Stream would have
//!   measured of a call.
//! - `report_ready` with `{"call_cid": …}`.

use serde::Deserialize;
use serde_json::json;

use super::{done, told};
use crate::answer::Answer;
use crate::state::State;
use crate::views::CallReport;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    call_cid: String,
    user_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    call_cid: String,
    user_session_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rating {
    call_cid: String,
    user_id: String,
    #[serde(rename = "rating")]
    stars: u8,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    call_cid: String,
    report: CallReport,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    call_cid: String,
}

pub(super) fn answer(state: &State, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    if method != "POST" {
        return None;
    }
    Some(match path {
        "join" => told(body, |it: Who| {
            let id = state.act(|inner, now| inner.world.join(&it.call_cid, &it.user_id, now));
            Answer::json(200, &json!({ "user_session_id": id }))
        }),
        "leave" => told(body, |it: Leaving| {
            let who = it.user_session_id.as_deref();
            state.act(|inner, now| inner.world.leave(&it.call_cid, who, now));
            done()
        }),
        "reject" => told(body, |it: Who| {
            state.act(|inner, now| inner.world.reject(&it.call_cid, &it.user_id, now));
            done()
        }),
        "miss" => told(body, |it: Who| {
            state.act(|inner, now| inner.world.miss(&it.call_cid, &it.user_id, now));
            done()
        }),
        "rate" => told(body, |it: Rating| {
            let Rating { call_cid, user_id, stars, reason } = it;
            let reason = reason.as_deref();
            state.act(|inner, now| inner.world.rate(&call_cid, &user_id, stars, reason, now));
            done()
        }),
        "reports" => told(body, |it: Measured| {
            state.act(|inner, now| inner.world.set_report(&it.call_cid, it.report, now));
            done()
        }),
        "report_ready" => told(body, |it: Which| {
            state.act(|inner, now| inner.world.report_ready(&it.call_cid, now));
            done()
        }),
        _ => return None,
    })
}
