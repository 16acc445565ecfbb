//! The transport to Stream. It sends one attempt of a request over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::Timestamp;
use crate::config::StreamConfig;
use crate::error::{ApiError, BoxError};
use crate::net;
use crate::stream::{RateLimit, Request};
use crate::tokens::TokenSigner;

/// The maximum size of a response, in bytes. It fits a page of the longest messages, and is the
/// maximum size of a function's own response in Lambda.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

/// A response of any status, with an unparsed body.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// The delay that Stream requests before the next attempt.
    pub retry_after: Option<Duration>,
    /// Stream's clock, in whole seconds.
    pub date: Option<Timestamp>,
    /// The rate limit of the request's endpoint.
    pub rate_limit: Option<RateLimit>,
    /// The body.
    pub body: Bytes,
}

/// The failure of an attempt without a complete response.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection was established, so the request was not sent.
    #[error("the request was not sent")]
    NotSent(#[source] BoxError),
    /// The request may have been sent, and no complete response was received.
    #[error("no response")]
    NoResponse(#[source] BoxError),
    /// The response is over the size limit.
    #[error("the response is too large")]
    ResponseTooLarge,
}

/// Sends requests to Stream.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request once with the app's credentials, and fails after `timeout`.
    async fn send(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<RawResponse, TransportError>;
}

/// The transport over `reqwest`.
pub struct HttpTransport {
    client: reqwest::Client,
    base_url: String,
    api_key: String,
    token: SecretString,
}

impl HttpTransport {
    /// A transport to the configured base URL with the configured credentials.
    pub fn new(client: net::Client, config: &StreamConfig) -> Result<Self, ApiError> {
        Ok(Self {
            client: client.http,
            base_url: config.base_url.clone(),
            api_key: config.api_key.clone(),
            token: TokenSigner::new(&config.api_secret).sign_server_token()?,
        })
    }

    fn build_request(&self, request: &Request) -> Result<reqwest::Request, TransportError> {
        let not_sent = |error: BoxError| TransportError::NotSent(error);
        let mut url = reqwest::Url::parse(&format!("{}{}", self.base_url, request.path))
            .map_err(|error| not_sent(error.into()))?;
        url.query_pairs_mut()
            .append_pair("api_key", &self.api_key)
            .extend_pairs(request.query.iter().map(|(name, value)| (*name, value.as_str())));
        let mut token = http::HeaderValue::from_str(self.token.expose_secret())
            .map_err(|error| not_sent(error.into()))?;
        token.set_sensitive(true);
        let mut builder = self
            .client
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, token)
            .header("stream-auth-type", "jwt")
            .header("x-stream-client", concat!("stream-functions-", env!("CARGO_PKG_VERSION")));
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        } else if request.method == Method::POST {
            // The client omits the header for an empty body, and some servers require it.
            builder = builder.header(CONTENT_LENGTH, "0");
        }
        builder.build().map_err(|error| not_sent(error.without_url().into()))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<RawResponse, TransportError> {
        let request = self.build_request(request)?;
        let exchange = async {
            let response = self.client.execute(request).await.map_err(map_reqwest_error)?;
            let (parts, body) = http::Response::from(response).into_parts();
            let body = net::read_body(body, MAX_RESPONSE_BYTES).await.map_err(map_reqwest_error)?;
            let (headers, status) = (&parts.headers, parts.status.as_u16());
            Ok(RawResponse {
                status,
                retry_after: match status {
                    429 => parse_retry_after(headers).or_else(|| time_until_reset(headers)),
                    _ => parse_retry_after(headers),
                },
                date: parse_date(headers),
                rate_limit: parse_rate_limit(headers),
                body: body.ok_or(TransportError::ResponseTooLarge)?,
            })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(elapsed) => Err(TransportError::NoResponse(elapsed.into())),
        }
    }
}

/// Removes the URL from the error, because it contains the API key.
fn map_reqwest_error(error: reqwest::Error) -> TransportError {
    let is_connect_error = error.is_connect();
    let source = error.without_url().into();
    if is_connect_error {
        TransportError::NotSent(source)
    } else {
        TransportError::NoResponse(source)
    }
}

/// The `Retry-After` header in seconds (RFC 9110, section 10.2.3). Stream does not use the form
/// with a date.
fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The time until the next window of an exhausted rate limit, by Stream's clock.
fn time_until_reset(headers: &HeaderMap) -> Option<Duration> {
    let limit = parse_rate_limit(headers).filter(RateLimit::is_exhausted)?;
    Some(limit.reset.since(parse_date(headers)?))
}

fn parse_rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let number =
        |name: &str| -> Option<i64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    Some(RateLimit {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining")?,
        reset: Timestamp::from_secs(number("x-ratelimit-reset")?),
    })
}

