//! AWS Secrets Manager, accessed with the AWS SDK.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::meta::PKG_VERSION;
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValue, GetSecretValueError, GetSecretValueInput, GetSecretValueOutput,
};
use secrecy::SecretString;

use crate::config::{ConfigError, Env};
use crate::error::BoxError;
use crate::net::operation::{ClientParts, SdkOperation, Service};
use crate::net::{self, endpoint, sdk};
use crate::secrets::SecretSource;

/// The service, and the version of its crate.
const SERVICE: Service = Service { name: endpoint::SECRETS_MANAGER, sdk_version: PKG_VERSION };

/// A client of Secrets Manager.
pub(crate) struct SecretsManager {
    get_secret_value: SdkOperation,
}

impl SecretsManager {
    /// Reads `AWS_REGION`, `SECRETS_MANAGER_ENDPOINT`, which replaces the region's endpoint, and the
    /// credentials that Lambda sets. Sends no request.
    pub(crate) fn from_env(env: &Env, http: net::Client) -> Result<Self, ConfigError> {
        let region = env.require("AWS_REGION")?;
        let endpoint = env.get("SECRETS_MANAGER_ENDPOINT");
        Ok(Self::new(region, endpoint, sdk::read_env_credentials(), http))
    }

    fn new(
        region: &str,
        endpoint: Option<&str>,
        credentials: Result<Credentials, CredentialsError>,
        http: net::Client,
    ) -> Self {
        let endpoint = endpoint::resolve(SERVICE.name, region, endpoint);
        let parts = ClientParts::new(SERVICE, region, endpoint, credentials, http);
        let get_secret_value = SdkOperation::new(&parts, "GetSecretValue", &GetSecretValue::new());
        Self { get_secret_value }
    }
}

#[async_trait]
impl SecretSource for SecretsManager {
    async fn fetch(&self, arn: &str) -> Result<SecretString, BoxError> {
        let input = GetSecretValueInput::builder().secret_id(arn).build()?;
        let response = self.get_secret_value.invoke(input, GetSecretValueError::unhandled).await;
        let response: GetSecretValueOutput = response.map_err(without_response)?;
        response
            .secret_string
            .map(SecretString::from)
            .ok_or_else(|| "the secret has no text".into())
    }
}

