//! The settings of the AWS SDK.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use futures_util::FutureExt as _;

/// The time limit of an attempt.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time limit of an operation with its retries. The SDK has none by default.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The timeouts.
pub(super) fn timeouts() -> TimeoutConfig {
    timeouts_after(Duration::ZERO)
}

/// The timeouts of an operation that has already taken some time.
pub(super) fn timeouts_after(elapsed: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT.saturating_sub(elapsed))
        .build()
}

/// The maximum number of attempts.
const MAX_ATTEMPTS: u32 = 3;

/// The retries.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(50))
}

/// The `amz-sdk-request` header of the first attempt, with [`MAX_ATTEMPTS`].
pub(super) const FIRST_ATTEMPT: &str = "attempt=1; max=3";

/// The version of the SDK's default settings.
pub(super) fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::latest()
}

/// Reads the credentials that Lambda sets in the environment. They are the same for the life of the
/// process.
pub(crate) fn read_env_credentials() -> Result<Credentials, CredentialsError> {
    let provider = EnvironmentVariableCredentialsProvider::new();
    let credentials = provider.provide_credentials().now_or_never();
    credentials.unwrap_or_else(|| Err(CredentialsError::not_loaded_no_source()))
}

#[cfg(test)]
pub(crate) mod fixtures {
    use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
    use aws_config::{Region, SdkConfig};
    use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

    use super::*;
    use crate::net::Client;
    use crate::net::aws::AwsHttpClient;

    /// The configuration of the SDK's own client.
    pub(crate) fn config(
        region: &str,
        endpoint: &str,
        credentials: impl ProvideCredentials + 'static,
        http: Client,
    ) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(behavior_version())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(AwsHttpClient::new(http))
            .timeout_config(timeouts())
            .retry_config(retries())
            // Responses are read completely within the timeout of the attempt.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .endpoint_url(endpoint)
            .build()
    }
}
