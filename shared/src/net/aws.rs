//! An adapter that sends the requests of the AWS SDK over the connections of the function.
//!
//! With the SDK's own HTTP client, a function would have two TLS configurations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::error::BoxError;
use crate::net;
use crate::net::pool::{Pool, PoolError};

/// The AWS SDK's HTTP client.
#[derive(Clone)]
pub(super) struct AwsHttpClient(net::Client);

impl AwsHttpClient {
    /// An adapter for this client.
    #[must_use]
    pub(super) fn new(client: net::Client) -> Self {
        Self(client)
    }

    /// The connections to the host of this URL.
    pub(super) fn pool(&self, url: &str) -> Result<Arc<Pool>, BoxError> {
        self.0.pool(url)
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
        // The connect timeout is that of the pool, the same for every host.
        let client = self.0.clone();
        SharedHttpConnector::new(Connector { client, read_timeout: settings.read_timeout() })
    }
}

struct Connector {
    client: net::Client,
    read_timeout: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = self.client.pool(request.uri());
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let pool = pool.map_err(ConnectorError::user)?;
            let sent = send(&pool, convert_request(request)?);
            let Some(read_timeout) = read_timeout else { return sent.await };
            match tokio::time::timeout(read_timeout, sent).await {
                Ok(result) => result,
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

fn convert_request(request: HttpRequest) -> Result<Request<Full<Bytes>>, ConnectorError> {
    let user_error = |error: BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user_error(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| user_error("the request body is a stream".into()))?;
    Ok(Request::from_parts(parts, Full::new(Bytes::copy_from_slice(body))))
}

/// Sends a request over one of these connections.
pub(super) async fn send(
    pool: &Pool,
    request: Request<Full<Bytes>>,
) -> Result<HttpResponse, ConnectorError> {
    let response = pool.send(request).await.map_err(connector_error)?.map(SdkBody::from);
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Maps an error to the kinds that the SDK's retry policy distinguishes.
fn connector_error(error: PoolError) -> ConnectorError {
    match &error {
        PoolError::ConnectTimeout => ConnectorError::timeout(error.into()),
        PoolError::Connect(_) | PoolError::NoResponse(_) => ConnectorError::io(error.into()),
        PoolError::ResponseTooLarge => ConnectorError::user(error.into()),
    }
}
