//! Sends a recorded request again, with its original headers and body.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::CONTENT_LENGTH;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::Console;
use crate::control::message_response;
use crate::http_server::{HttpResponse, json_response, remove_hop_by_hop};
use crate::trace::{RequestKind, ResendError, ResendRequest};

/// The client that sends requests again.
pub(crate) struct ResendClient(Client<HttpConnector, Full<Bytes>>);

impl Default for ResendClient {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Console {
    /// Sends a request again, as a client would. The response has the id of the new request, and
    /// does not wait for its end.
    pub(super) fn resend(&self, id: &str) -> HttpResponse {
        let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
        let request = match self.recorder.announce_resend(&id) {
            Ok(request) => request,
            Err(error) => {
                let status = match error {
                    ResendError::Unknown => StatusCode::NOT_FOUND,
                    ResendError::NotPossible => StatusCode::CONFLICT,
                };
                return message_response(status, &error.to_string());
            }
        };
        let new_id = request.new_id.clone();
        let target = match request.kind {
            RequestKind::Client => self.addresses.stream,
            _ => Some(self.addresses.api),
        };
        let Some(request) = target.and_then(|address| build_request(request, address)) else {
            self.recorder.cancel_resend(&new_id);
            let error = ResendError::NotPossible.to_string();
            return message_response(StatusCode::CONFLICT, &error);
        };
        let (client, recorder, id) = (self.client.0.clone(), self.recorder.clone(), new_id.clone());
        tokio::spawn(async move {
            // The response is in the trace, as is a closed connection.
            if let Ok(response) = client.request(request).await {
                let _ = response.into_body().collect().await;
            }
            recorder.cancel_resend(&id);
        });
        json_response(StatusCode::ACCEPTED, json!({ "id": new_id }).to_string())
    }
}

fn build_request(resend: ResendRequest, address: SocketAddr) -> Option<Request<Full<Bytes>>> {
    let ResendRequest { method, path_and_query, mut headers, body, .. } = resend;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method.parse().ok()?;
    *request.uri_mut() = format!("http://{address}{path_and_query}").parse().ok()?;
    remove_hop_by_hop(&mut headers);
    // The client sets the length again.
    headers.remove(CONTENT_LENGTH);
    *request.headers_mut() = headers;
    Some(request)
}
