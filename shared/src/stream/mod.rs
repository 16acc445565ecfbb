//! Stream (getstream.io) as this service uses it: its v2 API with the app's own credentials.
//!
//! A request is data ([`Request`]), made by one typed operation a file ([`ops`]); one client sends
//! it ([`Stream`]), one pure function says whether to send it again ([`retry`]), as far as a
//! process has retries left, and the wire is behind one trait ([`Transport`]).

mod client;
mod error;
pub mod event;
pub mod hooks;
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
