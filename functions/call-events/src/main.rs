//! Makes events from changes of calls and profiles. A pipe invokes it between the table's stream and
//! the event bus. It sends no request.

use std::process::ExitCode;

use shared::config::Env;
use shared::context::StartError;
use shared::error::ApiError;
use shared::events::{self, Event, EventSource};
use shared::stream_consumer;
use shared::table_stream::StreamRecord;

fn main() -> ExitCode {
    stream_consumer::serve_enrichment(env!("CARGO_PKG_NAME"), build, make_events)
}

fn build(env: &Env) -> Result<EventSource, StartError> {
    Ok(EventSource::from_env(env)?)
}

fn make_events(source: &EventSource, records: Vec<StreamRecord>) -> Result<Vec<Event>, ApiError> {
    let mut events = Vec::new();
    for record in records {
        events.extend(events::derive(&record.change()?, source));
    }
    Ok(events)
}
