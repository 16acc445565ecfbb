//! A local Lambda: runs each function in processes with one invocation at a time, starts another
//! process if all are busy, enforces the timeout, and replaces a process that exits.
//!
//! - [`Functions`] has all functions with their environments.
//! - `instance` is one execution environment, and `process` is its process.
//! - `runtime_api` is the server that the processes connect to.

mod functions;
pub(crate) mod ids;
mod instance;
mod launcher;
mod process;
mod runtime_api;

pub(crate) use functions::Functions;
pub(crate) use launcher::Tracing;
pub(crate) use runtime_api::RuntimeApi;
