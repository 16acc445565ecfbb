//! The AWS SDK's requests, sent by the same client as Stream's.
//!
//! The SDK brings a client of its own; with it a binary would set TLS up twice and hold two pools.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;

/// An answer of DynamoDB's is at most 16 MB by its own limits; this reads no more than that.
const LARGEST: usize = 16 * 1024 * 1024;

/// `reqwest` as the AWS SDK's HTTP client.
#[derive(Clone)]
pub(super) struct AwsHttp(reqwest::Client);

impl AwsHttp {
    /// Sends through this client.
    #[must_use]
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self(client)
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
            client: self.0.clone(),
            read_timeout: settings.read_timeout(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    client: reqwest::Client,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.client.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move { send(client, request, read_timeout).await })
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
