//! What a stack is started with.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The secret of the session JWTs, unless [`Options::env`] has another.
pub const JWT_SECRET: &str = "local-session-jwt-secret-never-deploy-this-one";

/// The key of the emulated Stream app.
pub const STREAM_API_KEY: &str = "local-stream-api-key-of-the-emulated-app";

/// The secret of the emulated Stream app.
pub const STREAM_API_SECRET: &str = "local-stream-api-secret-never-deploy-this-one";

/// Where the Stream secret is kept, with [`SecretSource::SecretsManager`].
pub const STREAM_SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:stream";

/// Where the secret of the session JWTs is kept, with [`SecretSource::SecretsManager`].
pub const JWT_SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:session";

/// The table.
pub const TABLE_NAME: &str = "stream-local";

/// The region that everything believes to be in.
pub const REGION: &str = "us-east-1";

/// How to start a stack. The default is what tests want: free ports, everything in memory, the
/// emulated Stream, nothing that happens by itself, nobody held back, nothing printed.
#[derive(Clone)]
pub struct Options {
    /// The port of the API; 0 is any free one.
    pub api_port: u16,
    /// The port of DynamoDB; 0 is any free one.
    pub dynamo_port: u16,
    /// The port of the Stream emulator; 0 is any free one.
    pub stream_port: u16,
    /// The folder that DynamoDB's data is kept in; in memory without one.
    pub data_dir: Option<PathBuf>,
    /// Which Stream the functions talk to.
    pub stream: StreamChoice,
    /// How the functions come by their secrets.
    pub secrets: SecretSource,
    /// Whether the emulator sends its events to the API's webhook.
    pub webhooks: bool,
    /// Whether functions are invoked by the template's schedules, and not only when a test does it.
    pub schedules: bool,
    /// How many requests a minute the functions take from one user.
    pub user_limits: UserLimits,
    /// What becomes of Stream's own limits.
    pub stream_limits: StreamLimits,
    /// Variables for every function whose entry in the template names them. They win over the
    /// stack's own.
    pub env: BTreeMap<String, String>,
    /// How many processes one function may have.
    pub max_instances: usize,
    /// Whether what the functions print is also printed here, to stderr.
    pub echo: bool,
    /// How to come by the functions' binaries.
    pub build_mode: BuildMode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_port: 0,
            dynamo_port: 0,
            stream_port: 0,
            data_dir: None,
            stream: StreamChoice::Emulated,
            secrets: SecretSource::Environment,
            webhooks: false,
            schedules: false,
            user_limits: UserLimits::Disabled,
            stream_limits: StreamLimits::Enforced,
            env: BTreeMap::new(),
            max_instances: 4,
            echo: false,
            build_mode: BuildMode::Quiet,
        }
    }
}

/// Which Stream the functions talk to.
#[derive(Clone)]
pub enum StreamChoice {
    /// The emulator, started with the stack.
    Emulated,
    /// Stream itself.
    Real {
        /// The app's key.
        key: String,
        /// The app's secret.
        secret: String,
    },
    /// None: the functions are given neither key nor secret.
    Unconfigured,
}

/// How many requests a minute the functions take from one user. What [`Options::env`] says of it
/// wins over either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserLimits {
    /// As many as come: a test sends more in a minute than any person.
    Disabled,
    /// The functions' own defaults, which are also the template's.
    Default,
}

/// What becomes of Stream's own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLimits {
    /// What goes beyond them is refused.
    Enforced,
    /// They are only told of: to measure what the functions can do.
    ReportOnly,
}

/// How the functions come by their secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// They are given them, as on a developer's machine.
    Environment,
    /// They are given the ARNs under which they are kept, as when deployed.
    SecretsManager,
}

/// How to come by the functions' binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildMode {
    /// `cargo build`, whose messages are kept for the error.
    Quiet,
    /// `cargo build`, whose messages are shown.
    Verbose,
    /// No build: they lie in this folder, under their names.
    Prebuilt(PathBuf),
}
