//! A request, read from API Gateway's event (payload format 2.0) and from nothing else.
//!
//! Of the event only what is used is read, as it came. `lambda_http`'s conversion rewrites dot
//! segments and panics on some `Host` headers and on bad base64, and its typed event refuses every
//! request with a header that is not ASCII.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::http::path;
use crate::telemetry::UserTag;

/// The event, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    route_key: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    path_parameters: Option<BTreeMap<String, String>>,
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
}

/// A request whose form has been checked; who sent it and what it asks has not.
pub struct Request {
    /// The parameters of the route's path.
    pub(super) parameters: BTreeMap<String, String>,
    /// The query, without its question mark.
    pub(super) query: String,
    /// The domain that it came by, in API Gateway's word and not the caller's.
    pub(super) domain: Option<String>,
    /// The headers, by their names in lower case.
    headers: BTreeMap<String, String>,
    /// The body's bytes.
    pub(super) body: Vec<u8>,
    /// By when it must be answered.
    pub(super) deadline: Deadline,
}

impl Request {
    /// A header's value. API Gateway joins what stands twice with a comma.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What a log line says of a request, however broken it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    /// API Gateway's id for it, or Lambda's.
    pub(super) id: String,
    /// The route that it came by.
    pub(super) route: String,
    /// Who sent it, once that is settled.
    pub(super) user: Option<UserTag>,
}

impl Label {
    /// Before anything of the request is read.
    pub(super) fn of(context: &Context) -> Self {
        Self { id: context.request_id.clone(), ..Self::default() }
    }
}

/// Where an event stops being readable. What stands there is not said: it may be a token.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}")]
struct Unreadable {
    line: usize,
    column: usize,
}

/// Reads and checks an event.
pub(super) fn read(
    event: &RawValue,
    deadline: Deadline,
    largest: usize,
    label: &mut Label,
) -> Result<Request, ApiError> {
    let event: Event = serde_json::from_str(event.get()).map_err(|error| {
        let place = Unreadable { line: error.line(), column: error.column() };
        refused("the event has no readable form", place)
    })?;
    if let Some(id) = &event.request_context.request_id {
        label.id.clone_from(id);
    }
    label.route = event.route_key.clone().unwrap_or_default();
    check(event, deadline, largest)
}

fn check(event: Event, deadline: Deadline, largest: usize) -> Result<Request, ApiError> {
    if event.raw_path.as_deref().is_none_or(path::is_refused) {
        return Err(ApiError::plain(Code::InvalidPath));
    }
    let headers = event.headers.unwrap_or_default().into_iter();
    let headers: BTreeMap<_, _> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if let Some(host) = headers.get("host") {
        host.parse::<Authority>().map_err(|error| refused("the Host header is refused", error))?;
    }
    Ok(Request {
        parameters: event.path_parameters.unwrap_or_default(),
        query: event.raw_query_string.unwrap_or_default(),
        domain: event.request_context.domain_name,
        headers,
        body: body(event.body.unwrap_or_default(), event.is_base64_encoded, largest)?,
        deadline,
    })
}

fn body(text: String, encoded: bool, largest: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = |length: usize| length > largest;
    let bytes = if !encoded {
        text.into_bytes()
    } else if too_large((text.len() / 4 * 3).saturating_sub(2)) {
        // Not worth decoding; what is just at the limit is measured below.
        return Err(ApiError::plain(Code::BodyTooLarge));
    } else {
        STANDARD.decode(text).map_err(|error| refused("the body's base64 is broken", error))?
    };
    if too_large(bytes.len()) {
        let detail = format!("the body may have {largest} bytes at most");
        return Err(ApiError::new(Code::BodyTooLarge, detail));
    }
    Ok(bytes)
}

fn refused(
    detail: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ApiError {
    ApiError::new(Code::InvalidRequest, detail).with_source(error)
}
