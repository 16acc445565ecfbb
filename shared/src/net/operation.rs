//! Operations of the AWS SDK with runtime plugins that are built once.
//!
//! A client of the SDK builds the plugins of an operation for each request: serializers,
//! interceptors, instruments of metrics, the endpoint's parameters. Here each operation has one
//! plugin, which is built once. Serialization, errors, timeouts and retries are the
//! SDK's. `docs/adr/0038-prebuilt-sdk-operations.md` lists the differences.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::auth::sigv4::SCHEME_ID;
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::recursion_detection::RecursionDetectionInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::{ApiMetadata, AwsUserAgent};
use aws_smithy_runtime::client::defaults::{
    DefaultPluginParams, default_retry_config_plugin_v2, default_sleep_impl_plugin,
    default_time_source_plugin,
};
use aws_smithy_runtime::client::orchestrator;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::SharedAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, Error, Input, Output,
};
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, SharedInterceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_runtime_api::client::runtime_plugin::{
    RuntimePlugin, RuntimePlugins, StaticRuntimePlugin,
};
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::endpoint::Endpoint;
use aws_types::SigningName;
use aws_types::os_shim_internal::Env;
use aws_types::region::{Region, SigningRegion};
use http::HeaderValue;
use http::header::USER_AGENT;

use crate::net::aws::AwsHttpClient;
use crate::net::direct::{DirectClient, FirstAttempt};
use crate::net::sigv4::{ClockSkewDetector, DailyKeyScheme, DailyKeySigner};
use crate::net::{self, sdk};

/// The service of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// The name, as in the scope of a signature.
    pub(crate) name: &'static str,
    /// The version of the SDK's crate.
    pub(crate) sdk_version: &'static str,
}

/// The parts that all operations of a client share.
#[derive(Debug)]
pub(crate) struct ClientParts {
    service: Service,
    config: FrozenLayer,
    components: RuntimeComponentsBuilder,
    /// `None` if the endpoint or the credentials are missing or unusual.
    direct: Option<Arc<DirectClient>>,
}

impl ClientParts {
    /// The parts for one endpoint, with credentials that do not change.
    pub(crate) fn new(
        service: Service,
        region: &str,
        endpoint: Result<Endpoint, BoxError>,
        credentials: Result<Credentials, CredentialsError>,
        http: net::Client,
    ) -> Self {
        let retry_quota = TokenBucket::default();
        let config = client_config(retry_quota.clone(), region, service);
        let signer = Arc::new(DailyKeySigner::new(region, service.name));
        let http = AwsHttpClient::new(http);
        let components = default_components();
        let time = components.time_source().unwrap_or_default();
        let user_agent = user_agent(service);
        let direct = match (&endpoint, &credentials) {
            (Ok(endpoint), Ok(credentials)) => DirectClient::new(
                endpoint,
                credentials.clone(),
                http.clone(),
                Arc::clone(&signer),
                time,
                user_agent.clone(),
                retry_quota,
            ),
            _ => None,
        };
        let identity = StaticIdentity::new(credentials);
        let endpoint = StaticEndpoint(endpoint.map_err(Arc::from));
        let mut components = components
            .with_http_client(Some(http))
            .with_endpoint_resolver(Some(SharedEndpointResolver::new(endpoint)))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
            )))
            .with_auth_scheme(DailyKeyScheme(Arc::clone(&signer)))
            .with_identity_cache(Some(SharedIdentityCache::new(identity.clone())))
            .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(identity))
            .with_retry_classifier(HttpStatusCodeClassifier::default());
        for interceptor in [
            SharedInterceptor::permanent(ServiceClockSkewInterceptor::new()),
            SharedInterceptor::permanent(ClockSkewDetector(signer)),
            SharedInterceptor::permanent(RequestInfoInterceptor::new()),
            SharedInterceptor::permanent(UserAgent(user_agent)),
            SharedInterceptor::permanent(InvocationIdInterceptor::new()),
            SharedInterceptor::permanent(RecursionDetectionInterceptor::new()),
        ] {
            components.push_interceptor(interceptor);
        }
        Self { service, config, components, direct: direct.map(Arc::new) }
    }
}

#[cfg(test)]
impl ClientParts {
    /// Whether the next request is sent without the orchestrator.
    pub(crate) fn sends_directly(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.is_available())
    }
}

/// The configuration of all operations, as the SDK's client would have it.
fn client_config(retry_quota: TokenBucket, region: &str, service: Service) -> FrozenLayer {
    let partition = RetryPartition::custom(service.name).token_bucket(retry_quota).build();
    let region = Region::new(region.to_owned());
    let mut config = Layer::new("client");
    config
        .store_put(sdk::timeouts())
        .store_put(sdk::retries())
        .store_put(partition)
        .store_put(StalledStreamProtectionConfig::disabled())
        .store_put(EndpointResolverParams::new(()))
        .store_put(SigningName::from_static(service.name))
        .store_put(SigningRegion::from(region.clone()))
        .store_put(region);
    config.freeze()
}

/// The components that no setting changes: the retry strategy, sleep and time.
fn default_components() -> RuntimeComponentsBuilder {
    let params = DefaultPluginParams::new()
        .with_retry_partition_name("unused")
        .with_behavior_version(sdk::behavior_version())
        .with_is_aws_sdk(true);
    [
        default_retry_config_plugin_v2(&params),
        default_sleep_impl_plugin(),
        default_time_source_plugin(),
    ]
    .into_iter()
    .flatten()
    .fold(RuntimeComponentsBuilder::new("client"), |components, plugin| {
        let added = plugin.runtime_components(&components).into_owned();
        components.merge_from(&added)
    })
}

