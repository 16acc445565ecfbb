//! The control API under `/_emulator`, for other processes: counts, state, fault rules and more. It
//! needs no token, and its requests are not counted. Bodies are JSON.
//!
//! - `GET` and `DELETE /_emulator/counts`: requests per operation.
//! - `GET /_emulator/state`: the snapshot of the world.
//! - `POST /_emulator/faults` with a [`FaultRule`], such as
//!   `{"operation": "EndCall", "skip": 1, "times": 2, "fault": {"applied_late": 250}}`, and
//!   `DELETE /_emulator/faults`, which removes all rules.
//! - `POST /_emulator/blocked_words` with `{"word": …}`: blocks messages that contain the word.
//!   `DELETE /_emulator/blocked_words` removes all words.
//! - `POST /_emulator/tick`: runs the timeouts and delayed requests that are due.
//! - The endpoints of the media side are in [`media`], those of sockets in [`sockets`], those of
//!   webhooks in [`webhooks`].

mod media;
mod sockets;
mod webhooks;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::StreamError;
use crate::faults::FaultRule;
use crate::operation::RequestCounts;
use crate::response::ApiResponse;
use crate::state::State;

const PREFIX: &str = "/_emulator/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordParams {
    word: String,
}

pub(crate) fn is_control_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

pub(crate) fn handle(state: &State, method: &Method, path: &str, body: &[u8]) -> ApiResponse {
    let method = method.as_str();
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    handle_core(state, method, path, body)
        .or_else(|| media::handle(state, method, path, body))
        .or_else(|| sockets::handle(state, method, path, body))
        .or_else(|| webhooks::handle(state, method, path, body))
        .unwrap_or_else(|| {
            ApiResponse::from_error(&StreamError::not_found(
                "unknown control endpoint: check the method and the path",
            ))
        })
}

fn handle_core(state: &State, method: &str, path: &str, body: &[u8]) -> Option<ApiResponse> {
    Some(match (method, path) {
        ("GET", "counts") => {
            state.with_inner(|inner, _| ApiResponse::json(200, &inner.request_counts))
        }
        ("DELETE", "counts") => {
            state.with_inner(|inner, _| inner.request_counts = RequestCounts::default());
            ok_response()
        }
        ("GET", "state") => ApiResponse::json(200, &state.snapshot()),
        ("POST", "faults") => with_body(body, |rule: FaultRule| {
            state.with_inner(|inner, _| inner.faults.add(rule));
            ok_response()
        }),
        ("DELETE", "faults") => {
            state.with_inner(|inner, _| inner.faults.clear());
            ok_response()
        }
        ("POST", "blocked_words") => with_body(body, |params: WordParams| {
            state.with_inner(|inner, _| inner.world.add_blocked_word(&params.word));
            ok_response()
        }),
        ("DELETE", "blocked_words") => {
            state.with_inner(|inner, _| inner.world.clear_blocked_words());
            ok_response()
        }
        ("POST", "tick") => {
            state.tick();
            ok_response()
        }
        _ => return None,
    })
}

/// Runs the action with the parsed body, or returns an input error.
fn with_body<T: DeserializeOwned>(
    body: &[u8],
    action: impl FnOnce(T) -> ApiResponse,
) -> ApiResponse {
    match serde_json::from_slice(body) {
        Ok(value) => action(value),
        Err(error) => ApiResponse::from_error(&StreamError::invalid_input(error.to_string())),
    }
}

fn ok_response() -> ApiResponse {
    ApiResponse::json(200, &json!({ "ok": true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::operation::Operation;
    use crate::settings::Settings;
    use crate::state::RequestFault;

    #[test]
    fn fault_rule_is_added_and_cleared() {
        let state = State::new(Settings::new("k", "s"));
        let send = |method, body: &[u8]| handle(&state, &method, "/_emulator/faults", body);
        send(Method::POST, br#"{"operation":"GetApp","fault":{"status":503}}"#);
        assert_eq!(
            state.record_request(Operation::GetApp),
            Some(RequestFault::Injected(Fault::Status(503)))
        );
        send(Method::DELETE, b"");
        assert_eq!(state.record_request(Operation::GetApp), None);
        send(Method::POST, b"not JSON");
        assert_eq!(state.record_request(Operation::GetApp), None);
        assert_eq!(state.with_inner(|inner, _| inner.request_counts.get(Operation::GetApp)), 3);
        handle(&state, &Method::DELETE, "/_emulator/counts", b"");
        assert_eq!(state.with_inner(|inner, _| inner.request_counts.total()), 0);
    }
}
