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

/// An answer of DynamoDB's is at most 16 MB by its own limits; this reads no more than that.
const LARGEST: usize = 16 * 1024 * 1024;

/// How long a request waits for the first connection.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// `reqwest` as the AWS SDK's HTTP client, for one service.
#[derive(Clone)]
pub(super) struct AwsHttp {
    client: reqwest::Client,
    opening: Arc<Opening>,
}

/// The first connection of a process. What else is sent before it has brought an answer waits for
/// it: each would pay for a whole handshake of its own, which takes longer than the wait where a
/// function has a part of a processor (`docs/adr/0022`). Those that come later resume its session.
#[derive(Default)]
struct Opening {
    open: AtomicBool,
    turn: Mutex<()>,
}

impl Opening {
    /// Sends a request when it is its turn; once there is a connection, it always is. Nobody waits
    /// for long: the wait is part of the request's own time.
    async fn pass<T, E>(&self, send: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if self.open.load(Ordering::Relaxed) {
            return send.await;
        }
        let turn = tokio::time::timeout(LONGEST_WAIT, self.turn.lock()).await;
        if turn.is_err() || self.open.load(Ordering::Relaxed) {
            drop(turn);
            return send.await;
        }
        let answer = send.await;
        if answer.is_ok() {
            self.open.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl AwsHttp {
    /// Sends through this client.
    #[must_use]
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self { client, opening: Arc::default() }
    }
}

impl fmt::Debug for AwsHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsHttp")
    }
}

impl HttpClient for AwsHttp {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The time to connect is the client's own, the same for every host.
        SharedHttpConnector::new(Connector {
            client: self.client.clone(),
            opening: Arc::clone(&self.opening),
            read_timeout: settings.read_timeout(),
        })
    }
}

struct Connector {
    client: reqwest::Client,
    opening: Arc<Opening>,
    read_timeout: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, opening) = (self.client.clone(), Arc::clone(&self.opening));
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(
            async move { opening.pass(send(client, request, read_timeout)).await },
        )
    }
}

async fn send(
    client: reqwest::Client,
    request: HttpRequest,
    read_timeout: Option<Duration>,
) -> Result<HttpResponse, ConnectorError> {
    let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| user("a body that streams".into()))?.to_vec();
    let request = http::Request::from_parts(parts, body);
    let mut request = reqwest::Request::try_from(request).map_err(|error| user(error.into()))?;
    *request.timeout_mut() = read_timeout;
    let mut response = client.execute(request).await.map_err(connector_error)?;
    let body = super::read(&mut response, LARGEST).await.map_err(connector_error)?;
    let body = body.ok_or_else(|| user("the answer is too large".into()))?;
    let status = StatusCode::try_from(response.status().as_u16())
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut answer = Response::new(status, SdkBody::from(body.to_vec()));
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            answer.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}

/// Sorts a failure into what the SDK's retry policy tells apart.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    let timeout = error.is_timeout();
    let error = error.without_url().into();
    if timeout { ConnectorError::timeout(error) } else { ConnectorError::io(error) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use futures_util::future::{join3, select};

    use super::*;

    #[test]
    fn until_there_is_a_connection_one_waits_for_the_other() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let opening = Opening::default();
        let (at_once, most) = (Cell::new(0), Cell::new(0));
        let send = |good: bool| {
            let (at_once, most) = (&at_once, &most);
            async move {
                at_once.set(at_once.get() + 1);
                most.set(most.get().max(at_once.get()));
                tokio::task::yield_now().await;
                at_once.set(at_once.get() - 1);
                if good { Ok(()) } else { Err(()) }
            }
        };
        let three = |good| {
            let three =
                join3(opening.pass(send(good)), opening.pass(send(good)), opening.pass(send(good)));
            let _ = runtime.block_on(three);
            most.replace(0)
        };
        // A failure is no connection. After the first success the others go together.
        assert_eq!((three(false), three(true), three(true)), (1, 2, 3));
        // One that hangs keeps nobody waiting for long.
        let opening = Opening::default();
        let waited = runtime.block_on(async {
            let began = tokio::time::Instant::now();
            let hanging = pin!(opening.pass(std::future::pending::<Result<(), ()>>()));
            let _ = select(hanging, pin!(opening.pass(send(true)))).await;
            began.elapsed()
        });
        assert_eq!(waited, LONGEST_WAIT);
    }
}
