//! What Lambda does with the functions: starts a process for an invocation when all that there are
//! are busy, gives each one invocation at a time, holds it to its timeout, and replaces it when it
//! ends.
//!
//! - [`Functions`] is all functions, each with its idle environments and a bound on how many.
//! - `instance` is one execution environment, `process` the process in it.
//! - `runtime_api` is what the processes talk to.

mod functions;
pub(crate) mod ids;
mod instance;
mod launcher;
mod process;
mod runtime_api;

pub(crate) use functions::Functions;
pub(crate) use runtime_api::RuntimeApi;
