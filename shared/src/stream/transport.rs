//! The wire to Stream: one attempt of one request, over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};

use crate::clock::Timestamp;
use crate::config::StreamConfig;
use crate::error::{ApiError, Source};
use crate::net;
use crate::secret::Secret;
use crate::stream::Request;
use crate::tokens::TokenSigner;

/// The largest answer that is read, in bytes: more than a page of the longest messages takes, and
/// no more than Lambda lets a function answer.
const LARGEST: usize = 6 * 1024 * 1024;

/// An answer as it came, of whatever status.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long Stream asks to wait.
    pub retry_after: Option<Duration>,
    /// Stream's clock, to the second.
    pub date: Option<Timestamp>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// There was no connection, so the request was not sent.
    #[error("not sent")]
    NotSent(#[source] Source),
    /// The request was sent, or may have been, and no whole answer came.
    #[error("no answer")]
    NoAnswer(#[source] Source),
    /// The answer is larger than any that is expected.
    #[error("the answer is too large")]
    TooLarge,
}

/// Sends one attempt.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request with our credentials; gives up after `time`.
    async fn send(&self, request: &Request, time: Duration) -> Result<RawAnswer, Lost>;
}

/// The transport over `reqwest`.
pub struct HttpTransport {
    client: reqwest::Client,
    base_url: String,
    api_key: String,
    token: Secret,
}

impl HttpTransport {
    /// Speaks to the configured Stream with the configured app's credentials.
    pub fn new(client: reqwest::Client, config: &StreamConfig) -> Result<Self, ApiError> {
        Ok(Self {
            client,
            base_url: config.base_url.clone(),
            api_key: config.api_key.clone(),
            token: TokenSigner::new(&config.api_secret).server_token()?,
        })
    }

    fn build(&self, request: &Request) -> Result<reqwest::Request, Lost> {
        let not_sent = |error: Source| Lost::NotSent(error);
        let mut url = reqwest::Url::parse(&format!("{}{}", self.base_url, request.path))
            .map_err(|error| not_sent(error.into()))?;
        url.query_pairs_mut()
            .append_pair("api_key", &self.api_key)
            .extend_pairs(request.query.iter().map(|(name, value)| (*name, value.as_str())));
        let mut token = http::HeaderValue::from_str(self.token.expose())
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
        }
        builder.build().map_err(|error| not_sent(error.without_url().into()))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: &Request, time: Duration) -> Result<RawAnswer, Lost> {
        let request = self.build(request)?;
        let exchange = async {
            let mut response = self.client.execute(request).await.map_err(lost)?;
            let body = net::read(&mut response, LARGEST).await.map_err(lost)?;
            let headers = response.headers();
            Ok(RawAnswer {
                status: response.status().as_u16(),
                retry_after: retry_after(headers).or_else(|| until_reset(headers)),
                date: date(headers),
                body: body.ok_or(Lost::TooLarge)?,
            })
        };
        match tokio::time::timeout(time, exchange).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(Lost::NoAnswer(elapsed.into())),
        }
    }
}

/// The URL goes no further: it has the key in it.
fn lost(error: reqwest::Error) -> Lost {
    let connecting = error.is_connect();
    let source = error.without_url().into();
    if connecting { Lost::NotSent(source) } else { Lost::NoAnswer(source) }
}

/// Seconds to wait (RFC 9110, section 10.2.3; Stream does not use the form with a date).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The time to the start of the next minute of the rate limit, by Stream's own clock, where the
/// limit is used up.
fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    let (remaining, reset): (i64, i64) =
        (number("x-ratelimit-remaining")?, number("x-ratelimit-reset")?);
    (remaining <= 0).then_some(Timestamp::from_secs(reset).since(date(headers)?))
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(i64::try_from(since.as_secs()).ok()?))
}
