//! The events of calls and users for other systems, as `CloudEvents` 1.0.
//!
//! Events are made from the table's change stream, by a pure function of a change. The same change
//! makes the same events, so a repeat has the ids of the first delivery. `docs/EVENTS.md` documents
//! the events. <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>

mod data;
mod derive;
mod envelope;
#[cfg(test)]
mod tests;

pub use derive::derive;
pub use envelope::{Event, EventSource, EventType};
