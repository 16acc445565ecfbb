//! The connection of one socket: sends the queued frames, answers health checks, and ends when the
//! client or the server closes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::audience::Product;
use super::closing::Closing;
use super::connect::ConnectRequest;
use super::handshake::Endpoint;
use super::socket::SocketHandle;
use crate::error::StreamError;
use crate::request::Query;
use crate::server::wait_for_stop;
use crate::state::State;

/// The interval of the server's own health checks.
const HEALTH_INTERVAL: Duration = Duration::from_secs(30);
/// A client sends a health check 25 s after the last one that it received. Silence for 75 s means
/// that the connection is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The time for the first message of a video client.
const AUTH_TIMEOUT: Duration = Duration::from_secs(15);
/// The time for the remaining frames and the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above the messages of clients.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Serves an upgraded connection until it ends or the emulator stops.
pub(super) async fn serve<S>(
    stream: S,
    endpoint: Endpoint,
    query: Query,
    state: Arc<State>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let web_socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let connection = async {
        match endpoint {
            Endpoint::Events(product) => serve_events(web_socket, product, &query, &state).await,
            Endpoint::Media(id) => serve_media(web_socket, &id, &state).await,
        }
    };
    tokio::select! {
        () = wait_for_stop(&mut stop) => {}
        () = connection => {}
    }
}

/// Ignores all messages until the client leaves: media is not emulated.
async fn serve_media<S>(mut web_socket: WebSocketStream<S>, user_session_id: &str, state: &State)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(_)) = web_socket.next().await {}
    state.with_inner(|inner, now| inner.world.media_disconnected(user_session_id, now));
}

async fn serve_events<S>(
    mut web_socket: WebSocketStream<S>,
    product: Product,
    query: &Query,
    state: &State,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = match product {
        Product::Chat => ConnectRequest::from_chat_query(query),
        Product::Video => match first_message(&mut web_socket).await {
            Some(message) => ConnectRequest::from_video_message(query, &message),
            None => return,
        },
    };
    match request.and_then(|request| state.connect(request)) {
        Ok(handle) => {
            let guard = ConnectionGuard { state, connection_id: handle.connection_id.clone() };
            let mut closing = handle.closing.clone();
            tokio::select! {
                () = serve_socket(&mut web_socket, handle, product, state) => {}
                () = close_timeout(&mut closing) => {}
            }
            drop(guard);
        }
        Err(error) => {
            let refusal = refuse(&mut web_socket, &error, state);
            let _ = timeout(CLOSE_TIMEOUT, refusal).await;
        }
    }
}

/// Removes the socket when its connection ends, also if the emulator stops.
struct ConnectionGuard<'a> {
    state: &'a State,
    connection_id: String,
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.state.disconnect(&self.connection_id);
    }
}

async fn first_message<S>(web_socket: &mut WebSocketStream<S>) -> Option<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let next_text = async {
        loop {
            match web_socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    timeout(AUTH_TIMEOUT, next_text).await.ok().flatten()
}

/// Sends the error as a frame and closes.
async fn refuse<S>(web_socket: &mut WebSocketStream<S>, error: &StreamError, state: &State)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if web_socket.send(Message::Text(state.connection_error(error))).await.is_ok() {
        close(web_socket, Closing::refused()).await;
    }
}

async fn serve_socket<S>(
    web_socket: &mut WebSocketStream<S>,
    mut handle: SocketHandle,
    product: Product,
    state: &State,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let id = handle.connection_id.as_str();
    let mut health_checks = interval_at(Instant::now() + HEALTH_INTERVAL, HEALTH_INTERVAL);
    let mut idle_at = Instant::now() + IDLE_TIMEOUT;
    loop {
        let frame = tokio::select! {
            frame = handle.frames.recv() => {
                let Some(frame) = frame else { break };
                frame
            }
            message = web_socket.next() => {
                let Some(Ok(message)) = message else { return };
                idle_at = Instant::now() + IDLE_TIMEOUT;
                if !is_health_check(&message) {
                    continue;
                }
                state.health_check(product, id)
            }
            _ = health_checks.tick() => state.health_check(product, id),
            () = sleep_until(idle_at) => {
                state.close_socket(id, Closing::idle());
                idle_at = Instant::now() + IDLE_TIMEOUT;
                continue;
            }
        };
        if web_socket.send(Message::Text(frame)).await.is_err() {
            return;
        }
    }
    let closing = handle.closing.borrow().clone();
    if let Some(closing) = closing {
        close(web_socket, closing).await;
    }
}