fn parse_date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(i64::try_from(since.as_secs()).ok()?))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::ids::{CallCid, UserId};
    use crate::stream::Operation;
    use crate::stream::ops::{EndCall, QueryUsers};

    /// Sends a request to a server with this response. Returns the received request and the result.
    async fn send_to_server(
        request: Request,
        response: &str,
    ) -> (String, Result<RawResponse, TransportError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = StreamConfig {
            api_key: "key&1".to_owned(),
            api_secret: SecretString::from("test-secret-0123456789abcdef0123456789abcdef"),
            base_url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let transport = HttpTransport::new(net::client().unwrap(), &config).unwrap();
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let length = socket.read(&mut read).await.unwrap();
            socket.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&read[..length]).into_owned()
        };
        let send = transport.send(&request, Duration::from_secs(2));
        futures_util::future::join(serve, send).await
    }

    #[tokio::test]
    async fn request_carries_the_app_credentials() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let response = "HTTP/1.1 201 Created\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                      content-length: 2\r\n\r\n{}";
        let (sent, result) = send_to_server(EndCall { cid: &cid }.request(), response).await;
        let (line, headers) = sent.split_once("\r\n").unwrap();
        assert_eq!(line, "POST /api/v2/video/call/default/c1/mark_ended?api_key=key%261 HTTP/1.1");
        let headers = headers.to_lowercase();
        for header in [
            // The server token, without a scheme.
            "authorization: eyjhbgcioijiuzi1niisinr5cci6ikpxvcj9.eyjzzxj2zxiionrydwv9.",
            "stream-auth-type: jwt\r\n",
            "x-stream-client: stream-functions-",
            "content-length: 0\r\n",
        ] {
            assert!(headers.contains(header), "{header}");
        }
        let received = result.unwrap();
        assert_eq!((received.status, &received.body[..]), (201, &b"{}"[..]));
        assert_eq!(received.date, Some(Timestamp::from_secs(1_767_225_600)));
        assert_eq!(received.retry_after, None);
    }

    #[tokio::test]
    async fn retry_after_falls_back_to_the_rate_limit_reset() {
        let head = "HTTP/1.1 429 Too Many Requests\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                    x-ratelimit-reset: 1767225642\r\ncontent-length: 0\r\n";
        let user = UserId::try_from("a@b".to_owned()).unwrap();
        for (headers, seconds) in [
            ("x-ratelimit-remaining: 0\r\n", Some(42)),
            ("x-ratelimit-remaining: 0\r\nretry-after: 7\r\n", Some(7)),
            ("x-ratelimit-remaining: 3\r\n", None),
        ] {
            let request = QueryUsers { ids: std::slice::from_ref(&user) }.request();
            let (sent, result) = send_to_server(request, &format!("{head}{headers}\r\n")).await;
            assert!(sent.starts_with("GET /api/v2/users?api_key=key%261&payload=%7B%22"), "{sent}");
            assert_eq!(result.unwrap().retry_after, seconds.map(Duration::from_secs));
        }
    }

    #[tokio::test]
    async fn rate_limit_headers_are_parsed() {
        let user = UserId::try_from("alice".to_owned()).unwrap();
        let rate_limit = |limit, remaining| {
            Some(RateLimit { limit, remaining, reset: Timestamp::from_secs(1_767_225_660) })
        };
        let (remaining, reset) =
            ("x-ratelimit-remaining: 3\r\n", "x-ratelimit-reset: 1767225660\r\n");
        for (headers, expected) in [
            (format!("x-ratelimit-limit: 60\r\n{remaining}{reset}"), rate_limit(Some(60), 3)),
            (format!("{remaining}{reset}"), rate_limit(None, 3)),
            (format!("x-ratelimit-remaining: many\r\n{reset}"), None),
            (remaining.to_owned(), None),
            (String::new(), None),
        ] {
            let response = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\n{{}}");
            let (_, result) = send_to_server(
                QueryUsers { ids: std::slice::from_ref(&user) }.request(),
                &response,
            )
            .await;
            assert_eq!(result.unwrap().rate_limit, expected, "{headers}");
        }
    }

    #[tokio::test]
    async fn errors_do_not_contain_the_key_or_the_token() {
        let cid = CallCid::try_from("default:c1").unwrap();
        let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}";
        let (_, result) = send_to_server(EndCall { cid: &cid }.request(), truncated).await;
        let error = result.unwrap_err();
        assert!(matches!(error, TransportError::NoResponse(_)));
        let printed = format!("{error:?} {:?}", crate::error::format_chain(Some(&error)));
        assert!(!printed.contains("key") && !printed.contains("eyJ"), "{printed}");
    }
}
