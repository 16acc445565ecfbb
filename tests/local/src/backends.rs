//! DynamoDB and Stream, the backends of the functions. They are enough for `cargo lambda watch`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use stream_emulator::{Emulator, JoinMode, Settings};

use crate::clock::StackClock;
use crate::dynamo::LocalDynamo;
use crate::environment;
use crate::error::StartError;
use crate::listener::{ClientEndpoints, bind_localhost};
use crate::options::{
    Options, STREAM_API_KEY, STREAM_API_SECRET, STREAM_SERVICE_USER, SecretSource, StreamChoice,
    StreamLimits,
};
use crate::secrets::SecretStore;
use crate::stream_proxy::{FunctionStreamProxy, StreamProxy};
use crate::template::Template;
use crate::tokens::{self, Holder};
use crate::trace::Recorder;
use crate::webhooks;

/// The purpose of the listeners of Stream.
const STREAM: &str = "the Stream emulator";

/// A running DynamoDB and, unless a real Stream app is used, a running Stream emulator.
pub struct Backends {
    dynamo: LocalDynamo,
    stream: Option<Emulator>,
    stream_proxy: Option<StreamProxy>,
    /// The proxy that records the requests of the functions, with a console.
    function_proxy: Option<FunctionStreamProxy>,
    /// The address of Stream for clients on this machine.
    stream_address: Option<SocketAddr>,
    secrets: Option<SecretStore>,
    variables: BTreeMap<String, String>,
    clock: StackClock,
}

impl Backends {
    /// Starts the backends for an API that `cargo lambda watch` serves, on the port of the options.
    pub(crate) async fn start(options: &Options) -> Result<Self, StartError> {
        let api_url = format!("http://localhost:{}", options.api_port);
        let template = Template::load_for(options)?;
        let endpoints = ClientEndpoints::new(options.clients.as_ref())?;
        let clock = StackClock::default();
        Self::start_for_api(&api_url, options, &endpoints, &template, clock, None).await
    }

