//! AWS Secrets Manager, over the AWS SDK.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;

use crate::config::{ConfigError, Env};
use crate::error::Source;
use crate::net::{self, sdk};
use crate::secret::Secret;
use crate::secrets::SecretSource;

/// Secrets Manager.
pub(crate) struct SecretsManager(Client);

impl SecretsManager {
    /// Reads `AWS_REGION`, and `SECRETS_MANAGER_ENDPOINT` for another one than the region's.
    /// Nothing is sent yet.
    pub(crate) fn from_env(env: &Env, http: net::Client) -> Result<Self, ConfigError> {
        let endpoint = env.get("SECRETS_MANAGER_ENDPOINT");
        let region = env.require("AWS_REGION")?;
        Ok(Self(Client::new(&sdk::settings(region, endpoint, sdk::credentials(), http))))
    }
}

#[async_trait]
impl SecretSource for SecretsManager {
    async fn fetch(&self, arn: &str) -> Result<Secret, Source> {
        let answer = self.0.get_secret_value().secret_id(arn).send().await?;
        answer.secret_string.map(Secret::new).ok_or_else(|| "it holds no text".into())
    }
}
