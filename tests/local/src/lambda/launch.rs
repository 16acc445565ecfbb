//! How a process of a function is started: with a clean environment, as Lambda gives it.
//!
//! Nothing of this process's own environment is handed on, not even `PATH`, so that a function
//! cannot lean on what it will not have.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::instance::Instance;
use super::process::{Pids, Process};
use super::runtime_api::Switchboard;
use crate::clock::StackClock;
use crate::environment;
use crate::error::InvokeError;
use crate::options::REGION;
use crate::output::Output;

/// What starting a process of one function takes.
pub(super) struct Launch {
    pub(super) function: String,
    pub(super) program: PathBuf,
    /// The variables of the template.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) memory_mb: u64,
    pub(super) timeout: Duration,
    pub(super) clock: StackClock,
    pub(super) switchboard: Switchboard,
    pub(super) output: Output,
    pub(super) pids: Pids,
}

impl Launch {
    /// A new execution environment.
    pub(super) fn instance(&self) -> Result<Instance, InvokeError> {
        let line = self.switchboard.connect(&self.function);
        let ahead = self.clock.ahead();
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(&self.variables)
            .envs(environment::of_clock(ahead))
            .env("AWS_LAMBDA_RUNTIME_API", line.endpoint())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mb.to_string())
            .env("AWS_REGION", REGION)
            // By it DynamoDB knows who asks, and what that one may do.
            .env("AWS_ACCESS_KEY_ID", &self.function)
            .env("AWS_SECRET_ACCESS_KEY", "local");
        let process = Process::start(command, &self.function, &self.output, &self.pids)
            .map_err(|reason| InvokeError::Spawn { function: self.function.clone(), reason })?;
        Ok(Instance::new(self.function.clone(), self.timeout, ahead, process, line))
    }
}
