//! Responses: the JSON envelope, an SVG picture or a problem document.

use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde::Serialize;

use crate::error::{ApiError, Code};
use crate::http::Response;

/// A successful result of a handler: the message of the envelope and the fields next to it.
#[derive(Clone, Debug)]
pub struct ApiResponse<T> {
    status: StatusCode,
    message: &'static str,
    body: T,
}

impl<T> ApiResponse<T> {
    /// Status 200.
    pub fn ok(message: &'static str, body: T) -> Self {
        Self { status: StatusCode::OK, message, body }
    }

    /// Status 202: the request is accepted, and its work finishes later.
    pub fn accepted(message: &'static str, body: T) -> Self {
        Self { status: StatusCode::ACCEPTED, message, body }
    }
}

/// A result of a handler that converts to a response.
pub trait IntoResponse: Send {
    /// Converts to a response.
    fn into_response(self) -> Result<Response, ApiError>;
}

impl<T: Serialize + Send> IntoResponse for ApiResponse<T> {
    fn into_response(self) -> Result<Response, ApiError> {
        let Self { status, message, body } = self;
        let envelope = Envelope { error: false, message, body };
        let body = serde_json::to_string(&envelope)
            .map_err(|error| ApiError::from_code(Code::Internal).with_source(error))?;
        Ok(response(status, "application/json", body))
    }
}

/// An SVG picture.
#[derive(Clone, Debug)]
pub struct Svg(pub String);

impl IntoResponse for Svg {
    fn into_response(self) -> Result<Response, ApiError> {
        let mut response = response(StatusCode::OK, "image/svg+xml", self.0);
        // A browser opens the picture as a document of this origin, so the policy forbids it to
        // load resources or run scripts.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        Ok(response)
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    error: bool,
    message: &'static str,
    #[serde(flatten)]
    body: T,
}

/// The problem document of an error (RFC 9457).
pub(super) fn from_error(error: &ApiError, request_id: &str) -> Response {
    let status = StatusCode::from_u16(error.code().status()).unwrap_or_default();
    let body = serde_json::to_string(&error.problem(request_id)).unwrap_or_default();
    let mut response = response(status, "application/problem+json", body);
    let headers = response.headers_mut();
    if let Some(span) = error.retry_after() {
        // Rounded up, because a client that retries too early is rejected again.
        let seconds = u64::try_from(span.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    // Required with every 401 (RFC 9110, section 15.5.2).
    let scheme = match error.code() {
        Code::Unauthenticated => Some("Bearer"),
        Code::BadSignature => Some("Stream-Signature"),
        _ => None,
    };
    if let Some(scheme) = scheme {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    response
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The response in API Gateway's payload format 2.0.
pub(super) fn to_gateway(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut gateway = ApiGatewayV2httpResponse::default();
    gateway.status_code = parts.status.as_u16().into();
    gateway.headers = parts.headers;
    gateway.is_base64_encoded = matches!(body, Body::Binary(_));
    gateway.body = Some(body);
    gateway
}
