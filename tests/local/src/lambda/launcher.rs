//! Starts a function's process with a clean environment, as on Lambda.
//!
//! The process inherits no variable of this process, not even `PATH`. So a function cannot depend
//! on variables that Lambda does not set.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::process::Command;

use super::instance::Instance;
use super::process::{Process, ProcessIds};
use super::runtime_api::ConnectionRegistry;
use crate::clock::StackClock;
use crate::environment;
use crate::error::InvokeError;
use crate::options::REGION;
use crate::output::FunctionOutput;
use crate::sync::lock;
use crate::trace::{ProcessTrace, Recorder};

/// The settings of one function's processes.
pub(super) struct Launcher {
    pub(super) function: String,
    pub(super) program: PathBuf,
    /// The variables of the function.
    pub(super) variables: Mutex<BTreeMap<String, String>>,
    /// The names of the variables that the template sets.
    pub(super) declared_variables: BTreeSet<String>,
    pub(super) memory_mb: u64,
    pub(super) timeout: Duration,
    pub(super) clock: StackClock,
    pub(super) connections: ConnectionRegistry,
    pub(super) output: FunctionOutput,
    pub(super) pids: ProcessIds,
    pub(super) tracing: Option<Tracing>,
}

/// How the requests of a process are recorded, with a console.
#[derive(Clone)]
pub(crate) struct Tracing {
    pub(crate) recorder: Recorder,
    /// The base URL of the recording proxy in front of the Stream emulator. The path of a process
    /// follows.
    pub(crate) stream_url: Option<String>,
}

impl Tracing {
    /// The variables of a process: both make its requests carry its id.
    fn variables(&self, process: &str) -> BTreeMap<&'static str, String> {
        let token = ("AWS_SESSION_TOKEN", process.to_owned());
        let url = self.stream_url.as_ref();
        let url = url.map(|url| ("STREAM_BASE_URL", format!("{url}/{process}")));
        [token].into_iter().chain(url).collect()
    }
}

impl Launcher {
    /// Sets a variable of the processes that start from now on, if the template declares it.
    pub(super) fn set_variable(&self, name: &str, value: &str) {
        if self.declared_variables.contains(name) {
            lock(&self.variables).insert(name.to_owned(), value.to_owned());
        }
    }

    /// Starts an execution environment.
    pub(super) fn start_instance(&self) -> Result<Instance, InvokeError> {
        let connection = self.connections.register(&self.function);
        let clock_offset = self.clock.offset();
        let recorder = self.tracing.as_ref().map(|tracing| &tracing.recorder);
        let trace = ProcessTrace::new(recorder, connection.token());
        // Both read the variables, whose lock lasts until the end of a statement.
        let tracing_variables = self.tracing_variables(connection.token());
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(&*lock(&self.variables))
            .envs(tracing_variables)
            .envs(environment::clock_variable(clock_offset))
            .env("AWS_LAMBDA_RUNTIME_API", connection.endpoint())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mb.to_string())
            .env("AWS_REGION", REGION)
            // The DynamoDB proxy identifies the function by its access key.
            .env("AWS_ACCESS_KEY_ID", &self.function)
            .env("AWS_SECRET_ACCESS_KEY", "local");
        let process = Process::start(command, &self.function, &self.output, &self.pids, &trace)
            .map_err(|reason| InvokeError::Spawn { function: self.function.clone(), reason })?;
        Ok(Instance::new(
            self.function.clone(),
            self.timeout,
            clock_offset,
            process,
            connection,
            trace,
        ))
    }

    /// A function without Stream gets no URL of it.
    fn tracing_variables(&self, process: &str) -> BTreeMap<&'static str, String> {
        let Some(tracing) = &self.tracing else { return BTreeMap::new() };
        let mut variables = tracing.variables(process);
        variables.retain(|name, _| {
            *name != "STREAM_BASE_URL" || lock(&self.variables).contains_key(*name)
        });
        variables
    }
}
