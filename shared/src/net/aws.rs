//! The AWS SDK's requests, sent by the same client as Stream's.
//!
//! The SDK brings a client of its own; with it a binary would set TLS up twice and hold two pools.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use futures_util::lock::Mutex;

use crate::net::body;

/// An answer of DynamoDB's is at most 16 MB by its own limits; this reads no more than that.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// How long a request waits for the first connection.
const MAX_WAIT: Duration = Duration::from_millis(300);

/// `reqwest` as the AWS SDK's HTTP client, for one service.
#[derive(Clone)]
pub(super) struct AwsHttpClient {
    client: reqwest::Client,
    gate: Arc<FirstConnectionGate>,
}

/// The first connection of a process. What else is sent before it has brought an answer waits for
/// it: each would pay for a whole handshake of its own, which takes longer than the wait where a
/// function has a part of a processor (`docs/adr/0022`). Those that come later resume its session.
#[derive(Default)]
struct FirstConnectionGate {
    is_open: AtomicBool,
    first_request: Mutex<()>,
}

impl FirstConnectionGate {
    /// Sends a request when it is its turn; once there is a connection, it always is. Nobody waits
    /// for long: the wait is part of the request's own time.
    async fn run<T, E>(&self, send: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if self.is_open.load(Ordering::Relaxed) {
            return send.await;
        }
        let guard = tokio::time::timeout(MAX_WAIT, self.first_request.lock()).await;
        if guard.is_err() || self.is_open.load(Ordering::Relaxed) {
            drop(guard);
            return send.await;
        }
        let result = send.await;
        if result.is_ok() {
            self.is_open.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AwsHttpClient {
    /// Sends through this client.
    #[must_use]
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self { client, gate: Arc::default() }
    }
}

impl fmt::Debug for AwsHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsHttp")
    }
}

impl HttpClient for AwsHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The time to connect is the client's own, the same for every host.
        SharedHttpConnector::new(Connector {
            client: self.client.clone(),
            gate: Arc::clone(&self.gate),
            read_timeout: settings.read_timeout(),
        })
    }
}

struct Connector {
    client: reqwest::Client,
    gate: Arc<FirstConnectionGate>,
    read_timeout: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, gate) = (self.client.clone(), Arc::clone(&self.gate));
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move { gate.run(send(client, request, read_timeout)).await })
    }
}

async fn send(
    client: reqwest::Client,
    request: HttpRequest,
    read_timeout: Option<Duration>,
) -> Result<HttpResponse, ConnectorError> {
    let user_error = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user_error(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| user_error("a body that streams".into()))?.to_vec();
    let request = http::Request::from_parts(parts, body);
    let mut request =
        reqwest::Request::try_from(request).map_err(|error| user_error(error.into()))?;
    *request.timeout_mut() = read_timeout;
    let mut response = client.execute(request).await.map_err(connector_error)?;
    let body = body::read_body(&mut response, MAX_RESPONSE_BYTES).await.map_err(connector_error)?;
    let body = body.ok_or_else(|| user_error("the answer is too large".into()))?;
    let status = StatusCode::try_from(response.status().as_u16())
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut sdk_response = Response::new(status, SdkBody::from(body.to_vec()));
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            sdk_response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(sdk_response)
}

/// Sorts a failure into what the SDK's retry policy tells apart.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    let is_timeout = error.is_timeout();
    let error = error.without_url().into();
    if is_timeout { ConnectorError::timeout(error) } else { ConnectorError::io(error) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use futures_util::future::{join3, select};

    use super::*;

    #[test]
    fn requests_are_serialized_until_the_first_success() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let gate = FirstConnectionGate::default();
        let (in_flight, max_in_flight) = (Cell::new(0), Cell::new(0));
        let send = |succeeds: bool| {
            let (in_flight, max_in_flight) = (&in_flight, &max_in_flight);
            async move {
                in_flight.set(in_flight.get() + 1);
                max_in_flight.set(max_in_flight.get().max(in_flight.get()));
                tokio::task::yield_now().await;
                in_flight.set(in_flight.get() - 1);
                if succeeds { Ok(()) } else { Err(()) }
            }
        };
        let send_three = |succeeds| {
            let requests =
                join3(gate.run(send(succeeds)), gate.run(send(succeeds)), gate.run(send(succeeds)));
            let _ = runtime.block_on(requests);
            max_in_flight.replace(0)
        };
        // A failure is no connection. After the first success the others go together.
        assert_eq!((send_three(false), send_three(true), send_three(true)), (1, 2, 3));
        // One that hangs keeps nobody waiting for long.
        let gate = FirstConnectionGate::default();
        let waited = runtime.block_on(async {
            let started_at = tokio::time::Instant::now();
            let hanging = pin!(gate.run(std::future::pending::<Result<(), ()>>()));
            let _ = select(hanging, pin!(gate.run(send(true)))).await;
            started_at.elapsed()
        });
        assert_eq!(waited, MAX_WAIT);
    }
}