/// The cause of an error. The error itself contains the response, and with it perhaps the secret.
fn without_response(error: SdkError<GetSecretValueError>) -> BoxError {
    error.into_source().unwrap_or_else(|_| "the request failed".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
    use futures_util::FutureExt as _;
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::*;
    use crate::error::format_chain;
    use crate::test_support::aws::{
        REGION, Reply, Server, credentials, http, without_variable_headers,
    };

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stream";

    fn error(status: u16, code: &str) -> Reply {
        Reply::json(status, json!({"__type": code, "Message": "m"}))
    }

    fn secret(text: &Value) -> Reply {
        Reply::json(200, json!({"ARN": ARN, "SecretString": text}))
    }

    fn manager(server: &Server) -> SecretsManager {
        SecretsManager::new(REGION, Some(&server.url), Ok(credentials()), http())
    }

    /// The text of the secret, or the error with its causes.
    async fn fetch(server: &Server) -> String {
        match manager(server).fetch(ARN).await {
            Ok(secret) => secret.expose_secret().to_owned(),
            Err(error) => format_chain(Some(&*error)).unwrap(),
        }
    }

    async fn fetch_by_sdk(server: &Server) -> String {
        let config = sdk::fixtures::config(REGION, &server.url, credentials(), http());
        let response = Client::new(&config).get_secret_value().secret_id(ARN).send().await;
        match response {
            Ok(response) => response.secret_string.unwrap_or("the secret has no text".to_owned()),
            Err(error) => format_chain(Some(&*without_response(error))).unwrap(),
        }
    }

    #[tokio::test]
    async fn requests_and_retries_are_those_of_the_sdk() {
        for (replies, expected_text, attempts) in [
            (vec![secret(&json!("the text"))], "the text", 1),
            (vec![secret(&json!(null))], "the secret has no text", 1),
            (vec![error(400, "ResourceNotFoundException")], "ResourceNotFoundException: m", 1),
            (
                vec![error(400, "AccessDeniedException")],
                "unhandled error (AccessDeniedException)",
                1,
            ),
            (vec![error(400, "ThrottlingException"), secret(&json!("a"))], "a", 2),
            (vec![error(500, "InternalServiceError"), secret(&json!("a"))], "a", 2),
            (vec![error(500, "InternalServiceError")], "InternalServiceError: m", 3),
            (vec![Reply::Close, secret(&json!("a"))], "a", 2),
            (vec![Reply::Malformed], "unhandled error", 1),
        ] {
            let server = Server::start(replies.clone()).await;
            let expected = fetch_by_sdk(&server).await;
            let expected_requests = without_variable_headers(server.requests());
            assert_eq!(expected_requests.len(), attempts, "{replies:?}");
            let server = Server::start(replies.clone()).await;
            let text = fetch(&server).await;
            assert_eq!(text, expected, "{replies:?}");
            assert!(text.starts_with(expected_text), "{text}");
            server.requests().iter().for_each(|it| it.check_signature("secretsmanager"));
            assert_eq!(without_variable_headers(server.requests()), expected_requests);
        }
    }

    #[tokio::test]
    async fn each_fetch_sends_a_request() {
        let failure = error(500, "InternalServiceError");
        let replies = [vec![failure; 3], vec![secret(&json!("a")), secret(&json!("b"))]].concat();
        let server = Server::start(replies).await;
        let manager = manager(&server);
        assert!(manager.fetch(ARN).await.is_err());
        for expected in ["a", "b"] {
            assert_eq!(manager.fetch(ARN).await.unwrap().expose_secret(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn timeouts_are_those_of_the_sdk() {
        for is_sdk in [true, false] {
            let server = Server::start(vec![Reply::Hang]).await;
            let started_at = Instant::now();
            let error = if is_sdk { fetch_by_sdk(&server).await } else { fetch(&server).await };
            assert!(error.contains("timeout"), "{error}");
            // Two attempts take a second each, and the operation ends the third.
            assert_eq!(server.requests().len(), 3);
            let expected = Duration::from_millis(2_500)..Duration::from_millis(2_510);
            assert!(expected.contains(&started_at.elapsed()), "{:?}", started_at.elapsed());
        }
    }

    #[tokio::test]
    async fn missing_credentials_are_an_error() {
        let server = Server::start(vec![secret(&json!("a"))]).await;
        let missing = Err(CredentialsError::not_loaded("unset"));
        let manager = SecretsManager::new(REGION, Some(&server.url), missing, http());
        let error = manager.fetch(ARN).await.unwrap_err();
        let error = format_chain(Some(&*error)).unwrap();
        assert!(error.contains("unset"), "{error}");
        assert_eq!(server.requests(), []);
    }

    #[tokio::test]
    async fn secret_of_an_unreadable_response_is_not_in_the_error() {
        let body = json!({"SecretString": "the-secret-text", "CreatedDate": "x"});
        for replies in [vec![Reply::json(200, body.clone())], vec![Reply::json(400, body)]] {
            let server = Server::start(replies).await;
            let manager = manager(&server);
            let error = manager.fetch(ARN).await.unwrap_err();
            let text = format!("{error:?} {error}");
            assert!(text.contains("unhandled error"), "{text}");
            let text = format!("{text} {:?}", manager.get_secret_value);
            for secret in ["the-secret-text", "the-secret-key", "the-token"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn endpoints_are_those_of_the_sdk() {
        endpoint::tests::check_endpoints(endpoint::SECRETS_MANAGER, |region| {
            let params = Params::builder().region(region.to_owned()).build()?;
            DefaultResolver::new().resolve_endpoint(&params).now_or_never().unwrap()
        });
    }

    /// `SdkOperation` drops these: telemetry has no receiver, the stalled stream protection is
    /// disabled, and the endpoint is static.
    #[test]
    fn interceptors_of_the_operation_are_known() {
        let names = SdkOperation::dropped_interceptors(&GetSecretValue::new());
        let expected = [
            "GetSecretValueTelemetryInputCaptureInterceptor",
            "StalledStreamProtectionInterceptor",
            "GetSecretValueEndpointParamsInterceptor",
        ];
        assert_eq!(names, expected);
    }
}
