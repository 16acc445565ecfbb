//! `POST /api/stream/webhook`: handles the events that Stream signs and sends.

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
        Ok(Self { event_handler: context.event_handler()? })
    }
}

/// Responds after the event's effects are stored. A failure here returns 5xx, so that Stream
/// retries the event. A malformed event returns 400, because a retry cannot succeed.
async fn handle_event(
    state: &State,
    VerifiedWebhook(body): VerifiedWebhook,
) -> Result<ApiResponse<()>, ApiError> {
    let event = Event::parse(&body)
        .map_err(|error| ApiError::from_code(Code::InvalidJson).with_source(error))?;
    state.event_handler.handle(event).await?;
    Ok(ApiResponse::ok("Event processed", ()))
}
