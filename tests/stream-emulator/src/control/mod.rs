//! `/_emulator`: counts, state, fault scripts and more for people outside the process. It needs no
//! token and is never counted. Bodies are JSON.
//!
//! - `GET` and `DELETE /_emulator/counts`: requests per operation.
//! - `GET /_emulator/state`: the whole world.
//! - `POST /_emulator/faults` with a [`Rule`], such as
//!   `{"operation": "EndCall", "skip": 1, "times": 2, "fault": {"applied_late": 250}}`, and
//!   `DELETE /_emulator/faults`.
//! - `POST /_emulator/tick`: what has fallen due happens.
//! - What the media side does is in [`media`], and webhooks are in [`webhooks`].

mod media;
mod webhooks;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::answer::Answer;
use crate::error::StreamFailure;
use crate::faults::Rule;
use crate::operation::Counts;
use crate::state::State;

const PREFIX: &str = "/_emulator/";

/// Whether a path belongs to the control surface.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with(PREFIX)
}

pub(crate) fn answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Answer {
    let method = method.as_str();
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    own(state, method, path, body)
        .or_else(|| media::answer(state, method, path, body))
        .or_else(|| webhooks::answer(state, method, path, body))
        .unwrap_or_else(|| Answer::failure(&StreamFailure::missing("no such control")))
}

fn own(state: &State, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    Some(match (method, path) {
        ("GET", "counts") => state.act(|inner, _| Answer::json(200, &inner.counts)),
        ("DELETE", "counts") => {
            state.act(|inner, _| inner.counts = Counts::default());
            done()
        }
        ("GET", "state") => Answer::json(200, &state.snapshot()),
        ("POST", "faults") => told(body, |rule: Rule| {
            state.act(|inner, _| inner.script.add(rule));
            done()
        }),
        ("DELETE", "faults") => {
            state.act(|inner, _| inner.script.clear());
            done()
        }
        ("POST", "tick") => {
            state.tick();
            done()
        }
        _ => return None,
    })
}

/// Does what a body asks for, if it is one.
fn told<T: DeserializeOwned>(body: &[u8], action: impl FnOnce(T) -> Answer) -> Answer {
    match serde_json::from_slice(body) {
        Ok(asked) => action(asked),
        Err(error) => Answer::failure(&StreamFailure::input(error.to_string())),
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
        assert_eq!(state.act(|inner, _| inner.counts.get(Operation::GetApp)), 3);
        answer(&state, &Method::DELETE, "/_emulator/counts", b"");
        assert_eq!(state.act(|inner, _| inner.counts.total()), 0);
    }
}
