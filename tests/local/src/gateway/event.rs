//! Builds the event of payload format 2.0 for a request.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//! defines lower-case header names, duplicate headers and query parameters joined with commas,
//! cookies in their own field, and a binary body in base64.
//!
//! Two details are not documented, and follow recordings from AWS:
//!
//! - Only bodies of `text/*`, JSON, JavaScript and XML are text. A form, or a body without a
//!   content type, is binary (<https://github.com/ministackorg/ministack/pull/766>).
//! - The headers do not include the cookie header (<https://github.com/hotsock/voker>,
//!   `vokerhttp/testdata`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, COOKIE, USER_AGENT};
use http::request::Parts;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::path::percent_decode_lossy;
use super::routes::RouteMatch;
use crate::http_server::is_hop_by_hop;
use crate::lambda::ids;

/// A placeholder for the API's id, which differs for each deployment.
const API_ID: &str = "local";

/// A placeholder for the API's host name.
const DOMAIN_NAME: &str = "local.execute-api.us-east-1.amazonaws.com";

/// The content types, besides `text/*`, whose bodies are text.
const TEXT_CONTENT_TYPES: [&str; 3] =
    ["application/json", "application/javascript", "application/xml"];

/// A request that the gateway accepts.
pub(super) struct GatewayRequest<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    /// The decoded path; see [`super::path`].
    pub(super) path: &'a str,
    pub(super) peer: IpAddr,
    pub(super) at: Timestamp,
    pub(super) request_id: &'a str,
}

/// The event for the function of the route.
pub(super) fn build_event(request: &GatewayRequest<'_>, route: &RouteMatch<'_>) -> Value {
    let query = request.parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.path,
        "rawQueryString": query,
        "headers": event_headers(request),
        "requestContext": request_context(request, route),
        "isBase64Encoded": false,
    });
    let cookies = cookies(request.parts);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let parameters = query_parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !route.parameters.is_empty() {
        event["pathParameters"] = json!(route.parameters);
    }
    if !request.body.is_empty() {
        if let Some(text) = text_body(request) {
            event["body"] = json!(text);
        } else {
            event["body"] = json!(STANDARD.encode(request.body));
            event["isBase64Encoded"] = json!(true);
        }
    }
    event
}

fn request_context(request: &GatewayRequest<'_>, route: &RouteMatch<'_>) -> Value {
    let GatewayRequest { parts, path, peer, at, request_id, .. } = request;
    json!({
        "accountId": ids::ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": DOMAIN_NAME,
        "domainPrefix": API_ID,
        "http": {
            "method": parts.method.as_str(),
            "path": path,
            "protocol": format!("{:?}", parts.version),
            "sourceIp": peer.to_string(),
            "userAgent": joined_header(parts, USER_AGENT.as_str()).unwrap_or_default(),
        },
        "requestId": request_id,
        "routeKey": route.key,
        "stage": "$default",
        "time": at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": at.as_millisecond(),
    })
}

/// All values of a header, joined with commas.
fn joined_header(parts: &Parts, name: &str) -> Option<String> {
    let values = parts.headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).reduce(
        |mut all, next| {
            all.push(',');
            all.push_str(&next);
            all
        },
    )
}

/// The client's headers, and the headers that the gateway adds.
fn event_headers(request: &GatewayRequest<'_>) -> BTreeMap<String, String> {
    let client_headers = request.parts.headers.keys().filter(|name| **name != COOKIE);
    let mut headers: BTreeMap<String, String> = client_headers
        .filter(|name| !is_hop_by_hop(name.as_str()))
        .filter_map(|name| Some((name.to_string(), joined_header(request.parts, name.as_str())?)))
        .collect();
    let peer = request.peer.to_string();
    let forwarded_for = match headers.get("x-forwarded-for") {
        Some(existing) => format!("{existing}, {peer}"),
        None => peer,
    };
    headers.extend([
        ("content-length".to_owned(), request.body.len().to_string()),
        ("x-amzn-trace-id".to_owned(), ids::xray_trace_root()),
        ("x-forwarded-for".to_owned(), forwarded_for),
        ("x-forwarded-port".to_owned(), "443".to_owned()),
        ("x-forwarded-proto".to_owned(), "https".to_owned()),
    ]);
    headers
}

fn cookies(parts: &Parts) -> Vec<String> {
    let values = parts.headers.get_all(COOKIE).iter();
    values
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// The parameters of a query, decoded like a form.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_lossy(&text.replace('+', " "));
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        parameters
            .entry(decode(name))
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// The body as text, if its content type is a text type and it is valid UTF-8.
fn text_body<'a>(request: &GatewayRequest<'a>) -> Option<&'a str> {
    let content_type = joined_header(request.parts, CONTENT_TYPE.as_str())?.to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = essence.starts_with("text/") || TEXT_CONTENT_TYPES.contains(&essence);
    std::str::from_utf8(request.body).ok().filter(|_| is_text)
}

#[cfg(test)]
mod tests;
