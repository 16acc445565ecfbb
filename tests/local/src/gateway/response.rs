//! Converts a function's result into an HTTP response (payload format 2.0).
//!
//! - A result with `statusCode` sets the whole response. Each cookie becomes a `set-cookie` header.
//! - Other JSON becomes the body of a 200 response.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html#http-api-develop-integrations-lambda.response>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http_server::{HttpResponse, json_response, remove_hop_by_hop};

/// The content type if the function sets none. Observed at AWS, not documented.
const DEFAULT_CONTENT_TYPE: &str = "text/plain;charset=UTF-8";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyResponse {
    status_code: u16,
    headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// The response, or `None` if the payload is invalid.
pub(super) fn from_payload(payload: &[u8]) -> Option<HttpResponse> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    if value.get("statusCode").is_some() {
        return from_proxy_response(ProxyResponse::deserialize(value).ok()?);
    }
    let body = match value {
        Value::String(text) => Bytes::from(text),
        _ => Bytes::copy_from_slice(payload),
    };
    Some(json_response(StatusCode::OK, body))
}

fn from_proxy_response(proxy_response: ProxyResponse) -> Option<HttpResponse> {
    let text = proxy_response.body.unwrap_or_default();
    let body = if proxy_response.is_base64_encoded.unwrap_or_default() {
        Bytes::from(STANDARD.decode(text).ok()?)
    } else {
        Bytes::from(text)
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(proxy_response.status_code).ok()?;
    *response.headers_mut() = headers(
        proxy_response.headers.unwrap_or_default(),
        proxy_response.cookies.unwrap_or_default(),
    )?;
    Some(response)
}

fn headers(header_values: Map<String, Value>, cookies: Vec<String>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in header_values {
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(text).ok()?);
    }
    for cookie in cookies {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    // This server sets the length and the connection headers.
    headers.remove(CONTENT_LENGTH);
    remove_hop_by_hop(&mut headers);
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(DEFAULT_CONTENT_TYPE));
    Some(headers)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    async fn response_parts(payload: &Value) -> (u16, HeaderMap, Bytes) {
        let response = from_payload(payload.to_string().as_bytes()).unwrap();
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn payload_without_status_code_becomes_the_body() {
        for (payload, expected) in [
            (json!({"message": "Hello"}), r#"{"message":"Hello"}"#),
            (json!("Hello"), "Hello"),
            (json!([1, 2]), "[1,2]"),
        ] {
            let (status, headers, body) = response_parts(&payload).await;
            assert_eq!(status, 200);
            assert_eq!(headers[CONTENT_TYPE], "application/json");
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn payload_with_status_code_becomes_the_response() {
        let (status, headers, body) = response_parts(&json!({
            "statusCode": 429,
            "headers": {"Content-Type": "application/problem+json", "retry-after": 3,
                        "connection": "close", "content-length": "999"},
            "cookies": ["a=1; Secure", "b=2"],
            "body": "{}",
            "isBase64Encoded": false,
        }))
        .await;
        assert_eq!(status, 429);
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers["retry-after"], "3");
        assert!(headers.get_all(SET_COOKIE).iter().eq(["a=1; Secure", "b=2"]));
        assert!(!headers.contains_key(CONTENT_LENGTH) && !headers.contains_key("connection"));
        assert_eq!(body, "{}");
    }

    #[tokio::test]
    async fn base64_body_is_decoded_and_content_type_defaults() {
        let (status, headers, body) =
            response_parts(&json!({"statusCode": 200, "body": "AP8=", "isBase64Encoded": true}))
                .await;
        assert_eq!(status, 200);
        assert_eq!(body[..], [0x00, 0xff]);
        assert_eq!(headers[CONTENT_TYPE], DEFAULT_CONTENT_TYPE);
    }

    #[test]
    fn invalid_payload_is_rejected() {
        for payload in [
            "",
            "not json",
            r#"{"statusCode":"OK"}"#,
            r#"{"statusCode":99}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"body":"***","isBase64Encoded":true}"#,
        ] {
            assert!(from_payload(payload.as_bytes()).is_none(), "{payload}");
        }
    }
}
