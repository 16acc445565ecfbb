//! The common configuration of the AWS SDK's clients.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::net::Client;
use crate::net::aws::AwsHttpClient;

/// The configuration for a region, or for another endpoint in its place.
pub(crate) fn config(
    region: &str,
    endpoint: Option<&str>,
    credentials: impl ProvideCredentials + 'static,
    http: Client,
) -> SdkConfig {
    // The SDK has no default timeouts.
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_millis(2_500))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(50));
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(AwsHttpClient::new(http))
        .timeout_config(timeouts)
        .retry_config(retries)
        // Responses are read completely within the timeout of the attempt.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    builder.set_endpoint_url(endpoint.map(str::to_owned));
    builder.build()
}

/// The credentials that Lambda sets in the environment.
pub(crate) fn env_credentials() -> impl ProvideCredentials + 'static {
    EnvironmentVariableCredentialsProvider::new()
}
