//! Connections to one host of AWS, which stay open between requests.
//!
//! A request takes a connection of `hyper` and returns it. `reqwest` would do much more for each
//! request: it parses the URL, follows redirects, decodes bodies
//! (`docs/adr/0040-direct-first-attempts.md`).

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower_service::Service as _;

use crate::error::BoxError;
use crate::net::body::read_body;
use crate::net::first_connection::FirstConnectionGate;
use crate::sync::lock;

/// The timeout for establishing a connection. Stream's is the same.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time after which an idle connection is not used again. The server may have closed it.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The largest response body, in bytes. DynamoDB limits its responses to 16 MB, and other services
/// to less.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// Opens connections, with or without TLS.
pub(super) type Connector = HttpsConnector<HttpConnector>;

type Connection = SendRequest<Full<Bytes>>;

/// A request that failed without a complete response.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    /// The host was not resolved, or did not complete the handshakes of TCP and TLS, in time.
    #[error("the connection timed out")]
    ConnectTimeout,
    /// No connection was opened.
    #[error("the connection failed")]
    Connect(#[source] BoxError),
    /// The connection was closed, or the response is not HTTP.
    #[error("no response")]
    NoResponse(#[from] hyper::Error),
    /// The response is over [`MAX_RESPONSE_BYTES`].
    #[error("the response is too large")]
    ResponseTooLarge,
}

/// The connections to a host.
pub(super) struct Pool {
    connector: Connector,
    /// The scheme and the authority.
    origin: Uri,
    host: HeaderValue,
    gate: FirstConnectionGate,
    idle: Mutex<Vec<IdleConnection>>,
}

struct IdleConnection {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(connector: Connector, origin: Uri) -> Result<Self, BoxError> {
        let authority = origin.authority().ok_or("the URL has no host")?.as_str();
        let default_port = if origin.scheme_str() == Some("https") { ":443" } else { ":80" };
        let host = authority.strip_suffix(default_port).unwrap_or(authority);
        let host = HeaderValue::from_str(host)?;
        let (gate, idle) = (FirstConnectionGate::default(), Mutex::default());
        Ok(Self { connector, origin, host, gate, idle })
    }

    /// The `Host` header.
    pub(super) fn host(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }

    /// The scheme and the authority.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Sends a request to the path of its URI. If the connection was closed before any of the
    /// request was written, another connection is used. All other failures are errors.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, PoolError> {
        self.gate.run(self.send_now(request)).await
    }

    async fn send_now(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, PoolError> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        request.headers_mut().insert(HOST, self.host.clone());
        while let Some(mut connection) = self.take_idle() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => return self.read(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await?;
        self.read(connection, response).await
    }

    /// Opens connections for later requests, which wait for them, but not for long. The first one
    /// sends a request without credentials, whose response does not matter: the handshakes of the
    /// others resume its TLS session, which the server offers after the handshake.
    pub(super) async fn open(&self, connections: usize) -> Result<(), PoolError> {
        let open_another = async || {
            if let Ok(connection) = self.connect().await {
                self.put_back(connection);
            }
        };
        let open_all = async {
            self.send_now(Request::new(Full::default())).await?;
            join_all((1..connections).map(|_| open_another())).await;
            Ok(())
        };
        self.gate.run(open_all).await
    }

    async fn connect(&self) -> Result<Connection, PoolError> {
        let connect = self.connector.clone().call(self.origin.clone());
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(stream) => stream.map_err(PoolError::Connect)?,
            Err(_) => return Err(PoolError::ConnectTimeout),
        };
        let (sender, connection) = http1::handshake(stream).await?;
        // An error of the connection reaches the request that uses it.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }

    async fn read(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<Response<Bytes>, PoolError> {
        let (parts, body) = response.into_parts();
        let body = read_body(body, MAX_RESPONSE_BYTES).await?;
        let body = body.ok_or(PoolError::ResponseTooLarge)?;
        self.put_back(connection);
        Ok(Response::from_parts(parts, body))
    }

    /// The connection that was used last. `None` if it was idle for too long; the others, which are
    /// older, are then closed.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let IdleConnection { connection, since } = idle.pop()?;
        if since.elapsed() < IDLE_TIMEOUT {
            return Some(connection);
        }
        idle.clear();
        None
    }

    fn put_back(&self, connection: Connection) {
        lock(&self.idle).push(IdleConnection { connection, since: Instant::now() });
    }
}

#[cfg(test)]
impl Pool {
    /// The number of open connections without a request.
    pub(super) fn idle_connections(&self) -> usize {
        lock(&self.idle).len()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::try_join;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::net;

    /// A server that sends the same response to each request.
    struct Server {
        url: String,
        connections: Arc<AtomicUsize>,
    }

    impl Server {
        async fn start(response: String) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let connections = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&connections);
            tokio::spawn(async move {
                loop {
                    let (mut socket, _) = listener.accept().await.unwrap();
                    counter.fetch_add(1, Ordering::SeqCst);
                    let response = response.clone();
                    tokio::spawn(async move {
                        while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {
                            let _ = socket.write_all(response.as_bytes()).await;
                        }
                    });
                }
            });
            Self { url, connections }
        }

        fn pool(&self) -> Arc<Pool> {
            net::client().unwrap().pool(&self.url).unwrap()
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

    async fn send(pool: &Pool) -> Result<Bytes, PoolError> {
        pool.send(Request::new(Full::default())).await.map(Response::into_body)
    }

    fn response(headers: &str, body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn connection_serves_one_request_after_the_other() {
        let server = Server::start(response("content-length: 2", "ok")).await;
        let pool = server.pool();
        for _ in 0..3 {
            assert_eq!(send(&pool).await.unwrap(), "ok");
        }
        assert_eq!(server.connections(), 1);
        let both = futures_util::future::join(send(&pool), send(&pool)).await;
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (Bytes::from("ok"), Bytes::from("ok")));
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn closed_connection_is_replaced() {
        let server = Server::start(response("connection: close\r\ncontent-length: 2", "ok")).await;
        let pool = server.pool();
        for expected in 1..=3 {
            assert_eq!(send(&pool).await.unwrap(), "ok");
            assert_eq!(server.connections(), expected);
        }
    }

    #[tokio::test]
    async fn connection_that_the_server_closed_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = net::client().unwrap();
        let pool = pool.pool(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        for _ in 0..100 {
            let serve = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                assert_ne!(socket.read(&mut [0; 1024]).await.unwrap(), 0);
                // The response and the end arrive together.
                socket.write_all(response("content-length: 2", "ok").as_bytes()).await.unwrap();
            };
            // An error ends the wait of the server for a connection.
            let (sent, ()) = try_join(send(&pool), serve.map(Ok)).await.unwrap();
            assert_eq!(sent, "ok");
        }
    }

    #[tokio::test]
    async fn connections_are_opened_at_once() {
        let server = Server::start(response("content-length: 2", "no")).await;
        let pool = server.pool();
        let request = async {
            tokio::task::yield_now().await;
            send(&pool).await
        };
        let (opened, sent) = futures_util::future::join(pool.open(3), request).await;
        opened.unwrap();
        sent.unwrap();
        // The request has waited for the connections.
        assert_eq!(pool.idle_connections(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn connection_that_was_idle_for_long_is_replaced() {
        let server = Server::start(response("content-length: 2", "ok")).await;
        let pool = server.pool();
        for (idle_seconds, expected) in [(0, 1), (49, 1), (51, 2), (1, 2)] {
            tokio::time::advance(Duration::from_secs(idle_seconds)).await;
            send(&pool).await.unwrap();
            assert_eq!(server.connections(), expected, "after {idle_seconds} s");
        }
    }

    #[tokio::test]
    async fn body_in_several_parts_is_joined() {
        let chunks = response("transfer-encoding: chunked", "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
        let server = Server::start(chunks).await;
        assert_eq!(send(&server.pool()).await.unwrap(), "abcde");
        let empty = Server::start(response("content-length: 0", "")).await;
        assert_eq!(send(&empty.pool()).await.unwrap(), "");
    }

    #[tokio::test]
    async fn response_over_the_limit_is_an_error() {
        let body = "x".repeat(MAX_RESPONSE_BYTES + 1);
        let server =
            Server::start(response(&format!("content-length: {}", body.len()), &body)).await;
        let error = send(&server.pool()).await.unwrap_err();
        assert!(matches!(error, PoolError::ResponseTooLarge), "{error:?}");
    }

    #[tokio::test]
    async fn failures_are_distinguished() {
        let not_http = Server::start("nonsense".to_owned()).await;
        let error = send(&not_http.pool()).await.unwrap_err();
        assert!(matches!(error, PoolError::NoResponse(_)), "{error:?}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let pool = net::client().unwrap().pool(&format!("http://{address}")).unwrap();
        let error = send(&pool).await.unwrap_err();
        assert!(matches!(error, PoolError::Connect(_)), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn handshake_without_a_response_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let pool = net::client().unwrap().pool(&url).unwrap();
        let started_at = Instant::now();
        let error = send(&pool).await.unwrap_err();
        assert!(matches!(error, PoolError::ConnectTimeout), "{error:?}");
        assert_eq!(started_at.elapsed().as_secs(), CONNECT_TIMEOUT.as_secs());
    }

    #[test]
    fn urls_of_the_same_host_share_their_connections() {
        let client = net::client().unwrap();
        let pool = |url: &str| client.pool(url).unwrap();
        let first = pool("https://dynamodb.eu-west-1.amazonaws.com");
        assert!(Arc::ptr_eq(&first, &pool("https://dynamodb.eu-west-1.amazonaws.com/a?b")));
        assert!(!Arc::ptr_eq(&first, &pool("https://dynamodb.eu-west-2.amazonaws.com")));
        assert!(!Arc::ptr_eq(&first, &pool("http://dynamodb.eu-west-1.amazonaws.com")));
        for (url, host) in [
            ("https://a.example:443/", "a.example"),
            ("http://a.example:80", "a.example"),
            ("http://a.example:443", "a.example:443"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ] {
            assert_eq!(pool(url).host(), host);
        }
        for invalid in ["", "/path", "no host"] {
            assert!(client.pool(invalid).is_err(), "{invalid}");
        }
    }
}
