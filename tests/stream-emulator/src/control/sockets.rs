//! Control endpoints for the sockets of clients:
//!
//! - `GET /_emulator/sockets`: the open sockets, each with `connection_id`, `user_id`, `product`
//!   (`chat` or `video`) and `watched_cids`.
//! - `POST /_emulator/sockets/drop` with `{"user_id": …, "code": …}` closes the sockets of a user,
//!   or all of them without `user_id`, and returns `{"dropped": …}`. The code is that of the close
//!   frame, by default 1001. Code 1006 closes the connection without a frame.
//! - `POST /_emulator/sockets/refuse` with `{"times": …, "code": …}`: the next connections, by
//!   default one, get a `connection.error` with Stream's error code, such as 40.

use serde::Deserialize;
use serde_json::json;

use super::with_body;
use crate::error::StreamError;
use crate::realtime::Closing;
use crate::response::ApiResponse;
use crate::state::State;

const GOING_AWAY: u16 = 1001;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropParams {
    user_id: Option<String>,
    code: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefuseParams {
    times: Option<usize>,
    code: i32,
}

pub(super) fn handle(state: &State, method: &str, path: &str, body: &[u8]) -> Option<ApiResponse> {
    Some(match (method, path) {
        ("GET", "sockets") => {
            ApiResponse::json(200, &state.with_inner(|inner, _| inner.realtime.views()))
        }
        ("POST", "sockets/drop") => with_body(body, |params: DropParams| {
            let Some(closing) = Closing::from_code(params.code.unwrap_or(GOING_AWAY)) else {
                let message = "code must be a code of a close frame, or 1006";
                return ApiResponse::from_error(&StreamError::invalid_input(message));
            };
            let user_id = params.user_id.as_deref();
            let dropped =
                state.with_inner(|inner, now| inner.close_sockets(user_id, &closing, now));
            ApiResponse::json(200, &json!({ "dropped": dropped }))
        }),
        ("POST", "sockets/refuse") => with_body(body, |params: RefuseParams| {
            let error = StreamError::connection_refusal(params.code);
            let times = params.times.unwrap_or(1);
            state.with_inner(|inner, _| inner.realtime.refuse_next(times, &error));
            super::ok_response()
        }),
        _ => return None,
    })
}
