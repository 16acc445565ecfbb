//! The wire to Stream: one attempt of one request, over HTTP.

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

/// The largest answer that is read, in bytes: more than a page of the longest messages takes, and
/// no more than Lambda lets a function answer.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

/// An answer as it came, of whatever status.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// How long Stream asks to wait.
    pub retry_after: Option<Duration>,
    /// Stream's clock, to the second.
    pub date: Option<Timestamp>,
    /// What Stream says of the limit that the request is under.
    pub rate_limit: Option<RateLimit>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// There was no connection, so the request was not sent.
    #[error("not sent")]
    NotSent(#[source] BoxError),
    /// The request was sent, or may have been, and no whole answer came.
    #[error("no answer")]
    NoResponse(#[source] BoxError),
    /// The answer is larger than any that is expected.
    #[error("the answer is too large")]
    ResponseTooLarge,
}

/// Sends one attempt.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request with our credentials; gives up after `time`.
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
    /// Speaks to the configured Stream with the configured app's credentials.
    pub fn new(client: reqwest::Client, config: &StreamConfig) -> Result<Self, ApiError> {
        Ok(Self {
            client,
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
            // Nobody else says it for an empty body, and some servers insist on it.
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
            let mut response = self.client.execute(request).await.map_err(map_reqwest_error)?;
            let body = net::read_body(&mut response, MAX_RESPONSE_BYTES)
                .await
                .map_err(map_reqwest_error)?;
            let (headers, status) = (response.headers(), response.status().as_u16());
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

/// The URL goes no further: it has the key in it.
fn map_reqwest_error(error: reqwest::Error) -> TransportError {
    let is_connect_error = error.is_connect();
    let source = error.without_url().into();
    if is_connect_error {
        TransportError::NotSent(source)
    } else {
        TransportError::NoResponse(source)
    }
}

/// Seconds to wait (RFC 9110, section 10.2.3; Stream does not use the form with a date).
fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The time to the start of the next minute of the rate limit, by Stream's own clock, where the
/// limit is used up.
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
    use crate::ids::{CallId, UserId};
    use crate::stream::Operation;
    use crate::stream::ops::{EndCall, QueryUser};

    /// Sends a request to a server that gives this answer; what the server read, and what came of
    /// it.
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
        let id = CallId::try_from("c1".to_owned()).unwrap();
        let response = "HTTP/1.1 201 Created\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                      content-length: 2\r\n\r\n{}";
        let (sent, found) = send_to_server(EndCall { id: &id }.request(), response).await;
        let (line, headers) = sent.split_once("\r\n").unwrap();
        assert_eq!(line, "POST /api/v2/video/call/default/c1/mark_ended?api_key=key%261 HTTP/1.1");
        let headers = headers.to_lowercase();
        for header in [
            // The server's own token, and no scheme before it.
            "authorization: eyjhbgcioijiuzi1niisinr5cci6ikpxvcj9.eyjzzxj2zxiionrydwv9.",
            "stream-auth-type: jwt\r\n",
            "x-stream-client: stream-functions-",
            "content-length: 0\r\n",
        ] {
            assert!(headers.contains(header), "{header}");
        }
        let found = found.unwrap();
        assert_eq!((found.status, &found.body[..]), (201, &b"{}"[..]));
        assert_eq!(found.date, Some(Timestamp::from_secs(1_767_225_600)));
        assert_eq!(found.retry_after, None);
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
            let request = QueryUser { id: &user }.request();
            let (sent, found) = send_to_server(request, &format!("{head}{headers}\r\n")).await;
            assert!(sent.starts_with("GET /api/v2/users?api_key=key%261&payload=%7B%22"), "{sent}");
            assert_eq!(found.unwrap().retry_after, seconds.map(Duration::from_secs));
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
            let (_, result) = send_to_server(QueryUser { id: &user }.request(), &response).await;
            assert_eq!(result.unwrap().rate_limit, expected, "{headers}");
        }
    }

    #[tokio::test]
    async fn errors_do_not_contain_the_key_or_the_token() {
        let id = CallId::try_from("c1".to_owned()).unwrap();
        let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}";
        let (_, found) = send_to_server(EndCall { id: &id }.request(), truncated).await;
        let error = found.unwrap_err();
        assert!(matches!(error, TransportError::NoResponse(_)));
        let printed = format!("{error:?} {:?}", crate::error::format_chain(Some(&error)));
        assert!(!printed.contains("key") && !printed.contains("eyJ"), "{printed}");
    }
}
