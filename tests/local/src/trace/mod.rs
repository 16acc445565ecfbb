//! The trace of the console: each request to a function, with the steps that it caused at DynamoDB
//! and Stream and its log lines, and the requests of clients to the Stream emulator.
//!
//! A process runs one invocation at a time, so its id identifies the invocation of a step. Its
//! requests carry the id: to DynamoDB as the session token of its credentials, to Stream in the path
//! of its base URL. Log lines come by the pipes of the process, and name their request at its end.
//!
//! - [`Recorder`] is the handle that the gateway, the functions and the proxies use, and [`Span`] is
//!   a recorded request in progress. Without a console there is no recorder, and a span does
//!   nothing.
//! - `store` is the pure core: it holds the last 500 requests and assigns steps and lines to them.
//! - `record` has the types of a recorded request, `log_line` those of a log line.
//! - `step_details` reads the purpose and the effect of a step from its bodies.
//! - `decision` explains a response in a sentence.
//! - `redact` removes tokens, and `view` is the JSON for the page. Both run when the page reads.

mod call_id;
mod decision;
mod log_line;
mod process;
mod record;
mod recorder;
mod redact;
mod step_details;
mod store;
mod view;

pub(crate) use call_id::{call_id_of_channel, call_id_of_cid};
pub(crate) use process::ProcessTrace;
pub(crate) use record::{Message, RequestEnd, RequestKind, RequestStart, Service};
pub(crate) use recorder::{Recorder, ResendError, ResendRequest, Span, StepSpan};
pub(crate) use step_details::StepDetails;
