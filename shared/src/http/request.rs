//! A request, read from API Gateway's event (payload format 2.0) and from nothing else.
//!
//! `lambda_http`'s own conversion rewrites dot segments, panics on some `Host` headers and on bad
//! base64; so the typed event is taken as it is, checked, and never given to it.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use lambda_http::Context;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use serde_json::value::RawValue;

use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::http::path;

/// The largest body, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;

/// A request whose form has been checked; who sent it and what it asks has not.
#[derive(Debug)]
pub struct Request {
    /// The parameters of the route's path.
    pub(super) parameters: HashMap<String, String>,
    /// The query, without its question mark.
    pub(super) query: String,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body's bytes.
    pub(super) body: Vec<u8>,
    /// By when it must be answered.
    pub(super) deadline: Deadline,
}

/// What a log line says of a request, however broken it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    /// API Gateway's id for it, or Lambda's.
    pub(super) id: String,
    /// The route that it came by.
    pub(super) route: String,
}

/// Reads and checks an event.
pub(super) fn read(
    event: &RawValue,
    context: &Context,
    now: Timestamp,
) -> (Label, Result<Request, ApiError>) {
    let mut label = Label { id: context.request_id.clone(), route: String::new() };
    let event: ApiGatewayV2httpRequest = match serde_json::from_str(event.get()) {
        Ok(event) => event,
        Err(error) => return (label, Err(unreadable("the event has no readable form", error))),
    };
    if let Some(id) = &event.request_context.request_id {
        label.id.clone_from(id);
    }
    label.route = event.route_key.clone().unwrap_or_default();
    let deadline = Deadline::from_lambda(context.deadline, now);
    (label, check(event, deadline))
}

fn check(event: ApiGatewayV2httpRequest, deadline: Deadline) -> Result<Request, ApiError> {
    if event.raw_path.as_deref().is_none_or(path::is_refused) {
        return Err(ApiError::plain(Code::InvalidPath));
    }
    for host in event.headers.get_all(HOST) {
        let host =
            host.to_str().map_err(|error| unreadable("the Host header is refused", error))?;
        host.parse::<Authority>()
            .map_err(|error| unreadable("the Host header is refused", error))?;
    }
    Ok(Request {
        parameters: event.path_parameters,
        query: event.raw_query_string.unwrap_or_default(),
        headers: event.headers,
        body: body(event.body.unwrap_or_default(), event.is_base64_encoded)?,
        deadline,
    })
}

fn body(text: String, encoded: bool) -> Result<Vec<u8>, ApiError> {
    let too_large = |length: usize| length > LARGEST_BODY;
    let bytes = if !encoded {
        text.into_bytes()
    } else if too_large((text.len() / 4 * 3).saturating_sub(2)) {
        // Not worth decoding; what is just at the limit is measured below.
        return Err(ApiError::plain(Code::BodyTooLarge));
    } else {
        STANDARD.decode(text).map_err(|error| unreadable("the body's base64 is broken", error))?
    };
    if too_large(bytes.len()) {
        return Err(ApiError::new(Code::BodyTooLarge, "the body may have 65536 bytes at most"));
    }
    Ok(bytes)
}

fn unreadable(
    detail: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ApiError {
    ApiError::new(Code::InvalidRequest, detail).with_source(error)
}
