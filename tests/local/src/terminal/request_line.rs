//! The short line of a request, such as `POST /call/create 200 45 ms alice`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::function_line::RequestOutcome;
use super::printable;
use super::style::{Color, Style};

/// The prefix of all routes, which a line omits.
const PATH_PREFIX: &str = "/api/stream";

/// The header of a webhook of Stream.
const SIGNATURE: &str = "x-signature";

/// The maximum number of characters of a caller.
const MAX_CALLER_CHARS: usize = 64;

/// A finished request. It holds neither a token nor a query, which may have secrets.
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
    /// The user of the session token or the type of the event.
    pub(crate) caller: Option<String>,
    /// The error of the response's body.
    pub(crate) error: Option<ResponseError>,
}

/// The error of a response: problem details, or the message of API Gateway.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct ResponseError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ResponseError {
    /// The error in the body of a response with this status.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        is_error(status).then(|| serde_json::from_slice(body).unwrap_or_default())
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

impl RequestLine {
    pub(super) fn is_error(&self) -> bool {
        is_error(self.status)
    }

    pub(super) fn format(&self, outcome: Option<&RequestOutcome>, style: Style) -> String {
        let color = match self.status.as_u16() {
            ..400 => Color::Success,
            400..500 => Color::Warning,
            _ => Color::Failure,
        };
        let status = style.paint(color, self.status.as_str());
        let path = self.path.strip_prefix(PATH_PREFIX).unwrap_or(&self.path);
        let duration = self.duration.as_millis();
        let mut line = format!("{} {} {status} {duration} ms", self.method, printable(path));
        // The functions have not verified the caller of such a request.
        let is_verified = self.status != StatusCode::UNAUTHORIZED;
        if let Some(caller) = self.caller.as_ref().filter(|_| is_verified) {
            line = format!("{line} {}", printable(caller));
        }
        if let Some(error) = &self.error {
            let text = style.paint(color, &printable(&error_text(error, outcome)));
            line = format!("{line} {text}");
        }
        line
    }
}

/// The code and the cause. The log line of the function has the cause; the response has it only if
/// the caller can change something.
fn error_text(error: &ResponseError, outcome: Option<&RequestOutcome>) -> String {
    let logged_code = outcome.map(|outcome| &outcome.code);
    let cause = outcome.and_then(|outcome| outcome.cause.as_ref());
    let parts = [error.code.as_ref().or(logged_code), cause.or(error.message.as_ref())];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(": ")
}

/// The caller of a request: the user in the claims of its bearer token, which are not verified, or
/// the type of a webhook's event.
pub(crate) fn caller(parts: &Parts, body: &[u8], user_id_claim: &str) -> Option<String> {
    if parts.headers.contains_key(SIGNATURE) {
        let event: Value = serde_json::from_slice(body).ok()?;
        return shorten(event.get("type")?.as_str()?);
    }
    let token = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_whitespace().last()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    match serde_json::from_slice::<Value>(&claims).ok()?.get(user_id_claim)? {
        Value::String(user) => shorten(user),
        Value::Number(user) => Some(user.to_string()),
        _ => None,
    }
}

fn shorten(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(MAX_CALLER_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use serde_json::json;

    use super::*;

    fn line(status: u16, error: Option<ResponseError>) -> RequestLine {
        RequestLine {
            method: Method::POST,
            path: "/api/stream/call/create".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            duration: Duration::from_micros(45_900),
            caller: Some("alice".to_owned()),
            error,
        }
    }

    fn response_error(status: u16, body: &Value) -> Option<ResponseError> {
        ResponseError::read(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
    }

    #[test]
    fn success_has_the_caller_and_no_error() {
        let line = line(200, response_error(200, &json!({"code": "ok"})));
        assert_eq!(line.format(None, Style::new(false)), "POST /call/create 200 45 ms alice");
    }

    #[test]
    fn error_has_its_code_and_its_cause() {
        let body = json!({"code": "user_not_found", "message": "No such user"});
        let not_found = line(404, response_error(404, &body));
        let expected = "POST /call/create 404 45 ms alice user_not_found: No such user";
        assert_eq!(not_found.format(None, Style::new(false)), expected);

        let body = json!({"code": "unauthenticated", "message": "Sign in again"});
        let unauthenticated = line(401, response_error(401, &body));
        let outcome = RequestOutcome {
            code: "unauthenticated".to_owned(),
            cause: Some("the token has expired".to_owned()),
        };
        let expected = "POST /call/create 401 45 ms unauthenticated: the token has expired";
        assert_eq!(unauthenticated.format(Some(&outcome), Style::new(false)), expected);

        let gateway_error = line(404, response_error(404, &json!({"message": "Not Found"})));
        let expected = "POST /call/create 404 45 ms alice Not Found";
        assert_eq!(gateway_error.format(None, Style::new(false)), expected);
    }

    #[test]
    fn status_has_the_color_of_its_class() {
        for (status, color) in [(200, "32"), (202, "32"), (409, "33"), (503, "31")] {
            let text = line(status, None).format(None, Style::new(true));
            assert!(text.contains(&format!("\u{1b}[{color}m{status}")), "{text:?}");
        }
    }

    fn caller_of(headers: &[(&str, &str)], body: &Value) -> Option<String> {
        let mut request = Request::post("/api/stream/token");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        caller(&parts, body.to_string().as_bytes(), "sub")
    }

    #[test]
    fn caller_is_the_user_or_the_event() {
        let bearer = |claims: Value| {
            format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
        };
        let user = bearer(json!({"sub": "carol"}));
        assert_eq!(caller_of(&[("authorization", &user)], &json!({})).unwrap(), "carol");
        let number = bearer(json!({"sub": 17}));
        assert_eq!(caller_of(&[("authorization", &number)], &json!({})).unwrap(), "17");
        let event = json!({"type": "call.ended"});
        assert_eq!(caller_of(&[("x-signature", "00")], &event).unwrap(), "call.ended");
        for authorization in ["", "Bearer", "Bearer a.b.c", "Bearer e30.e30.c2ln"] {
            assert_eq!(caller_of(&[("authorization", authorization)], &json!({})), None);
        }
    }

    #[test]
    fn line_has_no_token_and_no_control_characters() {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"sub":"a\u001b[2J"}"#));
        let authorization = format!("Bearer {token}");
        let caller = caller_of(&[("authorization", &authorization)], &json!({}));
        let line = RequestLine { caller, ..line(200, None) };
        let text = line.format(None, Style::new(false));
        assert!(!text.contains(&token) && !text.contains('\u{1b}'), "{text:?}");
    }
}
