//! The stack's clock for other processes: `GET /_local/clock` returns it, and `POST` advances it.
//!
//! A client test moves it past the end of a token instead of waiting. The timers of the Stream
//! emulator that are due then run before the response, and the schedules right after it.

use std::time::Duration;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use stream_emulator::Emulator;

use super::{message_response, parse_body};
use crate::clock::StackClock;
use crate::http_server::{HttpResponse, json_response};
use crate::lambda::Functions;

/// The path of the clock.
pub(super) const CLOCK_PATH: &str = "/_local/clock";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AdvanceRequest {
    advance_seconds: u32,
}

/// Returns the clock after the request.
pub(super) async fn handle(
    method: &Method,
    body: &[u8],
    clock: &StackClock,
    functions: &Functions,
    stream: Option<&Emulator>,
) -> HttpResponse {
    match *method {
        Method::GET => {}
        Method::POST => match parse_body::<AdvanceRequest>(body) {
            Ok(AdvanceRequest { advance_seconds }) => {
                clock.advance(Duration::from_secs(advance_seconds.into()));
                functions.retire_idle_instances().await;
                if let Some(stream) = stream {
                    stream.tick();
                }
            }
            Err(message) => return message_response(StatusCode::BAD_REQUEST, &message),
        },
        _ => return message_response(StatusCode::NOT_FOUND, "Not Found"),
    }
    let now = Timestamp::try_from(clock.now()).unwrap_or(Timestamp::MAX);
    json_response(StatusCode::OK, json!({ "now": now.to_string() }).to_string())
}
