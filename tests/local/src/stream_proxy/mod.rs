//! A proxy in front of the Stream emulator: clients reach the emulator at the host of the options,
//! with CORS and TLS. `x-forwarded-proto` names the scheme of the client, from which the emulator
//! makes the addresses in its responses. With a console, the requests are recorded.
//!
//! A WebSocket is passed on as bytes in both directions. A connection that the emulator closes
//! without a response is closed without a response.
//!
//! The functions use the emulator itself, or with a console the proxy of [`FunctionStreamProxy`].

mod client_requests;
mod for_functions;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, UPGRADE};

use crate::cors;
use crate::http_server::{ConnectionDropped, HttpResponse, Peer, Server};
use crate::listener::ClientListeners;
use crate::sync::ShutdownTrigger;
use crate::trace::Recorder;
use client_requests::RecordedClients;
pub(crate) use for_functions::FunctionStreamProxy;
use upstream::Upstream;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A running proxy.
pub(crate) struct StreamProxy {
    server: Server,
    /// Dropping it closes the open sockets.
    shutdown: ShutdownTrigger,
}

impl StreamProxy {
    /// Passes requests on to the emulator at this address.
    pub(crate) fn start(
        listeners: ClientListeners,
        emulator: SocketAddr,
        recorder: Option<&Recorder>,
    ) -> Self {
        let shutdown = ShutdownTrigger::new();
        let handler = Arc::new(Handler {
            upstream: Upstream::new(emulator, shutdown.subscribe()),
            recorded: recorder.cloned().map(RecordedClients::new),
        });
        let server = Server::start_for_clients(listeners, move |request, peer| {
            let handler = Arc::clone(&handler);
            cors::allow_any_origin(request, peer, move |request| async move {
                handler.handle(request, peer).await
            })
        });
        Self { server, shutdown }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.server.stop().await;
    }
}

struct Handler {
    upstream: Upstream,
    recorded: Option<RecordedClients>,
}

