//! Control endpoints for webhooks:
//!
//! - `POST /_emulator/webhooks` with a [`WebhookScript`], such as `{"copies": 2, "shuffle": 7}` or
//!   `{"times": "nanoseconds"}`.
//! - `POST /_emulator/webhooks/release`: sends the held deliveries.
//! - `POST /_emulator/events` with an event: emits it.
//! - `GET /_emulator/events`: the emitted events.
//! - `GET` and `DELETE /_emulator/deliveries`: the delivery attempts so far.

use serde_json::Value;

use super::{ok_response, with_body};
use crate::response::ApiResponse;
use crate::state::State;
use crate::webhooks::WebhookScript;

pub(super) fn handle(state: &State, method: &str, path: &str, body: &[u8]) -> Option<ApiResponse> {
    Some(match (method, path) {
        ("POST", "webhooks") => with_body(body, |script: WebhookScript| {
            state.with_inner(|inner, _| inner.webhooks.set_script(script));
            ok_response()
        }),
        ("POST", "webhooks/release") => {
            state.with_inner(|inner, _| inner.webhooks.release());
            ok_response()
        }
        ("POST", "events") => with_body(body, |event: Value| {
            state.with_inner(|inner, _| inner.world.push_event(event));
            ok_response()
        }),
        ("GET", "events") => {
            ApiResponse::json(200, &state.with_inner(|inner, _| inner.events.events()))
        }
        ("GET", "deliveries") => {
            ApiResponse::json(200, &state.with_inner(|inner, _| inner.webhooks.attempts()))
        }
        ("DELETE", "deliveries") => {
            state.with_inner(|inner, _| inner.webhooks.clear_attempts());
            ok_response()
        }
        _ => return None,
    })
}