/// Closes, and waits for the client to do so too.
async fn close<S>(web_socket: &mut WebSocketStream<S>, closing: Closing)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(frame) = closing.frame() else { return };
    if !matches!(web_socket.close(Some(frame)).await, Ok(()) | Err(Error::ConnectionClosed)) {
        return;
    }
    while let Some(Ok(_)) = web_socket.next().await {}
}

/// Resolves at the latest when a socket that the server closes must be gone: the client may read
/// nothing.
async fn close_timeout(closing: &mut watch::Receiver<Option<Closing>>) {
    let cuts = match closing.wait_for(Option::is_some).await {
        Ok(closing) => *closing == Some(Closing::Cut),
        Err(_) => false,
    };
    if !cuts {
        sleep(CLOSE_TIMEOUT).await;
    }
}

/// Whether a message is a health check. Clients send it in an array.
fn is_health_check(message: &Message) -> bool {
    let Message::Text(text) = message else { return false };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let is_check = |value: &Value| value["type"] == "health.check";
    is_check(&value) || value.as_array().is_some_and(|values| values.iter().any(is_check))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::settings::Settings;

    /// A token of alice without `iat` and `exp`, for an app that does not verify signatures.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiYWxpY2UifQ.x";

    struct Connected {
        client: WebSocketStream<DuplexStream>,
        state: Arc<State>,
        task: JoinHandle<()>,
        /// The emulator stops if it is dropped.
        _stop: watch::Sender<bool>,
    }

    async fn connect(product: Product, buffer_bytes: usize) -> Connected {
        let state = Arc::new(State::new(Settings::new("k", "s")));
        state.with_inner(|inner, _| inner.world.app_mut().disable_auth_checks = true);
        let uri = format!("/?api_key=k&stream-auth-type=jwt&authorization={TOKEN}");
        let query = Query::from_uri(&uri.parse().expect("a URI"));
        let (client, server) = duplex(buffer_bytes);
        let (stop, stop_receiver) = watch::channel(false);
        let task = tokio::spawn(serve(
            server,
            Endpoint::Events(product),
            query,
            Arc::clone(&state),
            stop_receiver,
        ));
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        Connected { client, state, task, _stop: stop }
    }

    async fn next_type(client: &mut WebSocketStream<DuplexStream>) -> Value {
        let message = client.next().await.expect("open").expect("a frame");
        let frame: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        frame["type"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn server_sends_health_checks_every_30_seconds() {
        let mut connected = connect(Product::Chat, 64 * 1024).await;
        let start = Instant::now();
        assert_eq!(next_type(&mut connected.client).await, json!("health.check"));
        for seconds in [30, 60] {
            assert_eq!(next_type(&mut connected.client).await, json!("health.check"));
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_client_is_closed() {
        let mut connected = connect(Product::Chat, 64 * 1024).await;
        let client = &mut connected.client;
        let start = Instant::now();
        next_type(client).await;
        next_type(client).await;
        // Any frame of the client counts.
        client.send(Message::text("[]")).await.expect("sent");
        let code = loop {
            let message = client.next().await.expect("open").expect("a frame");
            if let Message::Close(frame) = message {
                break frame.map(|frame| u16::from(frame.code));
            }
        };
        assert_eq!((code, start.elapsed().as_secs()), (Some(1001), 105));
        assert!(connected.state.with_inner(|inner, _| inner.realtime.views()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn video_client_without_a_first_message_is_dropped() {
        let mut connected = connect(Product::Video, 64 * 1024).await;
        let start = Instant::now();
        assert!(!matches!(connected.client.next().await, Some(Ok(_))));
        assert_eq!(start.elapsed(), AUTH_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_nothing_cannot_delay_a_close() {
        // The first frame is larger than the buffer.
        let connected = connect(Product::Chat, 64).await;
        let id = loop {
            tokio::task::yield_now().await;
            let views = connected.state.with_inner(|inner, _| inner.realtime.views());
            if let Some(view) = views.first() {
                break view.connection_id.clone();
            }
        };
        let start = Instant::now();
        connected.state.close_socket(&id, Closing::overflow());
        connected.task.await.expect("the end of the connection");
        assert_eq!(start.elapsed(), CLOSE_TIMEOUT);
    }

    #[test]
    fn health_check_is_recognized_in_an_array() {
        for (text, expected) in [
            ("[{\"type\":\"health.check\",\"client_id\":\"a\"}]", true),
            ("{\"type\":\"health.check\"}", true),
            ("[]", false),
            ("{\"type\":\"other\"}", false),
            ("health.check", false),
        ] {
            assert_eq!(is_health_check(&Message::text(text)), expected, "{text}");
        }
        assert!(!is_health_check(&Message::Ping(bytes::Bytes::new())));
    }
}
