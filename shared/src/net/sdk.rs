//! How the AWS SDK's clients are set up here, whichever service they are for.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::net::Client;
use crate::net::aws::AwsHttpClient;

/// Settings for a region, or for an endpoint that stands in for it.
pub(crate) fn config(
    region: &str,
    endpoint: Option<&str>,
    credentials: impl ProvideCredentials + 'static,
    http: Client,
) -> SdkConfig {
    // The SDK has no time limits of its own.
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
        // Answers are read whole, within the attempt's own time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    builder.set_endpoint_url(endpoint.map(str::to_owned));
    builder.build()
}

/// The credentials that Lambda puts in the environment.
pub(crate) fn env_credentials() -> impl ProvideCredentials + 'static {
    EnvironmentVariableCredentialsProvider::new()
}
