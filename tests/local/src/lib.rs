//! The local stack: runs the whole project on one machine, without an AWS account and without
//! Docker.
//!
//! The function binaries run as on Lambda: a Runtime API starts them, each process has one
//! invocation at a time, and it gets only the variables of `template.yaml`. The events have API
//! Gateway's payload format 2.0. Routes, timeouts and the table also come from the template, so the
//! tests cover the deployed configuration. `cargo run -p local` and the end-to-end tests use the
//! same [`Stack`].
//!
//! - `template` reads `template.yaml`; `cargo_build` builds the functions and finds the binaries.
//! - `lambda` runs the functions: Runtime API, processes, execution environments.
//! - `gateway` is API Gateway: routes, events, responses; `scheduler` invokes functions
//!   periodically.
//! - [`dynamo`] is DynamoDB, with request counts and injected faults.
//! - `streams` is the table's stream with its consumers: Lambda's event source mapping, an
//!   EventBridge Pipe and bus, and dead-letter queues.
//! - `secrets` is Secrets Manager.
//! - `client_access`, `listener`, `tls` and `cors` open the API to phones and browsers, and
//!   `stream_proxy` does so for the Stream emulator.
//! - `terminal` prints a short line for each request, and `output` stores the functions' output.
//! - `api_reference` is the page `/docs`.
//! - `console` is the page that shows what happens, with its endpoints; `trace` records the requests
//!   for it. `control` has the other paths that control the stack.
//! - `webhooks` sends the Stream emulator's events to the API.
//! - `clock` is the stack's clock, which a test can advance.
//! - `backends` and `stack` combine the parts.
//!
//! `args`, `env_file`, `login`, `printout` and `sample_requests` belong to the binary.

mod api_reference;
mod backends;
mod cargo_build;
mod client_access;
mod clock;
mod console;
mod control;
mod cors;
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
mod stream_proxy;
mod streams;
mod sync;
mod template;
mod terminal;
mod tls;
mod tokens;
mod trace;
mod webhooks;

pub use backends::Backends;
pub use cargo_build::workspace_root;
pub use client_access::ClientAccess;
pub use console::{ConsoleOptions, ConsoleUser};
pub use error::{
    BuildError, InvokeError, PatternError, StartError, TableStreamError, TemplateError,
};
pub use options::{
    BuildMode, JWT_SECRET, JWT_SECRET_ARN, Options, REGION, STREAM_API_KEY, STREAM_API_SECRET,
    STREAM_SECRET_ARN, SecretSource, StreamChoice, StreamLimits, TABLE_NAME, UserLimits,
};
pub use secrets::SecretStore;
pub use stack::Stack;
pub use streams::{
    Filters, Pattern, Queue, RuleId, StreamConsumer, StreamFault, StreamFaultKind, StreamReader,
    StreamRecord,
};
pub use template::{
    Schedule, TableAction, parse_yaml, policies, route_keys, schedules, stream_filters,
};
