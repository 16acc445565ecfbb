//! Builds a `lambda_http::Request` from an API Gateway event (payload format 2.0).
//!
//! The raw event is checked before any of it becomes a request. `lambda_http`'s own conversion
//! rewrites dot segments and panics on inputs that a client can choose
//! (`docs/adr/0002-http-request-from-the-raw-event.md`).
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Context, Request, RequestExt as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::http::path;
use crate::telemetry::UserHash;

/// The parts of the event that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGatewayEvent {
    route_key: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    path_parameters: Option<HashMap<String, String>>,
    request_context: EventContext,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventContext {
    request_id: Option<String>,
    domain_name: Option<String>,
    http: Option<HttpDescription>,
}

#[derive(Deserialize)]
struct HttpDescription {
    method: Option<String>,
}

/// The query string of a request, without the question mark. It is separate from the `Uri`, which
/// would end it at a `#`.
#[derive(Clone)]
pub(super) struct RawQuery(pub(super) String);

/// The fields of a request's log line, available also if the event cannot be parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestMeta {
    /// API Gateway's request id, or Lambda's if there is none.
    pub(crate) request_id: String,
    /// The route key, such as `POST /api/stream/token`.
    pub(super) route: String,
    /// The authenticated user.
    pub(crate) user_hash: Option<UserHash>,
}

impl RequestMeta {
    pub(super) fn from_context(context: &Context) -> Self {
        Self { request_id: context.request_id.clone(), ..Self::default() }
    }
}

/// The position of a parse error in an event. It omits the text, which may contain a token.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
struct EventParseError {
    line: usize,
    column: usize,
}

/// Parses and checks an event.
pub(crate) fn parse(
    event: &RawValue,
    context: Context,
    deadline: Deadline,
    max_body_bytes: usize,
    meta: &mut RequestMeta,
) -> Result<Request, ApiError> {
    let event: ApiGatewayEvent = serde_json::from_str(event.get()).map_err(|error| {
        let position = EventParseError { line: error.line(), column: error.column() };
        invalid_request("the event is not in API Gateway's payload format 2.0", position)
    })?;
    if let Some(id) = &event.request_context.request_id {
        meta.request_id.clone_from(id);
    }
    meta.route = event.route_key.clone().unwrap_or_default();
    build(event, context, deadline, max_body_bytes)
}

fn build(
    event: ApiGatewayEvent,
    context: Context,
    deadline: Deadline,
    max_body_bytes: usize,
) -> Result<Request, ApiError> {
    let raw_path = event.raw_path.filter(|path| !path::is_invalid(path));
    let raw_path = raw_path.ok_or_else(|| ApiError::from_code(Code::InvalidPath))?;
    let body = decode_body(event.body.unwrap_or_default(), event.is_base64_encoded, max_body_bytes);
    let mut request = Request::new(body?);
    let EventContext { request_id, domain_name, http } = event.request_context;
    let method = http.and_then(|http| http.method);
    *request.method_mut() = method.and_then(|text| text.parse().ok()).unwrap_or(Method::GET);
    // A path that is not a valid `Uri` is available as the raw path.
    *request.uri_mut() = raw_path.parse().unwrap_or_default();
    *request.headers_mut() = header_map(event.headers.unwrap_or_default())?;
    request.extensions_mut().insert(RawQuery(event.raw_query_string.unwrap_or_default()));
    request.extensions_mut().insert(deadline);
    let mut request_context = ApiGatewayV2httpRequestContext::default();
    request_context.route_key = event.route_key;
    request_context.request_id = request_id;
    request_context.domain_name = domain_name;
    Ok(request
        .with_raw_http_path(raw_path)
        .with_path_parameters(event.path_parameters.unwrap_or_default())
        .with_request_context(RequestContext::ApiGatewayV2(request_context))
        .with_lambda_context(context))
}

/// The valid headers. A header with an invalid name is dropped. A control character in a value
/// becomes U+FFFD, so that the value does not become valid.
fn header_map(headers: BTreeMap<String, String>) -> Result<HeaderMap, ApiError> {
    let too_many = |error| invalid_request("the request has too many headers", error);
    let mut map = HeaderMap::try_with_capacity(headers.len()).map_err(too_many)?;
    for (name, value) in headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let value = HeaderValue::from_bytes(value.as_bytes()).or_else(|_| {
            HeaderValue::from_bytes(value.replace(char::is_control, "\u{fffd}").as_bytes())
        });
        if let Ok(value) = value {
            map.try_insert(name, value).map_err(too_many)?;
        }
    }
    Ok(map)
}

fn decode_body(text: String, is_base64: bool, max_bytes: usize) -> Result<Body, ApiError> {
    let too_large = || {
        let detail = format!("the body may have {max_bytes} bytes at most");
        ApiError::new(Code::BodyTooLarge, detail)
    };
    if !is_base64 {
        return if text.len() > max_bytes { Err(too_large()) } else { Ok(Body::from(text)) };
    }
    // Rejects an oversized body before decoding. Padding makes the decoded size uncertain by 2
    // bytes, so this compares its lower bound.
    if (text.len() / 4 * 3).saturating_sub(2) > max_bytes {
        return Err(too_large());
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| invalid_request("the body must be valid base64", error))?;
    if bytes.len() > max_bytes { Err(too_large()) } else { Ok(Body::from(bytes)) }
}

fn invalid_request(
    detail: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ApiError {
    ApiError::new(Code::InvalidRequest, detail).with_source(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::header_text;

    fn headers(value: &serde_json::Value) -> HeaderMap {
        header_map(serde_json::from_value(value.clone()).unwrap()).unwrap()
    }

    #[test]
    fn header_names_are_case_insensitive() {
        let request = headers(&json!({"Content-Type": "application/json"}));
        assert_eq!(header_text(&request, "content-type"), Some("application/json"));
    }

    #[test]
    fn header_values_that_are_not_ascii_pass() {
        let request = headers(&json!({"x-name": "Zoë"}));
        assert_eq!(header_text(&request, "x-name"), Some("Zoë"));
    }

    #[test]
    fn control_characters_in_header_values_are_replaced() {
        let request = headers(&json!({"idempotency-key": "a\u{1}b\u{7f}", "x-tab": "a\tb"}));
        assert_eq!(header_text(&request, "idempotency-key"), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(header_text(&request, "x-tab"), Some("a\tb"));
    }

    #[test]
    fn too_many_headers_are_rejected() {
        let headers = (0..40_000).map(|n| (format!("x-{n}"), String::new())).collect();
        let error = header_map(headers).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }

    #[test]
    fn invalid_header_names_are_dropped() {
        let request = headers(&json!({"bad name": "a", "": "b", "é": "c", "good": "d"}));
        assert_eq!(request.len(), 1);
        assert_eq!(header_text(&request, "good"), Some("d"));
    }
}
