//! What the functions stand on while they are measured: the local stack's DynamoDB and Stream,
//! behind TLS, and users who are known.

use std::path::{Path, PathBuf};

use local::{Backends, Options, Secrets, Stack, StreamLimits};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::Process;
use crate::tls::Authority;
use crate::{Failure, build, older};

/// What the functions stand on.
pub(crate) struct Scene {
    backends: Backends,
    /// The variables that lead a function here.
    variables: Vec<(String, String)>,
    authority: PathBuf,
}

/// Where secrets are fetched.
const SECRETS_MANAGER: &str = "SECRETS_MANAGER_ENDPOINT";

fn leads_to_secrets(variable: &str) -> bool {
    variable == SECRETS_MANAGER || variable.ends_with("_SECRET_ARN")
}

/// One of the users who are known.
pub(crate) fn user(number: u32) -> String {
    format!("user-{number}")
}

/// A function's sample event, as `events/` has it.
fn sample(function: &str) -> Result<Value, Failure> {
    let path = local::workspace_root().join("events").join(format!("{function}.json"));
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

impl Scene {
    /// Starts everything, with its certificate in this folder, and makes `bob` and so many others
    /// known.
    pub(crate) async fn start(folder: &Path, users: u32) -> Result<Self, Failure> {
        let mut options = Options {
            secrets: Secrets::Kept,
            stream_limits: StreamLimits::Told,
            ..Options::default()
        };
        // What counts a user's requests works as when deployed, and lets them all through.
        for function in ["TOKEN", "CALL_CREATE", "MESSAGE_SEND", "QUALITY_REPORT"] {
            options.env.insert(format!("LIMIT_{function}_PER_MINUTE"), "10000".to_owned());
        }
        let backends =
            Stack::backends(options).await.map_err(|error| Failure::new(error.to_string()))?;
        let authority = Authority::new(folder)?;
        let stream = backends.stream().ok_or_else(|| Failure::new("no Stream"))?;
        let dynamo = authority.before(backends.dynamo().url()).await?;
        let stream = authority.before(&older::before(&stream.base_url()).await?).await?;
        let mut variables = backends.variables().clone();
        variables.insert("DYNAMODB_ENDPOINT".to_owned(), dynamo);
        variables.insert("STREAM_BASE_URL".to_owned(), stream);
        if let Some(url) = variables.get_mut(SECRETS_MANAGER) {
            *url = authority.before(url).await?;
        }
        let variables = variables.into_iter().collect();
        let authority = authority.file().to_owned();
        let scene = Self { backends, variables, authority };
        let mut process = Process::start(scene.rust("token")).await?;
        for user in (0..users).map(user).chain(["bob".to_owned()]) {
            process.invoke(&scene.event("token", &user, &json!({}))?).await?;
        }
        process.end().await?;
        Ok(scene)
    }

    /// How one of ours is started, with its secrets.
    pub(crate) fn rust(&self, function: &str) -> Command {
        let mut command = Command::new(build::binary(function));
        self.surround(&mut command);
        command.env("TLS_EXTRA_ROOTS", &self.authority);
        command
    }

    /// The same where it has to fetch them.
    pub(crate) fn rust_fetching(&self, function: &str) -> Command {
        let mut command = self.rust(function);
        for (name, value) in self.variables.iter().filter(|(name, _)| leads_to_secrets(name)) {
            command.env(name, value);
        }
        for secret in ["STREAM_API_SECRET", "JWT_SECRET"] {
            command.env_remove(secret);
        }
        command
    }

    /// How any function is started: with nothing but what leads it here.
    pub(crate) fn surround(&self, command: &mut Command) {
        let variables = self.variables.iter().filter(|(name, _)| !leads_to_secrets(name));
        command
            .env_clear()
            .envs(variables.map(|(name, value)| (name, value)))
            .env("NODE_EXTRA_CA_CERTS", &self.authority)
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
    pub(crate) fn event(&self, function: &str, user: &str, body: &Value) -> Result<Value, Failure> {
        let mut event = sample(function)?;
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
