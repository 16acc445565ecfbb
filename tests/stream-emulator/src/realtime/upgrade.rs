//! Turns an HTTP request into a socket.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::connection;
use super::handshake::{Endpoint, accept_key};
use crate::error::StreamError;
use crate::request::Query;
use crate::response::ApiResponse;
use crate::state::State;

/// Answers an upgrade, and serves the socket in a task. Credentials are checked after the upgrade.
pub(crate) fn upgrade(
    mut request: Request<Incoming>,
    endpoint: Endpoint,
    state: Arc<State>,
    stop: watch::Receiver<bool>,
) -> ApiResponse {
    let Some(accept) = accept_key(request.headers()) else {
        let message = "this path requires an upgrade to a WebSocket";
        return ApiResponse::from_error(&StreamError::invalid_input(message));
    };
    let query = Query::from_uri(request.uri());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        connection::serve(TokioIo::new(stream), endpoint, query, state, stop).await;
    });
    ApiResponse::switching_protocols(&accept)
}
