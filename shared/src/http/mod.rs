//! The HTTP layer, from an API Gateway event to a handler and from its result to a response.
//!
//! A function consists of a handler and its state. The handler's arguments are the state, the
//! authenticated principal and the extracted parts of the request. Every failure becomes a
//! response, never an error of the Lambda function.

mod extract;
mod function;
mod handler;
mod path;
mod request;
mod response;
mod verified_webhook;

pub use crate::net::Connections;
pub use extract::{
    Accept, Authenticate, DomainName, FromRequest, IdempotencyKey, Json, Path, PathParameter,
    Public, Query,
};
pub use function::{serve, serve_connected};
pub use handler::Handler;
pub use response::{ApiResponse, IntoResponse, Svg};
pub use verified_webhook::VerifiedWebhook;
#[cfg(any(fuzzing, test))]
pub(crate) use {path::is_invalid, request::RequestMeta, request::parse};

use http::HeaderMap;
use lambda_http::Body;

/// An HTTP response.
pub type Response = http::Response<Body>;

/// The value of a header. API Gateway joins repeated headers with a comma.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}
