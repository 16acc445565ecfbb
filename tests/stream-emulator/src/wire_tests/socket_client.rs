//! A client's WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::user_token;
use crate::Emulator;

/// The key and the accept key of the example in RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TIMEOUT: Duration = Duration::from_secs(10);

/// An open socket of a client.
pub(super) struct SocketClient {
    web_socket: WebSocketStream<TcpStream>,
    connection_id: String,
}

/// What ended a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Close(u16),
    Lost,
}

impl SocketClient {
    /// Upgrades a connection to this path.
    pub(super) async fn open(emulator: &Emulator, path: &str) -> Self {
        let address = emulator.base_url().replace("http://", "");
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\
             sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a response"));
        }
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(ACCEPT), "{head}");
        assert!(!head.contains("permessage-deflate"), "{head}");
        let web_socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Self { web_socket, connection_id: String::new() }
    }

    /// Sends what a chat client sends to connect, and returns the first frame.
    pub(super) async fn try_chat(
        emulator: &Emulator,
        params: &Value,
        token: &str,
        extra: &str,
    ) -> (Self, Value) {
        let params = params.to_string();
        let params = utf8_percent_encode(&params, NON_ALPHANUMERIC);
        let path = format!("/connect?json={params}&authorization={token}{extra}");
        Self::open(emulator, &path).await.with_first_frame().await
    }

    /// Sends what a video client sends to connect, and returns the first frame.
    pub(super) async fn try_video(
        emulator: &Emulator,
        message: &Value,
        extra: &str,
    ) -> (Self, Value) {
        let mut client = Self::open(emulator, &format!("/video/connect?x{extra}")).await;
        client.send(message).await;
        client.with_first_frame().await
    }

    async fn with_first_frame(mut self) -> (Self, Value) {
        let frame = self.next().await;
        self.connection_id = frame["connection_id"].as_str().unwrap_or_default().to_owned();
        (self, frame)
    }

    /// A chat socket of a user.
    pub(super) async fn chat(emulator: &Emulator, user: &str) -> Self {
        let params = json!({ "user_id": user, "user_details": { "id": user } });
        let (client, frame) = Self::try_chat(
            emulator,
            &params,
            &user_token(&json!({ "user_id": user })),
            KEY_AND_AUTH,
        )
        .await;
        assert_eq!(frame["type"], json!("health.check"), "{frame}");
        client
    }

    /// A video socket of a user.
    pub(super) async fn video(emulator: &Emulator, user: &str) -> Self {
        let token = user_token(&json!({ "user_id": user }));
        let message = json!({ "token": token, "user_details": { "id": user } });
        let (client, frame) = Self::try_video(emulator, &message, KEY_AND_AUTH).await;
        assert_eq!(frame["type"], json!("connection.ok"), "{frame}");
        client
    }

    pub(super) fn connection_id(&self) -> &str {
        &self.connection_id
    }

    pub(super) async fn send(&mut self, message: &Value) {
        self.web_socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next frame.
    pub(super) async fn next(&mut self) -> Value {
        let frame = timeout(TIMEOUT, self.web_socket.next()).await.expect("a frame in time");
        let frame = frame.expect("an open socket").expect("a frame");
        serde_json::from_str(frame.to_text().expect("text")).expect("JSON")
    }

    /// The next frame, which must be of this type.
    pub(super) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], json!(kind), "{frame}");
        frame
    }

    /// Checks that no further frame was queued: the next one is the answer to a health check.
    pub(super) async fn expect_nothing(&mut self) {
        self.send(&json!([{ "type": "health.check", "client_id": "x" }])).await;
        self.expect("health.check").await;
    }

    /// Reads the remaining frames until the server ends the socket.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            match timeout(TIMEOUT, self.web_socket.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => {
                    return Ended::Close(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ended::Lost,
            }
        }
    }

    /// Closes as a client does, and waits for the end of the connection.
    pub(super) async fn disconnect(mut self) {
        self.web_socket.close(None).await.expect("closed");
        while let Some(Ok(_)) = self.web_socket.next().await {}
    }
}

pub(super) const KEY_AND_AUTH: &str = "&api_key=testkey123&stream-auth-type=jwt";
