//! The HTTP/1 server of the API, the Runtime API and the DynamoDB proxy.
//!
//! It uses hyper without a framework: paths and Host headers stay unchanged, and a handler can
//! close a connection without a response.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::sync::{ShutdownSignal, ShutdownTrigger};

/// How long open connections may take to finish after the server stops, before they are aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers that apply to one connection only.
const HOP_BY_HOP: [&str; 5] = ["connection", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// A response with its whole body.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// Returned by a handler to close the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without a response")]
pub(crate) struct ConnectionDropped;

/// A running server. Dropping it stops it without waiting.
pub(crate) struct Server {
    shutdown: ShutdownTrigger,
    accept_task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start<H, F>(listener: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
    {
        let shutdown = ShutdownTrigger::new();
        let accept_task = tokio::spawn(accept_connections(listener, handler, shutdown.subscribe()));
        Self { shutdown, accept_task }
    }

    /// Accepts no more connections, waits for open requests, and returns when all connections are
    /// closed.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        if timeout(SHUTDOWN_TIMEOUT, &mut self.accept_task).await.is_err() {
            self.accept_task.abort();
            // The error is the cancellation.
            let _ = self.accept_task.await;
        }
    }
}

async fn accept_connections<H, F>(listener: TcpListener, handler: H, mut shutdown: ShutdownSignal)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // An error means that the connection was closed before it was accepted.
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                connections.spawn(serve_connection(stream, peer, handler.clone(), shutdown.clone()));
            },
            Some(_) = connections.join_next() => {}
            () = shutdown.triggered() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection<H, F>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    mut shutdown: ShutdownSignal,
) where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Result<HttpResponse, ConnectionDropped>> + Send + 'static,
{
    // Responses are small. Without this option they are only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| handler(request, peer));
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
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
