//! The HTTP edge: from an API Gateway event to a handler, and from its result to a response.
//!
//! A function is a handler and the state that it needs. The handler's arguments say what it reads
//! from the request: the authenticated principal first, then the rest. A failure anywhere is a
//! response, never an error of the Lambda function.

mod extract;
mod function;
mod handler;
mod path;
mod request;
mod response;
mod verified_webhook;

pub use extract::{
    Accept, Authenticate, DomainName, FromRequest, IdempotencyKey, Json, Path, PathParameter, Query,
};
pub use function::serve;
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
