//! An in-memory stand-in for Stream's v2 API, served as plain HTTP/1 on loopback.
//!
//! It behaves as Stream's documentation and its own libraries say that Stream does, down to the
//! error codes, the idempotency rules and the things that surprise: a late create brings a deleted
//! channel back empty, an upsert replaces the whole user, a message id is taken for ever. It shares
//! no wire types with the project's client, so the two cannot be wrong together.
//!
//! - `world` is what Stream remembers: pure state, one file per kind of object, without I/O.
//! - `server`, `route`, `auth` and `answer` are HTTP around it; everything is under one mutex that
//!   is never held across an await.
//! - `faults` makes requests fail in the ways a network makes them fail; `control` offers the same
//!   from outside the process, under `/_emulator`.
//! - [`Emulator`] is the handle that tests hold.

// `json!` recurses once per member, and some of Stream's objects are wide.
#![recursion_limit = "256"]

mod answer;
mod auth;
mod control;
mod dispatch;
mod emulator;
mod error;
mod faults;
mod moment;
mod operation;
mod rate;
mod request;
mod route;
mod server;
mod settings;
mod state;
mod views;
#[cfg(test)]
mod wire_tests;
mod world;

pub use emulator::Emulator;
pub use error::StreamErrorView;
pub use faults::{Fault, Rule};
pub use operation::{Counts, Operation};
pub use settings::{Clock, Settings};
pub use views::{
    CallReport, CallView, ChannelView, MessageView, ParticipantStats, SessionStats, UserToken,
    UserView,
};
pub use world::APP_OBJECT_SECRET;
