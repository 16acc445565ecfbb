//! A first attempt without the SDK's orchestrator.
//!
//! Nearly all requests succeed at once. They need only the serialization of the SDK, a signature
//! and a connection. If the attempt fails in any way, the orchestrator runs: it receives the outcome
//! of this attempt in place of sending its own first one, so that errors and retries remain the
//! SDK's (`docs/adr/0040-direct-first-attempts.md`).

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use aws_credential_types::Credentials;
use aws_runtime::invocation_id::{
    InvocationId, InvocationIdGenerator, SharedInvocationIdGenerator,
};
use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_runtime_api::client::runtime_plugin::{Order, StaticRuntimePlugin};
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse as _, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::endpoint::Endpoint;
use aws_types::os_shim_internal::Env;
use aws_types::sdk_config::SharedTimeSource;
use bytes::Bytes;
use http::header::{HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{CONTROLS, percent_encode};
use tokio::time::Instant;

use crate::net::aws::{self, AwsHttpClient};
use crate::net::pool::Pool;
use crate::net::sdk;
use crate::net::sigv4::{self, DailyKeySigner};
use crate::random::{Random as _, SystemRandom};
use crate::sync::lock;

/// The parts of a client that send first attempts.
pub(super) struct DirectClient {
    credentials: Credentials,
    http: AwsHttpClient,
    pool: Arc<Pool>,
    signer: Arc<DailyKeySigner>,
    time: SharedTimeSource,
    user_agent: HeaderValue,
    retry_quota: TokenBucket,
}

impl DirectClient {
    /// Returns `None` if the endpoint needs a path, headers or properties, which only the
    /// orchestrator applies.
    pub(super) fn new(
        endpoint: &Endpoint,
        credentials: Credentials,
        http: AwsHttpClient,
        signer: Arc<DailyKeySigner>,
        time: SharedTimeSource,
        user_agent: HeaderValue,
        retry_quota: TokenBucket,
    ) -> Option<Self> {
        let is_plain = sigv4::root_host(endpoint.url()).is_some()
            && endpoint.headers().next().is_none()
            && endpoint.properties().is_empty();
        let pool = http.pool(endpoint.url()).ok().filter(|_| is_plain)?;
        Some(Self { credentials, http, pool, signer, time, user_agent, retry_quota })
    }

    /// Returns false if successes have to refill the retry quota, or if the clock is wrong. Only the
    /// orchestrator handles these.
    pub(super) fn is_available(&self) -> bool {
        self.retry_quota.is_full() && !self.signer.is_clock_skewed()
    }

    /// Signs a serialized request. An error means that only the orchestrator can send it.
    fn prepare(&self, request: &HttpRequest, id: &str) -> Result<Request<Full<Bytes>>, BoxError> {
        let body = request.body().bytes().ok_or("the request body is a stream")?;
        let mut prepared = Request::new(Full::new(Bytes::copy_from_slice(body)));
        *prepared.method_mut() = Method::try_from(request.method())?;
        *prepared.headers_mut() = self.headers(request, id)?;
        Ok(prepared)
    }

    fn headers(&self, request: &HttpRequest, id: &str) -> Result<HeaderMap, BoxError> {
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in request.headers() {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let seconds = self.time.now().duration_since(UNIX_EPOCH)?.as_secs();
        let host = self.pool.host();
        let signature = self.signer.sign(request, host, &self.credentials, seconds);
        for (name, value) in signature.ok_or("the request has no plain form")?.headers()? {
            headers.insert(name, value);
        }
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(
            HeaderName::from_static("amz-sdk-request"),
            HeaderValue::from_static(sdk::FIRST_ATTEMPT),
        );
        headers.insert(HeaderName::from_static("amz-sdk-invocation-id"), id.try_into()?);
        if let Some(trace_id) = trace_id() {
            headers.insert(HeaderName::from_static("x-amzn-trace-id"), trace_id);
        }
        Ok(headers)
    }
}

impl fmt::Debug for DirectClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectClient").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// The trace of the invocation, which Lambda sets in the environment.
fn trace_id() -> Option<HeaderValue> {
    let env = Env::real();
    env.get("AWS_LAMBDA_FUNCTION_NAME").ok()?;
    encode_header(&env.get("_X_AMZN_TRACE_ID").ok()?)
}

/// A header value with control characters in percent encoding, as in the SDK's.
fn encode_header(value: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(percent_encode(value.as_bytes(), CONTROLS).to_string()).ok()
}

/// The outcome of a first attempt.
pub(super) enum FirstAttempt {
    Succeeded(Output),
    /// The orchestrator takes over.
    Failed(Box<Replay>),
}

/// A failed first attempt, from which the orchestrator continues.
pub(super) struct Replay {
    client: Arc<DirectClient>,
    request: HttpRequest,
    invocation_id: String,
    started_at: Instant,
    /// `None` if nothing was sent.
    outcome: Option<Outcome>,
}

type Outcome = Result<HttpResponse, ConnectorError>;

impl FirstAttempt {
    /// Sends the first attempt of an operation with this configuration. An error is that of the
    /// serialization.
    pub(super) async fn send(
        client: &Arc<DirectClient>,
        operation: &FrozenLayer,
        input: Input,
    ) -> Result<Self, BoxError> {
        let started_at = Instant::now();
        let mut config = ConfigBag::base();
        let serializer = operation.load::<SharedRequestSerializer>();
        let serializer = serializer.ok_or("the operation has no serializer")?;
        let request = serializer.serialize_input(input, &mut config)?;
        let invocation_id = SystemRandom.uuid_v4().to_string();
        let outcome = match client.prepare(&request, &invocation_id) {
            Ok(prepared) => {
                let sent = aws::send(&client.pool, prepared);
                let sent = tokio::time::timeout(sdk::ATTEMPT_TIMEOUT, sent).await;
                Some(sent.unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))))
            }
            Err(_) => None,
        };
        let deserializer = operation.load::<SharedResponseDeserializer>();
        if let (Some(Ok(response)), Some(deserializer)) = (&outcome, deserializer)
            && response.status().is_success()
            && let Ok(output) = deserializer.deserialize_nonstreaming_with_config(response, &config)
        {
            return Ok(Self::Succeeded(output));
        }
        let client = Arc::clone(client);
        Ok(Self::Failed(Box::new(Replay { client, request, invocation_id, started_at, outcome })))
    }
}

