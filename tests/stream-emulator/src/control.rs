//! `/_emulator`: counts, state and fault scripts for people outside the process. It needs no token
//! and is never counted.
//!
//! - `GET` and `DELETE /_emulator/counts`: requests per operation.
//! - `GET /_emulator/state`: the whole world.
//! - `POST /_emulator/faults` with a [`Rule`], such as
//!   `{"operation": "EndCall", "skip": 1, "times": 2, "fault": {"applied_late": 250}}`, and
//!   `DELETE /_emulator/faults`.
//! - `POST /_emulator/reports` with `{"call_cid": …, "report": …}`, a [`CallReport`]: what Stream
//!   would have measured of a call.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::answer::Answer;
use crate::error::StreamFailure;
use crate::faults::Rule;
use crate::operation::Counts;
use crate::state::State;
use crate::views::CallReport;

const PREFIX: &str = "/_emulator/";

/// What Stream would have measured of a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    call_cid: String,
    report: CallReport,
}

/// Whether a path belongs to the control surface.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with(PREFIX)
}

pub(crate) fn answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Answer {
    match (method.as_str(), path.strip_prefix(PREFIX).unwrap_or_default()) {
        ("GET", "counts") => Answer::json(200, &state.lock().counts),
        ("DELETE", "counts") => {
            state.lock().counts = Counts::default();
            done()
        }
        ("GET", "state") => Answer::json(200, &state.snapshot()),
        ("POST", "faults") => match serde_json::from_slice::<Rule>(body) {
            Ok(rule) => {
                state.lock().script.add(rule);
                done()
            }
            Err(error) => Answer::failure(&StreamFailure::input(error.to_string())),
        },
        ("DELETE", "faults") => {
            state.lock().script.clear();
            done()
        }
        ("POST", "reports") => match serde_json::from_slice::<Measured>(body) {
            Ok(Measured { call_cid, report }) => {
                let now = state.now();
                state.lock().world.set_report(&call_cid, report, now);
                done()
            }
            Err(error) => Answer::failure(&StreamFailure::input(error.to_string())),
        },
        _ => Answer::failure(&StreamFailure::missing("no such control")),
    }
}

fn done() -> Answer {
    Answer::json(200, &json!({ "ok": true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::operation::Operation;
    use crate::settings::Settings;

    #[test]
    fn a_rule_comes_into_force_and_goes() {
        let state = State::new(Settings::new("k", "s"));
        let ask = |method, body: &[u8]| answer(&state, &method, "/_emulator/faults", body);
        ask(Method::POST, br#"{"operation":"GetApp","fault":{"status":503}}"#);
        assert_eq!(state.arrived(Operation::GetApp), Some(Fault::Status(503)));
        ask(Method::DELETE, b"");
        assert_eq!(state.arrived(Operation::GetApp), None);
        ask(Method::POST, b"nonsense");
        assert_eq!(state.arrived(Operation::GetApp), None);
        assert_eq!(state.lock().counts.get(Operation::GetApp), 3);
        answer(&state, &Method::DELETE, "/_emulator/counts", b"");
        assert_eq!(state.lock().counts.total(), 0);
    }
}
