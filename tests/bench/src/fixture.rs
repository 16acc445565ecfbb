//! The environment of the measured functions: DynamoDB and Stream of the local stack, behind TLS,
//! and known users.

use std::path::{Path, PathBuf};
use std::time::Duration;

use local::{Backends, Options, SecretSource, Stack, StreamLimits};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::Process;
use crate::tls::CertificateAuthority;
use crate::{BenchError, build, delay_proxy, legacy_proxy};

pub(crate) struct Fixture {
    backends: Backends,
    /// The variables that connect a function to the backends.
    environment: Vec<(String, String)>,
    ca_certificate: PathBuf,
}

/// The variables with the endpoints of the backends.
const DYNAMODB: &str = "DYNAMODB_ENDPOINT";
const SECRETS_MANAGER: &str = "SECRETS_MANAGER_ENDPOINT";
const STREAM: &str = "STREAM_BASE_URL";

fn is_secret_variable(variable: &str) -> bool {
    variable == SECRETS_MANAGER || variable.ends_with("_SECRET_ARN")
}

/// The times of a network round trip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrips {
    /// To DynamoDB and Secrets Manager.
    pub(crate) aws: Duration,
    pub(crate) stream: Duration,
}

/// The endpoints of the backends behind a network.
#[derive(Clone)]
pub(crate) struct Network {
    endpoints: Vec<(&'static str, String)>,
}

impl Network {
    /// Makes a function reach the backends through the network.
    pub(crate) fn connect(&self, command: &mut Command) {
        command.envs(self.endpoints.iter().map(|(variable, url)| (variable, url)));
    }
}

/// The id of a known user.
pub(crate) fn user_id(number: u32) -> String {
    format!("user-{number}")
}

/// The sample event of a function in `events/`.
fn sample_event(function: &str) -> Result<Value, BenchError> {
    let path = local::workspace_root().join("events").join(format!("{function}.json"));
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

impl Fixture {
    /// Starts the backends with a certificate in this directory, and provisions `bob` and this
    /// number of users.
    pub(crate) async fn start(work_dir: &Path, users: u32) -> Result<Self, BenchError> {
        let mut options = Options {
            secrets: SecretSource::SecretsManager,
            stream_limits: StreamLimits::ReportOnly,
            // The embedded DynamoDB slows down with each record of the table's stream.
            ..Options::default()
        };
        // The rate limits stay enabled, as in a deployment, but are never reached.
        for function in ["TOKEN", "CALL_CREATE", "MESSAGE_SEND", "CALL_QUALITY", "QUALITY_REPORT"] {
            options.env.insert(format!("LIMIT_{function}_PER_MINUTE"), "10000".to_owned());
        }
        let backends = Stack::start_backends(options)
            .await
            .map_err(|error| BenchError::new(error.to_string()))?;
        let authority = CertificateAuthority::new(work_dir)?;
        let stream =
            backends.stream().ok_or_else(|| BenchError::new("the stack has no Stream emulator"))?;
        let dynamo = authority.start_tls_proxy(backends.dynamo().url()).await?;
        let stream =
            authority.start_tls_proxy(&legacy_proxy::start(&stream.base_url()).await?).await?;
        let mut variables = backends.variables().clone();
        variables.insert(DYNAMODB.to_owned(), dynamo);
        variables.insert(STREAM.to_owned(), stream);
        if let Some(url) = variables.get_mut(SECRETS_MANAGER) {
            *url = authority.start_tls_proxy(url).await?;
        }
        let environment = variables.into_iter().collect();
        let ca_certificate = authority.certificate_path().to_owned();
        let fixture = Self { backends, environment, ca_certificate };
        let mut process = Process::start(fixture.rust_command("token")).await?;
        for user in (0..users).map(user_id).chain(["bob".to_owned()]) {
            process.invoke(&fixture.event("token", &user, &json!({}))?).await?;
        }
        process.terminate().await?;
        Ok(fixture)
    }

    /// The command that starts a Rust function with its secrets as variables.
    pub(crate) fn rust_command(&self, function: &str) -> Command {
        let mut command = Command::new(build::release_binary(function));
        self.set_environment(&mut command);
        command.env("TLS_EXTRA_ROOTS", &self.ca_certificate);
        command
    }

    /// The command that starts a Rust function with the ARNs of its secrets.
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

    /// Puts a network before the backends.
    pub(crate) fn delay(&self, round_trips: RoundTrips) -> Result<Network, BenchError> {
        let delays = [
            (DYNAMODB, round_trips.aws),
            (SECRETS_MANAGER, round_trips.aws),
            (STREAM, round_trips.stream),
        ];
        let mut endpoints = Vec::new();
        for (variable, round_trip) in delays {
            let Some((_, url)) = self.environment.iter().find(|(name, _)| name == variable) else {
                return Err(BenchError::new(format!("the backends have no {variable}")));
            };
            let upstream = url.trim_start_matches("https://").parse()?;
            let address = delay_proxy::start(upstream, round_trip)?;
            endpoints.push((variable, format!("https://{address}")));
        }
        Ok(Network { endpoints })
    }

    /// Sets the environment of any function, without inherited variables.
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

    /// The sample event of a function, with this user and body.
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
