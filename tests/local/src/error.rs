//! What can go wrong, each as one line that says what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The functions do not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The template does not say what it has to.
    #[error("template.yaml: {0}")]
    Template(#[from] TemplateError),
    /// A port is taken, or may not be used.
    #[error("port {port} cannot be used for {purpose}: {reason}")]
    PortUnavailable {
        /// What was to listen there.
        purpose: &'static str,
        /// The port; 0 is any free one.
        port: u16,
        /// What the system said.
        reason: io::Error,
    },
    /// The template names a function that was not built.
    #[error("template.yaml has the function `{function}`, but there is no binary of that name{}", in_folder(.folder.as_ref()))]
    MissingBinary {
        /// The name that the template's `CodeUri` ends with.
        function: String,
        /// Where it was looked for, if the build was skipped.
        folder: Option<PathBuf>,
    },
    /// DynamoDB does not start.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// The Stream emulator does not start.
    #[error("the Stream emulator: {0}")]
    StreamEmulator(io::Error),
}

fn in_folder(folder: Option<&PathBuf>) -> String {
    folder.map(|folder| format!(" in {}", folder.display())).unwrap_or_default()
}

/// Why the functions do not build.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cargo could not be started: {0}")]
    CargoUnavailable(String),
    /// Cargo says no, and its messages have been shown.
    #[error("the functions do not build; cargo's messages are above")]
    Failed,
    /// Cargo says no.
    #[error("the functions do not build:\n{0}")]
    FailedWithOutput(String),
}

/// What is wrong with `template.yaml`.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file is not YAML.
    #[error("it is not YAML: {0}")]
    Yaml(String),
    /// The file is YAML, but no template.
    #[error("it is not a template: {0}")]
    InvalidStructure(#[from] serde_json::Error),
    /// A resource is not as this stack understands it.
    #[error("{id}: {problem}")]
    InvalidResource {
        /// The logical id.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There has to be exactly one table.
    #[error("it has {0} tables instead of one")]
    TableCount(usize),
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The template has no such function.
    #[error("template.yaml has no function `{0}`")]
    UnknownFunction(String),
    /// The process could not be started.
    #[error("{function} could not be started: {reason}")]
    Spawn {
        /// The function.
        function: String,
        /// What the system said.
        reason: io::Error,
    },
    /// The process ended before it asked for its first invocation.
    #[error(
        "{function} ended ({status}) before it asked for work, and last printed:\n{last_output}"
    )]
    ExitedDuringInit {
        /// The function.
        function: String,
        /// How it ended.
        status: String,
        /// Its last lines.
        last_output: String,
    },
    /// The process ended instead of answering.
    #[error("{function} ended ({status}) instead of answering")]
    Crashed {
        /// The function.
        function: String,
        /// How it ended.
        status: String,
    },
    /// The process did not ask for its first invocation.
    #[error("{function} did not ask for work within {} s", .timeout.as_secs())]
    InitTimedOut {
        /// The function.
        function: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The invocation took longer than the template allows.
    #[error("{function} timed out after {} s", .timeout.as_secs())]
    TimedOut {
        /// The function.
        function: String,
        /// The template's timeout.
        timeout: Duration,
    },
    /// The function reported an error to the runtime.
    #[error("{function} reported an error: {report}")]
    FunctionError {
        /// The function.
        function: String,
        /// The report, which should be JSON.
        report: String,
    },
    /// The function answered with something else than JSON.
    #[error("{function} answered with something else than JSON: {reason}")]
    InvalidResponse {
        /// The function.
        function: String,
        /// What the parser said.
        reason: serde_json::Error,
    },
    /// The stack is being stopped.
    #[error("the stack is being stopped")]
    ShuttingDown,
}
