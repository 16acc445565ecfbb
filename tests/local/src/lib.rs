//! The whole project on one machine, without an account and without Docker.
//!
//! The function binaries run as they do on Lambda: started by a Runtime API, one invocation at a
//! time, with the variables that `template.yaml` gives them and no others, behind events of API
//! Gateway's payload format 2.0. Routes, timeouts and the table are read from the template too, so
//! that what is tested is what is deployed. `cargo run -p local` and the end-to-end tests stand on
//! the same [`Stack`].
//!
//! - `template` reads `template.yaml`; `cargo_build` builds the functions and finds them.
//! - `lambda` runs them: the Runtime API, one process, one execution environment, all functions.
//! - `gateway` is what stands in front: routes, events, answers; `scheduler` is what invokes by the
//!   clock.
//! - [`dynamo`] is DynamoDB, with a count of every request and faults on demand.
//! - `secrets` is Secrets Manager, for tests that keep the secrets there.
//! - `webhooks` leads the Stream emulator's events back to the API.
//! - `clock` is the time of all of them, which a test can move.
//! - `backends` and `stack` put it together.
//!
//! `args`, `env_file` and `sample_requests` belong to the binary.

mod backends;
mod cargo_build;
mod clock;
pub mod dynamo;
mod environment;
mod error;
mod gateway;
mod http_server;
mod lambda;
mod listener;
mod options;
mod output;
mod scheduler;
mod secrets;
mod stack;
mod sync;
mod template;
mod tokens;
mod webhooks;

pub use backends::Backends;
pub use cargo_build::workspace_root;
pub use error::{BuildError, InvokeError, StartError, TemplateError};
pub use options::{
    BuildMode, JWT_SECRET, JWT_SECRET_ARN, Options, REGION, STREAM_API_KEY, STREAM_API_SECRET,
    STREAM_SECRET_ARN, SecretSource, StreamChoice, StreamLimits, TABLE_NAME, UserLimits,
};
pub use secrets::SecretStore;
pub use stack::Stack;
pub use template::{Schedule, TableAction, parse_yaml, policies, route_keys, schedules};
