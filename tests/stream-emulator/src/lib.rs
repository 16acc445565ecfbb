//! An in-memory stand-in for Stream's v2 API, served as plain HTTP/1 on loopback.
//!
//! It behaves as Stream's documentation and its own libraries say that Stream does, down to the
//! error codes, the idempotency rules and the things that surprise: a late create brings a deleted
//! channel back empty, an upsert replaces the whole user, a message id is taken for ever. It shares
//! no wire types with the project's client, so the two cannot be wrong together.
//!
//! - `world` is what Stream remembers: pure state, one file per kind of object, without I/O.
//!   Events arise in it, and calls and their sessions end by themselves when their time has come.
//! - `state` is everything under one mutex that is never held across an await. Whatever is done
//!   goes through one door there: first happens what has fallen due by the emulator's clock, which
//!   a test may move, and last the events that arose are posted. Rate limits are enforced there.
//! - `server`, `route`, `auth` and `answer` are HTTP around it.
//! - `webhooks` delivers the events to the app's hooks, signed and repeated as Stream does, or
//!   lost, copied, late and mixed up as a [`WebhookScript`] says.
//! - `faults` makes requests fail in the ways a network makes them fail; `control` offers the same
//!   and more from outside the process, under `/_emulator`.
//! - [`Emulator`] is the handle that tests hold. It also plays what no request can bring about:
//!   people who join and leave calls, reject, miss and rate them.
//!
//! What Stream's documentation leaves open is decided here: a call that ends takes its session
//! along without telling that each participant left, and a rate limit that is not published is
//! stood in for.

// `json!` recurses once per member, and some of Stream's objects are wide.
#![recursion_limit = "256"]

mod auth;
mod control;
mod delayed;
mod dispatch;
mod emulator;
mod error;
mod faults;
mod millis;
mod operation;
mod rate_limit;
mod request;
mod response;
mod route;
mod server;
mod settings;
mod state;
mod timestamp;
mod views;
mod webhooks;
#[cfg(test)]
mod wire_tests;
mod world;

pub use emulator::Emulator;
pub use error::StreamErrorView;
pub use faults::{Fault, FaultRule};
pub use operation::{Operation, RequestCounts};
pub use settings::{Clock, Settings};
pub use views::{
    CallReport, CallView, ChannelView, MessageView, ParticipantStats, SessionStats, UserToken,
    UserView,
};
pub use webhooks::{DeliveryAttempt, GzipMode, WebhookScript};
pub use world::APP_OBJECT_SECRET;