/// An operation of a service.
#[derive(Debug)]
pub(crate) struct SdkOperation {
    service: &'static str,
    name: &'static str,
    /// The configuration of the SDK's own plugin.
    config: FrozenLayer,
    plugins: RuntimePlugins,
    direct: Option<Arc<DirectClient>>,
}

impl SdkOperation {
    /// An operation with the configuration and the retry classifiers of the SDK's own plugin.
    ///
    /// **Warning:** the interceptors and all other components of that plugin are dropped. So are
    /// plugins that the SDK's client adds to some operations, such as the idempotency token of
    /// `TransactWriteItems`. Before using another operation, check that it needs none of them.
    pub(crate) fn new(
        parts: &ClientParts,
        name: &'static str,
        sdk_plugin: &dyn RuntimePlugin,
    ) -> Self {
        let mut components = parts.components.clone();
        for classifier in sdk_plugin.runtime_components(&parts.components).retry_classifiers() {
            components.push_retry_classifier(classifier);
        }
        let config = sdk_plugin.config().unwrap_or_else(|| Layer::new(name).freeze());
        let operation = StaticRuntimePlugin::new().with_config(config.clone());
        let client = StaticRuntimePlugin::new()
            .with_config(parts.config.clone())
            .with_runtime_components(components);
        let plugins =
            RuntimePlugins::new().with_client_plugin(client).with_operation_plugin(operation);
        Self { service: parts.service.name, name, config, plugins, direct: parts.direct.clone() }
    }

    /// The names of the interceptors of the SDK's own plugin, which `new` drops.
    #[cfg(test)]
    pub(crate) fn dropped_interceptors(sdk_plugin: &dyn RuntimePlugin) -> Vec<&'static str> {
        let components = RuntimeComponentsBuilder::new("test");
        let components = sdk_plugin.runtime_components(&components);
        components.interceptors().map(|interceptor| interceptor.name()).collect()
    }

    /// Sends a request, with the retries of the client. `unhandled` converts an error of another
    /// type than the operation's.
    pub(crate) async fn invoke<I, O, E>(
        &self,
        input: I,
        unhandled: fn(Error) -> E,
    ) -> Result<O, SdkError<E, HttpResponse>>
    where
        I: Any + Debug + Send + Sync,
        O: Any + Debug + Send + Sync,
        E: std::error::Error + Send + Sync + 'static,
    {
        let output = self.invoke_erased(Input::erase(input)).await.map_err(|error| {
            error.map_service_error(|error| error.downcast().unwrap_or_else(unhandled))
        })?;
        output
            .downcast()
            .map_err(|_| SdkError::construction_failure("the output has an unexpected type"))
    }

    async fn invoke_erased(&self, input: Input) -> Result<Output, SdkError<Error, HttpResponse>> {
        let Some(direct) = self.direct.as_ref().filter(|direct| direct.is_available()) else {
            return self.orchestrate(input, &self.plugins).await;
        };
        match FirstAttempt::send(direct, &self.config, input).await {
            Ok(FirstAttempt::Succeeded(output)) => Ok(output),
            Ok(FirstAttempt::Failed(replay)) => {
                let plugins = self.plugins.clone().with_operation_plugin(replay.into_plugin());
                self.orchestrate(Input::doesnt_matter(), &plugins).await
            }
            Err(error) => Err(SdkError::construction_failure(error)),
        }
    }

    async fn orchestrate(
        &self,
        input: Input,
        plugins: &RuntimePlugins,
    ) -> Result<Output, SdkError<Error, HttpResponse>> {
        // Boxed, so that the future of a direct attempt is not as large as the orchestrator's.
        Box::pin(orchestrator::invoke(self.service, self.name, input, plugins)).await
    }
}

/// An endpoint that was resolved at the start.
#[derive(Clone, Debug)]
struct StaticEndpoint(Result<Endpoint, Arc<dyn std::error::Error + Send + Sync>>);

impl ResolveEndpoint for StaticEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(self.0.clone().map_err(BoxError::from))
    }
}

/// Credentials that were read at the start. Their expiry is ignored.
#[derive(Clone, Debug)]
struct StaticIdentity(Result<Identity, Arc<CredentialsError>>);

impl StaticIdentity {
    fn new(credentials: Result<Credentials, CredentialsError>) -> Self {
        Self(credentials.map(|credentials| Identity::new(credentials, None)).map_err(Arc::new))
    }

    fn resolve(&self) -> IdentityFuture<'_> {
        IdentityFuture::ready(self.0.clone().map_err(BoxError::from))
    }
}

impl ResolveIdentity for StaticIdentity {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        self.resolve()
    }
}

impl ResolveCachedIdentity for StaticIdentity {
    fn resolve_cached_identity<'a>(
        &'a self,
        _: SharedIdentityResolver,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        self.resolve()
    }
}

/// The `user-agent`, which names the SDK, its version and the platform.
fn user_agent(service: Service) -> HeaderValue {
    let api = ApiMetadata::new(service.name, service.sdk_version);
    let agent = AwsUserAgent::new_from_environment(Env::real(), api).aws_ua_header();
    // Variables of the environment are part of the text.
    HeaderValue::try_from(agent).unwrap_or(HeaderValue::from_static("aws-sdk-rust"))
}

/// Adds the `user-agent`.
struct UserAgent(HeaderValue);

impl Debug for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserAgent")
    }
}

#[dyn_dispatch_hint]
impl Intercept for UserAgent {
    fn name(&self) -> &'static str {
        "UserAgent"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().append(USER_AGENT, self.0.clone());
        Ok(())
    }
}
