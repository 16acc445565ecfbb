//! The paths that control the stack. They are not routes of the API.
//!
//! - `GET /_local/events` returns the events on the bus and the messages in the dead-letter queues.
//! - `GET /_local/ca.crt` returns the certificate authority of the stack's TLS, which a device
//!   downloads to trust it.
//! - `/_local/clock` is the clock of the stack: a `POST` advances it.
//! - `/` and `/_local/console` are the [console](crate::console), if the stack has one, and `/docs`
//!   is then the [API reference](crate::api_reference).

mod clock;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use stream_emulator::Emulator;

use crate::api_reference;
use crate::clock::StackClock;
use crate::console::Console;
use crate::http_server::{HttpResponse, Peer, json_response};
use crate::lambda::Functions;
use crate::streams::{EVENTS_PATH, Streams};
use crate::tls::CA_PATH;

/// The content type with which iOS and Android offer to install a certificate.
const CA_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-x509-ca-cert");

/// The prefix of the paths that only the stack has.
const PREFIX: &str = "/_local/";

/// The handler of the control paths.
pub(crate) struct Control {
    pub(crate) streams: Arc<Streams>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) clock: StackClock,
    pub(crate) stream: Option<Emulator>,
    /// The certificate of the authority, with TLS.
    pub(crate) ca_certificate: Option<Bytes>,
    pub(crate) console: Option<Console>,
}

impl Control {
    /// Handles a request. `None` for a path of the API.
    pub(crate) async fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: Peer,
    ) -> Option<HttpResponse> {
        let path = parts.uri.path();
        if let Some(console) = &self.console
            && let Some(response) = console.handle(parts, body, peer).await
        {
            return Some(response);
        }
        if self.console.is_some()
            && parts.method == Method::GET
            && let Some(response) = api_reference::response(path)
        {
            return Some(response);
        }
        if !path.starts_with(PREFIX) {
            return None;
        }
        Some(match (&parts.method, path) {
            (&Method::GET, EVENTS_PATH) => {
                let report = self.streams.report(parts.uri.query().unwrap_or_default());
                json_response(StatusCode::OK, report.to_string())
            }
            (&Method::GET, CA_PATH) => match &self.ca_certificate {
                Some(certificate) => {
                    let mut response = json_response(StatusCode::OK, certificate.clone());
                    response.headers_mut().insert(CONTENT_TYPE, CA_CONTENT_TYPE);
                    response
                }
                None => message_response(StatusCode::NOT_FOUND, "Not Found"),
            },
            (method, clock::CLOCK_PATH) => {
                let stream = self.stream.as_ref();
                clock::handle(method, body, &self.clock, &self.functions, stream).await
            }
            _ => message_response(StatusCode::NOT_FOUND, "Not Found"),
        })
    }
}

/// A response with a message.
pub(crate) fn message_response(status: StatusCode, message: &str) -> HttpResponse {
    json_response(status, json!({ "message": message }).to_string())
}

/// The body of a request, or a text that says what is wrong with it.
pub(crate) fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}
