//! An adapter that sends the requests of the AWS SDK with the HTTP client of the function.
//!
//! With the SDK's own HTTP client, a function would have two TLS configurations and two connection
//! pools.

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
use aws_smithy_types::body::SdkBody;
use futures_util::lock::Mutex;

use crate::error::BoxError;
use crate::net::body;
use crate::sync::lock;

/// The largest response body, in bytes. DynamoDB limits its responses to 16 MB.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// The longest time that a request waits for the first connection.
const MAX_WAIT: Duration = Duration::from_millis(300);

/// `reqwest` as the AWS SDK's HTTP client, for one service.
#[derive(Clone)]
pub(super) struct AwsHttpClient {
    client: reqwest::Client,
    gate: Arc<FirstConnectionGate>,
    url: Arc<UrlCache>,
}

/// The URL of the latest request. All requests to a service have the same.
type UrlCache = std::sync::Mutex<Option<(String, reqwest::Url)>>;

/// Parses the URL of a request, unless it is that of the latest one.
fn parse_url(cache: &UrlCache, uri: &str) -> Result<reqwest::Url, BoxError> {
    let mut cache = lock(cache);
    match &*cache {
        Some((latest, url)) if latest == uri => Ok(url.clone()),
        _ => {
            let url = reqwest::Url::parse(uri)?;
            *cache = Some((uri.to_owned(), url.clone()));
            Ok(url)
        }
    }
}

/// Delays further requests until the first connection of a process has returned a response. Without
/// the delay, each concurrent request would do its own TLS handshake. On a function with a fraction
/// of a processor, a handshake takes longer than the delay
/// (`docs/adr/0022-one-table-request-per-token.md`). Later connections resume the first TLS
/// session.
#[derive(Default)]
struct FirstConnectionGate {
    is_open: AtomicBool,
    first_request: Mutex<()>,
}

impl FirstConnectionGate {
    /// Sends a request, after a wait of at most [`MAX_WAIT`] while the first request is in flight.
    /// The wait counts toward the request's own timeout.
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
    /// An adapter for this client.
    #[must_use]
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self { client, gate: Arc::default(), url: Arc::default() }
    }
}

impl fmt::Debug for AwsHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsHttpClient")
    }
}

impl HttpClient for AwsHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The connect timeout is that of the client, the same for every host.
        SharedHttpConnector::new(Connector {
            client: self.client.clone(),
            gate: Arc::clone(&self.gate),
            url: Arc::clone(&self.url),
            read_timeout: settings.read_timeout(),
        })
    }
}

struct Connector {
    client: reqwest::Client,
    gate: Arc<FirstConnectionGate>,
    url: Arc<UrlCache>,
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
        let url = parse_url(&self.url, request.uri());
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let url = url.map_err(ConnectorError::user)?;
            gate.run(send(client, url, request, read_timeout)).await
        })
    }
}

async fn send(
    client: reqwest::Client,
    url: reqwest::Url,
    request: HttpRequest,
    read_timeout: Option<Duration>,
) -> Result<HttpResponse, ConnectorError> {
    let user_error = |error: BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user_error(error.into()))?;
    let (parts, body) = request.into_parts();
    let body =
        body.bytes().ok_or_else(|| user_error("the request body is a stream".into()))?.to_vec();
    let mut request = reqwest::Request::new(parts.method, url);
    *request.headers_mut() = parts.headers;
    *request.body_mut() = Some(body.into());
    *request.timeout_mut() = read_timeout;
    let mut response = client.execute(request).await.map_err(connector_error)?;
    let body = body::read_body(&mut response, MAX_RESPONSE_BYTES).await.map_err(connector_error)?;
    let body = body.ok_or_else(|| user_error("the response is too large".into()))?;
    let mut sdk_response = http::Response::new(SdkBody::from(body));
    *sdk_response.status_mut() = response.status();
    *sdk_response.headers_mut() = std::mem::take(response.headers_mut());
    HttpResponse::try_from(sdk_response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Maps an error to the kinds that the SDK's retry policy distinguishes.
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
        // A failed request keeps the gate closed. After the first success, requests run
        // concurrently.
        assert_eq!((send_three(false), send_three(true), send_three(true)), (1, 2, 3));
        // A hanging first request delays the next one by at most `MAX_WAIT`.
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
