//! AWS Secrets Manager, accessed with the AWS SDK.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;

use crate::config::{ConfigError, Env};
use crate::error::BoxError;
use crate::net::{self, sdk};
use crate::secrets::SecretSource;

/// A client of Secrets Manager.
pub(crate) struct SecretsManager(Client);

impl SecretsManager {
    /// Reads `AWS_REGION` and `SECRETS_MANAGER_ENDPOINT`, which replaces the region's endpoint.
    /// Sends no request.
    pub(crate) fn from_env(env: &Env, http: net::Client) -> Result<Self, ConfigError> {
        let endpoint = env.get("SECRETS_MANAGER_ENDPOINT");
        let region = env.require("AWS_REGION")?;
        Ok(Self(Client::new(&sdk::config(region, endpoint, sdk::env_credentials(), http))))
    }
}

#[async_trait]
impl SecretSource for SecretsManager {
    async fn fetch(&self, arn: &str) -> Result<SecretString, BoxError> {
        let response = self.0.get_secret_value().secret_id(arn).send().await?;
        response
            .secret_string
            .map(SecretString::from)
            .ok_or_else(|| "the secret has no text".into())
    }
}
