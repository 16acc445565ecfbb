//! What the functions stand on while they are measured: the local stack's DynamoDB and Stream,
//! behind TLS, and users who are known.

use std::path::{Path, PathBuf};

use local::{Backends, Options, SecretSource, Stack, StreamLimits};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::Process;
use crate::tls::CertificateAuthority;
use crate::{BenchError, build, legacy_proxy};

/// What the functions stand on.
pub(crate) struct Fixture {
    backends: Backends,
    /// The variables that lead a function here.
    environment: Vec<(String, String)>,
    ca_certificate: PathBuf,
}

/// Where secrets are fetched.
const SECRETS_MANAGER: &str = "SECRETS_MANAGER_ENDPOINT";

fn is_secret_variable(variable: &str) -> bool {
    variable == SECRETS_MANAGER || variable.ends_with("_SECRET_ARN")
}

/// One of the users who are known.
pub(crate) fn user_id(number: u32) -> String {
    format!("user-{number}")
}

/// A function's sample event, as `events/` has it.
fn sample_event(function: &str) -> Result<Value, BenchError> {
    let path = local::workspace_root().join("events").join(format!("{function}.json"));
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

impl Fixture {
    /// Starts everything, with its certificate in this folder, and makes `bob` and so many others
    /// known.
    pub(crate) async fn start(work_dir: &Path, users: u32) -> Result<Self, BenchError> {
        let mut options = Options {
            secrets: SecretSource::SecretsManager,
            stream_limits: StreamLimits::ReportOnly,
            ..Options::default()
        };
        // What counts a user's requests works as when deployed, and lets them all through.
        for function in ["TOKEN", "CALL_CREATE", "MESSAGE_SEND", "QUALITY_REPORT"] {
            options.env.insert(format!("LIMIT_{function}_PER_MINUTE"), "10000".to_owned());
        }
        let backends = Stack::start_backends(options)
            .await
            .map_err(|error| BenchError::new(error.to_string()))?;
        let authority = CertificateAuthority::new(work_dir)?;
        let stream = backends.stream().ok_or_else(|| BenchError::new("no Stream"))?;
        let dynamo = authority.start_tls_proxy(backends.dynamo().url()).await?;
        let stream =
            authority.start_tls_proxy(&legacy_proxy::start(&stream.base_url()).await?).await?;
        let mut variables = backends.variables().clone();
        variables.insert("DYNAMODB_ENDPOINT".to_owned(), dynamo);
        variables.insert("STREAM_BASE_URL".to_owned(), stream);
        if let Some(url) = variables.get_mut(SECRETS_MANAGER) {
            *url = authority.start_tls_proxy(url).await?;
        }
        let variables = variables.into_iter().collect();
        let authority = authority.certificate_path().to_owned();
        let fixture = Self { backends, environment: variables, ca_certificate: authority };
        let mut process = Process::start(fixture.rust_command("token")).await?;
        for user in (0..users).map(user_id).chain(["bob".to_owned()]) {
            process.invoke(&fixture.event("token", &user, &json!({}))?).await?;
        }
        process.terminate().await?;
        Ok(fixture)
    }

    /// How one of ours is started, with its secrets.
    pub(crate) fn rust_command(&self, function: &str) -> Command {
        let mut command = Command::new(build::release_binary(function));
        self.set_environment(&mut command);
        command.env("TLS_EXTRA_ROOTS", &self.ca_certificate);
        command
    }

    /// The same where it has to fetch them.
    pub(crate) fn rust_command_fetching_secrets(&self, function: &str) -> Command {
        let mut command = self.rust_command(function);
        for (name, value) in self.environment.iter().filter(|(name, _)| is_secret_variable(name)) {
            command.env(name, value);
        }
        for secret in ["STREAM_API_SECRET", "JWT_SECRET"] {
            command.env_remove(secret);
        }
        command
    }

    /// How any function is started: with nothing but what leads it here.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        let variables = self.environment.iter().filter(|(name, _)| !is_secret_variable(name));
        command
            .env_clear()
            .envs(variables.map(|(name, value)| (name, value)))
            .env("NODE_EXTRA_CA_CERTS", &self.ca_certificate)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .env("AWS_REGION", local::REGION)
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("LOG_LEVEL", "info");
    }

    /// A function's event: its sample, from this user and with this body.
    pub(crate) fn event(
        &self,
        function: &str,
        user: &str,
        body: &Value,
    ) -> Result<Value, BenchError> {
        let mut event = sample_event(function)?;
        let bearer = format!("Bearer {}", self.backends.token_for(user));
        let body = body.to_string();
        event["headers"]["authorization"] = json!(bearer);
        event["headers"]["content-length"] = json!(body.len().to_string());
        event["body"] = json!(body);
        Ok(event)
    }

    pub(crate) async fn stop(self) {
        self.backends.stop().await;
    }
}