impl Handler {
    async fn handle(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> Result<HttpResponse, ConnectionDropped> {
        set_scheme(request.headers_mut(), peer);
        if request.headers().contains_key(UPGRADE) {
            return self.upstream.forward_upgrade(request).await;
        }
        let (mut parts, body) = upstream::read_request(request).await?;
        match &self.recorded {
            None => Ok(self.upstream.send(parts, body).await?.response),
            Some(recorded) => {
                let span = recorded.begin(&mut parts, &body);
                let result = self.upstream.send(parts, body.clone()).await;
                span.end(&body, &result).await;
                Ok(result?.response)
            }
        }
    }
}

/// Replaces the scheme that a client claims by that of its connection.
fn set_scheme(headers: &mut HeaderMap, peer: Peer) {
    let scheme = if peer.is_tls { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;
    use stream_emulator::{Emulator, Fault, FaultRule, JoinMode, Operation, Settings};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::upstream::MAX_BODY_BYTES;
    use super::*;
    use crate::client_access::ClientAccess;
    use crate::listener::{ClientEndpoints, bind_localhost};
    use crate::options::{STREAM_API_KEY, STREAM_API_SECRET};
    use crate::tls::test_support::{TempDir, connect};
    use crate::tokens;

    async fn start_proxy(emulator: SocketAddr) -> (StreamProxy, SocketAddr) {
        let endpoints = ClientEndpoints::new(None).unwrap();
        let (listeners, address) = endpoints.bind("the Stream emulator", 0).await.unwrap();
        (StreamProxy::start(listeners, emulator, None), address)
    }

    async fn start_emulator() -> (Emulator, SocketAddr) {
        let (listener, address) = bind_localhost("the Stream emulator", 0).await.unwrap();
        let settings = Settings::new(STREAM_API_KEY, STREAM_API_SECRET);
        (Emulator::serve(listener, settings).await.unwrap(), address)
    }

    /// Writes a request and reads until the connection is closed.
    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    const GET_APP: &str = "GET /api/v2/app HTTP/1.1\r\nhost: emulator\r\nconnection: close\r\n\
                           origin: http://localhost:8081\r\n\r\n";

    #[tokio::test]
    async fn responses_of_the_emulator_are_passed_on_with_cors() {
        let (emulator, emulator_address) = start_emulator().await;
        let (proxy, address) = start_proxy(emulator_address).await;
        let response = exchange(address, GET_APP).await;
        assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
        assert!(response.contains("access-control-allow-origin: *"), "{response}");
        assert!(response.contains("\"StatusCode\":401"), "{response}");
        assert_eq!(emulator.counts().get(Operation::GetApp), 1);

        let lost = FaultRule::for_operation(Operation::GetApp, Fault::AppliedThenLost);
        emulator.add_fault(lost.once());
        assert_eq!(exchange(address, GET_APP).await, "");
        proxy.stop().await;
        emulator.stop().await;
    }

    /// A join of alice, with a claim about the scheme.
    fn join_request(claimed_scheme: &str) -> String {
        let secret = [("JWT_SECRET".to_owned(), STREAM_API_SECRET.to_owned())].into();
        let token = tokens::sign(&secret, &json!({ "user_id": "alice" }));
        let body = r#"{"create": true, "location": "ERR"}"#;
        format!(
            "POST /video/call/default/c/join?api_key={STREAM_API_KEY} HTTP/1.1\r\nhost: phone\r\n\
             connection: close\r\nstream-auth-type: jwt\r\nauthorization: {token}\r\n\
             x-forwarded-proto: {claimed_scheme}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn media_endpoint_of_a_join_has_the_scheme_of_the_connection() {
        let dir = TempDir::new();
        let host = Ipv4Addr::LOCALHOST.into();
        let access = ClientAccess { host, tls_dir: Some(dir.0.clone()) };
        let endpoints = ClientEndpoints::new(Some(&access)).unwrap();
        let (emulator, emulator_address) = start_emulator().await;
        emulator.set_join_mode(JoinMode::Pretend);
        emulator.create_user("alice");
        let (listeners, address) = endpoints.bind("the Stream emulator", 0).await.unwrap();
        let proxy = StreamProxy::start(listeners, emulator_address, None);
        let plain = exchange(address, &join_request("https")).await;
        assert!(plain.contains("\"ws://phone/_emulator/media/"), "{plain}");
        assert!(plain.contains("\"http://phone/_emulator/media/"), "{plain}");

        let ca_certificate = endpoints.tls().unwrap().ca_certificate();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connect(stream, "localhost", &ca_certificate).await.unwrap();
        stream.write_all(join_request("http").as_bytes()).await.unwrap();
        let mut secure = Vec::new();
        // The server closes without a TLS close notification.
        let _ = stream.read_to_end(&mut secure).await;
        let secure = String::from_utf8(secure).unwrap();
        assert!(secure.contains("\"wss://phone/_emulator/media/"), "{secure}");
        assert!(secure.contains("\"https://phone/_emulator/media/"), "{secure}");
        proxy.stop().await;
        emulator.stop().await;
    }

    #[tokio::test]
    async fn emulator_rejects_a_body_that_is_too_big() {
        let (emulator, emulator_address) = start_emulator().await;
        let (proxy, address) = start_proxy(emulator_address).await;
        for (bytes, expected) in [(MAX_BODY_BYTES - 1, "401"), (4 * MAX_BODY_BYTES, "413")] {
            let head = "POST /api/v2/users HTTP/1.1\r\nhost: emulator\r\nconnection: close";
            let body = " ".repeat(bytes);
            let request = format!("{head}\r\ncontent-length: {bytes}\r\n\r\n{body}");
            let response = exchange(address, &request).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {expected} ")), "{response}");
        }
        proxy.stop().await;
        emulator.stop().await;
    }

    /// A server that accepts one upgrade and echoes the bytes of the connection. The response names
    /// the scheme of the client.
    async fn start_echo_server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            let scheme = request.lines().find(|line| line.starts_with("x-forwarded-proto: "));
            let scheme = scheme.unwrap_or("x-forwarded-proto: missing");
            let accepted = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-accept: of-the-server\r\n{scheme}\r\n\r\n"
            );
            stream.write_all(accepted.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        address
    }

    const UPGRADE_REQUEST: &str = "GET /connect?json=1 HTTP/1.1\r\nhost: emulator\r\n\
                                   connection: upgrade\r\nupgrade: websocket\r\n\r\n";

    /// Sends an upgrade request, then a text, and returns the response with the echo of the text.
    async fn upgrade_and_echo(mut stream: impl AsyncReadAndWrite) -> String {
        stream.write_all(UPGRADE_REQUEST.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            received.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"health.check").await.unwrap();
        let mut echo = [0; 12];
        stream.read_exact(&mut echo).await.unwrap();
        received.extend(echo);
        String::from_utf8(received).unwrap()
    }

    trait AsyncReadAndWrite: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
    impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncReadAndWrite for T {}

    #[tokio::test]
    async fn websocket_is_passed_on_in_both_directions() {
        let (proxy, address) = start_proxy(start_echo_server().await).await;
        let received = upgrade_and_echo(TcpStream::connect(address).await.unwrap()).await;
        assert!(received.starts_with("HTTP/1.1 101 "), "{received}");
        assert!(received.contains("sec-websocket-accept: of-the-server"), "{received}");
        assert!(received.contains("x-forwarded-proto: http\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nhealth.check"), "{received}");
        proxy.stop().await;
    }

    #[tokio::test]
    async fn stopped_proxy_closes_open_websockets() {
        let (proxy, address) = start_proxy(start_echo_server().await).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        upgrade_and_echo(&mut stream).await;
        proxy.stop().await;
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn one_port_serves_tls_and_plain_http() {
        let dir = TempDir::new();
        let host = Ipv4Addr::LOCALHOST.into();
        let access = ClientAccess { host, tls_dir: Some(dir.0.clone()) };
        let endpoints = ClientEndpoints::new(Some(&access)).unwrap();
        let (listeners, address) = endpoints.bind("the Stream emulator", 0).await.unwrap();
        let proxy = StreamProxy::start(listeners, start_echo_server().await, None);
        let ca_certificate = endpoints.tls().unwrap().ca_certificate();
        let stream = TcpStream::connect(address).await.unwrap();
        let secure = connect(stream, "localhost", &ca_certificate).await.unwrap();
        let received = upgrade_and_echo(secure).await;
        assert!(received.contains("x-forwarded-proto: https"), "{received}");
        assert!(received.ends_with("health.check"), "{received}");
        proxy.stop().await;

        let (emulator, emulator_address) = start_emulator().await;
        let (listeners, address) = endpoints.bind("the Stream emulator", 0).await.unwrap();
        let proxy = StreamProxy::start(listeners, emulator_address, None);
        assert!(exchange(address, GET_APP).await.starts_with("HTTP/1.1 401 "));
        proxy.stop().await;
        emulator.stop().await;
    }
}