    pub(crate) async fn start_for_api(
        api_url: &str,
        options: &Options,
        endpoints: &ClientEndpoints,
        template: &Template,
        clock: StackClock,
        recorder: Option<&Recorder>,
    ) -> Result<Self, StartError> {
        let dynamo = LocalDynamo::start(template, options, &clock, recorder.cloned()).await?;
        let (mut stream_proxy, mut stream_address, mut function_proxy) = (None, None, None);
        let stream = match options.stream {
            StreamChoice::Emulated => {
                let listener = if options.clients.is_some() {
                    let (listeners, address) = endpoints.bind(STREAM, options.stream_port).await?;
                    let (listener, emulator_address) = bind_localhost(STREAM, 0).await?;
                    let proxy = StreamProxy::start(listeners, emulator_address, recorder);
                    stream_proxy = Some(proxy);
                    stream_address = Some(address);
                    listener
                } else {
                    let (listener, address) = bind_localhost(STREAM, options.stream_port).await?;
                    stream_address = Some(address);
                    listener
                };
                if let Some(recorder) = recorder {
                    let emulator = listener.local_addr().map_err(StartError::StreamEmulator)?;
                    function_proxy = Some(FunctionStreamProxy::start(emulator, recorder).await?);
                }
                let emulator_clock = clock.clone();
                let settings = Settings::new(STREAM_API_KEY, STREAM_API_SECRET)
                    .with_join_mode(JoinMode::Pretend)
                    .with_clock(move || emulator_clock.now())
                    .with_rate_limits_enforced(options.stream_limits == StreamLimits::Enforced);
                let emulator = Emulator::serve(listener, settings)
                    .await
                    .map_err(StartError::StreamEmulator)?;
                // As `stream-setup apply` does for a deployment.
                emulator.create_user(STREAM_SERVICE_USER);
                if options.webhooks {
                    emulator.set_event_hooks(vec![webhooks::event_hook(api_url)]);
                }
                Some(emulator)
            }
            StreamChoice::Real { .. } | StreamChoice::Unconfigured => None,
        };
        let stream_url = stream.as_ref().map(Emulator::base_url);
        let mut variables =
            environment::stack_variables(options, stream_url, dynamo.url(), dynamo.table_name());
        if options.webhooks && stream.is_some() {
            // The host of API Gateway's events is not the real address of this API.
            let url = || webhooks::url(api_url);
            variables.entry("WEBHOOK_URL".to_owned()).or_insert_with(url);
        }
        let secrets = match options.secrets {
            SecretSource::Environment => None,
            SecretSource::SecretsManager => {
                let store = SecretStore::start().await?;
                environment::store_secrets(&mut variables, &store);
                Some(store)
            }
        };
        Ok(Self {
            dynamo,
            stream,
            stream_proxy,
            function_proxy,
            stream_address,
            secrets,
            variables,
            clock,
        })
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamo(&self) -> &LocalDynamo {
        &self.dynamo
    }

    /// The Stream emulator. `None` with a real Stream app or without Stream.
    #[must_use]
    pub fn stream(&self) -> Option<&Emulator> {
        self.stream.as_ref()
    }

    /// The address of the Stream emulator for clients on this machine.
    #[must_use]
    pub fn stream_address(&self) -> Option<SocketAddr> {
        self.stream_address
    }

    /// The base URL of the proxy that records the requests of the functions to Stream.
    pub(crate) fn recording_stream_url(&self) -> Option<&str> {
        self.function_proxy.as_ref().map(FunctionStreamProxy::url)
    }

    /// Secrets Manager. `None` if the functions get their secrets as variables.
    #[must_use]
    pub fn secrets(&self) -> Option<&SecretStore> {
        self.secrets.as_ref()
    }

    /// The variables that connect a function to these backends, including secrets.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// A session token of a user with the role `user`, valid for 12 hours.
    #[must_use]
    pub fn token_for(&self, user: &str) -> String {
        tokens::session_token(&self.variables, Holder::User(user), self.clock.now())
    }

    /// A session token of a service, which may act for any user, valid for 12 hours.
    #[must_use]
    pub fn service_token(&self) -> String {
        tokens::session_token(&self.variables, Holder::Service, self.clock.now())
    }

    /// A session token with exactly these claims.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "callers build the claims in place")]
    pub fn sign_token(&self, claims: Value) -> String {
        tokens::sign(&self.variables, &claims)
    }

    /// The `X-Signature` that Stream sends with this webhook body.
    #[must_use]
    pub fn sign_webhook(&self, body: &[u8]) -> String {
        webhooks::signature(&self.variables, body)
    }

    /// Stops all backends.
    pub async fn stop(self) {
        if let Some(secrets) = self.secrets {
            secrets.stop().await;
        }
        if let Some(function_proxy) = self.function_proxy {
            function_proxy.stop().await;
        }
        if let Some(stream_proxy) = self.stream_proxy {
            stream_proxy.stop().await;
        }
        if let Some(stream) = self.stream {
            stream.stop().await;
        }
        self.dynamo.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::Request;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use jiff::Timestamp;
    use jiff::fmt::rfc2822::DateTimeParser;

    use super::*;

    async fn start_backends(options: &Options, clock: &StackClock) -> Backends {
        let template = Template::load().unwrap();
        let endpoints = ClientEndpoints::new(options.clients.as_ref()).unwrap();
        Backends::start_for_api("http://api", options, &endpoints, &template, clock.clone(), None)
            .await
            .unwrap()
    }

    /// The current time at Stream, from the `date` header of a response.
    async fn stream_time(backends: &Backends) -> Timestamp {
        let url = format!("{}/_emulator/counts", backends.stream().unwrap().base_url());
        let request = Request::get(url).body(Empty::<Bytes>::new());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.unwrap()).await.unwrap();
        DateTimeParser::new().parse_timestamp(response.headers()["date"].as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn stream_emulator_uses_the_stack_clock() {
        let clock = StackClock::default();
        let backends = start_backends(&Options::default(), &clock).await;
        let before = stream_time(&backends).await;
        clock.advance(Duration::from_hours(3));
        let elapsed = stream_time(&backends).await.as_second() - before.as_second();
        assert!((3 * 3_600..4 * 3_600).contains(&elapsed), "{elapsed} s");
        backends.stop().await;
    }

    #[tokio::test]
    async fn webhooks_target_the_api_when_enabled() {
        for webhooks in [false, true] {
            let options = Options { webhooks, ..Options::default() };
            let backends = start_backends(&options, &StackClock::default()).await;
            let snapshot = backends.stream().unwrap().snapshot().to_string();
            assert_eq!(snapshot.contains("http://api/api/stream/webhook"), webhooks, "{snapshot}");
            let url = backends.variables().get("WEBHOOK_URL").map(String::as_str);
            assert_eq!(url, webhooks.then_some("http://api/api/stream/webhook"));
            backends.stop().await;
        }
    }
}
