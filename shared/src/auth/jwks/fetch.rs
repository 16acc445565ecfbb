//! The fetch of an issuer's key set over HTTP.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION};
use reqwest::Url;

use super::key_set::KeySetError;
use crate::config::ConfigError;
use crate::error::BoxError;
use crate::net;

/// The maximum size of a key set, in bytes. A typical one has a few thousand.
const MAX_JWKS_BYTES: usize = 64 * 1024;

/// An error of fetching the keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no response")]
    Transport(#[source] BoxError),
    #[error("the request timed out")]
    Timeout,
    #[error("the response has status {0}")]
    Status(u16),
    #[error("the response is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    #[error("the response is not a usable key set")]
    InvalidKeySet(#[from] KeySetError),
}

/// A source of an issuer's key set.
#[async_trait]
pub(crate) trait JwksSource: Send + Sync {
    /// Fetches the current key set. The caller sets the timeout.
    async fn fetch(&self) -> Result<Bytes, FetchError>;
}

/// A key set at a URL.
pub(in crate::auth) struct HttpJwks {
    client: reqwest::Client,
    url: Url,
}

impl HttpJwks {
    /// The source at `JWT_JWKS_URL`. The URL must be https, because an attacker who modifies the
    /// response could authenticate as any user. A loopback address may use http.
    pub(in crate::auth) fn new(client: net::Client, url: &str) -> Result<Self, ConfigError> {
        let invalid = |reason| ConfigError::invalid("JWT_JWKS_URL", reason);
        let url = Url::parse(url).map_err(|_| invalid("must be a URL"))?;
        let is_https = url.scheme() == "https" && url.has_host();
        let is_local_http = url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
        if !is_https && !is_local_http {
            return Err(invalid("must be an https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("must not contain a user or a password"));
        }
        Ok(Self { client: client.http, url })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[async_trait]
impl JwksSource for HttpJwks {
    async fn fetch(&self) -> Result<Bytes, FetchError> {
        let transport_error =
            |error: reqwest::Error| FetchError::Transport(error.without_url().into());
        let request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            // The next fetch is minutes away, so an idle connection would be closed by then.
            .header(CONNECTION, "close");
        let response = request.send().await.map_err(transport_error)?;
        // The client follows no redirects, so a redirect is an error status.
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        net::read_body(http::Response::from(response).into_body(), MAX_JWKS_BYTES)
            .await
            .map_err(transport_error)?
            .ok_or(FetchError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Fetches from a server that responds with these pieces until the client disconnects. Returns
    /// the request and the result.
    async fn fetch_from(pieces: &[&str]) -> (String, Result<Bytes, FetchError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
        let source = HttpJwks::new(net::client().unwrap(), &url).unwrap();
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = socket.read(&mut buffer).await.unwrap();
            for piece in pieces {
                if socket.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
            }
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        join(serve, source.fetch()).await
    }

    #[tokio::test]
    async fn key_set_is_fetched_from_the_configured_url() {
        let response = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}";
        let (request, body) = fetch_from(&[response]).await;
        assert!(request.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("authorization"), "{request}");
        assert_eq!(body.unwrap(), r#"{"keys":[]}"#);
    }

    #[tokio::test]
    async fn unsuccessful_response_is_an_error() {
        let redirect =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (_, redirected) = fetch_from(&[redirect]).await;
        assert!(matches!(redirected, Err(FetchError::Status(302))));
        let (_, server_error) =
            fetch_from(&["HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}"]).await;
        assert!(matches!(server_error, Err(FetchError::Status(503))));
        let (_, truncated) =
            fetch_from(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"]).await;
        assert!(matches!(truncated, Err(FetchError::Transport(_))));
        let (_, no_response) = fetch_from(&[]).await;
        let error = no_response.unwrap_err();
        let message = crate::error::format_chain(Some(&error)).unwrap();
        // The query of the URL may contain a credential.
        assert!(message.starts_with("no response: ") && !message.contains("v=1"), "{message}");
    }

    #[tokio::test]
    async fn response_over_the_size_limit_is_aborted() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        // 16 chunks are 64 KB. The server sends up to 40 MB.
        let mut pieces = vec![head];
        pieces.extend(std::iter::repeat_n(chunk.as_str(), 10_240));
        let (_, result) = fetch_from(&pieces).await;
        assert!(matches!(result, Err(FetchError::TooLarge)));

        let max_size_response =
            format!("{head}10000\r\n{}\r\n0\r\n\r\n", " ".repeat(MAX_JWKS_BYTES));
        let (_, result) = fetch_from(&[&max_size_response]).await;
        assert_eq!(result.unwrap().len(), MAX_JWKS_BYTES);
    }

    #[test]
    fn insecure_or_malformed_urls_are_rejected() {
        let client = net::client().unwrap();
        for (url, is_valid) in [
            ("https://login.example.com/.well-known/jwks.json", true),
            ("https://login.example.com:8443/keys?tenant=1", true),
            ("http://127.0.0.1:9001/keys", true),
            ("http://localhost:9001/keys", true),
            ("http://[::1]:9001/keys", true),
            ("http://login.example.com/keys", false),
            ("http://localhost.example.com/keys", false),
            ("http://127.0.0.1.example.com/keys", false),
            ("http://127.0.0.1@example.com/keys", false),
            ("http://10.0.0.1/keys", false),
            ("http://[::2]/keys", false),
            ("https://user:word@example.com/keys", false),
            ("https://user@example.com/keys", false),
            ("file:///etc/keys.json", false),
            ("ftp://example.com/keys", false),
            ("data:application/json,{}", false),
            ("//example.com/keys", false),
            ("example.com/keys", false),
            ("https://", false),
        ] {
            assert_eq!(HttpJwks::new(client.clone(), url).is_ok(), is_valid, "{url}");
        }
    }
}
