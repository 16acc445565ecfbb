//! The client of Stream's v2 API (getstream.io), with the credentials of the app.
//!
//! Each operation has a type in [`ops`] that builds a [`Request`]. [`StreamClient`] sends requests
//! over a [`Transport`] and retries them. The pure function [`retry::delay`] decides on each retry,
//! and a budget limits the retries of a process.

pub mod call_type;
mod client;
mod error;
pub mod event;
pub mod hooks;
pub(crate) mod lenient;
pub mod ops;
mod rate_limit;
mod request;
pub mod retry;
mod retry_budget;
mod stats;
mod time;
mod transport;
pub mod webhook;

pub use client::{StreamClient, TimedResponse};
pub use error::{ErrorResponse, StreamError};
pub use rate_limit::RateLimit;
pub use request::{Idempotency, Operation, Request};
pub use stats::RequestStats;
pub use time::StreamTime;
pub use transport::{HttpTransport, RawResponse, Transport, TransportError};
