//! Where an issuer publishes its keys, asked over HTTP.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION};
use reqwest::Url;

use super::set::NoSet;
use crate::config::ConfigError;
use crate::error::Source;
use crate::net;

/// The largest set that is read, in bytes. One of an issuer's has a few thousand.
const LARGEST: usize = 64 * 1024;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(in crate::auth) enum NotFetched {
    #[error("no answer")]
    NoAnswer(#[source] Source),
    #[error("no answer in time")]
    Late,
    #[error("an answer of the status {0}")]
    Status(u16),
    #[error("an answer of more than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer is no set of keys")]
    NoSet(#[from] NoSet),
}

/// Where an issuer publishes its keys.
#[async_trait]
pub(in crate::auth) trait KeySource: Send + Sync {
    /// The text of the set as it stands there now. Whoever asks limits the time.
    async fn fetch(&self) -> Result<Bytes, NotFetched>;
}

/// An address on the web.
pub(in crate::auth) struct WebKeys {
    client: net::Client,
    url: Url,
}

impl WebKeys {
    /// Of `JWT_JWKS_URL`. Whoever can change an answer on its way lets in whom they please, so
    /// the address is one of https, but on this very machine.
    pub(in crate::auth) fn new(client: net::Client, url: &str) -> Result<Self, ConfigError> {
        let refused = |reason| ConfigError::invalid("JWT_JWKS_URL", reason);
        let url = Url::parse(url).map_err(|_| refused("must be a URL"))?;
        let secure = url.scheme() == "https" && url.has_host();
        let here = url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
        if !secure && !here {
            return Err(refused("must be an https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("must not hold a user or a password"));
        }
        Ok(Self { client, url })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[async_trait]
impl KeySource for WebKeys {
    async fn fetch(&self) -> Result<Bytes, NotFetched> {
        let lost = |error: reqwest::Error| NotFetched::NoAnswer(error.without_url().into());
        let request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            // The next fetch is minutes away: a connection that was kept for it would be dead.
            .header(CONNECTION, "close");
        let mut response = request.send().await.map_err(lost)?;
        // The client follows no redirect; one is a status like any other.
        let status = response.status().as_u16();
        if status != 200 {
            return Err(NotFetched::Status(status));
        }
        net::read(&mut response, LARGEST).await.map_err(lost)?.ok_or(NotFetched::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a server that answers with these pieces, as long as somebody listens; what it was
    /// asked, and what came of it.
    async fn ask(pieces: &[&str]) -> (String, Result<Bytes, NotFetched>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
        let keys = WebKeys::new(net::client().unwrap(), &url).unwrap();
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let length = socket.read(&mut read).await.unwrap();
            for piece in pieces {
                if socket.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
            }
            String::from_utf8_lossy(&read[..length]).into_owned()
        };
        join(serve, keys.fetch()).await
    }

    #[tokio::test]
    async fn a_set_is_asked_for_at_its_address() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}";
        let (asked, text) = ask(&[answer]).await;
        assert!(asked.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{asked}");
        assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
        assert_eq!(text.unwrap(), r#"{"keys":[]}"#);
    }

    #[tokio::test]
    async fn what_is_no_good_answer_is_no_answer() {
        let redirect =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (_, moved) = ask(&[redirect]).await;
        assert!(matches!(moved, Err(NotFetched::Status(302))));
        let (_, broken) = ask(&["HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}"]).await;
        assert!(matches!(broken, Err(NotFetched::Status(503))));
        let (_, cut) = ask(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"]).await;
        assert!(matches!(cut, Err(NotFetched::NoAnswer(_))));
        let (_, silent) = ask(&[]).await;
        let error = silent.unwrap_err();
        let shown = crate::error::chain(Some(&error)).unwrap();
        // An address may hold what is nobody's business.
        assert!(shown.starts_with("no answer: ") && !shown.contains("v=1"), "{shown}");
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_not_read_to_its_end() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        // 16 of them are 64 KB; the server has 40 MB of them.
        let mut pieces = vec![head];
        pieces.extend(std::iter::repeat_n(chunk.as_str(), 10_240));
        let (_, found) = ask(&pieces).await;
        assert!(matches!(found, Err(NotFetched::TooLarge)));

        let exact = format!("{head}10000\r\n{}\r\n0\r\n\r\n", " ".repeat(LARGEST));
        let (_, found) = ask(&[&exact]).await;
        assert_eq!(found.unwrap().len(), LARGEST);
    }

    #[test]
    fn addresses_that_are_refused() {
        let client = net::client().unwrap();
        for (url, good) in [
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
            assert_eq!(WebKeys::new(client.clone(), url).is_ok(), good, "{url}");
        }
    }
}
