//! Errors of a stack. Each is reported on one line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::dynamo::CallError;

/// A stack failed to start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The build of the functions failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The template is invalid.
    #[error("template.yaml: {0}")]
    Template(#[from] TemplateError),
    /// A port is occupied or not permitted.
    #[error("cannot use port {port} for {purpose}: {reason}")]
    PortUnavailable {
        /// The server that needs the port.
        purpose: &'static str,
        /// The port; 0 is any free port.
        port: u16,
        /// The error of the system.
        reason: io::Error,
    },
    /// The network interfaces of this machine are not readable.
    #[error("cannot list the network interfaces: {0}")]
    Interfaces(io::Error),
    /// The files of the certificate authority are not readable or not writable.
    #[error("cannot use the certificate authority in {}: {reason}", .dir.display())]
    TlsFiles {
        /// The directory.
        dir: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// A certificate cannot be issued.
    #[error("cannot issue a certificate: {0}")]
    Certificate(String),
    /// The file for the functions' output is not writable.
    #[error("cannot write {}: {reason}", .path.display())]
    FunctionsLog {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// The template names a function that has no binary.
    #[error("no binary found for the function `{function}` of template.yaml{}", in_folder(.folder.as_ref()))]
    MissingBinary {
        /// The last segment of the function's `CodeUri`.
        function: String,
        /// The searched directory, if the functions are prebuilt.
        folder: Option<PathBuf>,
    },
    /// DynamoDB failed to start.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// The Stream emulator failed to start.
    #[error("the Stream emulator: {0}")]
    StreamEmulator(io::Error),
    /// The consumers of the table's stream failed to start.
    #[error(transparent)]
    TableStream(#[from] TableStreamError),
}

fn in_folder(folder: Option<&PathBuf>) -> String {
    folder.map(|folder| format!(" in {}", folder.display())).unwrap_or_default()
}

/// The build of the functions failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo failed to start.
    #[error("cargo failed to start: {0}")]
    CargoUnavailable(String),
    /// The build failed, and Cargo's messages were printed.
    #[error("the build of the functions failed; see cargo's messages above")]
    Failed,
    /// The build failed, with these messages.
    #[error("the build of the functions failed:\n{0}")]
    FailedWithOutput(String),
}

/// `template.yaml` is invalid.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is not readable.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file is not valid YAML.
    #[error("invalid YAML: {0}")]
    Yaml(String),
    /// The file is not a valid template.
    #[error("invalid template: {0}")]
    InvalidStructure(#[from] serde_json::Error),
    /// A resource is not supported by the local stack.
    #[error("{id}: {problem}")]
    InvalidResource {
        /// The logical id.
        id: String,
        /// The problem.
        problem: String,
    },
    /// The template does not have exactly one table.
    #[error("must have exactly one table, but has {0}")]
    TableCount(usize),
}

/// An invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The template has no function of this name.
    #[error("template.yaml has no function `{0}`")]
    UnknownFunction(String),
    /// The process failed to start.
    #[error("{function} failed to start: {reason}")]
    Spawn {
        /// The function.
        function: String,
        /// The error of the system.
        reason: io::Error,
    },
    /// The process exited before its first request for an invocation.
    #[error(
        "{function} exited ({status}) during its initialization, after printing:\n{last_output}"
    )]
    ExitedDuringInit {
        /// The function.
        function: String,
        /// The exit status.
        status: String,
        /// The last lines that it printed.
        last_output: String,
    },
    /// The process exited during the invocation.
    #[error("{function} exited ({status}) during an invocation")]
    Crashed {
        /// The function.
        function: String,
        /// The exit status.
        status: String,
    },
    /// The process did not request its first invocation in time.
    #[error("{function} did not finish its initialization within {} s", .timeout.as_secs())]
    InitTimedOut {
        /// The function.
        function: String,
        /// The time limit.
        timeout: Duration,
    },
    /// The invocation exceeded the timeout of the template.
    #[error("{function} timed out after {} s", .timeout.as_secs())]
    TimedOut {
        /// The function.
        function: String,
        /// The timeout of the template.
        timeout: Duration,
    },
    /// The function reported an error to the Runtime API.
    #[error("{function} reported an error: {report}")]
    FunctionError {
        /// The function.
        function: String,
        /// The report, usually JSON.
        report: String,
    },
    /// The function's response is not JSON.
    #[error("the response of {function} is not JSON: {reason}")]
    InvalidResponse {
        /// The function.
        function: String,
        /// The error of the parser.
        reason: serde_json::Error,
    },
    /// The stack is shutting down.
    #[error("the stack is shutting down")]
    ShuttingDown,
}

/// Reading the table's stream or delivering its records failed.
#[derive(Debug, thiserror::Error)]
pub enum TableStreamError {
    /// The stream is not readable.
    #[error("cannot read the table's stream: {0}")]
    Read(String),
    /// A function was not invoked.
    #[error(transparent)]
    Invoke(InvokeError),
    /// The pattern of a rule is invalid.
    #[error("invalid event pattern: {0}")]
    Pattern(#[from] PatternError),
    /// The template has no event bus, or [`Options::call_events`](crate::Options::call_events) is
    /// off.
    #[error("the stack has no event bus")]
    NoEventBus,
    /// The deletion of expired items failed.
    #[error("cannot delete expired items: {0}")]
    Expiry(String),
}

impl From<CallError> for TableStreamError {
    fn from(error: CallError) -> Self {
        Self::Read(error.to_string())
    }
}

/// An event pattern is invalid, or uses an operator that the local stack does not support.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub(crate) String);
