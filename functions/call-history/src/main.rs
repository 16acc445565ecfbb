//! Writes the rows of `GET /api/stream/call`. The event source mapping of the table's stream invokes
//! it with changed calls.

use std::process::ExitCode;

use shared::context::{AppContext, StartError};
use shared::history::HistoryProjector;
use shared::stream_consumer;

fn main() -> ExitCode {
    stream_consumer::serve_mapping(env!("CARGO_PKG_NAME"), build)
}

fn build(context: &AppContext) -> Result<HistoryProjector, StartError> {
    Ok(context.history_projector())
}
