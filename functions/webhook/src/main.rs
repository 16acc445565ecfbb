//! `POST /api/stream/webhook`: what Stream tells of calls and users, signed by Stream.

use std::process::ExitCode;

use shared::context::{AppContext, StartError};
use shared::error::{ApiError, Code};
use shared::http::{self, ApiResponse, VerifiedWebhook};
use shared::stream::event::Event;
use shared::webhooks::EventHandler;

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, handle_event)
}

struct State {
    event_handler: EventHandler,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        context.require_stream()?;
        Ok(Self { event_handler: context.event_handler()? })
    }
}

/// Answers once what the event tells is written down. A failure of ours is a 5xx, after which
/// Stream sends the event again; an event that cannot be read would be the same a second time.
async fn handle_event(
    state: &State,
    VerifiedWebhook(body): VerifiedWebhook,
) -> Result<ApiResponse<()>, ApiError> {
    let event = Event::parse(&body)
        .map_err(|error| ApiError::from_code(Code::InvalidJson).with_source(error))?;
    state.event_handler.handle(event).await?;
    Ok(ApiResponse::ok("Event processed", ()))
}
