//! Requests to the Stream emulator.

use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::CONTENT_LENGTH;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use stream_emulator::FAULT_HEADER;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::http_server::{ConnectionDropped, HttpResponse, read_at_most, remove_hop_by_hop};
use crate::sync::ShutdownSignal;

/// One byte more than the emulator accepts, so that the emulator rejects the request.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024 + 1;

/// The emulator.
pub(super) struct Upstream {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    shutdown: ShutdownSignal,
}

/// A response of the emulator.
pub(super) struct EmulatorResponse {
    pub(super) response: HttpResponse,
    /// Whether a fault rule has changed it.
    pub(super) is_fault: bool,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr, shutdown: ShutdownSignal) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { address, client, shutdown }
    }

    /// Sends a request of [`read_request`].
    pub(super) async fn send(
        &self,
        mut parts: Parts,
        body: Bytes,
    ) -> Result<EmulatorResponse, ConnectionDropped> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("http://{}{path}", self.address);
        parts.uri = uri.parse().map_err(|_| ConnectionDropped)?;
        let request = Request::from_parts(parts, Full::new(body));
        let response = self.client.request(request).await.map_err(|_| ConnectionDropped)?;
        let mut response = read_response(response).await?;
        let is_fault = response.headers_mut().remove(FAULT_HEADER).is_some();
        Ok(EmulatorResponse { response, is_fault })
    }

    /// Opens a connection of its own for a WebSocket.
    pub(super) async fn forward_upgrade(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<HttpResponse, ConnectionDropped> {
        let stream = TcpStream::connect(self.address).await.map_err(|_| ConnectionDropped)?;
        // Frames are small. Without this option they are only slower.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| ConnectionDropped)?;
        // An error means that the emulator closed the connection.
        tokio::spawn(connection.with_upgrades());
        let client_side = hyper::upgrade::on(&mut request);
        let mut response = sender.send_request(request).await.map_err(|_| ConnectionDropped)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return read_response(response).await;
        }
        let emulator_side = hyper::upgrade::on(&mut response);
        tokio::spawn(copy_until_closed(client_side, emulator_side, self.shutdown.clone()));
        let (parts, _) = response.into_parts();
        Ok(Response::from_parts(parts, Full::new(Bytes::new())))
    }
}

/// Reads a request with its whole body.
pub(super) async fn read_request(
    request: Request<Incoming>,
) -> Result<(Parts, Bytes), ConnectionDropped> {
    let (mut parts, body) = request.into_parts();
    let body = read_at_most(body, MAX_BODY_BYTES).await?;
    remove_hop_by_hop(&mut parts.headers);
    // The body may be shorter than that of the client.
    parts.headers.remove(CONTENT_LENGTH);
    Ok((parts, body))
}

/// A response with its whole body. A truncated body closes the connection.
async fn read_response(response: Response<Incoming>) -> Result<HttpResponse, ConnectionDropped> {
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
    remove_hop_by_hop(&mut parts.headers);
    Ok(Response::from_parts(parts, Full::new(body)))
}

/// Copies bytes in both directions until both sides are closed, or the proxy stops.
async fn copy_until_closed(
    client_side: OnUpgrade,
    emulator_side: OnUpgrade,
    mut shutdown: ShutdownSignal,
) {
    // An error means that a side closed the connection before the upgrade.
    let Ok((client_side, emulator_side)) = tokio::try_join!(client_side, emulator_side) else {
        return;
    };
    let (mut client_side, mut emulator_side) =
        (TokioIo::new(client_side), TokioIo::new(emulator_side));
    tokio::select! {
        // An error means that a side was closed without a closing handshake.
        _ = copy_bidirectional(&mut client_side, &mut emulator_side) => {}
        () = shutdown.triggered() => {}
    }
}
