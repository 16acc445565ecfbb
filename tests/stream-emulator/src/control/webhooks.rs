//! Webhooks, from outside:
//!
//! - `POST /_emulator/webhooks` with a [`WebhookScript`], such as `{"copies": 2, "shuffle": 7}`.
//! - `POST /_emulator/webhooks/release`: what was held is sent.
//! - `POST /_emulator/events` with an event, which is sent as if it had arisen, and
//!   `GET /_emulator/events`: those that arose.
//! - `GET` and `DELETE /_emulator/deliveries`: the attempts so far.

use serde_json::Value;

use super::{done, told};
use crate::answer::Answer;
use crate::state::State;
use crate::webhooks::WebhookScript;

pub(super) fn answer(state: &State, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    Some(match (method, path) {
        ("POST", "webhooks") => told(body, |script: WebhookScript| {
            state.act(|inner, _| inner.webhooks.set_script(script));
            done()
        }),
        ("POST", "webhooks/release") => {
            state.act(|inner, _| inner.webhooks.release());
            done()
        }
        ("POST", "events") => told(body, |event: Value| {
            state.act(|inner, _| inner.world.arise(event));
            done()
        }),
        ("GET", "events") => Answer::json(200, &state.act(|inner, _| inner.webhooks.events())),
        ("GET", "deliveries") => {
            Answer::json(200, &state.act(|inner, _| inner.webhooks.deliveries()))
        }
        ("DELETE", "deliveries") => {
            state.act(|inner, _| inner.webhooks.clear_deliveries());
            done()
        }
        _ => return None,
    })
}
