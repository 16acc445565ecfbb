//! Tests of the whole emulator over real sockets. They send and read raw bytes, since a client
//! library would hide the effect of a fault.

mod chat_clients;
mod moderation;
mod participant_sessions;
mod queries;
mod rate_limits;
mod requests;
mod rings;
mod sessions;
mod socket_client;
mod socket_events;
mod sockets;
mod user_tokens;
mod v1_servers;
mod video_clients;
mod webhook_receiver;
mod webhooks;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Emulator, Settings};

const NOW: u64 = 1_767_225_600;
const SECRET: &str = "test-secret-0123456789abcdef0123456789abcdef";
const SERVER_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                      PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";
const ALICE_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                     eyJ1c2VyX2lkIjoiYWxpY2UiLCJpYXQiOjE3NjcyMjU2MDB9.\
                     o2MPy2RIN0_LkgS_iaJ3ZwZ0vjyq4NRnItnjwWk_dwE";
const AUTH_HEADERS: &str = "stream-auth-type: jwt\r\nauthorization: ";
const APP_PATH: &str = "/api/v2/app?api_key=testkey123";
const USERS_PATH: &str = "/api/v2/users?api_key=testkey123";

/// An emulator with a fixed clock.
async fn emulator() -> Emulator {
    emulator_and_clock().await.0
}

/// An emulator and its manual clock, in unix seconds.
async fn emulator_and_clock() -> (Emulator, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let clock = Arc::new(AtomicU64::new(NOW));
    let time = Arc::clone(&clock);
    let settings = Settings::new("testkey123", SECRET)
        .with_clock(move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::SeqCst)));
    (Emulator::serve(listener, settings).await.expect("an emulator"), clock)
}

fn advance(clock: &AtomicU64, seconds: u64) {
    clock.fetch_add(seconds, Ordering::SeqCst);
}

/// The instant this many seconds after the start, in the nanoseconds of responses.
fn nanos_after_start(seconds: u64) -> i64 {
    i64::try_from((NOW + seconds) * 1_000_000_000).expect("an instant")
}

/// Sends one request and returns every byte of the response until the connection closes.
async fn send_raw(emulator: &Emulator, method_and_path: &str, headers: &str, body: &str) -> String {
    let address = emulator.base_url().replace("http://", "");
    let length = body.len();
    let request = format!(
        "{method_and_path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\
         {headers}\r\n\r\n{body}"
    );
    let round_trip = move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        // Errors are ignored: a fault can close the connection at any time.
        let _ = stream.write_all(request.as_bytes());
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        String::from_utf8_lossy(&response).into_owned()
    };
    tokio::task::spawn_blocking(round_trip).await.expect("the round trip")
}

/// A signed token with these claims.
fn user_token(claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let signing_input = format!("{}.{}", encode(&header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signing_input.as_bytes()));
    format!("{signing_input}.{signature}")
}

async fn send_request(emulator: &Emulator, method_and_path: &str, body: &Value) -> String {
    send_raw(emulator, method_and_path, &format!("{AUTH_HEADERS}{SERVER_TOKEN}"), &body.to_string())
        .await
}

/// Sends one POST to a path below `/api/v2/`.
async fn post(emulator: &Emulator, path: &str, body: &Value) -> String {
    send_request(emulator, &format!("POST /api/v2/{path}?api_key=testkey123"), body).await
}

/// Sends one request with the token of a user.
async fn send_as(emulator: &Emulator, user: &str, method_and_path: &str, body: &Value) -> String {
    let token = user_token(&json!({ "user_id": user }));
    let start = format!("{method_and_path}?api_key=testkey123");
    send_raw(emulator, &start, &format!("{AUTH_HEADERS}{token}"), &body.to_string()).await
}

/// Sends one request with the token of a user and checks its status.
async fn call_as(
    emulator: &Emulator,
    user: &str,
    method_and_path: &str,
    body: Value,
    expected: u16,
) -> Value {
    let token = user_token(&json!({ "user_id": user }));
    let separator = if method_and_path.contains('?') { '&' } else { '?' };
    let start = format!("{method_and_path}{separator}api_key=testkey123");
    let headers = format!("{AUTH_HEADERS}{token}");
    let response = send_raw(emulator, &start, &headers, &body.to_string()).await;
    assert_eq!(status(&response), expected, "{user}: {method_and_path}: {response}");
    json_body(&response)
}

/// The types of the events since the last call.
fn new_events(emulator: &Emulator, seen: &mut usize) -> Vec<String> {
    let types = event_types(emulator);
    let new = types[*seen..].to_vec();
    *seen = types.len();
    new
}

async fn get_app(emulator: &Emulator) -> String {
    send_request(emulator, &format!("GET {APP_PATH}"), &json!({})).await
}

async fn upsert_alice(emulator: &Emulator) -> String {
    let alice = json!({ "users": { "alice": { "id": "alice" } } });
    send_request(emulator, &format!("POST {USERS_PATH}"), &alice).await
}

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = response.split_once("\r\n\r\n")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn json_body(response: &str) -> Value {
    serde_json::from_str(body(response)).unwrap_or_default()
}

fn error_code(response: &str) -> Value {
    json_body(response)["code"].clone()
}

/// Upserts alice and creates a call with a maximum duration of 3,600 s and an inactivity timeout of
/// 30 s.
async fn create_call(emulator: &Emulator, id: &str) {
    upsert_alice(emulator).await;
    let settings = json!({
        "limits": { "max_duration_seconds": 3_600 },
        "session": { "inactivity_timeout_seconds": 30 },
    });
    let data = json!({ "created_by_id": "alice", "settings_override": settings });
    let created =
        post(emulator, &format!("video/call/default/{id}"), &json!({ "data": data })).await;
    assert_eq!(status(&created), 201, "{created}");
}

async fn get_call(emulator: &Emulator, id: &str) -> Value {
    let path = format!("/api/v2/video/call/default/{id}?api_key=testkey123");
    json_body(&send_request(emulator, &format!("GET {path}"), &json!({})).await)["call"].clone()
}

fn event_types(emulator: &Emulator) -> Vec<String> {
    let events = emulator.emitted_events();
    events.iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn create_channel(emulator: &Emulator, id: &str) {
    upsert_alice(emulator).await;
    let data = json!({ "created_by_id": "alice", "custom": { "call_id": id } });
    let path = format!("chat/channels/messaging/{id}/query");
    let created = post(emulator, &path, &json!({ "data": data })).await;
    assert_eq!(status(&created), 201, "{created}");
}
