//! The options of a stack.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::client_access::ClientAccess;
use crate::console::ConsoleOptions;

/// The default secret of the session JWTs. [`Options::env`] can override it.
pub const JWT_SECRET: &str = "local-session-jwt-secret-never-deploy-this-one";

/// The user who creates channels, who exists in the emulated Stream app from the start.
pub(crate) const STREAM_SERVICE_USER: &str = "stream-functions";

/// The key of the emulated Stream app.
pub const STREAM_API_KEY: &str = "local-stream-api-key-of-the-emulated-app";

/// The secret of the emulated Stream app.
pub const STREAM_API_SECRET: &str = "local-stream-api-secret-never-deploy-this-one";

/// The ARN of the Stream secret, with [`SecretSource::SecretsManager`].
pub const STREAM_SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:stream";

/// The ARN of the JWT secret, with [`SecretSource::SecretsManager`].
pub const JWT_SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:session";

/// The name of the table.
pub const TABLE_NAME: &str = "stream-local";

/// The AWS region of the stack.
pub const REGION: &str = "us-east-1";

/// The options of a stack. The defaults suit tests: free ports, data in memory, the Stream
/// emulator, no change stream, no schedules, no webhooks, no rate limits for users, and no output.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the switches are independent of each other")]
pub struct Options {
    /// The access of clients. Without it, the API and the emulator listen on loopback only, without
    /// CORS and TLS.
    pub clients: Option<ClientAccess>,
    /// The console, on the port of the API. Without it, nothing is recorded.
    pub console: Option<ConsoleOptions>,
    /// The port of the API; 0 is any free port.
    pub api_port: u16,
    /// The port of DynamoDB; 0 is any free port.
    pub dynamo_port: u16,
    /// The port of the Stream emulator; 0 is any free port.
    pub stream_port: u16,
    /// The address of another DynamoDB, such as AWS's DynamoDB Local, in which the stack creates a
    /// table of its own. Without it, DynamoDB is embedded.
    pub dynamo_server: Option<SocketAddr>,
    /// The directory for DynamoDB's data. Without it, the data is in memory.
    pub data_dir: Option<PathBuf>,
    /// The Stream app of the functions.
    pub stream: StreamChoice,
    /// The source of the functions' secrets.
    pub secrets: SecretSource,
    /// Whether the emulator sends its events to the API's webhook.
    pub webhooks: bool,
    /// Whether the template's schedules invoke functions, and the table's stream is polled.
    pub schedules: bool,
    /// Whether the table has a stream with consumers. The embedded DynamoDB slows down with each
    /// record of a stream. Without schedules, only
    /// [`Stack::drain_streams`](crate::Stack::drain_streams) runs the consumers.
    pub streams: bool,
    /// The template's parameter `CallEvents`: whether the stack has the event bus, its pipe and the
    /// function of the pipe.
    pub call_events: bool,
    /// The rate limits of a user.
    pub user_limits: UserLimits,
    /// Whether the emulator enforces Stream's rate limits.
    pub stream_limits: StreamLimits,
    /// Variables for every function whose template entry names them. They override the stack's
    /// variables.
    pub env: BTreeMap<String, String>,
    /// The maximum number of processes of one function.
    pub max_instances: usize,
    /// The file for the functions' output. With it, the stack prints a short line to stderr for each
    /// request. Without it, [`Stack::output`](crate::Stack::output) has the output.
    pub functions_log: Option<PathBuf>,
    /// The source of the functions' binaries.
    pub build_mode: BuildMode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clients: None,
            console: None,
            api_port: 0,
            dynamo_port: 0,
            stream_port: 0,
            dynamo_server: None,
            data_dir: None,
            stream: StreamChoice::Emulated,
            secrets: SecretSource::Environment,
            webhooks: false,
            schedules: false,
            streams: false,
            call_events: true,
            user_limits: UserLimits::Disabled,
            stream_limits: StreamLimits::Enforced,
            env: BTreeMap::new(),
            max_instances: 4,
            functions_log: None,
            build_mode: BuildMode::Quiet,
        }
    }
}

/// The Stream app of the functions.
#[derive(Clone)]
pub enum StreamChoice {
    /// The emulator, started with the stack.
    Emulated,
    /// A real Stream app.
    Real {
        /// The app's key.
        key: String,
        /// The app's secret.
        secret: String,
    },
    /// None: the functions get neither a key nor a secret.
    Unconfigured,
}

/// The rate limits of a user. [`Options::env`] overrides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserLimits {
    /// No limits, since a test may send more requests in a minute than a person.
    Disabled,
    /// The defaults of the functions and the template.
    Default,
}

/// Whether the emulator enforces Stream's rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLimits {
    /// Requests over the limit are rejected.
    Enforced,
    /// The limits are only reported in headers, so that a benchmark can exceed them.
    ReportOnly,
}

/// The source of the functions' secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Variables with the secrets, as on a developer's machine.
    Environment,
    /// Variables with ARNs, as in a deployment.
    SecretsManager,
}

/// The source of the functions' binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildMode {
    /// `cargo build`; its messages are printed only as part of an error.
    Quiet,
    /// `cargo build`; its messages are printed.
    Verbose,
    /// No build: the binaries are in this directory, under the functions' names.
    Prebuilt(PathBuf),
}
