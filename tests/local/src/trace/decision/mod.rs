//! The decision behind a response, in one sentence. It is read from the response, the log line and
//! the steps. Without a fact that decided, there is no sentence.
//!
//! - `rejections` has the sentences of errors, by their code.
//! - `endpoints` has those of successful requests, by their function; `webhook` those of Stream's
//!   events, `runs` those of the sweeper and the consumers, `client` those of the emulator.
//! - `facts` is what they read, and `words` has the names of ends and lists.

mod client;
mod endpoints;
mod facts;
mod rejections;
mod runs;
mod webhook;
mod words;

use facts::Facts;

use super::record::{Record, RequestKind};

/// Explains an ended request.
pub(super) fn explain(record: &Record) -> Option<String> {
    let facts = Facts::new(record)?;
    match record.start.kind {
        RequestKind::Client => client::explain(&facts),
        _ if facts.is_error() => rejections::explain(&facts),
        RequestKind::Http => endpoints::explain(&facts),
        RequestKind::Webhook => webhook::explain(&facts),
        RequestKind::Schedule | RequestKind::TableStream => runs::explain(&facts),
    }
}
