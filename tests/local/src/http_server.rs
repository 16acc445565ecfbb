//! The HTTP/1 server of the API, the Runtime API, and the proxies of DynamoDB and Stream.
//!
//! It uses hyper without a framework: paths and Host headers stay unchanged, and a handler can
//! close a connection without a response. A listener with TLS serves plain HTTP too: the first byte
//! of a connection selects the protocol.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::listener::ClientListeners;
use crate::sync::{ShutdownSignal, ShutdownTrigger};

/// How long open connections may take to finish after the server stops, before they are aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers that apply to one connection only.
const HOP_BY_HOP: [&str; 5] = ["connection", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// The first byte of a TLS handshake (RFC 8446, section 5.1). No HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A response with its whole body.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// Returned by a handler to close the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without a response")]
pub(crate) struct ConnectionDropped;

/// The other side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether the connection uses TLS.
    pub(crate) is_tls: bool,
}

/// A running server. Dropping it stops it without waiting.
pub(crate) struct Server {
    shutdown: ShutdownTrigger,
    accept_tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves plain HTTP on one listener.
    pub(crate) fn start<H, F>(listener: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
    {
        Self::start_for_clients(ClientListeners { sockets: vec![listener], tls: None }, handler)
    }

    /// Serves clients, with TLS if the listeners have it.
    pub(crate) fn start_for_clients<H, F>(listeners: ClientListeners, handler: H) -> Self
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
    {
        let shutdown = ShutdownTrigger::new();
        let ClientListeners { sockets, tls } = listeners;
        let accept = |listener| {
            let context = ConnectionContext {
                handler: handler.clone(),
                tls: tls.clone(),
                shutdown: shutdown.subscribe(),
            };
            tokio::spawn(accept_connections(listener, context))
        };
        let accept_tasks = sockets.into_iter().map(accept).collect();
        Self { shutdown, accept_tasks }
    }

    /// Accepts no more connections, waits for open requests, and returns when all connections are
    /// closed.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        for mut accept_task in self.accept_tasks {
            if timeout(SHUTDOWN_TIMEOUT, &mut accept_task).await.is_err() {
                accept_task.abort();
                // The error is the cancellation.
                let _ = accept_task.await;
            }
        }
    }
}

/// What each connection of a listener needs.
#[derive(Clone)]
struct ConnectionContext<H> {
    handler: H,
    tls: Option<TlsAcceptor>,
    shutdown: ShutdownSignal,
}

async fn accept_connections<H, F>(listener: TcpListener, mut context: ConnectionContext<H>)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // An error means that the connection was closed before it was accepted.
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                connections.spawn(serve_connection(stream, peer, context.clone()));
            },
            Some(_) = connections.join_next() => {}
            () = context.shutdown.triggered() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection<H, F>(
    stream: TcpStream,
    address: SocketAddr,
    context: ConnectionContext<H>,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
{
    // Responses are small. Without this option they are only slower.
    let _ = stream.set_nodelay(true);
    let ConnectionContext { handler, tls, mut shutdown } = context;
    let Some(tls) = tls else {
        let peer = Peer { address, is_tls: false };
        return serve_requests(stream, peer, handler, shutdown).await;
    };
    // An error of either step means that the client closed the connection.
    let transport = tokio::select! {
        transport = async {
            let mut first_byte = [0];
            stream.peek(&mut first_byte).await.ok()?;
            if first_byte == [TLS_HANDSHAKE] {
                tls.accept(stream).await.ok().map(Transport::Tls)
            } else {
                Some(Transport::Plain(stream))
            }
        } => transport,
        () = shutdown.triggered() => None,
    };
    match transport {
        Some(Transport::Tls(stream)) => {
            let peer = Peer { address, is_tls: true };
            serve_requests(stream, peer, handler, shutdown).await;
        }
        Some(Transport::Plain(stream)) => {
            let peer = Peer { address, is_tls: false };
            serve_requests(stream, peer, handler, shutdown).await;
        }
        None => {}
    }
}

/// A connection whose first byte was read.
enum Transport {
    Plain(TcpStream),
    Tls(tokio_rustls::server::TlsStream<TcpStream>),
}

async fn serve_requests<S, H, F>(stream: S, peer: Peer, handler: H, mut shutdown: ShutdownSignal)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| handler(request, peer));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // The Stream proxy passes WebSockets on.
    let mut connection = pin!(connection.with_upgrades());
    tokio::select! {
        // An error means that the client or the handler closed the connection.
        _ = connection.as_mut() => {}
        () = shutdown.triggered() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// A JSON response.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body of a response, which stays complete.
pub(crate) async fn copy_body(response: &HttpResponse) -> Bytes {
    // A clone of a whole body shares its bytes, and reading it cannot fail.
    let body = response.body().clone().collect().await;
    body.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

/// The first bytes of a body. The rest is read and discarded, so that the client gets a response.
pub(crate) async fn read_at_most(
    mut body: Incoming,
    max_bytes: usize,
) -> Result<Bytes, ConnectionDropped> {
    let mut buffer = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| ConnectionDropped)?.into_data() {
            let length = data.len().min(max_bytes - buffer.len());
            buffer.extend_from_slice(&data[..length]);
        }
    }
    Ok(buffer.into())
}

/// Whether a header, in lower case, applies to one connection only.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name)
}

/// Removes the headers that apply to one connection only.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