impl Replay {
    /// The plugin that makes the orchestrator continue: it serializes to the same request, keeps
    /// its id, receives the same outcome first, and has the rest of the time.
    pub(super) fn into_plugin(self) -> StaticRuntimePlugin {
        let Self { client, request, invocation_id, started_at, outcome } = self;
        let mut config = Layer::new("replay");
        config
            .store_put(SharedRequestSerializer::new(PreserializedRequest(request)))
            .store_put(SharedInvocationIdGenerator::new(FixedInvocationId(invocation_id)))
            .store_put(sdk::timeouts_after(started_at.elapsed()));
        let http = client.http.clone();
        let http =
            ReplayingHttpClient(Arc::new(RecordedAttempt { http, outcome: Mutex::new(outcome) }));
        let components = RuntimeComponentsBuilder::new("replay")
            .with_http_client(Some(SharedHttpClient::new(http)));
        StaticRuntimePlugin::new()
            .with_order(Order::Overrides)
            .with_config(config.freeze())
            .with_runtime_components(components)
    }
}

/// A request that is already serialized.
struct PreserializedRequest(HttpRequest);

impl SerializeRequest for PreserializedRequest {
    fn serialize_input(&self, _: Input, _: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        self.0.try_clone().ok_or_else(|| "the request body is a stream".into())
    }
}

#[derive(Debug)]
struct FixedInvocationId(String);

impl InvocationIdGenerator for FixedInvocationId {
    fn generate(&self) -> Result<Option<InvocationId>, BoxError> {
        Ok(Some(InvocationId::new(self.0.clone())))
    }
}

/// Responds with the outcome of the first attempt, and then with that of each request.
#[derive(Clone)]
struct ReplayingHttpClient(Arc<RecordedAttempt>);

struct RecordedAttempt {
    http: AwsHttpClient,
    outcome: Mutex<Option<Outcome>>,
}

impl HttpClient for ReplayingHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        if let Some(outcome) = lock(&self.0.outcome).take() {
            return SharedHttpConnector::new(FixedOutcome(Mutex::new(Some(outcome))));
        }
        self.0.http.http_connector(settings, components)
    }
}

struct FixedOutcome(Mutex<Option<Outcome>>);

impl HttpConnector for FixedOutcome {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let outcome = lock(&self.0).take();
        HttpConnectorFuture::ready(outcome.unwrap_or_else(|| {
            Err(ConnectorError::other("the outcome was already used".into(), None))
        }))
    }
}

impl fmt::Debug for PreserializedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreserializedRequest")
    }
}

impl fmt::Debug for ReplayingHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayingHttpClient")
    }
}

impl fmt::Debug for FixedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedOutcome")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_header_are_encoded() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
        assert_eq!(encode_header(root).unwrap(), root);
        assert_eq!(encode_header("a\r\nb: c").unwrap(), "a%0D%0Ab: c");
    }
}
