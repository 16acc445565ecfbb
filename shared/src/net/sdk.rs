//! The common configuration of the AWS SDK's clients.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use futures_util::FutureExt as _;

use crate::net::Client;
use crate::net::aws::AwsHttpClient;

/// The configuration for a region, or for another endpoint in its place.
pub(crate) fn config(
    region: &str,
    endpoint: Option<&str>,
    credentials: impl ProvideCredentials + 'static,
    http: Client,
) -> SdkConfig {
    let mut builder = SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(AwsHttpClient::new(http))
        .timeout_config(timeouts())
        .retry_config(retries())
        // Responses are read completely within the timeout of the attempt.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    builder.set_endpoint_url(endpoint.map(str::to_owned));
    builder.build()
}

/// The timeouts. The SDK has none for an operation.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_millis(2_500))
        .build()
}

/// The retries.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50))
}

/// The version of the SDK's default settings.
pub(super) fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::latest()
}

/// The credentials that Lambda sets in the environment.
pub(crate) fn env_credentials() -> impl ProvideCredentials + 'static {
    EnvironmentVariableCredentialsProvider::new()
}

/// Reads the credentials that Lambda sets in the environment. They are the same for the life of the
/// process.
pub(crate) fn read_env_credentials() -> Result<Credentials, CredentialsError> {
    let provider = EnvironmentVariableCredentialsProvider::new();
    let credentials = provider.provide_credentials().now_or_never();
    credentials.unwrap_or_else(|| Err(CredentialsError::not_loaded_no_source()))
}
