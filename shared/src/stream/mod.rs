//! Stream (getstream.io) as this service uses it: its v2 API with the app's own credentials.
//!
//! A request is data ([`Request`]), made by one typed operation a file ([`ops`]); one client sends
//! it ([`Stream`]), one pure function says whether to send it again ([`retry`]), and the wire is
//! behind one trait ([`Transport`]).

mod client;
mod error;
pub mod event;
pub mod ops;
mod request;
pub mod retry;
mod time;
mod transport;
pub mod webhook;

pub use client::{Answered, Stream};
pub use error::{Failure, StreamError};
pub use request::{Operation, Repeat, Request};
pub use time::StreamTime;
pub use transport::{HttpTransport, Lost, RawAnswer, Transport};
